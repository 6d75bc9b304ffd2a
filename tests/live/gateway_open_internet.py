"""Run by `test_gateway` in a network namespace where public addresses and names can be simulated: what bun's fetch
reaches from a module that declared its hosts.
"""

import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from cryptography.hazmat.primitives import serialization
from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import HubProcess, fetch, hub
from tests.live.modules_rig import module
from tests.live.test_isolation import packed
from tests.live.test_oauth_fetch import certificate
from tests.modules.homes import write

ADDRESS, OTHER = "9.9.9.10", "9.9.9.11"
NAMES = {
    "api.example.org": ADDRESS,
    "evil.example.net": OTHER,
    "inside.example.org": "127.0.0.1",
    "lan.example.org": "10.9.9.9",
}
DECLARED = ["api.example.org", "inside.example.org", "lan.example.org", "10.9.9.9"]
# What it is asked for, and what becomes of it. Everything is there and would answer without confinement.
REACHED = ("https://api.example.org/", "https://10.9.9.9/")
REFUSED = (
    "https://evil.example.net/",
    "https://api.example.org/to-evil",
    "https://api.example.org/to-this-machine",
    "https://inside.example.org/",
    "https://lan.example.org/",
    "https://9.9.9.10/",
    "https://127.0.0.1/",
    "http://api.example.org/",
)
DIRECT = (("tcp", ADDRESS), ("tcp", "127.0.0.1"), ("udp", ADDRESS))
SERVER = """
import * as net from "node:net"
import * as dgram from "node:dgram"
const asked = {
  fetch: async (url: string) => (await fetch(url, { headers: { connection: "close" } })).text(),
  tcp: (to: string) => new Promise((done, failed) =>
    net.connect({ host: to, port: 443 }, () => done("connected")).once("error", failed)),
  udp: (to: string) => new Promise((done, failed) => {
    const socket = dgram.createSocket("udp4")
    socket.once("error", failed)
    socket.send("x", 53, to, (error) => (error ? failed(error) : done("sent")))
  }),
}
Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.PORT), async fetch(request) {
  const how = request.headers.get("x-how") as keyof typeof asked | null
  if (!how) return new Response("ok")
  try {
    return Response.json({ got: await asked[how](request.headers.get("x-what") as string) })
  } catch (error) {
    return Response.json({ failed: String(error) })
  }
} })
"""


class Host(BaseHTTPRequestHandler):
    """Answers with the name that was asked for, or redirects."""

    places: ClassVar = {"/to-evil": "https://evil.example.net/", "/to-this-machine": "https://127.0.0.1/"}

    def do_GET(self) -> None:
        place = self.places.get(self.path)
        self.send_response(302 if place else 200)
        if place:
            self.send_header("Location", place)
        body = f"here is {self.headers['Host']}".encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class OpenInternet(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        hosts = self.folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{to} {name}\n" for name, to in NAMES.items()))
        command(["ip", "link", "set", "lo", "up"])
        for address in (ADDRESS, OTHER, "10.9.9.9"):
            command(["ip", "address", "replace", f"{address}/32", "dev", "lo"])
        command(["mount", "--bind", str(hosts), "/etc/hosts"])
        pair: Any = certificate(*NAMES, "9.9.9.10", "10.9.9.9", "127.0.0.1")
        self.trusted = self.folder / "trusted.pem"
        self.trusted.write_bytes(pair.dumpPEM())
        key = self.folder / "key.pem"
        private = pair.privateKey.original.to_cryptography_key()
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        key.write_bytes(private.private_bytes(*form))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.trusted, key)
        for port in (443, 80):
            server = ThreadingHTTPServer(("0.0.0.0", port), Host)
            if port == 443:
                server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            self.addCleanup(thread.join)
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)

    def running(self, isolation: str) -> HubProcess:
        """A hub with the module."""
        permissions = {"network": DECLARED}
        folder = write(self.folder / f"toy-{isolation}", module(server=SERVER, permissions=permissions))
        (self.folder / "toy.tgz").write_bytes(packed(folder))
        offered = {"short": "toy", "package": "@toys/toy", "source": "toy.tgz", "permissions": permissions}
        (self.folder / "catalog.json").write_text(json.dumps({"modules": [offered]}))
        variables = {"PARACHUTE_ISOLATION": isolation, "NODE_EXTRA_CA_CERTS": str(self.trusted)}
        found = hub(self, catalog=self.folder / "catalog.json", environment=variables).start()
        found.install("toy")
        return found

    def asks(self, found: HubProcess, how: str, what: str) -> str:
        """What the module says it got, or `failed: ` and why."""
        port = found.module("toy")["port"]
        said = fetch(f"http://127.0.0.1:{port}/toy/ask", headers={"x-how": how, "x-what": what}).json()
        return str(said["got"]) if "got" in said else f"failed: {said['failed']}"

    def test_a_module_reaches_the_hosts_it_named_and_no_other(self) -> None:
        found = self.running("required")
        for url in REACHED:
            self.assertIn("here is", self.asks(found, "fetch", url), url)
        for url in REFUSED:
            self.assertIn("failed", self.asks(found, "fetch", url), url)
        for how, to in DIRECT:
            self.assertIn("failed", self.asks(found, how, to), f"{how} {to}")

    def test_without_confinement_everything_is_there(self) -> None:
        found = self.running("off")
        for url in (*REACHED, *REFUSED):
            self.assertIn("here is", self.asks(found, "fetch", url), url)
        for how, to in DIRECT:
            self.assertNotIn("failed", self.asks(found, how, to), f"{how} {to}")


def command(words: list[str]) -> None:
    subprocess.run(words, check=True, timeout=10)
