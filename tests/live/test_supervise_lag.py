"""Blocked reactors are reported with the code that blocks, using a real reactor and thread."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

# In a process of its own: those of tests have collected more threads than a dump of stacks holds.
PROGRAM = """
import time
from twisted.internet import reactor
from twisted.logger import globalLogPublisher
from parachute_hub.system.reactor_lag import LagProbe

def dawdle():
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        pass

globalLogPublisher.addObserver(lambda event: print(event.get("where") or ""))
probe = LagProbe(clock=reactor, now=time.monotonic)
reactor.callWhenRunning(probe.startService)
reactor.callLater(0.1, dawdle)
reactor.callLater(1.0, probe.stopService)
reactor.callLater(1.0, reactor.stop)
reactor.run()
"""


class LagTests(SynchronousTestCase):
    def test_the_culprit_is_named(self) -> None:
        said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
        self.assertIn("dawdle", said.stdout, said.stderr)
