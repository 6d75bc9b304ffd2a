"""How often the front looks at its connections."""

from math import inf

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.ticks import Ticks


class TicksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.looked: list[float] = []
        self.due: float | None = inf
        self.ticks = Ticks(self.clock, self.look)
        self.assertTrue(self.ticks.begin())
        self.assertFalse(self.ticks.begin())

    def look(self) -> float | None:
        self.looked.append(self.clock.seconds())
        return self.due

    def pass_(self, seconds: int) -> list[float]:
        """When it looks meanwhile."""
        self.looked.clear()
        self.clock.pump([1.0] * seconds)
        return list(self.looked)

    def test_each_second_while_there_is_something_to_see(self) -> None:
        self.due = None
        self.assertEqual(len(self.pass_(100)), 100)

    def test_never_once_nothing_is_due(self) -> None:
        self.assertEqual(len(self.pass_(100)), 30)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.ticks.begin())
        self.assertEqual(len(self.pass_(100)), 30)

    def test_when_something_is_due(self) -> None:
        self.due = 70.0
        self.pass_(30)
        self.assertEqual(self.pass_(39), [])
        self.due = 90.0
        self.assertEqual(self.pass_(20), [70.0])
        self.due = None
        self.assertEqual(self.pass_(1), [90.0])
        self.assertEqual(len(self.pass_(10)), 10)

    def test_what_begins_meanwhile_takes_the_place_of_the_call(self) -> None:
        self.due = 70.0
        self.pass_(40)
        self.assertTrue(self.ticks.begin())
        self.due = None
        self.assertEqual(len(self.pass_(50)), 50)
        self.ticks.stop()
        self.assertEqual((self.pass_(50), self.clock.getDelayedCalls()), ([], []))
