"""The hub as one Twisted service: lock the home, listen, compose, run, shut down."""

import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn, Protocol
from uuid import uuid4

from twisted.application.service import Application, Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.task import deferLater
from twisted.internet.tcp import Port
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from twisted.web.server import Site

from parachute_hub import __version__
from parachute_hub.app import handover, proving
from parachute_hub.app.begun import Begun, Leaves
from parachute_hub.app.closed import Closed, startup_backend
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.handover import BadHandover, Handover
from parachute_hub.app.hub_log import HubLog
from parachute_hub.app.listening import listen, listen_again, serve_again
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.app.restart_in_place import RestartInPlace, end_processes, heed_signals
from parachute_hub.backup import switch
from parachute_hub.migration import home as older_home
from parachute_hub.proxy.access_log import AccessLog
from parachute_hub.proxy.connection_limits import descriptor_budget
from parachute_hub.proxy.front import Backend, Front
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.module_buffers import ModuleBuffers
from parachute_hub.proxy.poller import poller
from parachute_hub.settings import Settings
from parachute_hub.site.health import Health, Phase
from parachute_hub.site.root import MountedArea, Root
from parachute_hub.store import newer
from parachute_hub.system import heap
from parachute_hub.system.executors import WriterThread
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.home import DATABASE, Home, HomeError, HomeTaken, HomeTooNew
from parachute_hub.system.logs import LineObserver, Masker, finish_output
from parachute_hub.system.timestamps import to_the_second

LOCK_POLL = 0.25
DRAIN_SECONDS = 5.0
RESTART_SECONDS = 0.2
# Until the modules of a start are up and its garbage is gone.
SETTLE_SECONDS = 10.0
# Connections per address, which may be a single client or a trusted proxy with everyone behind it.
_FROM_A_CLIENT = 256
_FROM_A_PROXY = 11_000


class Composed(Protocol):
    """The composed hub."""

    @property
    def backend(self) -> Backend:
        """The front's collaborators."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Stop jobs and modules; close the database."""


