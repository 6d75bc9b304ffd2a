"""Connections to modules: a pool per port, and per other machine."""

from typing import Any

from twisted.internet.interfaces import IReactorTCP
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure

from parachute_hub.proxy.head import ResponseHead, parse_response
from parachute_hub.proxy.interfaces import Attach, unattached
from parachute_hub.proxy.model import Remote
from parachute_hub.proxy.shares import Shares
from parachute_hub.proxy.transport import keep_little_unread
from parachute_hub.proxy.upstream import KERNEL_HOLDS, Buffered, ResponseSink, Upstream

HOST = "127.0.0.1"
# How many response heads are cached for a second, and their maximum length.
_MOST_HEADS = 64
_LONGEST_HEAD = 2048
# From the first byte of a response to the end of its head. Before the first byte a module may take its time.
HEAD_SECONDS = 30.0


class _Connecting(ClientFactory):
    """One connection attempt. Twisted keeps it as long as the connection, so it forgets the sink.

    A connection and its connector refer to each other, too, and would stay until the garbage collector comes.
    """

    noisy = False

    def __init__(self, pool: "Pool", sink: ResponseSink) -> None:
        self._pool = pool
        self._sink = sink

    def buildProtocol(self, addr: Any) -> Upstream:
        return Upstream(self._pool, self._take())

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._pool.failed()
        self._take().got_no_connection(busy=False)

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:
        connector.transport = None

    def _take(self) -> ResponseSink:
        sink = self._sink
        del self._sink
        return sink


class Pool:
    """Keep-alive connections to one port, reused most recent first, so that the others can expire.

    With `remote` they lead to another machine instead. `limit` bounds them all, `each` the requests of one network,
    which `shares` counts. `now` is the front's clock in whole seconds, updated by `expire`. `open` counts all
    connections: in use, idle or connecting.
    """

    def __init__(
        self,
        port: int,
        connector: IReactorTCP,
        *,
        limit: int,
        each: int,
        head_bytes: int,
        connect_seconds: float,
        attach: Attach = unattached,
        buffered: Buffered = lambda local, remote: None,
        remote: Remote | None = None,
    ) -> None:
        self.port = port
        self.attach = unattached if remote is not None else attach
        self.remote = remote
        self.head_bytes = head_bytes
        self.now = 0.0
        self._connector = connector
        self._limit = limit
        self.shares = Shares(each=each, total=limit)
        self._buffered = buffered
        # What the kernel is taken to hold for a response that nobody reads, from those measured last.
        self.expected = KERNEL_HOLDS
        self._connect_seconds = connect_seconds
        self._idle: list[Upstream] = []
        self._heads: dict[bytes, ResponseHead] = {}
        self.heads_begun: dict[Upstream, float] = {}
        self.open = 0

    def get(self, sink: ResponseSink, *, fresh: bool = False) -> None:
        """Give the sink a connection, now or later. `fresh` requires an unused one."""
        if self._idle and not fresh:
            sink.got_connection(self._idle.pop())
        elif self.open >= self._limit:
            sink.got_no_connection(busy=True)
        else:
            self.open += 1
            factory = _Connecting(self, sink)
            if self.remote is not None:
                self.remote.connect(factory, self._connect_seconds)
                return
            keep_little_unread(self._connector.connectTCP(HOST, self.port, factory, self._connect_seconds, None))

    def head(self, raw: bytes) -> ResponseHead:
        """Parse a response head, cached because a busy module repeats it. Raises BadMessage."""
        head = self._heads.get(raw)
        if head is None:
            head = parse_response(raw)
            if len(self._heads) < _MOST_HEADS and len(raw) <= _LONGEST_HEAD:
                self._heads[raw] = head
        return head

    def buffered_for(self, upstream: Upstream) -> int | None:
        """Bytes in the buffers of the module's end of this connection; None if unknown."""
        if self.remote is not None:
            return None
        held = self._buffered(self.port, upstream.transport.getHost().port)
        if held is not None and upstream.is_new:
            self.expected = max(held, self.expected - (self.expected - KERNEL_HOLDS) // 16)
        return held

    def put_back(self, upstream: Upstream) -> None:
        """Return a connection whose request is complete."""
        upstream.idle_since = self.now
        self._idle.append(upstream)

    def expire(self, now: float, after: float) -> None:
        """Close connections that were idle for longer than `after` seconds."""
        self.now = now
        self._heads.clear()
        for upstream in [one for one, begun in self.heads_begun.items() if now - begun > HEAD_SECONDS]:
            del self.heads_begun[upstream]
            upstream.late()
        while self._idle and now - self._idle[0].idle_since > after:
            self._close(self._idle.pop(0))

    @property
    def busy(self) -> int:
        """Number of connections in use or connecting."""
        return self.open - len(self._idle)

    def close_idle(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._close(self._idle.pop())

    def _close(self, idle: Upstream) -> None:
        if self.remote is None:
            idle.transport.loseConnection()
        else:
            # Closing TLS politely would wait for the other side's answer.
            idle.transport.abortConnection()

    def lost(self, upstream: Upstream) -> None:
        """A connection closed."""
        self.open -= 1
        self.heads_begun.pop(upstream, None)
        if upstream in self._idle:
            self._idle.remove(upstream)

    def failed(self) -> None:
        """A connection attempt failed."""
        self.open -= 1
