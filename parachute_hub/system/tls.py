"""TLS for outgoing connections. Loaded with the first: pyOpenSSL is a third of what the reactor would load."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from parachute_hub.system.records import frozen


def verified(host: str) -> Any:
    """Options for a client that verifies the host's certificate and name."""
    return optionsForClientTLS(host)


@implementer(IStreamClientEndpoint)
@frozen
class TLSEndpoint:
    """Speaks TLS over another endpoint. Twisted's `wrapClientTLS` needs pyOpenSSL when the reactor is imported."""

    options: Any
    endpoint: IStreamClientEndpoint

    def connect(self, protocolFactory: Any) -> "Deferred[Any]":
        """Connect. The result is the factory's own protocol, as callers expect."""
        connecting: Deferred[Any] = self.endpoint.connect(TLSMemoryBIOFactory(self.options, True, protocolFactory))
        return connecting.addCallback(lambda wrapper: wrapper.wrappedProtocol)
