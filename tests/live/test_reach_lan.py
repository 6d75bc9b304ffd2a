"""The local name: TLS by the hub itself, announced to the network."""

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from parachute_hub.app.closed import startup_backend
from parachute_hub.proxy.front import Front
from parachute_hub.proxy.poller import poller
from parachute_hub.proxy.site_channel import caller_of
from parachute_hub.reach.certificates import Certificates
from parachute_hub.reach.lan import Lan
from parachute_hub.reach.tunnel import DidNotStart

HOST = "parachute.local"
LARGE = 5_000_000


class Echo(Resource):
    """Says who the client is, and how much it sent."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        if request.path == b"/large":
            return b"x" * LARGE
        caller = caller_of(request)
        told = {"secure": caller.secure, "address": caller.address, "layer": caller.layer, "host": caller.host.decode()}
        return json.dumps(told).encode()

    def render_POST(self, request: Any) -> bytes:
        return str(len(request.content.read())).encode()


@define
class FakeAnnouncer:
    """Records what the network was told; `others` have the name already."""

    others: frozenset[str] = frozenset()
    told: list[tuple[str, tuple[str, ...]]] = field(factory=list)
    stopped: int = 0

    def holder(self, host: str) -> frozenset[str]:
        return self.others

    def announce(self, host: str, port: int, addresses: tuple[str, ...]) -> None:
        self.told.append((host, addresses))

    def stop(self) -> None:
        self.stopped += 1


class LanTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.now = time.time()
        self.addresses: tuple[str, ...] = ("192.168.1.5",)
        self.announcer = FakeAnnouncer()
        self.front = Front(
            site=Site(Echo()),
            backend=startup_backend("https://hub.test"),
            clock=reactor,
            connector=reactor,
            attach=poller(reactor),
        )
        # As if it listened on the hub's port as well.
        self.front.doStart()
        self.lan = self.made(0)
        self.addCleanup(self.ended)

    def made(self, port: int) -> Lan:
        return Lan(
            reactor=reactor,
            factory=self.front,
            certificates=Certificates(folder=Path(self.mktemp()) / "lan", now=lambda: self.now),
            announcer=self.announcer,
            addresses=lambda: self.addresses,
            in_thread=deferToThread,
            port=port,
        )

    def ended(self) -> Any:
        async def end() -> None:
            await self.lan.close()
            await self.front.drain(5)

        return Deferred.fromCoroutine(end())

    def connected(self) -> http.client.HTTPSConnection:
        """A device that trusts the certificate."""
        assert self.lan.certificate is not None
        trust = ssl.create_default_context(cadata=self.lan.certificate.authority.decode())
        connection = http.client.HTTPSConnection(HOST, self.lan.port, timeout=20)
        wire = socket.create_connection(("127.0.0.1", self.lan.port), 20)
        connection.sock = trust.wrap_socket(wire, server_hostname=HOST)
        return connection

    async def asked(self, work: Callable[[http.client.HTTPSConnection], Any]) -> Any:
        def ask() -> Any:
            connection = self.connected()
            try:
                return work(connection)
            finally:
                connection.close()

        return await deferToThread(ask)

    async def test_a_device_reaches_the_hub_by_https(self) -> None:
        await self.lan.open(HOST)

        def work(connection: http.client.HTTPSConnection) -> list[bytes]:
            answers = []
            claims = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.test"}
            for method, path, body in (
                ("GET", "/", None),
                ("POST", "/", b"y" * 12_000),
                ("GET", "/large", None),
                ("GET", "/", None),
            ):
                connection.request(method, path, body, claims)
                answers.append(connection.getresponse().read())
            return answers

        first, sent, large, last = await self.asked(work)
        told = {"secure": True, "address": "127.0.0.1", "layer": "public", "host": f"{HOST}:{self.lan.port}"}
        self.assertEqual(json.loads(first), told)
        self.assertEqual((sent, len(large), first), (b"12000", LARGE, last))
        self.assertEqual(self.announcer.told, [(HOST, ("192.168.1.5",))])

    async def test_a_response_after_a_request_body_is_complete_when_the_connection_closes(self) -> None:
        await self.lan.open(HOST)

        def work(connection: http.client.HTTPSConnection) -> bytes:
            connection.request("POST", "/", b"y" * 9_000, {"Connection": "close"})
            return connection.getresponse().read()

        self.assertEqual(await self.asked(work), b"9000")

    async def test_plain_http_and_devices_without_trust_get_nothing(self) -> None:
        await self.lan.open(HOST)

        def plain() -> bytes:
            with socket.create_connection(("127.0.0.1", self.lan.port), 20) as wire:
                wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                return wire.recv(1000)

        self.assertNotIn(b"HTTP/1.1 200", await deferToThread(plain))

        def untrusting() -> None:
            with socket.create_connection(("127.0.0.1", self.lan.port), 20) as wire:
                ssl.create_default_context().wrap_socket(wire, server_hostname=HOST)

        with self.assertRaises(ssl.SSLCertVerificationError):
            await deferToThread(untrusting)

    async def test_a_name_or_port_that_is_taken_opens_nothing(self) -> None:
        self.announcer.others = frozenset({"192.168.1.9"})
        with self.assertRaises(DidNotStart) as failed:
            await self.lan.open(HOST)
        self.assertIn("192.168.1.9", str(failed.exception))
        self.assertFalse(self.lan.is_open)
        # Its own answer from before does not count.
        self.announcer.others = frozenset(self.addresses)
        await self.lan.open(HOST)
        other = self.made(self.lan.port)
        with self.assertRaises(DidNotStart) as failed:
            await other.open(HOST)
        self.assertIn("cannot be used", str(failed.exception))
        self.assertFalse(other.is_open)

    async def test_a_laptop_that_moves_and_a_certificate_that_ends(self) -> None:
        await self.lan.open(HOST)
        before = self.lan.certificate
        await self.lan._tend()
        self.assertEqual((self.lan.certificate, len(self.announcer.told)), (before, 1))
        self.addresses = ("10.0.0.7",)
        await self.lan._tend()
        self.assertEqual(self.announcer.told[1:], [(HOST, ("10.0.0.7",))])
        self.addresses = ()
        await self.lan._tend()
        self.assertEqual(len(self.announcer.told), 2)
        self.now += 380 * 86_400
        await self.lan._tend()
        assert before is not None and self.lan.certificate is not None
        self.assertNotEqual(self.lan.certificate.pem, before.pem)
        self.assertEqual(self.lan.certificate.authority, before.authority)
        self.assertTrue(self.lan.is_open)
