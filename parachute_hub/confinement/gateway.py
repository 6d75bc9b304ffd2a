"""A CONNECT proxy (RFC 9110, section 9.3.6) on loopback for modules that may only reach named hosts.

A confined module may connect to this port, to the hub and to its dependencies. Its HTTPS_PROXY contains a key that
determines the hosts it may reach. The gateway resolves names itself, and connects to public addresses only, whatever a
name resolves to; a private address must have been declared as such.
"""

import base64
import binascii
import hmac
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from attrs import field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IConsumer, IListeningPort, IPushProducer
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from parachute_hub.system.records import define, frozen

HEAD_BYTES = 8192
HEAD_SECONDS = 10.0
CONNECT_SECONDS = 15.0
IDLE_SECONDS = 600.0
MOST_CONNECTIONS = 64
"""Concurrent connections per module."""
MOST_LOOKUPS = 2
"""Names resolved at once per module. A lookup occupies a thread of the hub's until it ends."""
_MOST_ADDRESSES = 4
PORTS = frozenset({443})
_log = Logger()


@define
class Pass:
    """A module's access: the hosts it may reach, and its number of open connections."""

    short: str
    hosts: tuple[str, ...]
    trusted: frozenset[tuple[str, int]] = frozenset()
    open: int = 0
    lookups: DeferredSemaphore = field(factory=lambda: DeferredSemaphore(MOST_LOOKUPS))


@frozen(kw_only=True)
class TrustedHost:
    """Reached even if its address is private."""

    host: str
    port: int


@frozen(kw_only=True)
class KeptPass:
    """A module's key and what it opens, for the hub that takes the place of this one."""

    short: str
    key: str
    hosts: tuple[str, ...]
    trusted: tuple[TrustedHost, ...]


@frozen(kw_only=True)
class KeptGateway:
    """The listening socket, and the passes of modules that run."""

    descriptor: int
    passes: tuple[KeptPass, ...]


@define(kw_only=True)
class Gateway:
    """Listens on a free loopback port, `port`, from the first pass on.

    `allows` tells whether a host is among those named, `is_public` whether an address is public, and `is_nearby`
    whether it belongs to a private network. `resolve` returns a name's addresses and raises OSError.
    """

    reactor: Any
    allows: Callable[[tuple[str, ...], str], bool]
    is_public: Callable[[str], bool]
    is_nearby: Callable[[str], bool]
    resolve: Callable[[str], Awaitable[list[str]]]
    _passes: dict[str, Pass] = field(factory=dict, init=False)
    _listening: IListeningPort | None = field(default=None, init=False)

    @property
    def port(self) -> int:
        """The TCP port; starts listening if necessary."""
        if self._listening is None:
            self._listening = cast(IListeningPort, self.reactor.listenTCP(0, self._factory(), interface="127.0.0.1"))
        return int(cast(IPv4Address, self._listening.getHost()).port)

    def admit(self, short: str, hosts: tuple[str, ...], trusted: frozenset[tuple[str, int]] = frozenset()) -> str:
        """The proxy URL for a module, with its key. `trusted` is the hub's own address, which may be private.

        A module keeps its key while the hub runs, so that commands of its package do not invalidate it.
        """
        key = next((key for key, found in self._passes.items() if found.short == short), None)
        if key is None:
            key = secrets.token_urlsafe(24)
            self._passes[key] = Pass(short, hosts, trusted)
        self._passes[key].hosts, self._passes[key].trusted = hosts, trusted
        return f"http://{short}:{key}@127.0.0.1:{self.port}"

    def hand_over(self) -> KeptGateway | None:
        """What running modules rely on; None if nothing listens. Tunnels end with this process."""
        if self._listening is None:
            return None
        passes = tuple(
            KeptPass(
                short=found.short,
                key=key,
                hosts=found.hosts,
                trusted=tuple(TrustedHost(host=host, port=port) for host, port in sorted(found.trusted)),
            )
            for key, found in self._passes.items()
        )
        return KeptGateway(descriptor=cast(Any, self._listening).fileno(), passes=passes)

    def take_over(self, kept: KeptGateway) -> None:
        """Go on with the port and the keys of an older hub."""
        for one in kept.passes:
            trusted = frozenset((each.host, each.port) for each in one.trusted)
            self._passes[one.key] = Pass(one.short, one.hosts, trusted)
        self._listening = self.reactor.adoptStreamPort(kept.descriptor, socket.AF_INET, self._factory())
        os.close(kept.descriptor)

    def _factory(self) -> Factory:
        return Factory.forProtocol(lambda: _Visit(self))

    def stop(self) -> "Deferred[None] | None":
        """Stop listening."""
        listening, self._listening = self._listening, None
        return None if listening is None else listening.stopListening()

    def pass_of(self, credentials: str) -> Pass | None:
        """The pass for a Proxy-Authorization header."""
        scheme, _, encoded = credentials.partition(" ")
        try:
            name, _, key = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        if scheme.lower() != "basic":
            return None
        return next(
            (
                found
                for known, found in self._passes.items()
                if hmac.compare_digest(known.encode(), key.encode()) and found.short == name
            ),
            None,
        )

    async def connect(self, found: Pass, host: str, port: int, protocol: TwistedProtocol) -> None:
        """Connect to one of the host's addresses. Raises _Refused, or the connection error."""
        trusted = (host, port) in found.trusted
        if not trusted and (port not in PORTS or not self.allows(found.hosts, host)):
            raise _Refused(403, f"{found.short} may not reach {host}:{port}")
        addresses = [each for each in await self._addresses(found, host) if trusted or self._may_be(host, each)]
        problem: Exception = _Refused(403, f"{host} has no public address")
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                await connectProtocol(HostnameEndpoint(self.reactor, address, port), protocol)
                return
            except ConnectError as error:
                problem = error
        raise problem

    def _may_be(self, host: str, address: str) -> bool:
        """A private address is reached only by itself, never by a name, which could lead anywhere later."""
        return self.is_public(address) or (address == host and self.is_nearby(address))

    def _addresses(self, found: Pass, host: str) -> "Deferred[list[str]]":
        """Cancelling the result does not end the lookup, which counts until its thread is free again."""
        answer: Deferred[list[str]] = Deferred(lambda _: None)
        looking = found.lookups.run(lambda: Deferred.fromCoroutine(_awaited(self.resolve(host))))
        looking.addBoth(lambda result: None if answer.called else answer.callback(result))
        return answer


