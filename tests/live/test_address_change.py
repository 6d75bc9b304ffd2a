"""A change of the public address on a running hub, with apps that go on at the old name."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.tokens.claims import issuer_of
from tests.live.harness import HubProcess, Reply, fetch, hub, packed_examples

OLD, OTHER = "http://old.test", "http://other.test"


class AddressTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub: HubProcess = hub(self, catalog=packed_examples()).start()

    def choose(self, origin: str) -> dict[str, Any]:
        return self.hub.client.call("PUT", "/api/settings/hub-origin", {"hub_origin": origin})

    def ask(self, origin: str, path: str, token: str) -> Reply:
        headers = {"Host": origin.partition("://")[2], "Authorization": f"Bearer {token}"}
        return fetch(self.hub.url + path, headers=headers)

    def token(self) -> str:
        made = self.hub.client.call("POST", "/api/auth/mint-token", {"scope": "vault:default:read", "expires_in": 600})
        return str(made["token"])

    def test_both_names_answer_and_the_old_tokens_live_on(self) -> None:
        self.choose(OLD)
        self.hub.install("vault")
        old = self.token()
        self.assertEqual(issuer_of(old), OLD)
        pid = self.hub.module("vault")["pid"]
        # Another name of this machine: the vault reads the keys there.
        new_name = f"http://127.1:{self.hub.port}"
        changed = self.choose(new_name)
        self.assertEqual([one["origin"] for one in changed["former"]], [OLD])
        self.hub.wait_for(
            lambda: (now := self.hub.module("vault"))["pid"] != pid and now["state"] == "ready", "the vault to restart"
        )
        new = self.token()
        self.assertEqual(issuer_of(new), new_name)
        notes = "/vault/default/api/notes"
        for origin in (OLD, new_name):
            for token in (old, new):
                self.assertEqual(self.ask(origin, notes, token).status, 200, origin)
        self.assertEqual(self.ask(OTHER, notes, new).status, 421)

        self.hub.stop()
        self.hub.start()
        self.hub.wait_for(lambda: self.hub.module("vault")["state"] == "ready", "the vault to start again")
        self.assertEqual(self.ask(OLD, notes, old).status, 200)
