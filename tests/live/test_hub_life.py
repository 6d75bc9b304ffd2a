"""The hub process in situations an owner meets: new, damaged, waiting for its disk, in safe mode."""

import contextlib
import json
import signal
import subprocess
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import PATIENCE, HubProcess, fetch, hub, packed_examples, session_of_owner
from tests.requirements import requires, right


class FreshHub(SynchronousTestCase):
    def test_nothing_answers_before_somebody_owns_the_hub(self) -> None:
        """Health, public documents and the wizard do; everything else is closed or leads to the wizard."""
        fresh = hub(self)
        fresh.environment = {}
        fresh.spawn()
        fresh.wait_for(lambda: answers(fresh) and fetch(f"{fresh.url}/health").json()["phase"] == "up", "the hub")
        for path in ("/health", "/.well-known/parachute.json", "/.well-known/jwks.json", "/admin/setup"):
            self.assertEqual(fetch(fresh.url + path).status, 200, path)
        for path in ("/api/modules", "/api/users", "/oauth/register", "/vaults"):
            closed = fetch(fresh.url + path)
            self.assertEqual((closed.status, closed.json()["error"]), (503, "setup_required"), path)
        page = fetch(f"{fresh.url}/", headers={"Accept": "text/html"})
        self.assertEqual((page.status, page.headers["location"]), (302, "/admin/setup"))
        fresh.wait_for(lambda: "parachute-bootstrap-" in fresh.log(), "the banner")
        token = fresh.log().partition("parachute-bootstrap-")[2].split()[0]
        for path in ("/admin/setup", "/health", "/"):
            self.assertNotIn(token, fetch(fresh.url + path).body.decode())

    def test_a_hub_is_owned_through_the_wizard_in_json(self) -> None:
        """The log's token and a name suffice; the token works once."""
        fresh = hub(self)
        fresh.environment = {}
        fresh.spawn()
        fresh.wait_for(lambda: "parachute-bootstrap-" in fresh.log(), "the banner")
        token = "parachute-bootstrap-" + fresh.log().partition("parachute-bootstrap-")[2].split()[0]
        begun = fetch(f"{fresh.url}/admin/setup")
        cookie = begun.headers["set-cookie"].partition(";")[0]
        body = {
            "__csrf": begun.json()["csrfToken"],
            "bootstrap_token": token,
            "username": "ana",
            "password": "correct horse battery",
            "password_confirm": "correct horse battery",
        }
        claimed = fetch(f"{fresh.url}/admin/setup/account", method="POST", body=body, headers={"Cookie": cookie})
        self.assertEqual(claimed.status, 200, claimed.body)
        again = fetch(f"{fresh.url}/admin/setup/account", method="POST", body=body, headers={"Cookie": cookie})
        self.assertNotIn("parachute_hub_session", again.headers.get("set-cookie", ""))
        self.assertEqual(fetch(f"{fresh.url}/api/modules").status, 401)
        self.assertNotIn("correct horse battery", fresh.log())


class DamagedHub(SynchronousTestCase):
    def test_a_damaged_database_is_told_and_modules_still_run(self) -> None:
        """/health and the log report it, the log says what to do, notes stay reachable."""
        packs = packed_examples()
        one = hub(self, catalog=packs).start()
        one.install("hello")
        one.stop()
        database = one.home / "parachute.db"
        for leftover in one.home.glob("parachute.db-*"):
            leftover.unlink()
        content = bytearray(database.read_bytes())
        content[:64] = b"\0" * 64
        database.write_bytes(content)
        one.spawn()
        one.wait_for(lambda: answers(one) and fetch(f"{one.url}/health").json()["phase"] == "up", "the hub")
        self.assertTrue(fetch(f"{one.url}/health").json()["db"].startswith("error"))
        one.wait_for(lambda: fetch(f"{one.url}/hello").status == 200, "hello to answer")
        closed = fetch(f"{one.url}/api/modules")
        self.assertEqual((closed.status, closed.json()["error"]), (503, "db_unavailable"))
        self.assertIn("is damaged", one.log())
        self.assertEqual(database.read_bytes(), bytes(content), "the damaged file was touched")

    def test_a_database_that_is_taken_away_is_told(self) -> None:
        """A removed file stays readable on Linux; /health must not say ok."""
        one = hub(self).start()
        self.assertEqual(fetch(f"{one.url}/health").json()["db"], "ok")
        (one.home / "parachute.db").rename(one.home / "elsewhere.db")
        self.assertEqual(fetch(f"{one.url}/health").json()["db"], "error: removed")


