"""What follows from a request head alone: the client, the destination, and the forwarded head.

Sessions, tokens and module state are not considered here; the front checks those per request.
"""

from typing import NamedTuple, TypeAlias

from parachute_hub.proxy import access_rules
from parachute_hub.proxy.access_record import RequestSummary
from parachute_hub.proxy.client_address import ClientInfo, identify, is_loopback
from parachute_hub.proxy.head import (
    BadMessage,
    RequestHead,
    RequestHeaders,
    forget_lines,
    parse_request_headers,
    parse_request_line,
)
from parachute_hub.proxy.headers import ResponseRules, request_lines
from parachute_hub.proxy.routes import MCP, ErrorResponse, Mount, Table, ToModule, ToSite, decide, origin_form
from parachute_hub.system.records import define

# Cache limits: number of heads, and their maximum length.
_MOST_PLANS = 256
_LONGEST_HEAD = 4096

# Platforms restart a hub that does not answer it.
HEALTH = b"/health"
_DOCUMENTS = b"/.well-known/"

_HEAD = b"%b %b HTTP/1.1\r\n%b%b\r\n%b"
_STAMPS = (
    b"X-Forwarded-For: %b\r\nX-Forwarded-Host: %b\r\nX-Forwarded-Proto: %b\r\n"
    b"X-Parachute-Layer: %b\r\nX-Parachute-Client-IP: %b\r\n\r\n"
)


@define(eq=False)
class ModuleRequest:
    """A request on its way to a module. Not a tuple, whose fields take longer to read, and a dozen are per request.

    `path` is as the client sent it, without the query. `tokens` may be the hub's and are to be checked. `by_session`
    means that only a hub session grants access; `refusal` is any other reason to reject. `head` is what the module
    receives, `place` controls how its response is filtered. `issuer` is the hub, `own_hosts`
    are the Host headers that mean it.
    """

    mount: Mount
    request: RequestHead
    path: bytes
    caller: ClientInfo
    tokens: tuple[str, ...]
    by_session: bool
    refusal: ErrorResponse | None
    head: bytes
    place: ResponseRules
    asked: RequestSummary
    issuer: str
    own_hosts: tuple[bytes, ...] = ()


Decision: TypeAlias = ModuleRequest | ToSite | ErrorResponse


class Plan(NamedTuple):
    """A request, its client, and where it goes."""

    request: RequestHead
    caller: ClientInfo
    decision: Decision


def is_use(target: bytes) -> bool:
    """Whether somebody uses the hub who asks it for this. Platforms ask for its health, and modules for its keys, all
    day by themselves; both are answered from memory.
    """
    return not (target == HEALTH or target.startswith(_DOCUMENTS))


class _Sender(NamedTuple):
    """What the header lines imply, independent of the request line.

    `passed` are the lines forwarded to a module, `stamps` those that the hub adds about the client.
    """

    headers: RequestHeaders
    caller: ClientInfo
    passed: bytes
    stamps: bytes


