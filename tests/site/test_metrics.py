"""`/metrics`: who may read it, and that the library's own parser reads the text."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from twisted.internet.defer import execute
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.metrics import Metrics
from parachute_hub.site.auth import ADMIN, AUTH, METRICS, Authenticator, Principal
from parachute_hub.site.metrics import MetricsArea
from parachute_hub.site.openmetrics import CONTENT_TYPE, Figures, ModuleFigures, Traffic, render
from tests.support.asking import ask
from tests.support.operators import KnownBearers

FIGURES = Figures(
    version="1.2.3",
    started_at=1000.5,
    processor=12.25,
    memory_limit=None,
    memory_used=300,
    memory_hub=80,
    disk_total=1000,
    disk_free=400,
    traffic=[
        Traffic(
            module='a"b',
            by_class={"2xx": 3, "5xx": 1},
            sent=50,
            received=7,
            seconds=2.5,
            below=[(0.001, 1), (1.0, 3)],
        )
    ],
    modules=[
        ModuleFigures(short="vault", state="ready", states=("ready", "parked"), restarts=2, memory=70, processor=1.5),
        ModuleFigures(short="off", state="parked", states=("ready", "parked"), restarts=0, memory=None, processor=0.0),
    ],
    running_jobs=1,
    jobs={("install", "succeeded"): 4, ("backup", "failed"): 1},
    sign_ins={"ok": 2, "refused": 5},
    token_requests={"issued": 9},
    refusals={("vault", "invalid_token"): 3},
    backups=2,
    verified_at=900.0,
)


def samples(text: str) -> dict[str, list[Sample]]:
    """Every sample by name, as the library's strict parser reads them."""
    found: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


class TextTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.found = samples(render(FIGURES).decode())

    def value(self, name: str, **labels: str) -> float | None:
        return next((one.value for one in self.found.get(name, []) if dict(one.labels) == labels), None)

    def test_every_figure_is_read_back(self) -> None:
        for name, labels, value in (
            ("parachute_hub_info", {"version": "1.2.3"}, 1),
            ("parachute_hub_start_time_seconds", {}, 1000.5),
            ("parachute_hub_cpu_seconds_total", {}, 12.25),
            ("parachute_hub_memory_bytes", {}, 80),
            ("parachute_memory_used_bytes", {}, 300),
            ("parachute_disk_size_bytes", {}, 1000),
            ("parachute_disk_free_bytes", {}, 400),
            ("parachute_requests_total", {"module": 'a"b', "status": "5xx"}, 1),
            ("parachute_body_bytes_total", {"module": 'a"b', "direction": "sent"}, 50),
            ("parachute_request_seconds_bucket", {"module": 'a"b', "le": "1.0"}, 3),
            ("parachute_request_seconds_bucket", {"module": 'a"b', "le": "+Inf"}, 4),
            ("parachute_request_seconds_sum", {"module": 'a"b'}, 2.5),
            ("parachute_request_seconds_count", {"module": 'a"b'}, 4),
            ("parachute_module_state", {"module": "vault", "parachute_module_state": "ready"}, 1),
            ("parachute_module_state", {"module": "vault", "parachute_module_state": "parked"}, 0),
            ("parachute_module_restarts_total", {"module": "vault"}, 2),
            ("parachute_module_memory_bytes", {"module": "vault"}, 70),
            ("parachute_module_cpu_seconds_total", {"module": "vault"}, 1.5),
            ("parachute_jobs_running", {}, 1),
            ("parachute_jobs_total", {"kind": "install", "outcome": "succeeded"}, 4),
            ("parachute_backups", {}, 2),
            ("parachute_backup_verified_timestamp_seconds", {}, 900),
            ("parachute_sign_ins_total", {"outcome": "refused"}, 5),
            ("parachute_token_requests_total", {"outcome": "issued"}, 9),
            ("parachute_token_refusals_total", {"module": "vault", "error": "invalid_token"}, 3),
        ):
            self.assertEqual(self.value(name, **labels), value, name)

    def test_what_is_unknown_is_left_out(self) -> None:
        self.assertNotIn("parachute_memory_limit_bytes", self.found)
        self.assertIsNone(self.value("parachute_module_memory_bytes", module="off"))


class AccessTests(SynchronousTestCase):
    def setUp(self) -> None:
        metrics = Metrics()
        metrics.of("vault").add(200, 0.002, 100, 10)
        known = {
            token: Principal(kind="token", name=token, scopes=frozenset({scope}))
            for token, scope in (("admin", ADMIN), ("collector", METRICS), ("other", AUTH))
        }
        self.resource = MetricsArea(
            Authenticator([KnownBearers(known)]), lambda: FIGURES, metrics.as_json, execute
        ).app.resource()

    def status(self, path: str, token: str | None) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return ask(self.resource, path, headers=headers).status

    def test_a_token_for_metrics_reads_them_and_nothing_else(self) -> None:
        for token, text, json in ((None, 401, 401), ("other", 403, 403), ("collector", 200, 403), ("admin", 200, 200)):
            self.assertEqual((self.status("/metrics", token), self.status("/api/metrics", token)), (text, json), token)

    def test_the_type_names_the_format(self) -> None:
        answer = ask(self.resource, "/metrics", headers={"Authorization": "Bearer collector"})
        self.assertEqual(answer.header("Content-Type"), CONTENT_TYPE)
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertTrue(answer.body.endswith(b"# EOF\n"))
