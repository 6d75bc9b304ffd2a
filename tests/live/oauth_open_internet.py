"""Run by `test_oauth_documents` in a network namespace where a public address and name can be simulated."""

import http.server
import json
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from twisted.trial.unittest import SynchronousTestCase

from tests.live.oauth_rig import CLIENTS, Person, python_clients, run_client, vault_hub
from tests.live.test_oauth_fetch import certificate

ADDRESS, HOST = "9.9.9.10", "app.example.org"
DOCUMENT = f"https://{HOST}/client.json"
METADATA = {
    "client_id": DOCUMENT,
    "client_name": "MCP Python",
    "redirect_uris": ["http://127.0.0.1:7777/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}


class Developer(http.server.BaseHTTPRequestHandler):
    """The app's own web server."""

    def do_GET(self) -> None:
        body = json.dumps(METADATA).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class OpenInternet(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        hosts = folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} {HOST}\n")
        for words in (
            ["ip", "link", "set", "lo", "up"],
            ["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"],
            ["mount", "--bind", str(hosts), "/etc/hosts"],
        ):
            subprocess.run(words, check=True, timeout=10)
        pair: Any = certificate(HOST)
        self.trusted = folder / "trusted.pem"
        self.trusted.write_bytes(pair.dumpPEM())
        key = folder / "key.pem"
        private = pair.privateKey.original.to_cryptography_key()
        key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.trusted, key)
        server = http.server.ThreadingHTTPServer((ADDRESS, 443), Developer)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def test_an_app_that_never_registered(self) -> None:
        """The MCP Python SDK uses its document's address as its id: code, tools, refresh."""
        hub = vault_hub(self, SSL_CERT_FILE=str(self.trusted))
        person = Person(hub.url).sign_in()
        resource = f"{hub.url}/vault/default/mcp"
        words = [python_clients(), str(CLIENTS / "mcp_python.py"), hub.url, resource, DOCUMENT]
        self.assertIn("ok", run_client(words, person, CLIENTS))
        _, _, page = person.open("/account/apps")
        self.assertIn(f"Comes from {HOST}", page)
