"""The state machine of one module, in which every input is defined in every state.

The machine only decides; `MachineOutputs` carries out its outputs. States carry no data; what has to be
remembered is in `MachineContext`. `docs/lifecycle.md` is drawn from this file.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, assert_never

from automat import TypeMachineBuilder

from parachute_hub.supervise.limits import Timing
from parachute_hub.supervise.model import ModuleState
from parachute_hub.supervise.restart_policy import CrashHistory, Park, RestartAfter, after_crash
from parachute_hub.system.records import define, frozen


@frozen
class ProcessEnd:
    """A process exited or could not be spawned. `at` is monotonic seconds, `ready_for` seconds, None if it never was.

    `why` is a sentence. `error` is the JSON form of a start error, if there was one.
    """

    why: str
    at: float
    ready_for: float | None = None
    error: Mapping[str, Any] | None = None


class Lifecycle(Protocol):
    """The inputs: commands from users and guards, and events from the process and its health checker."""

    def start(self) -> None:
        """Command: run now."""

    def stop(self) -> None:
        """Command: stop and stay stopped."""

    def restart(self, why: str) -> None:
        """Command: stop, then start; a stopped module is started."""

    def recycle(self, why: str) -> None:
        """Command of a guard: finish open requests, stop, start again. Ignored without a process."""

    def hold(self, why: str) -> None:
        """Command: do not run until released or started."""

    def release(self) -> None:
        """Command: lift a hold."""

    def sleep(self, why: str) -> None:
        """Command: end the process until somebody needs the module. Ignored unless it runs."""

    def rest(self) -> None:
        """Command: sleep instead of starting with the hub. Ignored unless it is stopped."""

    def wake(self) -> None:
        """Event: somebody needs a module that sleeps."""

    def not_spawned(self, fall: ProcessEnd) -> None:
        """Event: spawning failed."""

    def blocked(self, why: str, retry: float | None) -> None:
        """Event: spawning was deliberately refused, and is tried again after `retry` seconds, if given."""

    def late(self, why: str) -> None:
        """Event: no answer within the expected time."""

    def answered(self) -> None:
        """Event: the module answers."""

    def answered_late(self, why: str) -> None:
        """Event: the module answers, but took long."""

    def unanswered(self, why: str) -> None:
        """Event: running, but the first answer is no longer expected."""

    def missed(self, why: str) -> None:
        """Event: one health check failed."""

    def hung(self, why: str) -> None:
        """Event: unresponsive for so long that the process must be killed."""

    def exited(self, fall: ProcessEnd) -> None:
        """Event: the process and its whole group are gone."""

    def retry(self) -> None:
        """Event: the back-off elapsed."""

    def _again(self, delay: float, why: str) -> None:
        """Internal: start again after a delay."""

    def _park(self, delay: float, why: str) -> None:
        """Internal: park after repeated crashes."""


class MachineOutputs(Protocol):
    """Carries out the machine's outputs. No method may raise."""

    def spawn(self) -> None:
        """Try to start a process; an event follows."""

    def end(self, grace: float, why: str) -> None:
        """SIGTERM the group, SIGKILL it after `grace` seconds. `exited` follows exactly once, even if nothing was
        running.
        """

    def finish_and_end(self, grace: float, why: str) -> None:
        """Like `end`, after giving open requests a short time to finish."""

    def wait(self, delay: float) -> None:
        """Schedule `retry` after `delay` seconds."""

    def stop_waiting(self) -> None:
        """Cancel the scheduled `retry`."""

    def changed(self, state: ModuleState, reason: str) -> None:
        """Report the state; also called when only the reason changed."""

    def follows(self, start: bool) -> None:
        """Report whether a start follows the current stop."""

    def late(self) -> None:
        """Stop making callers wait for the first answer."""

    def sleeps(self) -> None:
        """Requests wait for the module from now on, and wake it."""


@define
class MachineContext:
    """The machine's memory and collaborators."""

    hands: MachineOutputs
    timing: Timing
    random: Callable[[], float]
    history: CrashHistory = CrashHistory()
    held_because: str = ""


