"""The state machine: every input in every state, and the important paths."""

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise import lifecycle
from parachute_hub.supervise.lifecycle import EVERY_STATE, Lifecycle, MachineContext, ProcessEnd, new_lifecycle
from parachute_hub.supervise.limits import Timing
from parachute_hub.supervise.model import ModuleState

STATES = (
    *("stopped", "backoff", "parked", "held", "starting", "ready", "degraded"),
    *("stopping", "bouncing", "pausing", "asleep", "dozing"),
)

# Rows: inputs; columns: STATES. A dot changes nothing; "!" acts and stays; else the next state. `fallen` is momentary,
# so what comes out of a fall is the state after the machine's own decision: backoff, for a single crash.
TABLE = """
start        starting starting starting starting .        .        .        bouncing .        bouncing starting bouncing
stop         .        stopped  stopped  stopped  stopping stopping stopping .        stopping stopping stopped  stopping
restart      starting starting starting starting bouncing bouncing bouncing bouncing .        bouncing starting bouncing
recycle      .        .        .        .        bouncing bouncing bouncing .        .        .        .        .
hold         held     held     held     !        pausing  pausing  pausing  pausing  pausing  !        held     pausing
release      .        .        .        starting .        .        .        .        .        bouncing .        .
not_spawned  .        .        .        .        backoff  .        .        .        .        .        .        .
blocked      .        .        .        .        held     .        .        .        .        .        .        .
late         .        .        .        .        !        .        .        .        .        .        .        .
answered     .        .        .        .        ready    .        ready    .        .        .        .        .
answered_late .        .        .        .        degraded .        .        .        .        .        .        .
unanswered   .        .        .        .        degraded .        .        .        .        .        .        .
missed       .        .        .        .        .        degraded !        .        .        .        .        .
hung         .        .        .        .        .        degraded !        .        .        .        .        .
exited       .        .        .        .        backoff  backoff  backoff  stopped  starting held     .        asleep
retry        .        starting starting .        .        .        .        .        .        .        .        .
sleep        .        .        .        .        .        dozing   dozing   .        .        .        .        .
rest         asleep   .        .        .        .        .        .        .        .        .        .        .
wake         .        .        .        .        .        .        .        .        .        .        starting bouncing
"""
INPUTS = {
    "start": (),
    "stop": (),
    "restart": ("why",),
    "recycle": ("why",),
    "hold": ("why",),
    "release": (),
    "not_spawned": (ProcessEnd("why", 100.0),),
    "blocked": ("why", 15.0),
    "late": ("why",),
    "answered": (),
    "answered_late": ("why",),
    "unanswered": ("why",),
    "missed": ("why",),
    "hung": ("why",),
    "exited": (ProcessEnd("why", 100.0),),
    "retry": (),
    "sleep": ("why",),
    "rest": (),
    "wake": (),
}
PUBLIC = dict.fromkeys(("bouncing", "pausing", "dozing"), ModuleState.STOPPING)


@define
class Notes:
    """Outputs that record calls."""

    acts: list[tuple[object, ...]] = field(factory=list)

    def spawn(self) -> None:
        self.acts.append(("spawn",))

    def end(self, grace: float, why: str) -> None:
        self.acts.append(("end", grace))

    def finish_and_end(self, grace: float, why: str) -> None:
        self.acts.append(("finish_and_end", grace))

    def wait(self, delay: float) -> None:
        self.acts.append(("wait", delay))

    def stop_waiting(self) -> None:
        self.acts.append(("stop_waiting",))

    def changed(self, state: ModuleState, reason: str) -> None:
        self.acts.append(("changed", state, reason))

    def follows(self, start: bool) -> None:
        self.acts.append(("follows", start))

    def late(self) -> None:
        self.acts.append(("late",))

    def sleeps(self) -> None:
        self.acts.append(("sleeps",))

    def take(self) -> list[tuple[object, ...]]:
        acts, self.acts = self.acts, []
        return acts


def machine_in(name: str, notes: Notes) -> Lifecycle:
    """A machine in the state of this name."""
    core = MachineContext(notes, Timing(), lambda: 0.5, held_because="held before")
    return new_lifecycle(core, getattr(lifecycle, name))


def state_of(machine: Lifecycle) -> str:
    """The name of the state it is in."""
    return str(machine.__automat_transitioner__._state.name)  # type: ignore[attr-defined]


def cells() -> list[tuple[str, str, str]]:
    """(input, state, what follows) for each cell of the table."""
    rows = [line.split() for line in TABLE.strip().splitlines()]
    return [(row[0], state, cell) for row in rows for state, cell in zip(STATES, row[1:], strict=True)]


