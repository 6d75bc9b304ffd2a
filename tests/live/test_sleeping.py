"""A module that sleeps has no process, and requests wake it, on a real hub."""

from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import HubRefused
from tests.live.harness import HubProcess, fetch, hub, packed_examples


class SleepingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub: HubProcess = hub(self, catalog=packed_examples()).start()
        self.hub.install("hello")
        settings = self.hub.client.call("PUT", "/api/modules/hello/settings", {"sleep_after": 1})
        self.assertEqual(settings["sleep_after"], 1)
        self.hub.stop()
        self.hub.start()

    def test_it_starts_with_the_first_requests(self) -> None:
        """All that come meanwhile are answered, whole; none is turned away."""
        asleep = self.hub.module("hello")
        self.assertEqual((asleep["state"], asleep["pid"], asleep["supervisor_status"]), ("asleep", None, "running"))
        self.assertEqual(fetch(f"{self.hub.url}/api/ready").json()["ready_modules"], ["hello"])
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: fetch(f"{self.hub.url}/hello").status, range(40)))
        self.assertEqual(answers, [200] * 40)
        self.assertEqual(self.hub.module("hello")["state"], "ready")
        starts = [line for line in self.hub.log().splitlines() if "hello started" in line]
        self.assertEqual(len(starts), 2, "once at the install, once for all requests")

    def test_a_body_waits_too(self) -> None:
        answer = fetch(f"{self.hub.url}/hello", method="POST", body={"text": "x" * 300_000})
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.hub.module("hello")["state"], "ready")

    def test_a_person_still_decides(self) -> None:
        self.hub.client.call("POST", "/api/modules/hello/stop", {})
        self.assertEqual(fetch(f"{self.hub.url}/hello", headers={"Accept": "application/json"}).status, 502)
        self.assertEqual(self.hub.module("hello")["state"], "stopped")
        for wrong in (0, 100_000, "soon", True, 1.5):
            with self.assertRaises(HubRefused) as caught:
                self.hub.client.call("PUT", "/api/modules/hello/settings", {"sleep_after": wrong})
            self.assertEqual(caught.exception.status, 400, wrong)