_builder = TypeMachineBuilder(Lifecycle, MachineContext)
stopped = _builder.state("stopped")
starting = _builder.state("starting")
ready = _builder.state("ready")
degraded = _builder.state("degraded")
backoff = _builder.state("backoff")
parked = _builder.state("parked")
held = _builder.state("held")
# Stopping leads to stopped, starting, held or asleep, so it is four states.
stopping = _builder.state("stopping")
bouncing = _builder.state("bouncing")
pausing = _builder.state("pausing")
asleep = _builder.state("asleep")
# Stopping because nobody needs it.
dozing = _builder.state("dozing")
# A transient state, in which the machine chooses between backoff and parked.
fallen = _builder.state("fallen")

_AT_REST = (stopped, backoff, parked, held, asleep)
_RUNNING = (ready, degraded)
_ALIVE = (starting, *_RUNNING)
_ENDING = (stopping, bouncing, pausing, dozing)
EVERY_STATE = (*_AT_REST, *_ALIVE, *_ENDING, fallen)


def _begin(machine: Lifecycle, core: MachineContext) -> None:
    core.hands.stop_waiting()
    core.hands.changed(ModuleState.STARTING, "It is being started.")
    core.hands.spawn()


def _begin_anew(machine: Lifecycle, core: MachineContext) -> None:
    """Requested by a user or guard: reset the crash history."""
    core.history = CrashHistory()
    _begin(machine, core)


def _begin_again(machine: Lifecycle, core: MachineContext, fall: ProcessEnd) -> None:
    core.hands.follows(False)
    core.history = CrashHistory()
    _begin(machine, core)


def _begin_because(machine: Lifecycle, core: MachineContext, why: str) -> None:
    _begin_anew(machine, core)


def _switched_off(machine: Lifecycle, core: MachineContext) -> None:
    core.hands.stop_waiting()
    core.hands.changed(ModuleState.STOPPED, "It is switched off.")


def _ended(machine: Lifecycle, core: MachineContext, fall: ProcessEnd) -> None:
    core.hands.changed(ModuleState.STOPPED, "It is switched off.")


def _end(machine: Lifecycle, core: MachineContext) -> None:
    core.hands.changed(ModuleState.STOPPING, "It is being stopped.")
    core.hands.end(core.timing.stop_grace, "It was stopped.")


def _end_to_restart(machine: Lifecycle, core: MachineContext, why: str) -> None:
    core.hands.follows(True)
    core.hands.changed(ModuleState.STOPPING, why)
    core.hands.end(core.timing.stop_grace, why)


def _finish_to_restart(machine: Lifecycle, core: MachineContext, why: str) -> None:
    core.hands.follows(True)
    core.hands.changed(ModuleState.STOPPING, why)
    core.hands.finish_and_end(core.timing.stop_grace, why)


def _end_to_hold(machine: Lifecycle, core: MachineContext, why: str) -> None:
    core.held_because = why
    core.hands.changed(ModuleState.STOPPING, why)
    core.hands.end(core.timing.stop_grace, why)


def _doze(machine: Lifecycle, core: MachineContext, why: str) -> None:
    core.hands.sleeps()
    core.hands.changed(ModuleState.STOPPING, why)
    core.hands.end(core.timing.stop_grace, why)


def _asleep(machine: Lifecycle, core: MachineContext) -> None:
    core.hands.sleeps()
    core.hands.changed(ModuleState.ASLEEP, "Nobody has used it since the hub started. The next request wakes it.")


def _ended_asleep(machine: Lifecycle, core: MachineContext, fall: ProcessEnd) -> None:
    core.hands.changed(ModuleState.ASLEEP, f"{fall.why} The next request wakes it.")


def _hold(machine: Lifecycle, core: MachineContext, why: str) -> None:
    core.hands.stop_waiting()
    core.hands.changed(ModuleState.HELD, why)


