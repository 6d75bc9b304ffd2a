"""A whole hub with a vault: refusals with a challenge, and a part of a module with an audience."""

import json
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import HubProcess, Reply, fetch
from tests.live.oauth_rig import Person, vault_hub

NOTES = "/vault/default/api/notes"
PART = "/hello/desk"


class DoorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub: HubProcess = vault_hub(self)

    def token(self, verb: str) -> str:
        body = {"scope": f"vault:default:{verb}", "expires_in": 600}
        return str(self.hub.client.call("POST", "/api/auth/mint-token", body)["token"])

    def ask(self, path: str, token: str | None = None, **options: Any) -> Reply:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return fetch(f"{self.hub.url}{path}", headers=headers, **options)

    def close(self, path: str, **unit: Any) -> None:
        """Make this path of hello a sub-unit, as a module would in its row."""
        services = self.hub.home / "services.json"
        document = json.loads(services.read_text())
        (row,) = (row for row in document["services"] if row["paths"] == ["/hello"])
        row["uis"] = {"app": {"displayName": "App", "path": path, **unit}}
        fresh = services.with_suffix(".new")
        fresh.write_text(json.dumps(document))
        os.replace(fresh, services)

    def test_a_client_learns_which_scope_to_ask_for(self) -> None:
        reading = self.token("read")
        self.assertEqual(self.ask(NOTES, reading).status, 200)
        refused = self.ask(NOTES, reading, method="POST", body={"content": "x"})
        self.assertEqual(refused.status, 403)
        said = refused.headers["www-authenticate"]
        self.assertIn('Bearer error="insufficient_scope", scope="vault:default:write"', said)
        metadata = said.partition('resource_metadata="')[2].rstrip('"')
        self.assertEqual(fetch(metadata).json()["resource"], f"{self.hub.url}/vault/default/mcp")
        self.assertEqual(self.ask(NOTES, self.token("write"), method="POST", body={"content": "x"}).status, 201)

    def test_a_part_for_people_of_the_hub(self) -> None:
        """A stranger's browser goes to sign-in; a token must meet the row's scopes; otherwise the module decides."""
        self.hub.install("hello")
        person = Person(self.hub.url)
        self.assertEqual(person.open(PART)[0], 404, "hello has nothing there, which it says itself")
        self.close(PART, scopes_required=["vault:*:write"])
        self.hub.wait_for(lambda: person.open(PART)[0] == 302, "the closed part")
        self.assertEqual(person.open(f"{PART}?limit=1")[1], f"/login?next={PART}%3Flimit%3D1")
        self.assertEqual(self.ask(PART).json()["error"], "unauthenticated")
        self.assertEqual(self.ask(PART, self.token("read")).json()["error"], "insufficient_scope")
        self.assertEqual(person.sign_in().open(PART)[0], 404)
        self.close(PART, audience="operator")
        reads = self.token("read")
        self.hub.wait_for(lambda: self.ask(PART, reads).json()["error"] == "unauthenticated", "the operator's part")
        self.assertEqual(person.open(PART)[0], 404)