class Planner:
    """Plans requests and caches plans for a short time, since busy clients repeat the same request.

    A plan is reused only for identical bytes from the same address with the same table. `hops` is the number of trusted
    proxies, `target_bytes` the maximum length of a request target. With `trusts_local`, a program on this machine is
    trusted as one proxy.
    """

    def __init__(self, *, hops: int, target_bytes: int) -> None:
        self._hops = hops
        self.trusts_local = False
        self._target_bytes = target_bytes
        self._table: Table | None = None
        self._plans: dict[tuple[str, bytes, bool], Plan] = {}
        self._senders: dict[tuple[str, int, bytes, bool], _Sender] = {}

    def plan(self, table: Table, peer: str, raw: bytes, tls: bool = False) -> Plan:
        """The plan for a request head from `peer`, who came by `tls` or not. Raises BadMessage."""
        if table is not self._table:
            self.forget()
            self._table = table
        plan = self._plans.get((peer, raw, tls))
        if plan is None:
            plan = self._made(table, peer, raw, tls)
            if len(raw) <= _LONGEST_HEAD:
                if len(self._plans) >= _MOST_PLANS:
                    self._plans.clear()
                self._plans[peer, raw, tls] = plan
        return plan

    def forget(self) -> None:
        """Clear the caches. Called every second, because heads contain secrets."""
        self._plans.clear()
        self._senders.clear()
        forget_lines()

    def _made(self, table: Table, peer: str, raw: bytes, tls: bool) -> Plan:
        method, target, minor, lines = parse_request_line(raw)
        if len(target) > self._target_bytes:
            raise BadMessage(414, "The address is too long.")
        sender = self._sender(table, peer, lines, minor, tls)
        request, caller = RequestHead(method, target, minor, *sender.headers), sender.caller
        decision = decide(table, method, caller.host, target, caller.layer)
        if isinstance(decision, ToModule):
            return Plan(request, caller, _passage(table, request, sender, decision))
        if isinstance(decision, ToSite):
            request.target = origin_form(target)
        return Plan(request, caller, decision)

    def _sender(self, table: Table, peer: str, lines: bytes, minor: int, tls: bool) -> _Sender:
        sender = self._senders.get((peer, minor, lines, tls))
        if sender is None:
            headers = parse_request_headers(lines, minor)
            hops = self._hops or (self.trusts_local and is_loopback(peer))
            caller = identify(peer, headers.host, headers.noted, hops=int(hops), tls=tls)
            sender = _Sender(headers, caller, _passed(headers), _stamps(caller, table))
            if len(lines) <= _LONGEST_HEAD:
                if len(self._senders) >= _MOST_PLANS:
                    self._senders.clear()
                self._senders[peer, minor, lines, tls] = sender
        return sender


def _passage(table: Table, request: RequestHead, sender: _Sender, decision: ToModule) -> ModuleRequest:
    mount, target, path = decision
    tokens = access_rules.signed_tokens(request)
    bare = path.startswith(b"/vault/") and path == mount.prefix and target.partition(b"?")[0] == path + MCP
    own = not request.upgrade or access_rules.is_own_origin(request, sender.caller, table.hosts, table.issuer)
    return ModuleRequest(
        mount,
        request,
        path,
        sender.caller,
        tokens,
        access_rules.needs_session(mount, request, path),
        access_rules.refusal(mount, request, path, own_origin=own)
        or (_sign_in_first(table.issuer, path) if bare and not access_rules.has_credential(request) else None),
        _HEAD % (request.method, target, sender.passed, mount.host_line, sender.stamps),
        _mcp_place(mount, bool(tokens)) if bare or path.endswith(MCP) else mount.place,
        RequestSummary.of(request),
        table.issuer,
        (sender.caller.host, table.issuer_host),
    )


def _sign_in_first(issuer: str, path: bytes) -> ErrorResponse:
    """The challenge for a client that was given a vault's address without `/mcp` (RFC 9728, section 5.1).

    The vault's own one names the address with `/mcp`, and clients refuse a resource that is not the one they asked.
    """
    where = path.decode("latin-1")
    vault = where.rpartition("/")[2]
    challenge = (
        f'Bearer resource_metadata="{issuer}/.well-known/oauth-protected-resource{where}", '
        f'scope="vault:{vault}:read vault:{vault}:write"'
    )
    text = "Send an access token for this vault as a bearer."
    return ErrorResponse(401, "unauthenticated", text, (("WWW-Authenticate", challenge),))


def _passed(headers: RequestHeaders) -> bytes:
    """The header lines for a module, without Host."""
    lines = request_lines(headers.fields, headers.noted.get(b"cookie"), headers.named)
    if headers.chunked:
        lines.append(b"Transfer-Encoding: chunked")
    elif headers.length is not None:
        lines.append(b"Content-Length: %d" % headers.length)
    if headers.upgrade:
        lines.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    return b"\r\n".join([*lines, b""])


def _stamps(caller: ClientInfo, table: Table) -> bytes:
    """The headers that tell a module about the client. Any of the hub's own names becomes the canonical one."""
    if caller.host in table.hosts:
        host, scheme = table.issuer_host, table.issuer_scheme
    else:
        host, scheme = caller.host, caller.scheme.encode()
    address = caller.address.encode()
    return _STAMPS % (address, host, scheme, caller.layer.encode(), address)


def _mcp_place(mount: Mount, token: bool) -> ResponseRules:
    """How the response of an MCP endpoint is filtered."""
    vault = mount.prefix.rpartition(b"/")[2] if mount.prefix.startswith(b"/vault/") else b""
    return mount.place._replace(mcp=True, vault=vault, token=token)
