"""What is left of a closed connection to a module or another machine, on the real reactor."""

import gc
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from parachute_hub.elsewhere.dial import DialedEndpoint, Dialer, Trust
from parachute_hub.elsewhere.keys import Identity
from parachute_hub.link.certificates import PinnedTLS
from parachute_hub.modules.state.link import Address
from parachute_hub.proxy.pool import Pool
from parachute_hub.proxy.upstream import Upstream
from parachute_hub.supervise.process.probe import NoAnswer, ask


class _Sink:
    """Wants a connection, and nothing else."""

    unframed = sending = False

    def __init__(self) -> None:
        self.connected: Deferred[Upstream] = Deferred()

    def got_connection(self, upstream: Upstream) -> None:
        self.connected.callback(upstream)


class _Remote:
    """Another machine, for a pool."""

    key = "there"

    def __init__(self, dialer: Dialer) -> None:
        self.connect = dialer.connect

    def stamp(self, head: bytes) -> bytes:
        return head

    def failed(self) -> None: ...


class _Answer(Protocol):
    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class RemainsTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.loop: Any = reactor
        self.here, self.there = Identity.new(), Identity.new()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)

    def listen(self, *, tls: bool = False) -> int:
        factory: Any = Factory.forProtocol(_Answer)
        if tls:
            admits = PinnedTLS(self.there.key, self.there.certificate, lambda key: True)
            factory = TLSMemoryBIOFactory(admits, False, factory)
        port = self.loop.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def dialer(self, *, tls: bool) -> Dialer:
        async def resolve(host: str) -> list[str]:
            raise AssertionError("its address is numeric")

        return Dialer(
            reactor=self.loop,
            resolve=resolve,
            address=Address(host="127.0.0.1", port=self.listen(tls=tls), tls=tls),
            near="loopback",
            trust=Trust(pin=self.there.pin, identity=self.here) if tls else Trust(),
        )

    async def of_a_pool(self, pool: Pool) -> Protocol:
        sink: Any = _Sink()
        pool.get(sink)
        upstream: Protocol = await sink.connected
        return upstream

    def pool(self, port: int, **more: Any) -> Pool:
        return Pool(port, self.loop, limit=1, each=1, head_bytes=1000, connect_seconds=10.0, **more)

    async def freed(self, remains: list[Any]) -> bool:
        for _ in range(1000):
            if not any(one() for one in remains):
                return True
            waiting: Deferred[None] = Deferred()
            self.loop.callLater(0.005, waiting.callback, None)
            await waiting
        return False

    async def test_a_closed_connection_is_freed_at_once(self) -> None:
        """Not when the collector of cycles comes by, which after a crowd takes minutes.

        What Twisted's TLS raises when it is aborted, and its refused connections, are cycles of their own.
        """
        pool = self.pool(self.listen())
        kinds: list[tuple[str, Callable[[], Awaitable[Protocol]]]] = [("module", partial(self.of_a_pool, pool))]
        for tls in (False, True):
            dialer = self.dialer(tls=tls)
            far = self.pool(1, remote=_Remote(dialer))
            endpoint: Any = DialedEndpoint(dialer)
            kinds.append((f"another machine, tls {tls}", partial(self.of_a_pool, far)))
            kinds.append((f"endpoint, tls {tls}", partial(endpoint.connect, Factory.forProtocol(Protocol))))
        for kind, connect in kinds:
            for close in ("loseConnection",) if kind.endswith("True") else ("loseConnection", "abortConnection"):
                protocol = await connect()
                transport: Any = protocol.transport
                remains: list[Any] = [weakref.ref(protocol), weakref.ref(transport)]
                if kind.endswith("True"):
                    remains.append(weakref.ref(transport.transport))
                getattr(transport, close)()
                del protocol, transport
                self.assertTrue(await self.freed(remains), (kind, close, remains))
        self.assertEqual(pool.open, 0)

    async def test_a_question_to_a_module_leaves_nothing(self) -> None:
        """Answered or refused: a module that starts is asked forty times a second."""
        listening = self.loop.listenTCP(0, Factory.forProtocol(_Answer), interface="127.0.0.1")
        port, made = listening.getHost().port, []
        connect = self.loop.connectTCP

        def noted(*arguments: Any, **named: Any) -> Any:
            connector = connect(*arguments, **named)
            made.append(weakref.ref(connector))
            return connector

        self.patch(self.loop, "connectTCP", noted)
        self.assertEqual((await ask(self.loop, port, "/health", 10.0)).status, 200)
        await listening.stopListening()
        with self.assertRaises(NoAnswer):
            await ask(self.loop, port, "/health", 10.0)
        self.assertTrue(await self.freed(made), made)