async def _awaited(awaitable: Awaitable[list[str]]) -> list[str]:
    return await awaitable


@frozen
class _Refused(Exception):
    status: int
    text: str


class _Far(TwistedProtocol):
    """The connection to the host."""

    def __init__(self, near: "_Visit") -> None:
        self.near = near

    def dataReceived(self, data: bytes) -> None:
        self.near.resetTimeout()
        self.near.write(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.near.end()


class _Visit(TwistedProtocol, TimeoutMixin):
    """A module's connection: one CONNECT, then a bidirectional tunnel."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._head = b""
        self._far: _Far | None = None
        self._pass: Pass | None = None
        self._asked: Deferred[None] | None = None

    def callLater(self, period: float, func: Callable[[], object]) -> Any:
        """TimeoutMixin callback: the clock."""
        return self._gateway.reactor.callLater(period, func)

    def connectionMade(self) -> None:
        self.setTimeout(HEAD_SECONDS)

    def dataReceived(self, data: bytes) -> None:
        if self._far is not None:
            self.resetTimeout()
            cast(Any, self._far.transport).write(data)
            return
        self._head += data
        if len(self._head) > HEAD_BYTES:
            self._answer(431, "Too large")
        elif self._asked is None and b"\r\n\r\n" in self._head:
            self.setTimeout(CONNECT_SECONDS)
            self._asked = Deferred.fromCoroutine(self._ask())
            self._asked.addErrback(self._failed)

    async def _ask(self) -> None:
        line, *fields = self._head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        words = line.split(" ")
        named = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
        if len(words) != 3 or words[0] != "CONNECT":
            raise _Refused(405, "Only https is allowed")
        found = self._gateway.pass_of(named.get("proxy-authorization", ""))
        if found is None:
            raise _Refused(407, "Who asks?")
        host, colon, port = words[1].rpartition(":")
        if not colon or not port.isdigit() or not 0 < int(port) < 65536:
            raise _Refused(400, "Host and port are required")
        if found.open >= MOST_CONNECTIONS:
            raise _Refused(429, "Too many connections")
        found.open += 1
        self._pass = found
        far = _Far(self)
        await self._gateway.connect(found, host.lower().strip("[]"), int(port), far)
        self._far = far
        self.setTimeout(IDLE_SECONDS)
        self.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        near, there = cast(Any, self.transport), cast(Any, far.transport)
        near.registerProducer(cast(IPushProducer, there), True)
        cast(IConsumer, there).registerProducer(near, True)
        rest = self._head.partition(b"\r\n\r\n")[2]
        if rest:
            there.write(rest)

    def _failed(self, failure: Failure) -> None:
        if isinstance(failure.value, _Refused):
            self._answer(failure.value.status, failure.value.text)
        else:
            self._answer(502, "The host could not be reached")

    def _answer(self, status: int, text: str) -> None:
        if self._pass is not None and status == 403:
            _log.info("{text}", text=text)
        self.write(
            f"HTTP/1.1 {status} {text}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode("latin-1", "replace")
        )
        self.end()

    def write(self, data: bytes) -> None:
        """Send to the module."""
        cast(Any, self.transport).write(data)

    def end(self) -> None:
        """Close both sides once what is buffered is sent."""
        if self.transport is not None:
            self.transport.loseConnection()

    def timeoutConnection(self) -> None:
        """TimeoutMixin callback: the module, the host or both are silent."""
        if self._asked is not None and self._far is None:
            self._answer(504, "The host did not answer in time")
            return
        for protocol in (self, self._far):
            if protocol is not None and protocol.transport is not None:
                cast(Any, protocol.transport).abortConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.setTimeout(None)
        if self._pass is not None:
            self._pass.open -= 1
            self._pass = None
        if self._asked is not None:
            self._asked.cancel()
        if self._far is not None and self._far.transport is not None:
            self._far.transport.loseConnection()
