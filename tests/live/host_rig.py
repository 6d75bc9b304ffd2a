"""A module host as a process, and a stand-in for the hub that steers it."""

import hashlib
import http.client
import json
import re
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.link import certificates, code
from tests.live.harness import PATIENCE, HubProcess, Reply

ORIGIN = "https://hub.example.test"
CONTROL = {"X-Parachute-Link": "control"}


@define
class HostProcess(HubProcess):
    """One module host of the vault."""

    def start(self) -> "HostProcess":
        self.environment = {"PARACHUTE_ROLE": "host", "PARACHUTE_MODULE": "vault", **self.environment}
        self.spawn()
        self.wait_for(lambda: "Ready: " in self.log()[self._seen :], "the host to be up")
        self._seen = len(self.log())
        return self

    _seen: int = 0

    def code(self) -> str:
        """The newest code that it has shown."""
        return str(re.findall(r"Code: +([0-9A-Z-]+)", self.log())[-1])


@define
class LinkClient:
    """The hub's end of a link to a host on this machine, with a key of its own."""

    port: int
    folder: Path
    host_key: bytes | None = None
    key: bytes = field(init=False, default=b"")
    address: str = "127.0.0.1"
    pem: bytes = field(init=False, default=b"")

    def __attrs_post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Another key and certificate."""
        private, self.pem = certificates.make("hub")
        self.key = certificates.key_of_pem(self.pem)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "link.pem").write_bytes(private + self.pem)

    def connect(self, timeout: float = PATIENCE) -> http.client.HTTPSConnection:
        """A new connection, to the pinned host if there is one. Raises OSError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(self.folder / "link.pem")
        connection = http.client.HTTPSConnection(self.address, self.port, timeout=timeout, context=context)
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        seen = connection.sock.getpeercert(binary_form=True)
        assert seen is not None
        public = x509.load_der_x509_certificate(seen).public_key()
        key = hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        if self.host_key not in (None, key):
            raise ConnectionError("another host answers")
        self.seen = key
        return connection

    seen: bytes = b""

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request on a connection of its own."""
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """A control request. `body` is sent as JSON, bytes as they are."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return self.send(method, f"/.parachute/host/{path}", data, CONTROL)

    def pair(self, typed: str, origin: str = ORIGIN) -> Reply:
        """Pair with the host that answers; its key is pinned if it proves to know the code."""
        if self.host_key is None:
            self.connect().close()
        proof = code.proof(typed, "hub", self.seen, self.key)
        reply = self.ask("POST", "pair", {"hub": origin, "certificate": self.pem.decode(), "proof": proof})
        if reply.status == 200:
            assert code.same(reply.json()["proof"], code.proof(typed, "host", self.seen, self.key))
            self.host_key = self.seen
        return reply

    def state(self) -> dict[str, Any]:
        """What the host says of the module."""
        reply = self.ask("GET", "state")
        assert reply.status == 200, reply
        told: dict[str, Any] = reply.json()
        return told

    def until(self, state: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait for a state of the module."""
        end = time.monotonic() + patience
        while (told := self.state())["state"] != state:
            assert time.monotonic() < end, told
            time.sleep(0.05)
        return told

    def job(self, job_id: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait for the end of a job."""
        end = time.monotonic() + patience
        while True:
            told: dict[str, Any] = self.ask("GET", f"jobs/{job_id}").json()
            if told["state"] != "running":
                return told
            assert time.monotonic() < end, told
            time.sleep(0.1)

    def install(self) -> None:
        """Install the vault, and wait until it runs."""
        begun = self.ask("POST", "install", {"package": "@openparachute/vault"})
        assert begun.status == 202, begun
        done = self.job(begun.json()["job"])
        assert done["state"] == "done", done
        self.until("running")

    def stop(self) -> None:
        """Stop the module, and wait for that."""
        assert self.ask("POST", "stop").status == 202
        self.until("stopped")


def host(test: SynchronousTestCase, catalog: Path | None = None) -> HostProcess:
    """A host with an empty home, not started yet; it ends with the test."""
    home = Path(test.mktemp()).absolute()
    home.parent.mkdir(parents=True, exist_ok=True)
    process = HostProcess(home=home, catalog=catalog)
    test.addCleanup(process.end)
    return process


def client(test: SynchronousTestCase, running: HostProcess) -> LinkClient:
    """A hub's end for this host, not paired yet."""
    return LinkClient(running.port, Path(test.mktemp()).absolute())
