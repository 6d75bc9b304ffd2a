"""Memory and processor time of real processes."""

import os
import subprocess
import sys
import time
from mmap import mmap
from pathlib import Path

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

    def test_little_more_is_counted_without_adding_up_anew(self) -> None:
        """Adding up takes the kernel milliseconds, and an idle module changes by a few pages all the time."""
        processes = Processes()
        ours = {"test": [os.getpid()]}
        sums = [processes.footprints(ours)["test"]]
        # Mapped, because the heap of a process that ran many tests has room.
        mapped = mmap(-1, 16 * MB)
        self.addCleanup(mapped.close)
        for _ in range(64):
            mapped.write(os.urandom(MB // 4))
            sums.append(processes.footprints(ours)["test"])
        rollup = Path(f"/proc/{os.getpid()}/smaps_rollup")
        if rollup.exists():
            exact = next(int(line.split()[1]) for line in rollup.read_text().splitlines() if line.startswith("Pss:"))
            self.assertLess(abs(sums[-1] - exact * 1024), 2 * MB)
        self.assertGreater(sums[-1] - sums[0], 12 * MB)


class ProcessorTests(SynchronousTestCase):
    def test_time_is_the_one_that_the_process_itself_counts(self) -> None:
        """With that of its children that ended."""
        subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True)
        found = Processes().processor({"test": [os.getpid()], "gone": [1 << 30], "none": []})
        self.assertLess(abs(found["test"] - sum(os.times()[:4])), 0.1)
        self.assertGreater(found["test"], time.process_time() - 0.05)
        self.assertEqual((found["gone"], found["none"]), (0.0, 0.0))
