"""Blocked reactors are reported with the code that blocks, using a real thread."""

import time

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from parachute_hub.system.reactor_lag import LagProbe


def dawdle() -> None:
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        pass


class LagTests(TestCase):
    async def test_the_culprit_is_named(self) -> None:
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        probe = LagProbe(clock=reactor, now=time.monotonic)
        probe.startService()
        self.addCleanup(probe.stopService)
        await deferLater(reactor, 0.1)
        dawdle()
        await deferLater(reactor, 0.2)
        self.assertTrue(any("dawdle" in (event.get("where") or "") for event in events), list(events))
