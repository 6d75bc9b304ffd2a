"""A name in the local network: told by multicast DNS (RFC 6762), served with the hub's own certificate.

Nothing of it is loaded until it is switched on.
"""

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub.reach.certificates import Certificates, ServerCertificate
from parachute_hub.reach.tunnel import DidNotStart
from parachute_hub.system.timers import every

TEND_SECONDS: Final = 60.0
_ASK_MILLISECONDS: Final = 1500
_SERVICE: Final = "_https._tcp.local."
_log = Logger()


class Announces(Protocol):
    """Tells other devices which address a name has. All methods block."""

    def holder(self, host: str) -> frozenset[str]:
        """The addresses that other devices give for this name."""

    def announce(self, host: str, port: int, addresses: tuple[str, ...]) -> None:
        """Answer for this name until `stop`. Raises OSError."""

    def stop(self) -> None:
        """Tell that the name is gone."""


class Announcer:
    """Multicast DNS by the zeroconf library, in a thread of its own."""

    def __init__(self) -> None:
        self._zeroconf: Any = None

    def holder(self, host: str) -> frozenset[str]:
        """Ask the network."""
        from zeroconf import AddressResolverIPv4, Zeroconf  # type: ignore[attr-defined]

        asking = Zeroconf()
        try:
            resolver = AddressResolverIPv4(f"{host}.")
            resolver.request(asking, _ASK_MILLISECONDS)
            return frozenset(str(address) for address in resolver.parsed_addresses())
        finally:
            asking.close()

    def announce(self, host: str, port: int, addresses: tuple[str, ...]) -> None:
        """On all networks of this machine."""
        from zeroconf import ServiceInfo, Zeroconf

        self.stop()
        called = host.removesuffix(".local")
        self._zeroconf = Zeroconf()
        info = ServiceInfo(
            _SERVICE,
            f"{called}.{_SERVICE}",
            addresses=[socket.inet_aton(address) for address in addresses],
            port=port,
            server=f"{host}.",
        )
        self._zeroconf.register_service(info, allow_name_change=True)

    def stop(self) -> None:
        """Say goodbye, so that devices forget the name at once."""
        if self._zeroconf is not None:
            zeroconf, self._zeroconf = self._zeroconf, None
            zeroconf.unregister_all_services()
            zeroconf.close()


class Lan:
    """Listens with TLS for other devices. `factory` serves connections; `addresses` are this machine's now (blocks)."""

    def __init__(
        self,
        *,
        reactor: Any,
        factory: IProtocolFactory,
        certificates: Certificates,
        announcer: Announces,
        addresses: Callable[[], tuple[str, ...]],
        in_thread: Callable[..., Awaitable[Any]],
        port: int,
    ) -> None:
        self._reactor = reactor
        self._factory = factory
        self._certificates = certificates
        self._announcer = announcer
        self._addresses = addresses
        self._in_thread = in_thread
        self._port = port
        self._listening: IListeningPort | None = None
        self._tending: LoopingCall | None = None
        self._host = ""
        self._announced: tuple[str, ...] = ()
        self.certificate: ServerCertificate | None = None

    @property
    def is_open(self) -> bool:
        """True while it listens."""
        return self._listening is not None

    async def open(self, host: str) -> None:
        """Listen, and tell the network. Raises DidNotStart; nothing is open then."""
        addresses = await self._in_thread(self._addresses)
        taken = await self._in_thread(self._announcer.holder, host) - set(addresses)
        if taken:
            raise DidNotStart(f"Another device in your network is called {host} ({', '.join(sorted(taken))}).")
        await self.resume(host)

    async def resume(self, host: str) -> None:
        """The same without asking whether the name is free: it was ours before. Raises DidNotStart."""
        self._host = host
        try:
            await self._listen()
            await self._announce()
        except OSError as error:
            await self.close()
            raise DidNotStart(f"The name could not be told to the network: {error}.") from None
        except DidNotStart:
            await self.close()
            raise
        self._tending = every(self._reactor, TEND_SECONDS, self._tend, "The name in the local network")

    async def close(self) -> None:
        """Stop listening, and take the name back."""
        if self._tending is not None and self._tending.running:
            self._tending.stop()
        if self._listening is not None:
            await self._stop_listening(self._listening)
        self._announced = ()
        await self._in_thread(self._announcer.stop)

    async def _listen(self) -> None:
        from twisted.internet.ssl import PrivateCertificate, TLSVersion
        from twisted.protocols.tls import TLSMemoryBIOFactory

        certificate = await self._in_thread(self._certificates.of, self._host)
        if self._listening is not None and certificate == self.certificate:
            return
        if self._listening is not None:
            await self._stop_listening(self._listening)
        options = PrivateCertificate.loadPEM(certificate.pem).options()
        options = type(options)(
            privateKey=options.privateKey,
            certificate=options.certificate,
            raiseMinimumTo=TLSVersion.TLSv1_2,
            acceptableProtocols=[b"http/1.1"],
        )
        try:
            # An idle hub keeps TLS out of the reactor, so this wraps the factory as `listenSSL` would.
            self._listening = self._reactor.listenTCP(self._port, TLSMemoryBIOFactory(options, False, self._factory))
        except CannotListenError as error:
            raise DidNotStart(f"Port {self._port} cannot be used: {error.socketError}.") from None
        self.certificate = certificate

    async def _stop_listening(self, port: Any) -> None:
        self._listening = None
        await maybeDeferred(port.stopListening)

    async def _announce(self) -> None:
        """Tell the addresses that this machine has now: a laptop moves between networks."""
        addresses = await self._in_thread(self._addresses)
        if addresses and addresses != self._announced:
            await self._in_thread(self._announcer.announce, self._host, self.port, addresses)
            self._announced = addresses

    async def own_address(self) -> str:
        """An address of this machine under which it listens."""
        return next(iter(await self._in_thread(self._addresses)), "127.0.0.1")

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(cast(IPv4Address, self._listening.getHost()).port) if self._listening is not None else self._port

    def _tend(self) -> Any:
        async def tend() -> None:
            await self._listen()
            await self._announce()

        return Deferred.fromCoroutine(tend())
