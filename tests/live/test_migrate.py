"""Moving in from the older hub and going back, with real processes. `PARACHUTE_OLDER_HOME` names a real home to use."""

import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pyotp
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import HubDown
from tests.live.harness import PATIENCE, HubProcess, Reply, fetch, packed_examples
from tests.support.older_hub import OlderHome, older_home

BASE = "/admin/setup/move-in"


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        home = Path(self.mktemp()).absolute()
        home.parent.mkdir(parents=True, exist_ok=True)
        self.older: OlderHome = older_home(home)
        self.before = self.content()
        # The older hub's address, so that its tokens and redirects are known.
        self.hub = HubProcess(
            home=home, catalog=packed_examples(), environment={"PARACHUTE_HUB_ORIGIN": "http://127.0.0.1:1939"}
        )
        self.addCleanup(self.hub.end)

    def content(self) -> dict[str, tuple[str, int]]:
        """Hash and mode of each file that the older hub would find."""
        home = self.older.home
        ours = ("hub", "modules", "tmp")
        found = {}
        for path in sorted(home.rglob("*")):
            name = path.relative_to(home)
            if path.is_file() and name.parts[0] not in ours and not name.name.startswith("parachute.db"):
                found[str(name)] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode & 0o777)
        return found

    def token(self) -> str:
        self.hub.wait_for(lambda: "parachute-bootstrap-" in self.hub.log(), "the setup token")
        return "parachute-bootstrap-" + self.hub.log().rpartition("parachute-bootstrap-")[2].split()[0]

    def ask(self, path: str, body: Any) -> Reply:
        return fetch(self.hub.url + BASE + path, method="POST", body=body)

    def begin(self) -> dict[str, Any]:
        answer = self.ask("/plan", {"setup_token": self.token()})
        self.assertEqual(answer.status, 200, answer.body)
        told: dict[str, Any] = answer.json()
        return told

    def move_in(self) -> None:
        before = self.hub.client.health()["instance"]
        answer = self.ask("", {"ticket": self.begin()["ticket"]})
        self.assertEqual(answer.status, 202, answer.body)

        def again() -> bool:
            try:
                health = self.hub.client.health()
            except HubDown:
                return False
            return health.get("phase") == "up" and health.get("instance") != before

        self.hub.wait_for(again, "the hub to start again")

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        program = [sys.executable, "-m", "parachute_hub.cli.main", "--home", str(self.older.home), *words]
        return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    def sign_in(self, username: str, password: str, code: str = "") -> Reply:
        stranger = fetch(f"{self.hub.url}/account/session")
        csrf, cookie = stranger.json()["csrf"], stranger.headers["set-cookie"].partition(";")[0]
        said = {"__csrf": csrf, "username": username, "password": password}
        first = fetch(f"{self.hub.url}/login", method="POST", body=said, headers={"Cookie": cookie})
        if not code:
            return first
        pending = first.headers["set-cookie"].partition(";")[0]
        both = {"Cookie": f"{cookie}; {pending}"}
        return fetch(f"{self.hub.url}/login/2fa", method="POST", body={"__csrf": csrf, "code": code}, headers=both)

    def refresh(self, token: str) -> Reply:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.older.client_id}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return fetch(f"{self.hub.url}/oauth/token", method="POST", body=urlencode(form).encode(), headers=headers)