def _block(machine: Lifecycle, core: MachineContext, why: str, retry: float | None) -> None:
    core.hands.stop_waiting()
    if retry is not None:
        core.hands.wait(retry)
    core.hands.changed(ModuleState.HELD, why)


def _ended_held(machine: Lifecycle, core: MachineContext, fall: ProcessEnd) -> None:
    core.hands.changed(ModuleState.HELD, core.held_because)


def _start_follows(machine: Lifecycle, core: MachineContext) -> None:
    core.hands.follows(True)
    core.hands.changed(ModuleState.STOPPING, "It is being stopped and will be started again.")


def _start_follows_because(machine: Lifecycle, core: MachineContext, why: str) -> None:
    _start_follows(machine, core)


def _no_start_follows(machine: Lifecycle, core: MachineContext) -> None:
    core.hands.follows(False)
    core.hands.changed(ModuleState.STOPPING, "It is being stopped.")


def _hold_follows(machine: Lifecycle, core: MachineContext, why: str) -> None:
    core.held_because = why
    core.hands.follows(False)
    core.hands.changed(ModuleState.STOPPING, why)


def _is_ready(machine: Lifecycle, core: MachineContext) -> None:
    core.hands.changed(ModuleState.READY, "It answers.")


def _is_degraded(machine: Lifecycle, core: MachineContext, why: str) -> None:
    core.hands.changed(ModuleState.DEGRADED, why)


def _is_late(machine: Lifecycle, core: MachineContext, why: str) -> None:
    core.hands.late()
    core.hands.changed(ModuleState.STARTING, why)


def _end_hung(machine: Lifecycle, core: MachineContext, why: str) -> None:
    core.hands.changed(ModuleState.DEGRADED, why)
    core.hands.end(core.timing.hung_grace, why)


def _fall(machine: Lifecycle, core: MachineContext, fall: ProcessEnd) -> None:
    core.history, verdict = after_crash(core.history, fall.at, fall.ready_for, core.timing, core.random())
    match verdict:
        case RestartAfter(delay):
            machine._again(delay, fall.why)
        case Park(delay, crashes):
            times = f"{crashes} times in {core.timing.window:.0f} s" if crashes > 1 else "again on a single try"
            machine._park(delay, f"{fall.why} That happened {times}; the next try is in {delay / 60:.0f} min.")
        case _:
            assert_never(verdict)


def _back_off(machine: Lifecycle, core: MachineContext, delay: float, why: str) -> None:
    core.hands.wait(delay)
    core.hands.changed(ModuleState.BACKOFF, why)


def _rest(machine: Lifecycle, core: MachineContext, delay: float, why: str) -> None:
    core.hands.wait(delay)
    core.hands.changed(ModuleState.PARKED, why)


for _state in _AT_REST:
    _state.upon(Lifecycle.start).to(starting)(_begin_anew)
    _state.upon(Lifecycle.restart).to(starting)(_begin_because)
    _state.upon(Lifecycle.hold).to(held)(_hold)
for _state in (backoff, parked, held, asleep):
    _state.upon(Lifecycle.stop).to(stopped)(_switched_off)
for _state in (backoff, parked):
    _state.upon(Lifecycle.retry).to(starting)(_begin)
held.upon(Lifecycle.release).to(starting)(_begin_anew)
stopped.upon(Lifecycle.rest).to(asleep)(_asleep)
asleep.upon(Lifecycle.wake).to(starting)(_begin)

for _state in _ALIVE:
    _state.upon(Lifecycle.stop).to(stopping)(_end)
    _state.upon(Lifecycle.restart).to(bouncing)(_end_to_restart)
    _state.upon(Lifecycle.recycle).to(bouncing)(_finish_to_restart)
    _state.upon(Lifecycle.hold).to(pausing)(_end_to_hold)
    _state.upon(Lifecycle.exited).to(fallen)(_fall)