@requires(right("to mount"))
class FullDisk(SynchronousTestCase):
    """A hub started on a disk where nothing can be written."""

    def setUp(self) -> None:
        self.hub = hub(self, catalog=packed_examples())
        self.hub.home.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(self.hub.home)], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.hub.home)], check=True)
        self.addCleanup(self.hub.end)

    def fill(self) -> None:
        """To the last page."""
        with (self.hub.home / "ballast").open("wb", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(size)):
                        pass

    def test_its_reserve_lets_the_owner_in(self) -> None:
        """Released before the database opens, so the owner can sign in and free space."""
        self.hub.start().stop()
        self.assertGreater((self.hub.home / "hub" / "reserve").stat().st_blocks * 512, 4 << 20)
        self.fill()
        self.hub.start()
        self.assertEqual(fetch(f"{self.hub.url}/health").json()["db"], "ok")
        self.assertIn("The hub released its own reserve", self.hub.log())
        me = fetch(f"{self.hub.url}/api/me", headers={"Cookie": session_of_owner(self.hub).cookie})
        self.assertTrue(me.json()["hasSession"])

    def test_modules_run_without_one(self) -> None:
        """The database has no space, but modules run; the log says why."""
        self.hub.start()
        self.hub.install("hello")
        self.hub.stop()
        (self.hub.home / "hub" / "reserve").unlink()
        self.fill()
        self.hub.spawn()
        self.hub.wait_for(
            lambda: answers(self.hub) and fetch(f"{self.hub.url}/health").json()["phase"] == "up", "the hub"
        )
        self.assertTrue(fetch(f"{self.hub.url}/health").json()["db"].startswith("error"))
        said = "its note could not be written: No space left on device"
        self.hub.wait_for(lambda: said in self.hub.log(), "the reason in the log")
        self.hub.wait_for(lambda: fetch(f"{self.hub.url}/hello").status == 200, "hello to answer")


class Overlap(SynchronousTestCase):
    def test_the_next_container_takes_over_when_the_first_leaves(self) -> None:
        """It answers /health while it waits, then becomes the hub."""
        first = hub(self).start()
        second = HubProcess(home=first.home, environment={**first.environment, "PARACHUTE_LOCK_WAIT": "30"})
        self.addCleanup(second.end)
        second.spawn()
        second.wait_for(lambda: answers(second), "the second to listen")
        self.assertEqual(fetch(f"{second.url}/health").json()["phase"], "waiting")
        self.assertEqual(fetch(f"{second.url}/api/modules").status, 503)
        first.stop()
        second.wait_for(lambda: fetch(f"{second.url}/health").json()["phase"] == "up", "the second to take over")

    def test_it_leaves_with_one_line_when_the_first_stays(self) -> None:
        """After its configured wait."""
        first = hub(self).start()
        second = HubProcess(home=first.home, environment={**first.environment, "PARACHUTE_LOCK_WAIT": "1"})
        self.addCleanup(second.end)
        process = second.spawn()
        self.assertEqual(process.wait(PATIENCE), 1)
        self.assertIn("Another hub already uses", first.log())
        self.assertTrue(first.client.running)


class Settled(SynchronousTestCase):
    def test_safe_mode_starts_no_module(self) -> None:
        """Every module is held, with the reason."""
        one = hub(self, catalog=packed_examples()).start()
        one.install("hello")
        one.stop()
        one.environment = {**one.environment, "PARACHUTE_SAFE_MODE": "1"}
        one.start()
        self.assertEqual(one.module("hello")["state"], "held")
        self.assertIn("PARACHUTE_SAFE_MODE", one.module("hello")["reason"])

    def test_an_unknown_name_is_told_the_right_one(self) -> None:
        """421, except for /health, which platforms request by address."""
        one = hub(self, environment={"PARACHUTE_HUB_ORIGIN": "https://hub.example.com"}).start()
        wrong = fetch(f"{one.url}/", headers={"Host": "evil.example"})
        self.assertEqual(wrong.status, 421)
        self.assertIn("https://hub.example.com", wrong.body.decode())
        self.assertEqual(fetch(f"{one.url}/health", headers={"Host": "10.0.0.1"}).status, 200)
        right = fetch(f"{one.url}/.well-known/oauth-authorization-server", headers={"Host": "hub.example.com"})
        self.assertEqual(right.json()["issuer"], "https://hub.example.com")

    def test_a_second_signal_does_no_harm(self) -> None:
        """Platforms may send SIGTERM twice."""
        one = hub(self, catalog=packed_examples()).start()
        one.install("hello")
        process = one.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE), -signal.SIGTERM)
        one.process = None
        rows = json.loads((one.home / "services.json").read_text())["services"]
        self.assertEqual(len(rows), 1)


def answers(one: HubProcess) -> bool:
    try:
        return fetch(f"{one.url}/health").status == 200
    except OSError:
        return False
