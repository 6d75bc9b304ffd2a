"""A module that takes too much memory is restarted without losing requests."""

import tempfile
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.faults.whole import whole
from tests.live.harness import Reply, fetch

LIMIT = 128 << 20


class MemoryRestartTests(SynchronousTestCase):
    def test_requests_under_way_finish_and_new_ones_hear_that_it_starts(self) -> None:
        """Every response is complete, from the module or 503 `upstream_starting`; none is cut off."""
        with tempfile.TemporaryDirectory() as home, whole(Path(home)) as world:
            hub = world.hub
            hub.client.call("PUT", "/api/modules/faulty/settings", {"memory_limit": LIMIT})
            hub.wait_for(lambda: hub.module("faulty")["state"] == "ready", "the module with its limit")
            old = hub.module("faulty")["pid"]
            answers: list[Future[Reply]] = []
            reasons = set()
            with ThreadPoolExecutor(32) as pool:
                fetch(f"{hub.url}/faulty/grow")
                by = time.monotonic() + 20
                while hub.module("faulty")["pid"] in (old, None) and time.monotonic() < by:
                    answers.append(pool.submit(fetch, f"{hub.url}/faulty/slow"))
                    time.sleep(0.05)
                    module = hub.module("faulty")
                    reasons.add((module["state"], module["reason"]))
            told = Counter((each.result().status, each.result().json().get("error")) for each in answers)
            self.assertEqual(set(told), {(200, None), (503, "upstream_starting")}, told)
            why = [reason for state, reason in reasons if state == "stopping"]
            self.assertRegex(why[0], r"It uses \d+ MB of memory and its limit is 128 MB. Restarting it.")
            hub.wait_for(lambda: hub.module("faulty")["state"] == "ready", "its next life")
