"""The front of a module host: TLS clients with a certificate, of which the paired hub may do everything."""

from collections.abc import Callable
from functools import partial

from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import Site

from parachute_hub.host import relay
from parachute_hub.host.control import NOT_PAIRED, PREFIX, Control
from parachute_hub.host.gate import Gate
from parachute_hub.proxy import access_rules
from parachute_hub.proxy.client_address import ClientInfo
from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.exchange import Exchange
from parachute_hub.proxy.front import Backend, Front
from parachute_hub.proxy.head import (
    BadMessage,
    RequestHead,
    ResponseHead,
    parse_request_headers,
    parse_request_line,
)
from parachute_hub.proxy.interfaces import Attach, Handler, Socket, unattached
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.metrics import Metrics
from parachute_hub.proxy.module_cookies import CookieLedger
from parachute_hub.proxy.plan import Plan
from parachute_hub.proxy.routes import ErrorResponse, ToSite
from parachute_hub.proxy.upstream import Buffered

_NOWHERE = ToSite()
_STARTING = ErrorResponse(
    503, "starting", "The module host is starting. Try again in a moment.", headers=(("Retry-After", "1"),)
)


class RelayedExchange(Exchange):
    """A request of the hub's, whose answer passes as it is."""

    def _lines(self, head: ResponseHead) -> list[bytes]:
        return relay.returned(head, self._passage.mount.port)


class HostFront(Front):
    """Plans and dispatches what the hub sends. `key_of` tells the key of a connection's peer.

    `control` is set once the module can be steered.
    """

    control: Control | None = None

    def __init__(
        self,
        *,
        gate: Gate,
        short: str,
        key_of: Callable[[Socket], bytes | None],
        backend: Backend,
        clock: IReactorTime,
        connector: IReactorTCP,
        limits: Limits | None = None,
        metrics: Metrics | None = None,
        attach: Attach = unattached,
        buffered: Buffered = lambda local, remote: None,
    ) -> None:
        super().__init__(
            site=Site(Resource()),
            backend=backend,
            clock=clock,
            connector=connector,
            limits=limits,
            metrics=metrics,
            attach=attach,
            buffered=buffered,
        )
        self._gate = gate
        self._short = short
        self._key_of = key_of
        self._keys: dict[Connection, bytes] = {}
        self._of_the_hub: set[Connection] = set()
        self._cookies = CookieLedger()

    def plan(self, peer: str, raw: bytes, tls: bool) -> Plan:
        """The request, whose destination depends on who sends it. Raises BadMessage."""
        method, target, minor, lines = parse_request_line(raw)
        if target[:1] != b"/" or len(target) > self.limits.target_bytes:
            raise BadMessage(400, "The request's target must be a path of at most 8 KiB.")
        headers = parse_request_headers(lines, minor)
        caller = ClientInfo(peer, "public", headers.host, "https")
        return Plan(RequestHead(method, target, minor, *headers), caller, _NOWHERE)

    def dispatch(self, connection: Connection, plan: Plan) -> Handler | ErrorResponse:
        """The handler for the request, or an immediate response."""
        if self.draining:
            return access_rules.CLOSING
        if self.control is None:
            return _STARTING
        self.backend.began()
        key = self._key(connection)
        is_hub = self._gate.is_hub(key)
        if is_hub:
            self._of_the_hub.add(connection)
        if plan.request.target.startswith(PREFIX):
            return self.control.handler(connection, plan.request, key)
        return self._to_hosted(connection, plan.request, plan.caller) if is_hub else NOT_PAIRED

    def _to_hosted(self, connection: Connection, request: RequestHead, caller: ClientInfo) -> Handler | ErrorResponse:
        short, view = self._short, self.backend.modules.view(self._short)
        port = None if view is None else view.open_port
        asleep = view is not None and port is None and view.wakes
        if asleep:
            port = self.control.port() if self.control is not None else None
        if view is None or port is None:
            state, reason = ("stopped", "") if view is None else (view.state, view.reason)
            return relay.not_running(short, state, reason)
        passage = relay.forwarded(short, port, request, caller)
        pool = self._pool(passage.mount.port)
        share = (self._websockets if request.upgrade else pool.shares).take(caller.address)
        if share is None:
            return access_rules.TOO_MANY_WEBSOCKETS if request.upgrade else access_rules.TOO_MANY_REQUESTS
        wait = partial(self._wake, passage) if asleep else None
        return RelayedExchange(connection, passage, pool, share, self, self._cookies, wait)

    def gone(self, connection: Connection) -> None:
        """A client's connection is closed."""
        self._keys.pop(connection, None)
        self._of_the_hub.discard(connection)
        if self.control is not None:
            self.control.gone(connection)
        super().gone(connection)

    def _key(self, connection: Connection) -> bytes | None:
        """The key of a client, which it has for as long as it is connected."""
        key = self._keys.get(connection)
        if key is None and (key := self._key_of(connection.transport)) is not None:
            self._keys[connection] = key
        return key

    def _tick(self) -> float | None:
        due = super()._tick()
        self._failures.attempt("Ending connections of a former hub", self._end_strangers)
        return due

    def _end_strangers(self) -> None:
        """A tunnel or stream does not outlive the pairing; the answer to who ended it does."""
        for connection in self._limiter:
            if self.control is not None and self.control.unpairs(connection):
                continue
            key = self._key(connection)
            asked = self._gate.is_hub if connection in self._of_the_hub else self._gate.admits
            if key is not None and not asked(key):
                connection.transport.abortConnection()
