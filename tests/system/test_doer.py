from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.doer import Doer, acting, doer

SAM, KIM = Doer("sam", "session", "192.0.2.7"), Doer("kim", "token", "192.0.2.9")


class DoerTests(SynchronousTestCase):
    def test_the_hub_acts_where_nobody_else_does(self) -> None:
        self.assertEqual(doer(), Doer("", "hub", ""))

    def test_it_ends_with_the_call(self) -> None:
        self.assertEqual(acting(SAM, doer), SAM)
        self.assertEqual(doer().means, "hub")

    def test_coroutines_of_several_people_do_not_mix(self) -> None:
        gates: list[Deferred[None]] = [Deferred(), Deferred()]

        async def work(gate: "Deferred[None]") -> list[Doer]:
            before = doer()
            await gate
            return [before, doer()]

        running = [acting(who, Deferred.fromCoroutine, work(gate)) for who, gate in zip((SAM, KIM), gates, strict=True)]
        for gate in reversed(gates):
            gate.callback(None)
        self.assertEqual([self.successResultOf(one) for one in running], [[SAM, SAM], [KIM, KIM]])

    def test_timers_act_for_the_hub(self) -> None:
        """What a request only scheduled is no longer the person's act."""
        clock, found = Clock(), []
        acting(SAM, clock.callLater, 1.0, lambda: found.append(doer().means))
        clock.advance(1)
        self.assertEqual(found, ["hub"])
