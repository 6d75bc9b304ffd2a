"""A module host as one Twisted service: `parachute module host`. It runs one module, and one hub steers it."""

import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from parachute_hub.app.closed import startup_backend
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.service import Composed, Hub
from parachute_hub.host.control import Control
from parachute_hub.host.front import HostFront
from parachute_hub.host.gate import Gate
from parachute_hub.host.probe import Probe
from parachute_hub.host.records import HostRecords, UnusableRecord
from parachute_hub.link import certificates
from parachute_hub.link.certificates import PinnedTLS
from parachute_hub.link.code import LIFE_SECONDS
from parachute_hub.proxy.connection_limits import descriptor_budget
from parachute_hub.proxy.front import Front
from parachute_hub.proxy.interfaces import Socket
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.module_buffers import ModuleBuffers
from parachute_hub.proxy.poller import poller
from parachute_hub.settings import Settings
from parachute_hub.system import heap
from parachute_hub.system.executors import WriterThread
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.home import DATABASE, HomeError
from parachute_hub.system.timers import every

_CODE_SECONDS = 5.0
# All visitors of the hub come from its one address.
_REQUESTS = 1024
_WAKING = 512
_WAITING_BYTES = 10 * 1024 * 1024
_WEBSOCKETS = 512


class _TLSClients(TLSMemoryBIOFactory):
    """The same, for a front that may turn a client away."""

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Any:
        inner = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else self.protocol(self, inner)


class Host(Hub):
    """The service that `twistd` runs where PARACHUTE_ROLE is `host`."""

    log = Logger()
    name_in_logs = "Module host"
    front: HostFront

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self.short = settings.hosted or ""
        self.records = HostRecords(settings.home / "hub", self.short)
        # Records, pairing and moves: one after the other.
        self.writer = FileWriter(WriterThread(reactor, "host"))
        self.gate = Gate(records=self.records, files=self.writer, now=time.time)
        self._showing: LoopingCall | None = None
        self._probe: IListeningPort | None = None
        super().__init__(settings, reactor)

    def check_home(self) -> None:
        """Raises HomeError unless the home is new or that of a host of this module."""
        home = self.settings.home
        if (home / DATABASE).exists():
            raise HomeError(f"{home} is the home of a hub. Give the module host another folder with --home.")
        if self.records.path.exists():
            try:
                record = self.records.current()
            except UnusableRecord as error:
                raise HomeError(str(error)) from None
            if record.short != self.short:
                raise HomeError(f"{home} is the home of a host of {record.short}, not of {self.short}.")

    def clients(self) -> IProtocolFactory:
        """TLS around the front."""
        private, certificate = self.records.identity()
        return _TLSClients(PinnedTLS(private, certificate, self.gate.admits), False, self.front)

    def addresses(self) -> tuple[str, str]:
        """Where a hub finds this host."""
        where = address_of(self.settings)
        return where, where

    def _listen(self) -> None:
        super()._listen()
        if self.settings.probe_port:
            place = self.settings.listen.partition(":interface=")[2] or "127.0.0.1"
            listening = serverFromString(self.reactor, f"tcp:{self.settings.probe_port}:interface={place}")
            listening.listen(Probe(self.reactor)).addCallbacks(self._probed, self._not_probed)

    def _probed(self, port: IListeningPort) -> None:
        self._probe = port

    def _not_probed(self, failure: Any) -> None:
        self.log.error("Probes cannot be answered: {why}", why=failure.getErrorMessage())

    def _announce(self, is_last: bool = False) -> None:
        """The command talks to hubs alone, so it is not told of a host."""

    def _load(self) -> Callable[[ProcessContext], Awaitable[Composed]]:
        heap.keep_loaded()
        from parachute_hub.app.hosted import compose

        heap.keep_loaded()

        async def begin(core: ProcessContext) -> Composed:
            composed = await compose(core, records=self.records, gate=self.gate, files=self.writer)
            self.front.control = Control(
                gate=self.gate, module=composed.module, moves=composed.moves, files=self.writer
            )
            # A full disk keeps it from being made, not the host from starting.
            await self._show_code(fresh=True).addErrback(
                lambda failure: self.log.error("No code can be shown: {why}", why=failure.getErrorMessage())
            )
            self._showing = every(self.reactor, _CODE_SECONDS, self._show_code, "Showing a code")
            return composed

        return begin

    def _show_code(self, fresh: bool = False) -> "Deferred[None]":
        """While no hub is paired: a code, again when it has run out. One that was guessed wrongly is not replaced."""

        def shown(lines: list[str]) -> None:
            for line in lines:
                # As it is: a log that masks secrets would mask it.
                self.log.info("", module_line=line)

        return self.writer.surely(self._code, fresh).addCallback(shown)

    def _code(self, fresh: bool) -> list[str]:
        """The lines to show, if any. Blocks. Raises OSError."""
        record, now = self.gate.record(), time.time()
        if record is None or record.hub is not None:
            return []
        if not fresh and (self.records.offered(now) or self.records.is_burnt()):
            return []
        return offer(self.records, address_of(self.settings), now)

    async def _leave(self) -> None:
        if self._showing is not None:
            self._showing.stop()
        if self._probe is not None:
            self._probe.stopListening()
        await super()._leave()
        self.writer.stop()

    def _make_front(self) -> Front:
        return HostFront(
            gate=self.gate,
            short=self.short,
            key_of=key_of_peer,
            backend=startup_backend(self.settings.issuer),
            clock=self.reactor,
            connector=self.reactor,
            limits=Limits(
                requests_per_address=_REQUESTS,
                waking_per_address=_WAKING,
                waiting_bytes_per_address=_WAITING_BYTES,
                websockets=_WEBSOCKETS,
                websockets_per_address=_WEBSOCKETS,
                descriptors=descriptor_budget(),
            ),
            attach=poller(self.reactor),
            buffered=ModuleBuffers().of,
        )


def key_of_peer(transport: Socket) -> bytes | None:
    """The key of a TLS client; None before it is known."""
    connection = transport.getHandle()  # type: ignore[attr-defined]
    return None if connection is None else certificates.peer_key(connection)


def address_of(settings: Settings) -> str:
    """Where a hub finds this host, as far as the machine knows."""
    return f"https://{socket.gethostname()}:{settings.port}"


def offer(records: HostRecords, where: str, now: float) -> list[str]:
    """Make a new code. Returns the lines to show. Raises OSError."""
    code = records.offer(now, secrets.token_bytes)
    short = records.current().short
    return [
        f"This machine runs {short} for a hub, and is not paired with one yet.",
        f"  Address: {where}",
        f"  Code:    {code}",
        f"Enter both in the hub, on the page of {short}, within {LIFE_SECONDS / 60:.0f} minutes.",
    ]
