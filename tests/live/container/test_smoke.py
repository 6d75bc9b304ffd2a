"""The image as a platform starts it: empty volume, half a CPU, 512 MB."""

from pathlib import Path

from tests.live import engine
from tests.live.container.case import ContainerTestCase
from tests.live.engine import MEBIBYTE, Container
from tests.live.harness import OWNER

_ORIGIN = "https://hub.example.com"
_EDGE = {"Host": "hub.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
_METADATA = "/.well-known/oauth-authorization-server"


class SmokeTests(ContainerTestCase):
    """Nothing is installed."""

    def up(self, **variables: str) -> Container:
        hub = self.container(variables=variables)
        hub.wait_phase("up")
        return hub

    def test_healthy_on_a_fresh_disk(self) -> None:
        """By the image's own health check."""
        hub = self.up()
        health = hub.request("GET", "/health").json()
        self.assertEqual((health["status"], health["service"], health["db"]), ("ok", "parachute-hub", "ok"))
        self.assertEqual(hub.healthcheck(), "healthy")

    def test_a_container_without_a_hub_is_not_healthy(self) -> None:
        hub = self.container(command=("sleep", "60"))
        self.assertEqual(hub.run("docker-entrypoint.sh", "healthcheck").returncode, 1)
        self.assertNotEqual(hub.healthcheck(), "healthy")

    def test_tini_is_process_one_and_the_hub_is_not_root(self) -> None:
        hub = self.up()
        self.assertEqual(hub.run("cat", "/proc/1/comm").stdout, "tini\n")
        found = {_name(pid): _owner(pid) for pid in hub.group.members()}
        self.assertEqual((found["tini"], found["python"]), (0, 1000))
        paths = [f"/parachute{rest}" for rest in ("", "/modules", "/tmp")]
        self.assertEqual(hub.run("stat", "-c", "%u", *paths).stdout.split(), ["1000"] * 3)

    def test_behind_the_edge_every_address_is_the_public_one(self) -> None:
        hub = self.up(RENDER="true", RENDER_EXTERNAL_URL=_ORIGIN, PORT="10000")
        metadata = hub.request("GET", _METADATA, _EDGE).json()
        self.assertEqual(metadata["issuer"], _ORIGIN)
        self.assertTrue(metadata["registration_endpoint"].startswith(f"{_ORIGIN}/"))
        page = hub.request("GET", "/admin/setup", {**_EDGE, "Accept": "text/html"})
        self.assertEqual((page.status, page.headers["content-type"].split(";")[0]), (200, "text/html"))
        self.assertIn(_ORIGIN, hub.log())
        self.assertNotIn("0.0.0.0", hub.log())

    def test_fly_names_the_origin_by_the_app(self) -> None:
        hub = self.up(FLY_APP_NAME="my-hub")
        metadata = hub.request("GET", _METADATA, {**_EDGE, "Host": "my-hub.fly.dev"}).json()
        self.assertEqual(metadata["issuer"], "https://my-hub.fly.dev")

    def test_the_hub_knows_its_limits(self) -> None:
        home = f"--mount=type=tmpfs,destination=/parachute,tmpfs-size={256 * MEBIBYTE}"
        hub = self.machine().container(engine.image(), None, variables=OWNER, options=(home,))
        hub.wait_phase("up")
        token = hub.run("cat", "/parachute/operator.token").stdout.strip()
        found = hub.request("GET", "/api/overview", {"Authorization": f"Bearer {token}"}).json()
        self.assertEqual(found["memory"]["limit"], 512 * MEBIBYTE)
        self.assertEqual(found["disk"]["total"], 256 * MEBIBYTE)

    def test_it_ends_when_asked_with_nothing_left(self) -> None:
        hub = self.up()
        code, seconds = hub.stop()
        self.assertEqual(code, 0, hub.log())
        self.assertLess(seconds, 30)
        self.assertEqual(hub.group.members(), [])
        self.assertNotIn("Traceback", hub.log())


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid
