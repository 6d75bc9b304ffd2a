"""`/metrics` of a running hub, read by the parser of prometheus-client."""

import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import fetch, hub, packed_examples, session_of_owner

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class MetricsTests(SynchronousTestCase):
    def test_a_collector_sees_what_happened(self) -> None:
        running = hub(self, catalog=packed_examples()).start()
        running.install("hello")
        made = running.client.call("POST", "/api/auth/mint-token", {"scope": "parachute:host:metrics"})
        collector = {"Authorization": f"Bearer {made['token']}"}
        self.assertEqual(fetch(f"{running.url}/hello/").status, 302)
        self.assertEqual(
            fetch(f"{running.url}/oauth/token", method="POST", body=b"client_id=x", headers=FORM).status, 401
        )
        forged = f"{made['token'][:-6]}AAAAAA"
        self.assertEqual(fetch(f"{running.url}/hello/", headers={"Authorization": f"Bearer {forged}"}).status, 401)
        self.assertEqual(fetch(f"{running.url}/metrics").status, 401)
        self.assertEqual(fetch(f"{running.url}/api/modules", headers=collector).status, 403)
        running.wait_for(
            lambda: figure(running.url, collector, "parachute_module_cpu_seconds_total", "hello"), "its time"
        )
        session_of_owner(running)
        with self.assertRaises(KeyError):
            session_of_owner(running, password="wrong-horse-battery")
        for name, value, least in (
            ("parachute_sign_ins_total", "ok", 1),
            ("parachute_sign_ins_total", "refused", 1),
            ("parachute_requests_total", "hello", 1),
            ("parachute_request_seconds_count", "hello", 1),
            ("parachute_module_state", "ready", 1),
            ("parachute_module_memory_bytes", "hello", 1 << 20),
            ("parachute_module_cpu_seconds_total", "hello", 0.01),
            ("parachute_jobs_total", "install", 1),
            ("parachute_token_requests_total", "refused", 1),
            ("parachute_token_refusals_total", "invalid_token", 1),
            ("parachute_hub_memory_bytes", "", 20 << 20),
            ("parachute_disk_free_bytes", "", 1),
        ):
            self.assertGreaterEqual(figure(running.url, collector, name, value), least, name)


def figure(url: str, headers: dict[str, str], name: str, label: str) -> float:
    """The sum of the samples of this name with this label value; 0 without any."""
    request = urllib.request.Request(f"{url}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    families = list(text_string_to_metric_families(text))
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return float(sum(sample.value for sample in found if not label or label in sample.labels.values()))
