"""Third-party clients with a whole hub and the reference vault behind its proxy."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.oauth_rig import (
    CLIENTS,
    Person,
    bun_program,
    conformance,
    node_clients,
    python_clients,
    run_client,
    run_listener,
    vault_hub,
)
from tests.live.ports import free_port


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

    def test_tools_that_people_use(self) -> None:
        """The MCP inspector's command and mcp-remote, each with only the address, up to the list of tools.

        The address as the hub shows it, without `/mcp`, with a slash behind, and with a query.
        """
        packages, home = node_clients() / "node_modules", Path(self.mktemp()).absolute()
        home.mkdir()
        remote = str(packages / "mcp-remote" / "dist" / "client.js")
        inspector = str(
            packages / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
        )
        vault = self.resource.removesuffix("/mcp")
        for address in (self.resource, vault, self.resource + "/", self.resource + "?from=a-wiki"):
            said = run_listener([bun_program(), remote, address, str(free_port())], self.person, home)
            self.assertIn("Connected successfully!", said)
        callback = f"http://127.0.0.1:{free_port()}/oauth/callback"
        words = ["--cli", self.resource, "--transport", "http", "--callback-url", callback, "--method", "tools/list"]
        said = run_listener([bun_program(), inspector, *words], self.person, home)
        self.assertIn('"create-note"', said)

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
