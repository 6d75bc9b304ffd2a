"""The gateway for modules limited to named hosts: which requests pass, and to where."""

import base64
import os
from typing import Any, cast
from urllib.parse import urlsplit

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from parachute_hub.confinement import gateway
from parachute_hub.confinement.gateway import Gateway, KeptGateway
from parachute_hub.system import strict_records

ADDRESSES = {
    "127.0.0.1": ["127.0.0.1"],
    "api.test": ["127.0.0.1"],
    "rebound.test": ["127.0.0.1"],
    "hub.test": ["127.0.0.1"],
}


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"echo " + data)


class Collector(Protocol):
    def __init__(self, first: bytes) -> None:
        self.first = first
        self.data = b""
        self.closed: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.first)

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.closed.callback(None)


class GatewayTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor = cast(Any, reactor)
        self.echo = self.reactor.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
        self.addCleanup(self.echo.stopListening)
        self.far = self.echo.getHost().port
        self.patch(gateway, "PORTS", frozenset({self.far}))
        self.public = {"api.test"}
        self.asked: list[str] = []

        async def resolve(host: str) -> list[str]:
            self.asked.append(host)
            if host not in ADDRESSES:
                raise OSError("no such name")
            return ADDRESSES[host]

        self.gateway = Gateway(
            reactor=self.reactor,
            allows=lambda hosts, host: host in hosts,
            is_public=lambda address: self.asked[-1] in self.public,
            is_nearby=lambda address: address == "127.0.0.1",
            resolve=resolve,
        )
        self.addCleanup(self.gateway.stop)
        self.address = self.gateway.admit(
            "toy", ("api.test", "rebound.test", "gone.test"), frozenset({("hub.test", self.far)})
        )

    def key(self, address: str | None = None) -> str:
        parts = urlsplit(address or self.address)
        return base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()

    async def send(self, head: str, more: bytes = b"") -> bytes:
        """Everything received until the connection closes or an echo arrives."""
        endpoint = HostnameEndpoint(self.reactor, b"127.0.0.1", self.gateway.port)
        collector = Collector(head.encode() + more)
        await endpoint.connect(Factory.forProtocol(lambda: collector))
        while not collector.closed.called and b"echo" not in collector.data:
            await deferLater(self.reactor, 0.01)
        if not collector.closed.called:
            assert collector.transport is not None
            collector.transport.loseConnection()
            await collector.closed
        return collector.data

    async def collector(self, first: bytes) -> Collector:
        endpoint = HostnameEndpoint(self.reactor, b"127.0.0.1", self.gateway.port)
        collector = Collector(first)
        await endpoint.connect(Factory.forProtocol(lambda: collector))
        return collector

    async def leave(self, collector: Collector) -> None:
        assert collector.transport is not None
        collector.transport.loseConnection()
        await collector.closed

    def connect(self, host: str, port: int | None = None, key: str | None = None) -> str:
        where = f"{host}:{port or self.far}"
        return f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\nProxy-Authorization: Basic {key or self.key()}\r\n\r\n"

    async def test_the_keys_of_running_modules_outlive_the_hub(self) -> None:
        """Another one in its place has the same port and keys."""
        kept = self.gateway.hand_over()
        assert kept is not None
        self.assertEqual(strict_records.record(KeptGateway, strict_records.plain(kept)), kept)
        cast(Any, self.gateway)._listening.stopReading()
        successor = evolve(self.gateway)
        successor.take_over(evolve(kept, descriptor=os.dup(kept.descriptor)))
        self.addCleanup(successor.stop)
        self.assertEqual((successor.port, successor.admit("toy", ("api.test",))), (self.gateway.port, self.address))
        self.assertIn(b"echo hello", await self.send(self.connect("api.test"), b"hello"))
        self.assertIn(b"407", await self.send(self.connect("api.test", key="eDp5")))

    def test_without_passes_nothing_is_handed_over(self) -> None:
        self.assertIsNone(evolve(self.gateway).hand_over())

    async def test_a_named_host_is_reached(self) -> None:
        """Bytes sent with the request are forwarded."""
        answer = await self.send(self.connect("api.test"), b"hello")
        self.assertEqual(answer, b"HTTP/1.1 200 Connected\r\n\r\necho hello")

    async def test_other_hosts_ports_and_keys_are_refused(self) -> None:
        other = self.gateway.admit("other", ())
        for what, request, status in (
            ("a host that is not named", self.connect("evil.test"), b"403"),
            ("another port of it", self.connect("api.test", 22), b"403"),
            ("a name that leads to this machine", self.connect("rebound.test"), b"403"),
            ("an address", self.connect("127.0.0.1"), b"403"),
            ("a name that is not there", self.connect("gone.test"), b"502"),
            ("no key", f"CONNECT api.test:{self.far} HTTP/1.1\r\n\r\n", b"407"),
            ("a wrong key", self.connect("api.test", key="dG95Ong="), b"407"),
            ("no base64", self.connect("api.test", key="\x7f"), b"407"),
            ("another module's key, which opens nothing", self.connect("api.test", key=self.key(other)), b"403"),
            ("plain http", "GET http://api.test/ HTTP/1.1\r\n\r\n", b"405"),
            ("no port", self.connect("api.test").replace(f":{self.far}", "", 1), b"400"),
            ("nonsense", "\r\n\r\n", b"405"),
            ("a head without end", "CONNECT " + "a" * 9000, b"431"),
        ):
            self.assertEqual((await self.send(request))[9:12], status, what)

    async def test_the_hub_is_reached_wherever_it_is(self) -> None:
        self.assertIn(b"200", await self.send(self.connect("hub.test"), b"x"))

    async def test_a_module_keeps_its_key(self) -> None:
        """A command of the package runs next to the module, with the current hosts."""
        self.assertEqual(self.gateway.admit("toy", ()), self.address)
        self.assertEqual((await self.send(self.connect("api.test")))[9:12], b"403")

    async def test_bytes_sent_while_it_connects_arrive(self) -> None:
        looked: Deferred[list[str]] = Deferred()
        self.patch(self.gateway, "resolve", lambda host: looked)
        self.asked.append("api.test")
        collector = await self.collector(self.connect("api.test").encode())
        assert collector.transport is not None
        await deferLater(self.reactor, 0.05)
        collector.transport.write(b"early")
        await deferLater(self.reactor, 0.05)
        looked.callback(["127.0.0.1"])
        while b"early" not in collector.data:
            await deferLater(self.reactor, 0.01)
        self.assertTrue(collector.data.endswith(b"\r\n\r\necho early"))
        await self.leave(collector)

    async def test_a_private_address_that_is_declared(self) -> None:
        """As itself, not by a name."""
        for hosts, asked, status in (
            (("127.0.0.1",), "127.0.0.1", b"200"),
            (("rebound.test",), "rebound.test", b"403"),
            (("127.0.0.1",), "rebound.test", b"403"),
        ):
            self.gateway.admit("toy", hosts)
            self.assertEqual((await self.send(self.connect(asked), b"x"))[9:12], status, asked)

    async def test_the_next_address_is_tried(self) -> None:
        self.patch(self.gateway, "resolve", lambda host: succeed(["127.0.0.9", "127.0.0.1"]))
        self.asked.append("api.test")
        self.assertIn(b"200", await self.send(self.connect("api.test"), b"x"))

    async def test_silence_ends_a_connection(self) -> None:
        """Before the request, while a name is looked up, and in the tunnel."""
        for what, limit, resolve, first, wanted in (
            ("no request", "HEAD_SECONDS", None, b"", b""),
            ("no address", "CONNECT_SECONDS", lambda host: Deferred(), None, b"HTTP/1.1 504"),
            ("no more bytes", "IDLE_SECONDS", None, None, b"HTTP/1.1 200"),
        ):
            with_it = self.patch(gateway, limit, 0.2)
            if resolve is not None:
                self.patch(self.gateway, "resolve", resolve)
            collector = await self.collector(self.connect("api.test").encode() if first is None else first)
            await collector.closed
            self.assertEqual(collector.data[:12], wanted, what)
            with_it.restore()
            if resolve is not None:
                self.patch(self.gateway, "resolve", lambda host: succeed(["127.0.0.1"]))
                self.asked.append("api.test")

    async def test_lookups_are_few(self) -> None:
        """A name server that never answers occupies few threads, also after the module has left."""
        begun: list[str] = []

        def never(host: str) -> Deferred[list[str]]:
            begun.append(host)
            return Deferred()

        self.patch(self.gateway, "resolve", never)
        visits = [await self.collector(self.connect("api.test").encode()) for _ in range(5)]
        while len(begun) < gateway.MOST_LOOKUPS:
            await deferLater(self.reactor, 0.01)
        await deferLater(self.reactor, 0.1)
        for visit in visits:
            await self.leave(visit)
        again = await self.collector(self.connect("api.test").encode())
        await deferLater(self.reactor, 0.1)
        self.assertEqual(len(begun), gateway.MOST_LOOKUPS)
        await self.leave(again)

    async def test_connections_are_counted(self) -> None:
        self.patch(gateway, "MOST_CONNECTIONS", 1)
        endpoint = HostnameEndpoint(self.reactor, b"127.0.0.1", self.gateway.port)
        first = Collector(self.connect("api.test").encode() + b"x")
        await endpoint.connect(Factory.forProtocol(lambda: first))
        while b"echo" not in first.data:
            await deferLater(self.reactor, 0.01)
        self.assertEqual((await self.send(self.connect("api.test")))[9:12], b"429")
        assert first.transport is not None
        first.transport.loseConnection()
        await first.closed
        while b"200" not in (await self.send(self.connect("api.test"), b"x"))[:12]:
            await deferLater(self.reactor, 0.01)
