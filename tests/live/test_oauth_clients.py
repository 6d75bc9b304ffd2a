"""Third-party clients with a whole hub and the reference vault behind its proxy."""

from twisted.trial.unittest import SynchronousTestCase

from tests.live.oauth_rig import (
    CLIENTS,
    Person,
    bun_program,
    conformance,
    node_clients,
    python_clients,
    run_client,
    vault_hub,
)


class ClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub = vault_hub(self)
        self.person = Person(self.hub.url).sign_in()
        self.resource = f"{self.hub.url}/vault/default/mcp"

    def by_bun(self, script: str) -> str:
        packages = node_clients()
        words = [bun_program(), str(CLIENTS / script), str(packages), self.hub.url, self.resource]
        return run_client(words, self.person, packages)

    def by_python(self, script: str, *more: str) -> str:
        words = [python_clients(), str(CLIENTS / script), self.hub.url, self.resource, *more]
        return run_client(words, self.person, CLIENTS)

    def test_strict_clients(self) -> None:
        """oauth4webapi checks issuer, iss and PKCE; openid-client has a secret; authlib is the second opinion."""
        self.assertIn("ok revocation takes effect at once", self.by_bun("oauth4webapi.mjs"))
        self.assertIn("ok nothing is left after revocation", self.by_bun("openid-client.mjs"))
        self.assertIn("ok", self.by_python("authlib_client.py"))

    def test_mcp_clients(self) -> None:
        """Both SDKs: from the vault's challenge to a note, and a refresh, with only the address configured."""
        self.assertIn("ok the note is there", self.by_bun("mcp.mjs"))
        self.assertIn("ok", self.by_python("mcp_python.py"))

    def test_conformance(self) -> None:
        """All official scenarios for authorization servers pass, including the metadata document check."""
        self.assertEqual(
            conformance(self.hub, self.person, self.resource),
            {
                "authorization-server-metadata": "SUCCESS",
                "authorization-server-metadata-cimd": "SUCCESS",
                "authorization-code-grant": "SUCCESS",
            },
        )
