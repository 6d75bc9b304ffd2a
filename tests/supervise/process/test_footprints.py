"""Memory of real processes."""

import os

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.process.processes import Processes

MB = 1 << 20


class FootprintTests(SynchronousTestCase):
    def test_what_a_process_takes_is_seen_at_the_next_look(self) -> None:
        """Though the sum of a process that did not change is kept."""
        processes = Processes()
        ours = {"test": [os.getpid()]}
        before = processes.footprints(ours)["test"]
        taken = bytearray(os.urandom(MB)) * 40
        self.assertGreater(processes.footprints(ours)["test"] - before, len(taken) - 4 * MB)
        self.assertEqual(processes.footprints({"test": []}), {"test": 0})