class MoveInTests(Case):
    def test_people_apps_and_keys_come_along(self) -> None:
        self.hub.start()
        self.assertTrue(fetch(f"{self.hub.url}/admin/setup").json()["olderHub"])
        self.assertEqual(self.ask("/plan", {"setup_token": "guess"}).status, 401)
        self.assertEqual(self.ask("", {"ticket": "guess"}).status, 403)
        plan = self.begin()["plan"]
        self.assertEqual([person["username"] for person in plan["people"]], ["owner", "friend"])
        self.move_in()
        older = self.older
        self.assertFalse(fetch(f"{self.hub.url}/admin/setup").json()["requireBootstrapToken"])
        halfway = self.sign_in("owner", older.owner_password)
        self.assertEqual((halfway.status, "key" in halfway.json()), (200, False), halfway.body)
        whole = self.sign_in("owner", older.owner_password, pyotp.TOTP(older.totp_secret).now())
        self.assertEqual(whole.status, 200, whole.body)
        self.assertEqual(self.sign_in("owner", "wrong-password-123").status, 401)
        self.assertEqual(self.sign_in("friend", older.friend_password).status, 200)
        for code in older.codes[:1]:
            self.assertEqual(self.sign_in("owner", older.owner_password, code).status, 200)
            self.assertEqual(self.sign_in("owner", older.owner_password, code).status, 401)
        renewed = self.refresh(older.refresh_token)
        self.assertEqual((renewed.status, renewed.json().get("scope")), (200, older.scope), renewed.body)
        self.assertEqual(self.refresh(renewed.json()["refresh_token"]).status, 200)
        keys = fetch(f"{self.hub.url}/.well-known/jwks.json").json()["keys"]
        self.assertIn(older.kid, [key["kid"] for key in keys])
        bearer = {"Authorization": f"Bearer {older.operator_token}"}
        self.assertEqual(fetch(f"{self.hub.url}/api/modules", headers=bearer).status, 200)
        acts = self.hub.client.call("GET", "/api/audit")["acts"]
        self.assertIn("moved-in", [act["action"] for act in acts])
        self.assertEqual(self.ask("/plan", {"setup_token": self.token()}).status, 401)
        for secret in (older.owner_password, older.totp_secret, older.refresh_token):
            self.assertNotIn(secret, self.hub.log())

    def test_and_back_byte_for_byte(self) -> None:
        self.hub.start()
        self.move_in()
        self.assertNotEqual(self.content(), self.before)
        refused = self.command("migrate", "--undo", "--yes")
        self.assertEqual((refused.returncode, "needs it to be stopped" in refused.stderr), (1, True), refused.stderr)
        self.hub.stop()
        done = self.command("migrate", "--undo", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.content(), self.before)
        # This hub finds the older one again, as at the first start.
        self.hub.start()
        self.assertEqual(len(self.begin()["plan"]["people"]), 2)

    def test_the_command(self) -> None:
        listed = self.command("migrate", "--dry-run")
        self.assertEqual((listed.returncode, "owner, second factor" in listed.stdout), (0, True), listed.stderr)
        self.assertEqual(self.content(), self.before)
        self.hub.start()
        moved = self.command("migrate", "--yes")
        self.assertEqual((moved.returncode, "You have moved in" in moved.stdout), (0, True), moved.stderr)
        again = self.command("migrate", "--yes")
        self.assertEqual((again.returncode, "has an owner already" in again.stderr), (1, True), again.stderr)

    def test_a_database_that_cannot_be_used(self) -> None:
        """The page says so, and a new hub can still be set up."""
        path = self.older.home / "hub.db"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self.hub.start()
        answer = self.ask("/plan", {"setup_token": self.token()})
        self.assertEqual((answer.status, answer.json()["error"]), (409, "older_hub_unreadable"))
        self.assertIn("is damaged", answer.json()["error_description"])
        told = self.command("migrate", "--dry-run")
        self.assertEqual((told.returncode, "is damaged" in told.stderr), (1, True), told.stderr)

    def test_never_both_at_once(self) -> None:
        """Another process has the older hub's database open: this hub does not start, and nobody moves in."""
        path = self.older.home / "hub.db"
        program = "import sys; held = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdout.readline()
            self.assertEqual(self.hub.spawn().wait(PATIENCE), 1)
            self.assertIn(f"The older hub is still running on {self.older.home} (process {process.pid}", self.hub.log())
            self.assertEqual(self.content(), self.before)
        finally:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()


class KillTests(Case):
    def test_a_kill_leaves_the_state_before_or_after(self) -> None:
        """A few moments around the one that counts; `make proof NAME=move-in` tries many."""
        outcomes = kills(self, [0.0, 0.15, 0.4, 1.5])
        self.assertEqual(outcomes["before"] + outcomes["after"], 4, outcomes)


def kills(test: Case, moments: "list[float]") -> dict[str, int]:
    """Kill the hub at each moment (seconds) after the request to move in; how often it was before, and after."""
    outcomes = {"before": 0, "after": 0}
    for moment in moments:
        test.hub.start()
        ticket = test.begin()["ticket"]
        body = f'{{"ticket": "{ticket}"}}'.encode()
        program = (
            "import sys, urllib.request; urllib.request.urlopen(urllib.request.Request(sys.argv[1], "
            "sys.argv[2].encode(), {'Content-Type': 'application/json'}), timeout=20)"
        )
        sender = subprocess.Popen(
            [sys.executable, "-c", program, test.hub.url + BASE, body.decode()], stderr=subprocess.DEVNULL
        )
        count = test.hub.log().count("Moved in from")
        time.sleep(0.08 + moment)
        test.hub.kill()
        sender.wait(30)
        test.hub.start()
        state = fetch(f"{test.hub.url}/admin/setup").json()
        people = 0 if state["requireBootstrapToken"] else 2
        outcomes["after" if people else "before"] += 1
        if people:
            test.assertEqual(test.sign_in("friend", test.older.friend_password).status, 200)
            test.assertEqual(test.hub.client.call("GET", "/api/users")["users"].__len__(), people)
        else:
            test.assertEqual(test.hub.log().count("Moved in from"), count)
            test.assertEqual(len(test.begin()["plan"]["people"]), 2)
        test.hub.stop()
        undone = test.command("migrate", "--undo", "--yes")
        test.assertEqual(undone.returncode, 0, undone.stderr)
        test.assertEqual(test.content(), test.before)
    return outcomes


class ByHand(Case):
    """A case that `main` drives."""

    folder = ""

    def mktemp(self) -> str:
        return f"{self.folder}/home"


def main(count: int) -> int:
    """Kill at so many moments, spread over the time that moving in takes. Exit code 1 if any state is neither."""
    with tempfile.TemporaryDirectory() as folder:
        test = ByHand("mktemp")
        test.folder = folder
        test.setUp()
        try:
            outcomes = kills(test, [1.2 * number / count for number in range(count)])
        finally:
            test.doCleanups()
    print(f"{count} kills: {outcomes['before']} left the state before, {outcomes['after']} the state after")
    return 0 if min(outcomes.values()) and sum(outcomes.values()) == count else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
