"""The front: everything that listens on the hub's port. It routes, records, enforces deadlines, drains on shutdown."""

import math
from collections.abc import Callable
from functools import partial

from attrs import field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTCP, IReactorTime
from twisted.internet.protocol import Factory
from twisted.web.server import Site

from parachute_hub.proxy import access_rules, audience, pages
from parachute_hub.proxy.access_log import AccessLog
from parachute_hub.proxy.access_record import HUB, NOTHING_ASKED, Recorder, RequestRecord, RequestSummary
from parachute_hub.proxy.audience import NoVisitors, Visitors
from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.connection_limits import ConnectionLimiter, Port
from parachute_hub.proxy.exchange import Exchange, Wait
from parachute_hub.proxy.holding import KeptClient, fitting
from parachute_hub.proxy.interfaces import Attach, Handler, unattached
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.metrics import Metrics
from parachute_hub.proxy.model import HasSession, ModuleStates, ModuleView, NoTokenChecker, Remote, TokenChecker
from parachute_hub.proxy.module_cookies import CookieLedger
from parachute_hub.proxy.plan import HEALTH, ModuleRequest, Plan, Planner, is_use
from parachute_hub.proxy.pool import Pool
from parachute_hub.proxy.routes import NOT_FOUND, ErrorResponse, Table, ToSite
from parachute_hub.proxy.shares import Room, Shares
from parachute_hub.proxy.site_channel import SiteChannel
from parachute_hub.proxy.stalls import Stalls
from parachute_hub.proxy.ticks import Ticks
from parachute_hub.proxy.upstream import Buffered
from parachute_hub.proxy.vault_writes import NoQuotas, Reserving, VaultRoom, announced, effect, vault_of
from parachute_hub.proxy.vetted import VettedExchange
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import FailureLog

_CONTROL = b"/.parachute/host"


class NoModules:
    """No module is supervised yet."""

    def view(self, short: str) -> ModuleView | None:
        return None

    async def wake(self, short: str) -> bool:
        return True


@frozen(kw_only=True)
class Backend:
    """The front's collaborators: routing, access, module state, room in vaults. `began` is called for each use."""

    table: Callable[[], Table]
    modules: ModuleStates
    tokens: TokenChecker = NoTokenChecker()
    has_session: HasSession = field(default=lambda cookie, secure: False)
    visitors: Visitors = NoVisitors()
    room: VaultRoom = NoQuotas()
    began: Callable[[], object] = field(default=lambda: None)