class TableTests(SynchronousTestCase):
    def test_every_pair_is_answered(self) -> None:
        """No input can raise NoTransition, not even in the transient state."""
        pairs = {(old.name, given) for old, given, *_ in new_lifecycle.__automat_automaton__.allTransitions()}
        inputs = {*INPUTS, "_again", "_park"}
        self.assertEqual(pairs, {(state.name, given) for state in EVERY_STATE for given in inputs})

    def test_the_table_is_whole(self) -> None:
        """The table below has a cell for every command and event in every visible state."""
        self.assertEqual({(given, state) for given, state, _ in cells()}, {(i, s) for i in INPUTS for s in STATES})

    def test_each_input_leads_where_the_table_says(self) -> None:
        """Each cell says where an input leads, and a dot that nothing at all is done."""
        for given, state, follows in cells():
            notes = Notes()
            machine = machine_in(state, notes)
            getattr(machine, given)(*INPUTS[given])
            expected = state if follows in ".!" else follows
            self.assertEqual((given, state, state_of(machine)), (given, state, expected))
            self.assertEqual(follows == ".", notes.acts == [], f"{given} in {state}: {notes.acts}")

    def test_each_new_state_is_told(self) -> None:
        """Every state is reported by its public name, with a sentence."""
        for given, state, follows in cells():
            notes = Notes()
            getattr(machine_in(state, notes), given)(*INPUTS[given])
            told = [act for act in notes.acts if act[0] == "changed"]
            if follows not in ".!":
                self.assertEqual(told[-1][1], PUBLIC.get(follows) or ModuleState(follows), (given, state))
            self.assertTrue(all(act[2] for act in told), (given, state))

    def test_a_state_of_rest_never_leaves_a_timer(self) -> None:
        """Leaving backoff or parked by a command cancels the timer, or the module would start twice."""
        for state in ("backoff", "parked"):
            for given in ("start", "stop", "restart", "hold"):
                notes = Notes()
                getattr(machine_in(state, notes), given)(*INPUTS[given])
                self.assertIn(("stop_waiting",), notes.acts, (given, state))


class PathTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.notes = Notes()
        self.core = MachineContext(self.notes, Timing(), lambda: 0.5)
        self.machine = new_lifecycle(self.core)

    def crash(self, at: float, ready_for: float | None = None) -> None:
        self.machine.exited(ProcessEnd("It fell.", at, ready_for))

    def test_five_crashes_park_it_and_one_more_try_parks_it_again(self) -> None:
        self.machine.start()
        for at in range(5):
            self.crash(float(at))
            self.machine.retry()
        self.assertEqual(state_of(self.machine), "starting")
        states = [act[1] for act in self.notes.take() if act[0] == "changed"]
        self.assertEqual(states.count(ModuleState.BACKOFF), 4)
        self.assertEqual(states.count(ModuleState.PARKED), 1)
        self.crash(400.0)
        self.assertEqual(state_of(self.machine), "parked")
        self.assertIn("single try", str(self.notes.acts[-1][2]))

    def test_a_start_by_hand_forgives_everything(self) -> None:
        self.machine.start()
        for at in range(5):
            self.crash(float(at))
            self.machine.retry()
        self.crash(10.0)
        self.machine.start()
        self.crash(11.0)
        self.assertEqual(state_of(self.machine), "backoff")
        self.assertEqual(self.core.history.total, 1)

    def test_a_hung_child_is_ended_and_counts_as_a_crash(self) -> None:
        self.machine.start()
        self.machine.answered()
        self.machine.missed("one")
        self.notes.take()
        self.machine.hung("It hung.")
        self.assertIn(("end", Timing().hung_grace), self.notes.take())
        self.crash(50.0, ready_for=40.0)
        self.assertEqual(state_of(self.machine), "backoff")

    def test_never_answering_does_not_end_it(self) -> None:
        """A slow module, or one without a port, is shown as such and left alone."""
        self.machine.start()
        self.machine.late("late")
        self.machine.unanswered("never")
        self.assertNotIn("end", [act[0] for act in self.notes.take()])
        self.machine.answered()
        self.assertEqual(state_of(self.machine), "ready")

    def test_the_last_command_wins_while_it_is_stopping(self) -> None:
        self.machine.start()
        self.machine.stop()
        self.machine.start()
        self.machine.stop()
        self.machine.restart("again")
        self.crash(1.0)
        self.assertEqual(state_of(self.machine), "starting")
        self.assertEqual([act for act in self.notes.acts if act[0] == "end"], [("end", 8.0)])

    def test_a_hold_is_kept_with_its_reason(self) -> None:
        self.machine.start()
        self.machine.hold("The disk is full.")
        self.crash(1.0)
        self.assertEqual(self.notes.acts[-1], ("changed", ModuleState.HELD, "The disk is full."))
        self.machine.retry()
        self.assertEqual(state_of(self.machine), "held")
        self.machine.release()
        self.assertEqual(state_of(self.machine), "starting")
