"""Connections to another machine: its address is checked each time, and its certificate before anything is sent."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from attrs import field
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_PEM, load_certificate
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from parachute_hub.elsewhere.keys import Identity
from parachute_hub.link.certificates import PinnedTLS, key_of, peer_key
from parachute_hub.modules.state.link import Address, Near, nearness
from parachute_hub.proxy.transport import prepare_far
from parachute_hub.supervise.far import Unreached
from parachute_hub.system.pinned import BoundedEndpoint
from parachute_hub.system.records import define, frozen

CONNECT_SECONDS: Final = 5.0
_BAD_CERTIFICATE: Final = "certificate verify failed"
_MARK: Final = b"-----BEGIN CERTIFICATE-----"


@frozen(kw_only=True)
class Trust:
    """Whom to believe: a pinned key (SHA-256 of the SubjectPublicKeyInfo), an own authority (PEM), or the system's.

    `identity` is what the hub shows to a host that pins it. `anyone` is for pairing, where a code decides afterwards.
    """

    pin: str | None = None
    ca: str | None = None
    identity: Identity | None = None
    anyone: bool = False

    def admits(self, key: bytes) -> bool:
        """Whether a key is the expected one, as far as keys count."""
        return self.anyone or key.hex() == self.pin


def creator(trust: Trust, address: Address) -> Any:
    """Makes the TLS side of connections. Raises SSL.Error or ValueError for an unusable authority."""
    if trust.identity is not None:
        return PinnedTLS(trust.identity.key, trust.identity.certificate, trust.admits)
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    if trust.pin is not None:
        context.set_verify(SSL.VERIFY_PEER, lambda _, shown, error, depth, ok: depth > 0 or trust.admits(key_of(shown)))
    else:
        context.set_verify(SSL.VERIFY_PEER, lambda _, shown, error, depth, ok: bool(ok))
        if trust.ca is None:
            context.set_default_verify_paths()
        else:
            store: Any = context.get_cert_store()
            for part in trust.ca.encode().split(_MARK)[1:]:
                store.add_cert(load_certificate(FILETYPE_PEM, _MARK + part))
    return _Creator(context, address)


@implementer(IOpenSSLClientConnectionCreator)
@frozen
class _Creator:
    context: SSL.Context
    address: Address

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self.context, None)
        if not self.address.numeric:
            connection.set_tlsext_host_name(self.address.host.encode("ascii"))
        return connection


@define(kw_only=True)
class Dialer:
    """Connects to one machine. `resolve` returns all addresses of a host, each of which must be `near` as approved.

    `seen` is the key of the other side of the latest connection.
    """

    reactor: Any
    resolve: Callable[[str], Awaitable[Sequence[str]]]
    address: Address
    near: Near
    trust: Trust = Trust()
    seen: bytes | None = field(default=None, init=False)
    _creator: Any = field(default=None, init=False)

    def connect(self, factory: Any, seconds: float = CONNECT_SECONDS) -> None:
        """Connect once. The factory builds its protocol for a transport whose other side was verified; otherwise it is
        told Unreached.
        """
        dialing = Deferred.fromCoroutine(self._dial(factory, seconds))
        dialing.addErrback(lambda failure: factory.clientConnectionFailed(None, _told(failure)))

    async def look_up(self) -> list[str]:
        """The machine's addresses. Raises Unreached."""
        if self.address.numeric:
            return [self.address.host]
        try:
            found = list(await self.resolve(self.address.host))
        except OSError:
            found = []
        if not found:
            raise Unreached("not answering", f"The name {self.address.host} is not known.")
        return found

    async def _dial(self, factory: Any, seconds: float) -> None:
        found = await self.look_up()
        if nearness(found) != self.near:
            raise Unreached(
                "refused",
                f"{self.address.host} leads to an address that was not approved, so the hub keeps away from it.",
            )
        if self.address.tls:
            if self._creator is None:
                self._creator = creator(self.trust, self.address)
            handshaking = _Handshaking(self, factory, seconds)
            inner: Any = TLSMemoryBIOFactory(self._creator, True, handshaking, self.reactor)
            inner.noisy = False
        else:
            inner = _Plain(factory)
        prepare_far(self.reactor.connectTCP(found[0], self.address.port, inner, seconds, None))

    def trusts(self, connection: SSL.Connection) -> None:
        """Check the other side after the handshake. Raises Unreached."""
        self.seen = peer_key(connection)
        by_key = self.trust.anyone or self.trust.pin is not None
        if self.seen is None or (by_key and not self.trust.admits(self.seen)):
            raise _another()
        if not by_key:
            verify = verify_ip_address if self.address.numeric else verify_hostname
            try:
                verify(connection, self.address.host)
            except (VerificationError, CertificateError):
                raise Unreached("wrong certificate", f"Its certificate is not for {self.address.host}.") from None


def _another() -> Unreached:
    return Unreached("wrong certificate", "Another machine answers there: its certificate is not the expected one.")


class _Dialing(ClientFactory):
    """One connection attempt. A connection and its connector refer to each other until that is lost."""

    noisy = False

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:
        connector.transport = None


class _Plain(_Dialing):
    """Without TLS: nothing to verify."""

    def __init__(self, factory: Any) -> None:
        self._factory = factory

    def buildProtocol(self, addr: Any) -> Any:
        return self._factory.buildProtocol(addr)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._factory.clientConnectionFailed(connector, _told(reason))


class _Handshaking(_Dialing):
    """Waits for the handshake, then lets the caller's factory take over the connection."""

    def __init__(self, dialer: Dialer, factory: Any, seconds: float) -> None:
        self.dialer = dialer
        self._factory: Any = factory
        self._seconds = seconds
        self._late: IDelayedCall | None = None

    def buildProtocol(self, addr: Any) -> Protocol:
        waiting = _Waiting(self, addr)
        self._late = self.dialer.reactor.callLater(self._seconds, waiting.give_up)
        return waiting

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self.fail(reason)

    def take(self) -> Any:
        """The caller's factory, once."""
        factory, self._factory = self._factory, None
        if self._late is not None and self._late.active():
            self._late.cancel()
        return factory

    def fail(self, reason: Failure) -> None:
        factory = self.take()
        if factory is not None:
            factory.clientConnectionFailed(None, _told(reason))


@implementer(IHandshakeListener)
class _Waiting(Protocol):
    """Stands on a TLS connection until the other side was verified. Nothing is sent before."""

    def __init__(self, factory: _Handshaking, addr: Any) -> None:
        self._waits: _Handshaking = factory
        self._addr = addr
        self._why: Exception | None = None

    def give_up(self) -> None:
        self._why = TimeoutError()
        cast(Any, self.transport).abortConnection()

    def handshakeCompleted(self) -> None:
        tls = cast(Any, self.transport)
        try:
            self._waits.dialer.trusts(tls.getHandle())
        except Unreached as wrong:
            self._why = wrong
            tls.abortConnection()
            return
        factory = self._waits.take()
        protocol = factory.buildProtocol(self._addr) if factory is not None else None
        if protocol is None:
            tls.abortConnection()
            return
        tls.wrappedProtocol = protocol
        protocol.makeConnection(tls)

    def dataReceived(self, data: bytes) -> None:
        """Nobody speaks before the handshake is over."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._waits.fail(Failure(self._why) if self._why is not None else reason)


def _told(failure: Failure) -> Failure:
    return Failure(as_unreached(failure))


def as_unreached(failure: Failure) -> Unreached:
    """The failure with a sentence for the owner."""
    error = failure.value
    if isinstance(error, Unreached):
        return error
    if isinstance(error, SSL.Error):
        words = str(error)
        if _BAD_CERTIFICATE in words:
            return _another()
        if "alert" in words:
            return Unreached("refused", "The other machine refuses this hub. Pair them again.")
        return Unreached("not answering", "What answers there does not speak TLS as expected.")
    if isinstance(error, ConnectionRefusedError):
        return Unreached("not answering", "Nothing listens there.")
    if isinstance(error, TimeoutError):
        return Unreached("not answering", "It did not answer in time.")
    return Unreached("not answering", "The connection could not be made.")


class _Once(ClientFactory):
    """Hands a connection to an endpoint's caller."""

    noisy = False

    def __init__(self, factory: Any, connected: "Deferred[Any]") -> None:
        self._factory = factory
        self._connected = connected

    def buildProtocol(self, addr: Any) -> Any:
        protocol = self._factory.buildProtocol(addr)
        if protocol is not None:
            made = protocol.makeConnection

            def make(transport: Any) -> None:
                del protocol.makeConnection
                made(transport)
                self._connected.callback(protocol)

            protocol.makeConnection = make
        return protocol

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self._connected.errback(reason)


@implementer(IStreamClientEndpoint, IAgentEndpointFactory)
@frozen
class DialedEndpoint:
    """The dialer as an endpoint, for an HTTP agent: every URL leads to the one machine. `bounded` limits what it may
    send.
    """

    dialer: Dialer
    bounded: bool = False

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        here = cast(IStreamClientEndpoint, self)
        return BoundedEndpoint(here) if self.bounded else here

    def connect(self, protocolFactory: Any) -> "Deferred[Any]":
        connected: Deferred[Any] = Deferred(lambda _: None)
        self.dialer.connect(_Once(protocolFactory, connected))
        return connected