class Front(Factory):
    """Creates a Connection per client and dispatches its requests to the Site or a module.

    `connector` and `clock` are the reactor. `metrics` and `access_log` record every request. `attach` may serve sockets
    faster than the reactor (`poller`). `buffered` measures what modules' sockets hold. `backend` is replaced once the
    hub is composed.
    """

    noisy = False

    def __init__(
        self,
        *,
        site: Site,
        backend: Backend,
        clock: IReactorTime,
        connector: IReactorTCP,
        hops: int = 0,
        limits: Limits | None = None,
        metrics: Metrics | None = None,
        access_log: AccessLog | None = None,
        attach: Attach = unattached,
        buffered: Buffered = lambda local, remote: None,
    ) -> None:
        self.limits = limits or Limits()
        self.metrics = metrics or Metrics()
        self.now = clock.seconds()
        self.draining = self.holding = self.keeping = False
        self.attach = attach
        self.backend = backend
        self._planner = Planner(hops=hops, target_bytes=self.limits.target_bytes)
        self._site = site
        self._clock = clock
        self.seconds = clock.seconds
        self._connector = connector
        self._buffered = buffered
        self._access_log = access_log
        self._pools: dict[int | str, Pool] = {}
        self._stalls = Stalls(self.limits, clock)
        self._limiter = ConnectionLimiter(
            self.limits,
            lambda: sum(pool.open for pool in self._pools.values()),
            lambda more_than: self._stalls.make_room(self.now, more_than),
        )
        self._cookies = CookieLedger()
        self._waking = Shares(each=self.limits.waking_per_address, total=self.limits.waking)
        self.waiting = Room(each=self.limits.waiting_bytes_per_address, total=self.limits.waiting_bytes)
        self._websockets = Shares(each=self.limits.websockets_per_address, total=self.limits.websockets)
        self._own_pages = Shares(each=self.limits.requests_per_address, total=self.limits.connections)
        self._ticks = Ticks(clock, self._tick)
        self._failures = FailureLog()
        self._drained: Deferred[None] | None = None

    @property
    def connections(self) -> int:
        """Number of connected clients."""
        return len(self._limiter)

    @property
    def websockets(self) -> int:
        """Number of open or opening WebSockets."""
        return self._websockets.taken

    def under_way(self, key: int | str) -> int:
        """Number of open requests and WebSockets at a module's port, or at another machine."""
        return self._pools[key].busy if key in self._pools else 0

    def trust_local(self, trusted: bool) -> None:
        """Whether a program on this machine, such as a tunnel, is believed what it says of its clients."""
        self._planner.trusts_local = trusted
        self._planner.forget()

    def listening(self, port: Port) -> None:
        """Set the listening port, so that accepting can be paused."""
        self._limiter.listening(port)

    # Factory.

    def startFactory(self) -> None:
        # The site is not started: it would wake up every second for the time in a log that nobody writes.
        self.attend()

    def buildProtocol(self, addr: IAddress | None) -> Connection | None:
        """Accept a client; None closes the connection because of a limit."""
        if not isinstance(addr, IPv4Address | IPv6Address):
            raise TypeError(f"The front serves TCP clients alone, not {addr}.")
        peer = addr.host
        if self.draining or not self._limiter.admits(peer):
            return None
        self.attend()
        connection = Connection(self, peer)
        self._limiter.joined(connection)
        return connection

    # Dispatcher.

    def attend(self) -> None:
        """A client sends something: deadlines start from `now`."""
        if self._ticks.begin():
            self.now = self.seconds()

    def plan(self, peer: str, raw: bytes, tls: bool) -> Plan:
        """The routing decision for a request head. Raises BadMessage."""
        plan = self._planner.plan(self.backend.table(), peer, raw, tls)
        if type(plan.decision) is not ToSite or is_use(plan.request.target):
            self.backend.began()
        return plan

    def dispatch(self, connection: Connection, plan: Plan) -> Handler | ErrorResponse:
        """The handler for the request, or an immediate response."""
        request, caller, decision = plan
        if isinstance(decision, ModuleRequest):
            return access_rules.CLOSING if self.draining else self._to_module(connection, decision)
        if isinstance(decision, ToSite):
            limit = self.limits.site_body_limit(request.target)
            if (request.length or 0) > limit:
                return ErrorResponse(413, "too_large", f"Send at most {limit // 1024} KiB here.", close=True)
            share = self._own_pages.take(caller.address, always=request.target == HEALTH)
            if share is None:
                return access_rules.TOO_MANY_REQUESTS
            return SiteChannel(connection, request, caller, share, self._site, self).allow(limit)
        return decision

    def answered(self, connection: Connection, plan: Plan | None, status: int) -> None:
        """A request, or something unparsable, was answered without a handler."""
        asked, address = NOTHING_ASKED, connection.peer
        if plan is not None:
            asked, address = RequestSummary.of(plan.request), plan.caller.address
        self.closed(RequestRecord(HUB, asked, address, self.seconds(), status))

    def stalled(self, connection: Connection) -> None:
        """A connection holds memory and does not move on."""
        self._stalls.stalled(connection, self.now)

    def moving(self, connection: Connection) -> None:
        """It moves on, or is closed."""
        self._stalls.moving(connection)

    def gone(self, connection: Connection) -> None:
        """A client's connection is closed."""
        self._stalls.closed(connection)
        self._limiter.left(connection)
        if self._drained is not None and not self._limiter:
            self._finish_drain()

    def _to_module(self, connection: Connection, passage: ModuleRequest) -> Handler | ErrorResponse:
        backend, mount, request = self.backend, passage.mount, passage.request
        if passage.by_session:
            cookie = request.noted.get(b"cookie", b"")
            if not backend.has_session(cookie, passage.caller.secure):
                return access_rules.SIGN_IN
        if mount.audience != "public":
            closed = audience.refusal(passage, backend.visitors)
            if closed is not None:
                return closed
        if passage.refusal is not None:
            return passage.refusal
        for token in passage.tokens:
            refusal = backend.tokens.refusal(mount, passage.path, token)
            if refusal is not None:
                return refusal
        what = effect(passage)
        adding = announced(request, what) if what != "none" else 0
        no_room = backend.room.refusal(vault_of(passage), adding) if what in ("grows", "by message") else None
        if no_room is not None and what == "grows":
            return no_room
        view = backend.modules.view(mount.short)
        if view is None:
            return pages.unavailable(mount.short, None, self.seconds())
        if view.remote is not None and passage.head.split(b" ", 2)[1].lower().startswith(_CONTROL):
            return NOT_FOUND
        asleep = view.open_port != mount.port and not view.answers(mount.port)
        if asleep and not view.wakes:
            return pages.unavailable(mount.short, view, self.seconds())
        pool = self._pool(mount.port, view.remote)
        share = (self._websockets if request.upgrade else pool.shares).take(passage.caller.address)
        if share is None:
            return access_rules.TOO_MANY_WEBSOCKETS if request.upgrade else pages.busy(mount.short)
        wait: Wait | None = None
        if asleep or no_room is not None:
            # Its place among those that wait is taken once it waits: some are answered before. What is vetted comes
            # later, to a module that may be asleep by then.
            wait = partial(self._wake, passage)
        recorder: Recorder = self
        if what != "none":
            reserved = 0 if no_room is not None else adding or 0
            recorder = Reserving(self, backend.room.reserve(vault_of(passage), reserved))
        exchange = Exchange(connection, passage, pool, share, recorder, self._cookies, wait)
        return exchange if no_room is None else VettedExchange(exchange, no_room)

    async def _wake(self, passage: ModuleRequest) -> ErrorResponse | None:
        """Wait until the module answers. Returns what to tell the client if it does not."""
        modules, mount, address = self.backend.modules, passage.mount, passage.caller.address
        view = modules.view(mount.short)
        if view is not None and view.answers(mount.port):
            return None
        place = self._waking.take(address) if view is not None and view.wakes else None
        if place is None:
            return pages.unavailable(mount.short, view, self.seconds())
        let_go = self.waiting.take(address, len(passage.head))
        if let_go is None:
            place.release()
            return pages.busy(mount.short)
        try:
            has_room = await modules.wake(mount.short)
        finally:
            place.release()
            let_go()
        view = modules.view(mount.short)
        if view is not None and view.answers(mount.port):
            return None
        return pages.unavailable(mount.short, view, self.seconds()) if has_room else pages.no_memory(mount.short)

    def _pool(self, port: int, remote: Remote | None = None) -> Pool:
        key = port if remote is None else remote.key
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(
                port,
                self._connector,
                limit=self.limits.upstream_connections,
                each=self.limits.requests_per_address,
                head_bytes=self.limits.response_head_bytes,
                connect_seconds=self.limits.connect_seconds,
                attach=self.attach,
                buffered=self._buffered,
                remote=remote,
            )
            pool.now = self.now
        return pool

    # Request recording.

    def closed(self, account: RequestRecord) -> None:
        """A request is complete."""
        took = self.seconds() - account.began
        module, _, _, _, status, sent, received = account
        self.metrics.of(module).add(status, took, sent, received)
        if self._access_log is not None:
            self._access_log.add(account, took)

    # Timers.

    def _tick(self) -> float | None:
        """Deadlines, idle connections, the access log. Returns when the next of clients that are all idle is due."""
        self.now = self.seconds()
        attempt = self._failures.attempt
        attempt("Forgetting plans", self._planner.forget)
        attempt("Measuring stalled clients", self._stalls.measure)
        self._failures.each("Keeping deadlines", lambda connection: connection.check(self.now), self._limiter)
        attempt("Resuming accept", self._limiter.look_for_room)
        self._failures.each("Closing idle connections", self._expire, tuple(self._pools))
        self._write_log()
        if self._pools or not all(connection.idle() for connection in self._limiter):
            return None
        return min((due for connection in self._limiter if (due := connection.deadline) is not None), default=math.inf)

    def _expire(self, key: int | str) -> None:
        pool = self._pools[key]
        pool.expire(self.now, self.limits.reuse_seconds)
        if not pool.open and not pool.shares.taken:
            del self._pools[key]

    # The hub starts, or a newer one takes over.

    def keep(self, kept: bool) -> None:
        """Let all requests but those for /health wait, or take them."""
        self.keeping = kept
        if not kept:
            self.hold(False)

    def hold(self, held: bool) -> None:
        """Leave new clients and further requests in the kernel, or take them again."""
        self.holding = held
        self.attend()
        self._limiter.hold(held)
        self._failures.each("Holding clients", Connection.hold if held else Connection.go_on, self._limiter)

    @property
    def busy(self) -> int:
        """Number of clients whose request is under way and will end by itself."""
        return sum(connection.busy() for connection in self._limiter)

    def end_streams(self) -> None:
        """End WebSockets and event streams."""
        for connection in self._limiter:
            connection.end_stream()

    def kept(self) -> list[KeptClient]:
        """The held clients, for the newer hub. All others lose their connection."""
        self._write_log()
        return fitting(kept for connection in self._limiter if (kept := connection.kept()) is not None)

    def drain(self, timeout: float) -> Deferred[None]:
        """Finish requests in progress, then close. After `timeout` seconds the rest is aborted.

        Call it after listening has stopped. Fires when no client is connected.
        """
        self.draining = True
        drained: Deferred[None] = Deferred()
        self._drained = drained
        for connection in self._limiter:
            connection.end_soon()
        if not self._limiter:
            self._finish_drain()
        else:
            cut = self._clock.callLater(timeout, self._cut_off)
            drained.addBoth(_cancel, cut)
        return drained

    def _write_log(self) -> None:
        if self._access_log is not None:
            self._failures.attempt("Writing the access log", self._access_log.flush)

    def _cut_off(self) -> None:
        for connection in self._limiter:
            connection.transport.abortConnection()

    def _finish_drain(self) -> None:
        self._ticks.stop()
        self._stalls.stop()
        for pool in self._pools.values():
            pool.close_idle()
        self._write_log()
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.callback(None)


def _cancel(result: None, call: IDelayedCall) -> None:
    if call.active():
        call.cancel()
