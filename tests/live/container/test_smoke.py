"""The image as a platform starts it: a fresh disk, half a CPU, 512 MB."""

from pathlib import Path

from tests.live.container.box import Box
from tests.live.container.case import ContainerTestCase
from tests.live.container.disk import MEBIBYTE
from tests.live.container.journey import OWNER

_ORIGIN = "https://hub.example.com"
_EDGE = {"Host": "hub.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
_METADATA = "/.well-known/oauth-authorization-server"


class SmokeTests(ContainerTestCase):
    """Nothing is installed."""

    def up(self, **variables: str) -> Box:
        box = self.box(self.disk(), variables=variables)
        box.wait_phase("up")
        return box

    def test_healthy_on_a_fresh_disk(self) -> None:
        box = self.box(self.disk())
        self.assertLess(box.wait_healthy(), 30)
        box.wait_phase("up")
        health = box.request("GET", "/health").json()
        self.assertEqual((health["status"], health["service"], health["db"]), ("ok", "parachute-hub", "ok"))
        check = box.run(*self.image.config.healthcheck)
        self.assertEqual((check.returncode, check.stderr), (0, ""))

    def test_tini_is_process_one_and_the_hub_is_not_root(self) -> None:
        box = self.up()
        self.assertEqual(box.run("cat", "/proc/1/comm").stdout, "tini\n")
        found = {_name(pid): _owner(pid) for pid in box.group.members()}
        self.assertEqual((found["tini"], found["twistd"]), (0, 1000))
        paths = [f"/parachute{rest}" for rest in ("", "/modules", "/tmp")]
        self.assertEqual(box.run("stat", "-c", "%u", *paths).stdout.split(), ["1000"] * 3)

    def test_behind_the_edge_every_address_is_the_public_one(self) -> None:
        box = self.up(RENDER="true", RENDER_EXTERNAL_URL=_ORIGIN, PORT="10000")
        metadata = box.request("GET", _METADATA, _EDGE).json()
        self.assertEqual(metadata["issuer"], _ORIGIN)
        self.assertTrue(metadata["registration_endpoint"].startswith(f"{_ORIGIN}/"))
        page = box.request("GET", "/admin/setup", {**_EDGE, "Accept": "text/html"})
        self.assertEqual((page.status, page.headers["content-type"].split(";")[0]), (200, "text/html"))
        self.assertIn(_ORIGIN, box.log())
        self.assertNotIn("0.0.0.0", box.log())

    def test_fly_names_the_origin_by_the_app(self) -> None:
        box = self.up(FLY_APP_NAME="my-hub")
        metadata = box.request("GET", _METADATA, {**_EDGE, "Host": "my-hub.fly.dev"}).json()
        self.assertEqual(metadata["issuer"], "https://my-hub.fly.dev")

    def test_the_hub_knows_its_limits(self) -> None:
        disk = self.disk(size=256 * MEBIBYTE)
        box = self.box(disk, variables=OWNER, memory=512 * MEBIBYTE)
        box.wait_phase("up")
        token = (disk.path / "operator.token").read_text().strip()
        found = box.request("GET", "/api/overview", {"Authorization": f"Bearer {token}"}).json()
        self.assertEqual(found["memory"]["limit"], 512 * MEBIBYTE)
        self.assertTrue(200 * MEBIBYTE < found["disk"]["total"] <= 256 * MEBIBYTE, found["disk"])

    def test_it_ends_when_asked_with_nothing_left(self) -> None:
        box = self.up()
        code, seconds = box.stop()
        self.assertEqual(code, 0, box.log())
        self.assertLess(seconds, 30)
        self.assertEqual(box.group.members(), [])
        self.assertNotIn("Traceback", box.log())


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid
