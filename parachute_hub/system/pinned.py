"""Connections to a fixed address that was checked before, with a limit on what they receive."""

import ipaddress
from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI, Agent
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from parachute_hub.system.loading import lazily
from parachute_hub.system.records import frozen

with lazily():
    from parachute_hub.system import tls as outgoing_tls

TIMEOUT: Final = 5.0
MOST_RECEIVED: Final = 96 * 1024
"""Maximum size of a whole response, including heads, in bytes."""


class _Bounded(ProtocolWrapper):
    """Closes the connection after MOST_RECEIVED bytes, including heads, interim responses and trailers."""

    _received = 0

    def dataReceived(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > MOST_RECEIVED:
            cast(Any, self.transport).abortConnection()
        else:
            super().dataReceived(data)


class _BoundedFactory(WrappingFactory):
    protocol = _Bounded
    noisy = False


def verified(host: str) -> Any:
    """TLS options that verify the host's certificate and name."""
    return outgoing_tls.verified(host)


def _inner(wrapper: ProtocolWrapper) -> Any:
    return wrapper.wrappedProtocol


@implementer(IStreamClientEndpoint)
@frozen
class BoundedEndpoint:
    """An endpoint whose connections receive at most MOST_RECEIVED bytes."""

    endpoint: IStreamClientEndpoint

    def connect(self, protocolFactory: Any) -> "Deferred[Any]":
        """Connect. The result is the factory's own protocol, as callers expect."""
        connecting: Deferred[Any] = self.endpoint.connect(_BoundedFactory(protocolFactory))
        return connecting.addCallback(_inner)


@implementer(IAgentEndpointFactory)
@frozen
class Pinned:
    """Connects to a fixed address and port. TLS, for https, still verifies the URL's host name.

    `tls` makes the options for a host, as `verified` does.
    """

    reactor: Any
    address: str
    port: int
    tls: Callable[[str], Any]

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        six = ipaddress.ip_address(self.address).version == 6
        kind = TCP6ClientEndpoint if six else TCP4ClientEndpoint
        plain = kind(self.reactor, self.address, self.port, TIMEOUT)
        if uri.scheme == b"http":
            return BoundedEndpoint(plain)
        return BoundedEndpoint(outgoing_tls.TLSEndpoint(self.tls(uri.host.decode("ascii")), plain))


@implementer(IAgentEndpointFactory)
@frozen
class _Loopback:
    """Connects to this machine, whatever host the URL names. Looking up a name would load the tables of IDNA first, and
    ask the system in a thread.
    """

    reactor: Any
    timeout: float

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return TCP4ClientEndpoint(self.reactor, "127.0.0.1", uri.port, self.timeout)


def loopback_agent(reactor: Any, timeout: float = 30.0) -> Agent:
    """For requests to modules, over plain HTTP to 127.0.0.1. `timeout` is for connecting, in seconds."""
    agent: Agent = Agent.usingEndpointFactory(reactor, _Loopback(reactor, timeout))
    return agent
