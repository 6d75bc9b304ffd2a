"""The audit log of a running hub: what happened, by the real routes, and nothing that did not."""

import os
import signal
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import CommandError, HubRefused
from parachute_hub.cli.progress import ProgressPrinter, follow
from tests.live.harness import OWNER, fetch, hub, packed_examples
from tests.live.oauth_rig import Person, fields

# The pair of RFC 7636, appendix B.
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
Entry = tuple[str, str, str, str]


class AuditTests(SynchronousTestCase):
    timeout = 240

    def setUp(self) -> None:
        self.hub = hub(self, catalog=packed_examples()).start()
        self.seen = 0
        self.news()

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return self.hub.client.call(method, path, body)

    def job(self, path: str, body: Any = None) -> None:
        begun = self.call("POST", path, body or {})
        follow(self.hub.client, begun["operation_id"], ProgressPrinter(quiet=True))

    def news(self) -> list[Entry]:
        """The entries since the last look, oldest first: action, subject, outcome, means."""
        acts = [act for act in self.call("GET", "/api/audit")["acts"] if act["number"] > self.seen]
        self.seen = max([self.seen, *(act["number"] for act in acts)])
        return [(act["action"], act["subject"], act["outcome"], act["means"]) for act in reversed(acts)]

    def waited_for(self, *expected: Entry) -> list[Entry]:
        """Entries of requests and operations are written right after their answers."""
        found: list[Entry] = []

        def there() -> bool:
            found.extend(self.news())
            return set(expected) <= set(found)

        self.hub.wait_for(there, f"{expected} in the record; it has {found}")
        self.assertEqual([entry for entry in found if entry in expected], list(expected), found)
        return found

    def test_what_the_command_does(self) -> None:
        """An attempt to install what does not exist is no deed."""
        self.hub.install("hello")
        with self.assertRaises(CommandError):
            self.job("/api/modules/install", {"package": "no-such-package-here@1.0.0"})
        for verb in ("stop", "start", "restart"):
            self.call("POST", f"/api/modules/hello/{verb}")
        with self.assertRaises(HubRefused):
            self.call("POST", "/api/modules/no-such-module/start")
        self.call("PUT", "/api/modules/hello/settings", {"pin": True})
        self.call("PUT", "/api/modules/channel", {"channel": "rc"})
        self.call("POST", "/api/modules/disk/clear")
        self.call("PUT", "/api/hub/logs/size", {"megabytes": 5})
        self.call("PUT", "/api/settings/hub-origin", {"hub_origin": "https://hub.example"})
        (self.hub.home / "hello").mkdir(exist_ok=True)
        (self.hub.home / "hello" / "note").touch()
        self.job("/api/modules/hello/uninstall")
        self.job("/api/modules/hello/delete-data", {"confirm": "hello"})
        done = [
            ("module-install", "hello"),
            *((f"module-{verb}", "hello") for verb in ("stop", "start", "restart", "settings")),
            ("channel-changed", "rc"),
            ("disk-cleared", ""),
            ("log-size-changed", "5 MB"),
            ("origin-changed", "https://hub.example"),
            ("module-uninstall", "hello"),
            ("module-delete-data", "hello"),
        ]
        found = self.waited_for(*((action, subject, "ok", "command") for action, subject in done))
        others = [entry for entry in found if entry[3] == "command" and entry[:2] not in done]
        self.assertEqual(
            [(action, outcome) for action, _, outcome, _ in others],
            [("module-install", "failed"), ("module-start", "refused")],
        )

    def test_what_happens_by_itself(self) -> None:
        """A crash, a stop and a kill of the hub, and an operation that was interrupted."""
        self.hub.install("hello")
        self.waited_for(("module-install", "hello", "ok", "command"))
        os.kill(self.hub.module("hello")["pid"], signal.SIGKILL)
        self.waited_for(("module-crashed", "hello", "failed", "hub"))
        self.hub.stop()
        self.hub.start()
        version = self.call("GET", "/api/hub")["version"]
        started = ("hub-started", version, "ok", "hub")
        self.waited_for(("hub-stopped", version, "ok", "hub"), started)
        self.hub.kill()
        self.hub.start()
        self.waited_for(started)
        self.assertIn("without being stopped", self.call("GET", "/api/audit")["acts"][0]["why"])

    def test_apps_from_consent_to_removal(self) -> None:
        """In the same transactions, by whoever decided it."""
        app = {"client_name": "Diary", "redirect_uris": ["http://127.0.0.1:1/back"]}
        client = fetch(f"{self.hub.url}/oauth/register", method="POST", body=app).json()["client_id"]
        asked = {"client_id": client, "redirect_uri": app["redirect_uris"][0], "response_type": "code", "state": "s"}
        asked |= {"scope": "account:self:read", "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        person = Person(self.hub.url).sign_in()
        self.news()
        back = person.allow(f"/oauth/authorize?{urlencode(asked)}")
        self.assertIn("code", parse_qs(urlsplit(back).query), back)
        self.waited_for(("app-connected", "Diary", "ok", "session"))
        person.open("/account/apps", fields(person.open("/account/apps")[2]))
        self.waited_for(("app-disconnected", "Diary", "ok", "session"))
        self.call("DELETE", f"/oauth/clients/{client}")
        self.waited_for(("app-removed", "Diary", "ok", "command"))
        app = {"client_name": "Board", "redirect_uris": ["https://board.example/back"]}
        client = fetch(f"{self.hub.url}/oauth/register", method="POST", body=app).json()["client_id"]
        self.call("POST", f"/api/oauth/clients/{client}/approve", {})
        self.waited_for(("app-approved", "Board", "ok", "command"))
        app = {"client_name": "Lamp", "redirect_uris": ["https://lamp.example/back"]}
        client = fetch(f"{self.hub.url}/oauth/register", method="POST", body=app).json()["client_id"]
        self.call("DELETE", f"/oauth/clients/{client}")
        self.waited_for(("app-refused", "Lamp", "ok", "command"))
        self.call("POST", "/api/lock", {})
        self.waited_for(("locked", "", "ok", "command"))

    def test_nothing_secret_is_recorded(self) -> None:
        """Not the new key of backups, nor a token, nor the password."""
        identity = str(self.call("POST", "/api/backups/key")["identity"])
        token = str(self.call("POST", "/api/auth/mint-token", {"scope": "account:self:read"})["token"])
        Person(self.hub.url).sign_in()
        text = str(self.call("GET", "/api/audit/export?format=json"))
        self.assertIn("backup-key-made", text)
        for secret in (identity, token, OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]):
            self.assertNotIn(secret, text)
