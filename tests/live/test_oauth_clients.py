"""Clients that nobody here wrote, against a whole hub with the reference vault behind its proxy."""

from twisted.trial.unittest import SynchronousTestCase

from tests.live.oauth_rig import CLIENTS, Person, bun_program, node_clients, python_clients, run_client, vault_hub


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

    def test_oauth4webapi(self) -> None:
        """Strict in everything: issuer, iss, PKCE, refresh, revocation; revoked access ends at once."""
        self.assertIn("ok revocation takes effect at once", self.by_bun("oauth4webapi.mjs"))

    def test_openid_client(self) -> None:
        """A confidential client with HTTP Basic, and a loopback name."""
        self.assertIn("ok nothing is left after revocation", self.by_bun("openid-client.mjs"))

    def test_mcp_typescript(self) -> None:
        """From the challenge to a note, and a refresh."""
        self.assertIn("ok the note is there", self.by_bun("mcp.mjs"))

    def test_mcp_python(self) -> None:
        """The same by the other SDK, which compares the issuer to the letter."""
        self.assertIn("ok", self.by_python("mcp_python.py"))

    def test_authlib(self) -> None:
        """Code, refresh, revocation."""
        self.assertIn("ok", self.by_python("authlib_client.py"))