starting.upon(Lifecycle.not_spawned).to(fallen)(_fall)
starting.upon(Lifecycle.blocked).to(held)(_block)
starting.upon(Lifecycle.late).loop()(_is_late)
starting.upon(Lifecycle.answered).to(ready)(_is_ready)
starting.upon(Lifecycle.answered_late).to(degraded)(_is_degraded)
starting.upon(Lifecycle.unanswered).to(degraded)(_is_degraded)
ready.upon(Lifecycle.missed).to(degraded)(_is_degraded)
degraded.upon(Lifecycle.missed).loop()(_is_degraded)
degraded.upon(Lifecycle.answered).to(ready)(_is_ready)
for _state in _RUNNING:
    _state.upon(Lifecycle.sleep).to(dozing)(_doze)
    _state.upon(Lifecycle.hung).to(degraded)(_end_hung)

fallen.upon(Lifecycle._again).to(backoff)(_back_off)
fallen.upon(Lifecycle._park).to(parked)(_rest)

stopping.upon(Lifecycle.exited).to(stopped)(_ended)
bouncing.upon(Lifecycle.exited).to(starting)(_begin_again)
pausing.upon(Lifecycle.exited).to(held)(_ended_held)
dozing.upon(Lifecycle.exited).to(asleep)(_ended_asleep)
dozing.upon(Lifecycle.wake).to(bouncing)(_start_follows)
for _state in (stopping, pausing, dozing):
    _state.upon(Lifecycle.start).to(bouncing)(_start_follows)
    _state.upon(Lifecycle.restart).to(bouncing)(_start_follows_because)
for _state in (bouncing, pausing, dozing):
    _state.upon(Lifecycle.stop).to(stopping)(_no_start_follows)
for _state in _ENDING:
    _state.upon(Lifecycle.hold).to(pausing)(_hold_follows)
pausing.upon(Lifecycle.release).to(bouncing)(_start_follows)


def _nothing(given: Callable[..., None], *states: Any) -> None:
    """Already obeyed, or too late to matter."""
    for state in states:
        state.upon(given).loop().returns(None)


_nothing(Lifecycle.start, *_ALIVE, bouncing, fallen)
_nothing(Lifecycle.stop, stopped, stopping, fallen)
_nothing(Lifecycle.restart, bouncing, fallen)
_nothing(Lifecycle.recycle, *_AT_REST, *_ENDING, fallen)
_nothing(Lifecycle.hold, fallen)
_nothing(Lifecycle.release, stopped, backoff, parked, asleep, *_ALIVE, stopping, bouncing, dozing, fallen)
_nothing(Lifecycle.sleep, *_AT_REST, starting, *_ENDING, fallen)
_nothing(Lifecycle.rest, backoff, parked, held, asleep, *_ALIVE, *_ENDING, fallen)
_nothing(Lifecycle.wake, stopped, backoff, parked, held, *_ALIVE, stopping, bouncing, pausing, fallen)
_nothing(Lifecycle.not_spawned, *_AT_REST, *_RUNNING, *_ENDING, fallen)
_nothing(Lifecycle.blocked, *_AT_REST, *_RUNNING, *_ENDING, fallen)
_nothing(Lifecycle.late, *_AT_REST, *_RUNNING, *_ENDING, fallen)
_nothing(Lifecycle.answered, *_AT_REST, ready, *_ENDING, fallen)
_nothing(Lifecycle.answered_late, *_AT_REST, *_RUNNING, *_ENDING, fallen)
_nothing(Lifecycle.unanswered, *_AT_REST, *_RUNNING, *_ENDING, fallen)
_nothing(Lifecycle.missed, *_AT_REST, starting, *_ENDING, fallen)
_nothing(Lifecycle.hung, *_AT_REST, starting, *_ENDING, fallen)
_nothing(Lifecycle.exited, *_AT_REST, fallen)
_nothing(Lifecycle.retry, stopped, held, asleep, *_ALIVE, *_ENDING, fallen)
_nothing(Lifecycle._again, *_AT_REST, *_ALIVE, *_ENDING)
_nothing(Lifecycle._park, *_AT_REST, *_ALIVE, *_ENDING)

new_lifecycle = _builder.build()
