"""Passkeys on a running hub: verified by its own process, and in place of the password on pages of other areas."""

import re
from typing import Any
from urllib.parse import urlencode

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.authorization.scopes import COMMAND
from tests.live.harness import OWNER, Reply, fetch, hub, session_of_owner
from tests.support.authenticator import Authenticator

PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
_FIELD = re.compile(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"')


class PasskeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub = hub(self).start()
        self.url = self.hub.url.replace("127.0.0.1", "localhost")
        kept = session_of_owner(self.hub, OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"], PASSWORD)
        self.session = {"Cookie": kept.cookie, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}
        self.key = kept.key
        self.device = Authenticator(self.url)

    def call(self, path: str, **body: Any) -> Any:
        """Send JSON as a page's script does."""
        csrf = fetch(f"{self.url}/api/me", headers=self.session).json()["csrf"]
        headers = {**self.session, "X-Parachute-CSRF": csrf, "X-Parachute-Key": self.key}
        reply = fetch(f"{self.url}{path}", method="POST", body=body, headers=headers)
        self.assertLess(reply.status, 300, reply.body)
        return reply.json()

    def proof(self, path: str) -> str:
        """A passkey in place of the password on the page at `path`."""
        operation = f"page:{path}"
        signed = self.device.get(self.call("/api/account/step-up/options", operation=operation))
        return str(self.call("/api/account/step-up", operation=operation, passkey=signed)["proof"])

    def send(self, path: str, fields: dict[str, str]) -> Reply:
        headers = {
            **self.session,
            "Content-Type": "application/x-www-form-urlencoded",
            "Sec-Fetch-Mode": "navigate",
            "Accept": "text/html",
        }
        body = urlencode({"__key": self.key, **fields}).encode()
        return fetch(f"{self.url}{path}", method="POST", body=body, headers=headers)

    def fields(self, page: Reply) -> dict[str, str]:
        return dict(_FIELD.findall(page.body.decode()))

    def test_a_device_is_let_in_and_everything_is_locked(self) -> None:
        options = self.call("/api/account/passkeys/start", password=PASSWORD)
        self.call("/api/account/passkeys", credential=self.device.create(options), name="Laptop")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        asked = urlencode({"client_id": COMMAND}).encode()
        begun = fetch(f"{self.url}/oauth/device_authorization", method="POST", body=asked, headers=form).json()
        page = fetch(f"{self.url}/oauth/device", headers={**self.session, "Accept": "text/html"})
        page = self.send("/oauth/device", {**self.fields(page), "user_code": begun["user_code"]})
        answer = {**self.fields(page), "granted_scope": "parachute:host:admin"}
        refused = self.send("/oauth/device", {**answer, "approve": "yes"})
        self.assertEqual(refused.status, 401)
        answer |= {"approve": "yes", "__proof": self.proof("/oauth/device")}
        self.assertIn(b"goes on by itself", self.send("/oauth/device", answer).body)
        self.assertEqual(self.send("/oauth/device", answer).status, 410, "a code and a proof work once")
        page = fetch(f"{self.url}/account/lock", headers={**self.session, "Accept": "text/html"})
        locked = self.send("/account/lock", {**self.fields(page), "__proof": self.proof("/account/lock")})
        self.assertIn(b"Everything is locked", locked.body)
