"""What is left of a connection to a module, on the real reactor."""

import gc
import weakref
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from parachute_hub.proxy.pool import Pool
from parachute_hub.proxy.upstream import Upstream


class _Sink:
    """Wants a connection, and nothing else."""

    unframed = sending = False

    def __init__(self) -> None:
        self.connected: Deferred[Upstream] = Deferred()

    def got_connection(self, upstream: Upstream) -> None:
        self.connected.callback(upstream)


class RemainsTests(TestCase):
    timeout = 30

    async def test_a_closed_connection_is_freed_at_once(self) -> None:
        """Not when the collector of cycles comes by, which after a crowd takes minutes."""
        module = Factory.forProtocol(Protocol)
        loop: Any = reactor
        port = loop.listenTCP(0, module, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        pool = Pool(port.getHost().port, loop, limit=1, each=1, head_bytes=1000, connect_seconds=10.0)
        gc.disable()
        self.addCleanup(gc.enable)
        for close in ("loseConnection", "abortConnection"):
            sink: Any = _Sink()
            pool.get(sink)
            upstream = await sink.connected
            transport = weakref.ref(upstream.transport)
            getattr(upstream.transport, close)()
            del sink, upstream
            for _ in range(1000):
                if transport() is None:
                    break
                waiting: Deferred[None] = Deferred()
                loop.callLater(0.005, waiting.callback, None)
                await waiting
            self.assertEqual((transport(), pool.open), (None, 0), close)
