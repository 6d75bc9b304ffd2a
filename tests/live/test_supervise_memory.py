"""A module that takes too much memory is restarted without losing requests; one that computes is slowed down."""

import tempfile
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
from twisted.trial.unittest import SynchronousTestCase

from tests.live.faults.whole import whole
from tests.live.harness import PATIENCE, Reply, fetch

LIMIT = 128 << 20


class MemoryRestartTests(SynchronousTestCase):
    def test_requests_under_way_finish_and_new_ones_hear_that_it_starts(self) -> None:
        """Every response is complete, from the module or 503 `upstream_starting`; none is cut off."""
        with tempfile.TemporaryDirectory() as home, whole(Path(home)) as world:
            hub = world.hub
            old = hub.module("faulty")["pid"]
            hub.client.call("PUT", "/api/modules/faulty/settings", {"memory_limit": LIMIT})
            self.assertEqual(hub.module("faulty")["pid"], old)
            answers: list[Future[Reply]] = []
            (hub.home / "waits").touch()
            with ThreadPoolExecutor(32) as pool:
                # Under way before the memory is measured, however long it takes to grow.
                answers.append(pool.submit(fetch, f"{hub.url}/faulty/slow"))
                fetch(f"{hub.url}/faulty/grow")
                by = time.monotonic() + PATIENCE
                while hub.module("faulty")["pid"] in (old, None) and time.monotonic() < by:
                    answers.append(pool.submit(fetch, f"{hub.url}/faulty/slow"))
                    time.sleep(0.05)
                # The next life does not listen yet.
                answers.append(pool.submit(fetch, f"{hub.url}/faulty/slow"))
            told = Counter((each.result().status, each.result().json().get("error")) for each in answers)
            self.assertEqual(set(told), {(200, None), (503, "upstream_starting")}, told)
            log = hub.client.call("GET", "/api/modules/faulty/logs")["text"]
            self.assertRegex(log, r"It uses \d+ MB of memory and its limit is 128 MB. Restarting it.")
            (hub.home / "waits").unlink()
            hub.wait_for(lambda: hub.module("faulty")["state"] == "ready", "its next life")


class ProcessorTests(SynchronousTestCase):
    def test_a_module_that_computes_has_its_share_and_answers(self) -> None:
        """From the owner's word on, without a restart. Half of a processor is more than the share, on any machine."""
        with tempfile.TemporaryDirectory() as home, whole(Path(home)) as world:
            hub = world.hub
            before = hub.module("faulty")["pid"]
            burner = psutil.Process(before)
            fetch(f"{hub.url}/faulty/burn")
            hub.client.call("PUT", "/api/modules/faulty/settings", {"cpu_limit": 10})
            hub.wait_for(lambda: used(burner, 1.0) < 0.25, "the module at its share")
            self.assertLess(used(burner, 2.0), 0.2)
            self.assertEqual(fetch(f"{hub.url}/faulty/").status, 200)
            hub.client.call("PUT", "/api/modules/faulty/settings", {"cpu_limit": 0})
            hub.wait_for(lambda: used(burner, 0.5) > 0.25, "the module without a limit")
            self.assertEqual(hub.module("faulty")["pid"], before)


def used(process: psutil.Process, seconds: float) -> float:
    """What it takes of one processor."""
    before = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    return float(sum(process.cpu_times()[:2]) - before) / seconds
