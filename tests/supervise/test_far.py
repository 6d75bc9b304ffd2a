from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from parachute_hub.supervise.far import PERIOD, Sighting, Unreached, Word
from parachute_hub.supervise.model import ModuleState
from parachute_hub.supervise.supervisor import Supervisor
from tests.supervise.fixture import SupervisorCase

DOWN = Unreached("not answering", "Nothing listens there.")
WRONG = Unreached("wrong certificate", "Another machine answers there.")


class FakeMachine:
    """Answers with `seen`, or raises it. `orders` are what it was told."""

    address = "https://there.test"

    def __init__(self, *, steered: bool = True) -> None:
        self.steered = steered
        self.seen: Sighting | Unreached = Sighting(state="stopped")
        self.orders: list[Word] = []
        self.looks = 0
        self.waits: Deferred[Sighting] | None = None
        self.written: list[str] = []

    async def look(self) -> Sighting:
        self.looks += 1
        if self.waits is not None:
            return await self.waits
        if isinstance(self.seen, Unreached):
            raise self.seen
        return self.seen

    async def order(self, word: Word) -> None:
        if isinstance(self.seen, Unreached):
            raise self.seen
        self.orders.append(word)
        self.seen = Sighting(state="stopped" if word == "stop" else "running", memory=5)

    async def lines(self) -> list[str]:
        written, self.written = self.written, []
        return written