class Hub(Service):
    """The service that `twistd` runs."""

    log = Logger()
    name_in_logs = "Parachute Hub"

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self.settings = settings
        self.reactor = reactor
        self.mask = Masker()
        if settings.initial_admin is not None:
            self.mask.know(settings.initial_admin.password)
        self.home = Home(settings.home)
        self.hub_log = HubLog()
        self.log_writer = FileWriter(WriterThread(reactor, "logs"))
        self.phase = Phase()
        self.instance = str(uuid4())
        self._composed: Composed | None = None
        self._begun = Begun(lambda: self._leaving, self.reactor)
        self._booting: Deferred[None] = succeed(None)
        self.health = Health(self.phase, self.instance)
        parts = [MountedArea(("/health",), self.health)]
        self.root = Root(parts, Closed("starting"), is_secure=RequestCaller().is_secure, in_thread=self._in_thread)
        self.front = self._make_front()
        self._port: IListeningPort | None = None
        self._leaving = False
        self._inherited: Handover | None = None
        self.in_place = RestartInPlace(
            reactor=reactor,
            front=self.front,
            settings=settings,
            leave=self._make_way,
            is_leaving=lambda: self._leaving,
            prove=lambda: deferToThreadPool(reactor, reactor.getThreadPool(), proving.prove),
        )

    # --- before the reactor runs

    def setServiceParent(self, parent: Any) -> None:
        """Install the log observer for twistd, which writes plain masked lines."""
        if isinstance(parent, type(Application(""))):
            parent.setComponent(ILogObserver, LineObserver(self.mask, form=self.settings.log, keep=self.hub_log.keep))
        super().setServiceParent(parent)

    def occupy(self) -> None:
        """Lock the home and bind the port. Raises HomeError or CannotListen before changing anything."""
        self.check_home()
        why = newer.too_new(self.settings.home / DATABASE, self.home.hub_folder / newer.NOTE)
        if why is not None:
            raise HomeTooNew(why)
        self.home.prepare()
        try:
            self._inherited = handover.receive()
        except BadHandover as error:
            self.log.error("What the hub before left is lost: {why}", why=error)
        if self._inherited is not None:
            # It listens once everything is up, so that clients wait and none is told to come again.
            self.home.inherit(self._inherited.lock, self._holder())
            self._open_log()
            return
        try:
            self.home.lock(self._holder())
            older_home.check_not_running(self.settings.home)
        except HomeTaken:
            if not self.settings.lock_wait:
                raise
            self.phase.name = "waiting"
        else:
            self._open_log()
        self._listen()

    def check_home(self) -> None:
        """Raises HomeError if the home is not a hub's."""
        if (self.settings.home / "hub" / "host.json").exists():
            raise HomeError(
                f"{self.settings.home} is the home of a module host. Start it with `parachute module host`, "
                "or give the hub another folder with --home."
            )

    def clients(self) -> IProtocolFactory:
        """What serves those who connect."""
        return self.front

    def addresses(self) -> tuple[str, str]:
        """Where it listens, and its public address."""
        return self.settings.local_origin, self.settings.issuer

    def _open_log(self) -> None:
        self.hub_log.open(self.settings.home / "hub" / "logs", time.time())
        self.hub_log.mark(time.time(), "start", f"{self.name_in_logs} {__version__} starts, pid {os.getpid()}.")

    def _holder(self) -> str:
        return f"pid {os.getpid()} on port {self.settings.port}, since {to_the_second(time.time())}"

    def _listen(self) -> None:
        heed_signals()
        if self._inherited is None:
            self._port = listen(self.reactor, self.settings, self.clients())
        else:
            self._port = listen_again(self.reactor, self._inherited, self.front)
        if isinstance(self._port, Port):
            self.front.listening(self._port)

    # --- while it runs

    def startService(self) -> None:
        """Called once the reactor runs: compose the hub."""
        super().startService()
        self.hub_log.through(self.log_writer)
        where, home = self.addresses()[0], str(self.settings.home)
        name = f"{self.name_in_logs} {__version__}"
        self.log.info("{name} listens on {where}, home {home}", name=name, where=where, home=home)
        for warning in self.settings.warnings:
            self.log.warn("{warning}", warning=warning)
        self._booting = Deferred.fromCoroutine(self._boot()).addErrback(self._boot_failed)

    async def _boot(self) -> None:
        if self.phase.name == "waiting" and not await self._wait_for_home():
            return
        self.phase.name = "starting"
        await self._in_thread(older_home.keep_copies, self.settings.home)
        await self._put_restored_in_place()
        self._announce()
        compose = await self._in_thread(self._load)
        if self._leaving:
            return
        core = ProcessContext(
            settings=self.settings,
            reactor=self.reactor,
            mask=self.mask,
            phase=self.phase,
            health=self.health,
            root=self.root,
            front=self.front,
            restart=self.restart,
            hub_log=self.hub_log,
            log_writer=self.log_writer,
            in_place=self.in_place,
            left=self._inherited.left if self._inherited is not None else None,
            stops=self._begun.keep,
        )
        composed = await compose(core)
        if self._leaving:
            self.root.gate = Closed("stopping")  # Composing has opened it again.
            await composed.stop()
            return
        self._composed = composed
        self.front.backend = composed.backend
        if not self.home.is_announced:  # The disk was full; opening the database has released the reserve.
            self._announce(is_last=True)
        with suppress(OSError):  # The disk's trouble is told by itself, and the next start notes it.
            newer.remember(self.home.hub_folder / newer.NOTE, __version__)
        await composed.start()
        self.phase.name = "up"
        self._go_on_with_clients()
        self.log.info("Ready: {origin}", origin=self.addresses()[1])
        self.reactor.callLater(SETTLE_SECONDS, heap.give_back)

    def _go_on_with_clients(self) -> None:
        if self._inherited is not None:
            self._listen()
            inherited, self._inherited = self._inherited, None
            serve_again(self.reactor, inherited, self.front)

    async def _put_restored_in_place(self) -> None:
        if await self._in_thread(switch.finish, self.settings.home):
            self.log.info("The restored backup is in place")

    def _announce(self, is_last: bool = False) -> None:
        """Tell the command where this hub is; until it is up, the answer is that it starts."""
        try:
            self.home.announce(self.instance, self.settings.port, to_the_second(time.time()))
        except OSError as error:
            words = "The `parachute` command cannot find this hub, because its note could not be written: {why}. "
            tell = self.log.error if is_last else self.log.debug
            tell(f"{words}Free some space, then restart the hub.", why=error.strerror)

    async def _wait_for_home(self) -> bool:
        """Wait for a container that is still releasing this disk. True once the home is ours."""
        deadline = self.reactor.seconds() + self.settings.lock_wait
        self.log.info("Another hub still holds {home}; waiting for it", home=str(self.settings.home))
        while True:
            try:
                if not self.home.locked:
                    self.home.lock(self._holder())
                older_home.check_not_running(self.settings.home)
                self._open_log()
                return True
            except HomeTaken as taken:
                if self.reactor.seconds() >= deadline:
                    self.log.critical("{why}", why=str(taken))
                    self._leave_with_error()
                    return False
            await deferLater(self.reactor, LOCK_POLL)
            if self._leaving:
                return False

    def _boot_failed(self, failure: Failure) -> None:
        """A failed boot does not end the hub: it keeps answering /health and says what is wrong."""
        if failure.check(Leaves):
            return
        if failure.check(HomeTooNew):
            self.log.critical("{why}", why=failure.getErrorMessage())
            self._leave_with_error()
        self.phase.name = "failed"
        self.root.gate = Closed("failed")
        self.log.failure("The hub could not start", failure)
        Deferred.fromCoroutine(self._begun.stop())
        if self._inherited is not None and self._composed is None:
            end_processes(self._inherited.left)
        self._go_on_with_clients()

    def _leave_with_error(self) -> None:
        # twistd has no exit code for this.
        def leave() -> None:
            finish_output()
            os._exit(1)

        self.reactor.addSystemEventTrigger("after", "shutdown", leave)
        self.reactor.stop()

    def restart(self) -> None:
        """Stop in good order, then run the same command again in this process.

        Whoever asks the process to end until then (SIGTERM, SIGINT) is obeyed.
        """
        told_to_end = False

        def end(number: int, frame: Any) -> None:
            nonlocal told_to_end
            told_to_end = True
            self.reactor.callFromThread(stop)

        def stop() -> None:
            if not self._leaving:
                self.reactor.stop()

        def again() -> None:
            if not told_to_end:
                finish_output()
                os.execv(sys.executable, handover.own_command())  # noqa: S606

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        self.reactor.addSystemEventTrigger("after", "shutdown", again)
        # The answer to whoever asked for it goes out first.
        self.reactor.callLater(RESTART_SECONDS, stop)

    def _make_way(self, version: str) -> NoReturn:
        """Let the hub of this version go on in this process. What waits is lost from here on. Raises OSError."""
        composed = self.in_place.composed
        if composed is None or not isinstance(self._port, Port):
            raise RuntimeError("only a hub that is up makes way")
        clients = tuple(self.front.kept())
        left = composed.hand_over()
        then = "and starts again" if version == __version__ else f"for version {version}"
        self.hub_log.mark(time.time(), "stop", f"Parachute Hub {__version__} makes way {then}.")
        self.log_writer.stop()
        self.hub_log.through(FileWriter())
        given = Handover(
            format=handover.FORMAT,
            version=__version__,
            lock=self.home.lock_descriptor,
            listener=self._port.fileno(),
            family=self._port.addressFamily,
            left=left,
            clients=clients,
        )
        handover.replace_process(given)

    def stopService(self) -> "Deferred[None]":
        """Stop all modules together, then drain connections, then close the database and the home."""
        super().stopService()
        self._leaving = True
        return Deferred.fromCoroutine(self._leave())

    async def _leave(self) -> None:
        self.phase.name = "stopping"
        self.root.gate = Closed("stopping")
        if self._port is not None:
            port, self._port = self._port, None
            await maybeDeferred(port.stopListening)
        try:
            await (self._composed.stop() if self._composed is not None else self._begun.end(self._booting))
        except Exception:
            self.log.failure("Part of the shutdown failed")
        await self.front.drain(DRAIN_SECONDS)
        self.home.withdraw()
        self.hub_log.mark(time.time(), "stop", "Parachute Hub stopped.")
        self.log_writer.stop()
        self.hub_log.through(FileWriter())
        self.home.release()

    def _load(self) -> Callable[[ProcessContext], Awaitable[Composed]]:
        """Import the composition root on first use."""
        heap.keep_loaded()
        from parachute_hub.app.stages import start

        return start

    def _in_thread(self, *work: Any) -> "Deferred[Any]":
        return deferToThreadPool(self.reactor, self.reactor.getThreadPool(), *work)

    def _make_front(self) -> Front:
        settings = self.settings
        site = Site(self.root, timeout=None)
        # The front counts and logs requests; the site's own log would be a duplicate.
        site.log = lambda request: None  # type: ignore[method-assign]
        access_log = None
        if settings.access_log != "off":
            access_log = AccessLog(settings.access_log, self.mask, sys.stdout.write)
        return Front(
            site=site,
            backend=startup_backend(settings.issuer),
            clock=self.reactor,
            connector=self.reactor,
            hops=settings.trusted_hops,
            limits=Limits(
                connections_per_address=_FROM_A_PROXY if settings.trusted_hops else _FROM_A_CLIENT,
                websockets=settings.websockets_total,
                websockets_per_address=settings.websockets_per_address,
                descriptors=descriptor_budget(),
            ),
            access_log=access_log,
            attach=poller(self.reactor),
            buffered=ModuleBuffers().of,
        )