class FarModuleTests(SupervisorCase):
    def setUp(self) -> None:
        super().setUp()
        self.there = FakeMachine()
        context = evolve(self.supervisor._context, far=lambda short: self.there if short == "vault" else None)
        self.supervisor = Supervisor(context)

    def start(self) -> Any:
        started = self.begin(self.supervisor.start("vault"))
        self.turn()
        return self.successResultOf(started)

    def test_a_newer_hub_passes_requests_on_before_it_has_asked(self) -> None:
        """But not to a server that wants the hub's token, nor to one that did not answer."""
        for steered, seen, state in (
            (True, Sighting(), ModuleState.READY),
            (True, DOWN, ModuleState.STOPPED),
            (False, Sighting(), ModuleState.STOPPED),
        ):
            self.there.steered, self.there.seen = steered, seen
            self.start()
            left = self.supervisor.hand_over()
            self.supervisor = Supervisor(self.supervisor._context)
            self.there.seen = DOWN
            self.supervisor.boot(("vault",), left)
            self.assertEqual(self.status().state, state)
            self.turn()
            self.reactor.advance(1)
            self.turn()
            self.assertEqual(self.status().state, ModuleState.BACKOFF)

    def test_requests_wait_until_it_is_known_whether_it_answers(self) -> None:
        """After a start of the hub and of the module; not while its machine says that it starts again by itself."""
        for seen, state in ((Sighting(), ModuleState.READY), (DOWN, ModuleState.BACKOFF), (WRONG, ModuleState.PARKED)):
            self.there.steered, self.there.seen = False, seen
            self.supervisor = Supervisor(self.supervisor._context)
            self.supervisor.boot(("vault",))
            self.assertEqual((self.state(), self.status().wakes), (ModuleState.STOPPED, True))
            woken = self.begin(self.supervisor.wake("vault"))
            self.assertNoResult(woken)
            self.turn()
            self.reactor.advance(0)
            self.turn()
            found = self.successResultOf(woken)
            self.assertEqual((found.state, found.wakes), (state, False))
        self.there.steered, self.there.seen = True, Sighting()
        self.start()
        self.there.seen = Sighting(state="restarting")
        self.pass_time(PERIOD + 0.1)
        self.assertEqual((self.state(), self.status().wakes), (ModuleState.STARTING, False))

    def test_nobody_waits_for_one_that_is_switched_off_before_its_turn(self) -> None:
        for steered in (False, True):
            self.there.steered, self.there.seen = steered, Sighting(state="stopped")
            self.supervisor = Supervisor(self.supervisor._context)
            self.plan.on["vault"] = True
            # Processes of an earlier hub are still being looked for.
            self.in_thread = lambda function, *args: Deferred()
            self.supervisor.boot(("vault",))
            woken, stopped = self.begin(self.supervisor.wake("vault")), self.begin(self.supervisor.stop("vault"))
            self.turn()
            for waiting in (woken, stopped):
                found = self.successResultOf(waiting)
                self.assertEqual((found.state, found.wakes, found.start_follows), (ModuleState.STOPPED, False, False))

    def test_one_that_was_removed_while_it_was_looked_at_is_left_alone(self) -> None:
        for answer in (Sighting(state="stopped"), DOWN):
            self.start()
            looking: Deferred[Sighting] = Deferred()
            self.there.waits = looking
            self.pass_time(PERIOD + 0.1)
            removed = self.begin(self.supervisor.remove("vault"))
            self.turn()
            self.successResultOf(removed)
            self.told.clear()
            self.there.waits = None
            looks = self.there.looks
            looking.errback(answer) if isinstance(answer, Unreached) else looking.callback(answer)
            self.pass_time(2 * PERIOD)
            self.assertEqual((self.there.looks, self.told), (looks, []))

    def test_nobody_waits_for_longer_than_a_start_takes(self) -> None:
        self.there.steered, self.there.seen = False, Sighting(state="starting")
        self.supervisor.boot(("vault",))
        woken = self.begin(self.supervisor.wake("vault"))
        self.pass_time(self.timing.late + 0.1)
        self.assertEqual(self.successResultOf(woken).state, ModuleState.STARTING)

    def test_it_is_started_and_stopped_there(self) -> None:
        status = self.start()
        self.assertEqual(
            (status.state, status.elsewhere.reach, status.elsewhere.memory), (ModuleState.READY, "online", 5)
        )
        self.assertEqual((self.there.orders, self.reactor.spawned), (["start"], []))
        self.assertEqual((self.supervisor.owned_port("vault"), self.supervisor.alive()), (None, []))
        stopped = self.begin(self.supervisor.stop("vault"))
        self.turn()
        self.assertEqual(self.successResultOf(stopped).state, ModuleState.STOPPED)
        self.assertEqual((self.there.orders, self.plan.on["vault"]), (["start", "stop"], False))

    def test_an_upstream_gets_no_orders_and_is_left_alone_once_stopped(self) -> None:
        self.there.steered = False
        self.there.seen = Sighting()
        self.assertEqual(self.start().state, ModuleState.READY)
        stopped = self.begin(self.supervisor.stop("vault"))
        self.turn()
        self.assertEqual(self.successResultOf(stopped).state, ModuleState.STOPPED)
        looks = self.there.looks
        self.pass_time(3 * PERIOD)
        self.assertEqual((self.there.orders, self.there.looks), ([], looks))

    def test_one_miss_is_forgiven_the_second_is_told(self) -> None:
        self.start()
        self.there.seen = DOWN
        self.pass_time(PERIOD + 0.1)
        self.assertEqual(self.state(), ModuleState.READY)
        self.pass_time(1.1)
        self.assertEqual((self.state(), self.status().reason), (ModuleState.BACKOFF, "Nothing listens there."))
        self.there.seen = Sighting()
        self.pass_time(PERIOD + 0.1)
        self.assertEqual(self.state(), ModuleState.READY)

    def test_a_failed_request_is_looked_into_soon(self) -> None:
        self.start()
        self.there.seen = DOWN
        self.supervisor.look_soon("vault")
        self.pass_time(2.2)
        self.assertEqual(self.state(), ModuleState.BACKOFF)

    def test_what_the_machine_says_becomes_a_state(self) -> None:
        self.start()
        for seen, state in (
            (WRONG, ModuleState.PARKED),
            (Unreached("refused", "No."), ModuleState.PARKED),
            (Sighting(state="crashed", message="It crashed."), ModuleState.PARKED),
            (Sighting(state="restarting"), ModuleState.STARTING),
            (Sighting(), ModuleState.READY),
        ):
            self.there.seen = seen
            self.pass_time(PERIOD + 1.1)
            self.assertEqual(self.state(), state)
        self.pass_time(30)
        self.there.seen = Sighting(state="stopped")
        self.pass_time(PERIOD + 0.1)
        self.assertEqual(self.state(), ModuleState.PARKED)
        self.assertIn("stopped on the other machine", self.status().reason)

    def test_what_it_refuses_is_shown_until_it_does_not(self) -> None:
        self.start()
        for refusal in ("It takes no limit.", ""):
            self.there.seen = Sighting(refusal=refusal)
            self.pass_time(PERIOD + 0.1)
            status = self.status()
            self.assertEqual(status.reason, f"It runs on https://there.test. {refusal}".rstrip())
            self.assertEqual(status.elsewhere and status.elsewhere.why, refusal)

    def test_an_order_that_was_not_heard_is_repeated(self) -> None:
        self.there.seen = DOWN
        self.assertEqual(self.start().state, ModuleState.BACKOFF)
        self.there.seen = Sighting(state="stopped")
        self.pass_time(PERIOD + 0.1)
        self.assertEqual((self.there.orders, self.state()), (["start"], ModuleState.READY))

    def test_the_module_there_outlives_the_hub(self) -> None:
        self.start()
        left = self.supervisor.stopService()
        self.turn()
        self.successResultOf(left)
        self.assertEqual(self.there.orders, ["start"])
        self.pass_time(2 * PERIOD)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_it_is_forgotten_with_its_link(self) -> None:
        self.start()
        self.successResultOf(self.begin(self.supervisor.remove("vault")))
        self.assertEqual((self.supervisor.status("vault"), self.there.orders), (None, ["start"]))

    def test_its_log_comes_along(self) -> None:
        self.there.written = ["one", "hunter2"]
        self.start()
        ring = self.supervisor.log("vault")
        self.assertIsNotNone(ring)
        self.assertEqual([line.text for line in ring.since(0)] if ring else [], ["one", "***"])

    def test_safe_mode_sends_nothing_there(self) -> None:
        self.supervisor.hold("vault", "Safe mode.")
        self.pass_time(2 * PERIOD)
        self.assertEqual((self.state(), self.there.orders, self.there.looks), (ModuleState.HELD, [], 0))
        self.supervisor.release("vault")
        self.turn()
        self.assertEqual(self.state(), ModuleState.READY)
