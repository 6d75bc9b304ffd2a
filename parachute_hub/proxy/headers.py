"""Header rules at the boundary between clients and modules.

A module shares the hub's origin. These rules hide the hub's cookies from it and prevent it from acting as the hub.
"""

import re
from collections.abc import Collection, Iterable, Set
from typing import NamedTuple

from parachute_hub.proxy import module_cookies, module_redirects
from parachute_hub.proxy.head import Field
from parachute_hub.proxy.module_cookies import CookieLedger
from parachute_hub.system.own_names import COOKIE_PREFIX

# Cookies with this prefix, with or without a browser's prefix, belong to this or another hub on this machine. Modules
# can neither read nor set them.
HUB_COOKIE = COOKIE_PREFIX.encode()
_BROWSER_PREFIXES = (b"", b"__host-", b"__secure-")

HOP_BY_HOP = frozenset(
    b"""connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding
    upgrade""".split()
)
# Response headers of a module that would affect the whole origin, or instruct a proxy in front of the hub.
_OVER_THE_ORIGIN = frozenset(
    b"""alt-svc clear-site-data cross-origin-opener-policy nel report-to set-login speculation-rules
    strict-transport-security x-accel-charset x-accel-expires x-accel-limit-rate x-accel-redirect x-lighttpd-send-file
    x-sendfile""".split()
)
_NOT_UPSTREAM = HOP_BY_HOP | {b"host", b"content-length", b"expect"}
_SPOKEN_BY_HOPS = (b"x-forwarded-", b"x-original-forwarded-", b"cf-", b"fly-", b"x-parachute-", b"tailscale-")
# Headers from which some servers or libraries take the client's address, or (`Proxy`) an outgoing proxy.
_CLAIMS = frozenset(
    b"""client-ip fastly-client-ip forwarded forwarded-for proxy true-client-ip x-client-ip x-cluster-client-ip
    x-real-ip""".split()
)

_MODULE_HTML_POLICY = b"Content-Security-Policy: frame-ancestors 'self'; object-src 'none'; base-uri 'self'"
_SANDBOX_POLICY = b"Content-Security-Policy: sandbox allow-scripts allow-forms allow-popups"
# A page of a module has the hub's origin, and must not ask for the person's passkeys: what they confirm is the hub's.
_NO_PASSKEYS = b"Permissions-Policy: publickey-credentials-get=(), publickey-credentials-create=()"
# A module's own policy, in the form that cannot spoil ours behind it (RFC 8941, 3.2: the last one of a name counts).
_PLAIN_POLICY = re.compile(rb"[a-z-]+=(?:\*|\([ a-z]*\))(?:, ?[a-z-]+=(?:\*|\([ a-z]*\)))*\Z").match
_NO_SNIFFING = b"X-Content-Type-Options: nosniff"
# Keeps nginx from buffering an event stream.
_UNBUFFERED = b"X-Accel-Buffering: no"
# Response headers that a browser-based MCP client must be able to read (MCP, streamable HTTP; RFC 9728).
_MCP_EXPOSED = (b"Mcp-Session-Id", b"WWW-Authenticate")

# Response headers of a module that are always dropped; framing is regenerated.
_DROPPED = HOP_BY_HOP | _OVER_THE_ORIGIN | {b"content-length"}
# Response headers that are inspected; all others pass unchanged.
_LOOKED_AT = frozenset(
    b"""access-control-allow-origin access-control-expose-headers content-type location permissions-policy refresh
    service-worker-allowed set-cookie www-authenticate x-accel-buffering x-content-type-options""".split()
)
_REDIRECTS = frozenset((b"location", b"refresh"))


def is_claim(name: bytes) -> bool:
    """True if this (lower-case) header makes a claim that only a trusted proxy or the hub may make.

    Some servers treat `_` as `-`, so both spellings count.
    """
    spelled = name.replace(b"_", b"-")
    return spelled in _CLAIMS or spelled.startswith(_SPOKEN_BY_HOPS)


class _Verdicts(dict[bytes, bool]):
    """Whether a request header is forwarded, by lower-case name: a bounded cache."""

    def __missing__(self, name: bytes) -> bool:
        passes = name.replace(b"_", b"-") not in _NOT_UPSTREAM and not is_claim(name)
        if len(self) < 2000:
            self[name] = passes
        return passes


_passes = _Verdicts()


def request_lines(fields: Iterable[Field], cookie: bytes | None, named: Set[bytes]) -> list[bytes]:
    """The client's header lines that a module may see.

    Dropped are hop-by-hop headers (`named` lists those of Connection), claims reserved for trusted proxies or the hub,
    and the hub's cookies. `cookie` is the combined Cookie value.
    """
    if named or (cookie is not None and HUB_COOKIE in cookie.lower()):
        return _careful_request_lines(fields, cookie, named)
    return [line for name, _, line in fields if _passes[name]]


def _careful_request_lines(fields: Iterable[Field], cookie: bytes | None, named: Set[bytes]) -> list[bytes]:
    lines = [line for name, _, line in fields if _passes[name] and name not in named and name != b"cookie"]
    kept = without_hub_cookies(cookie) if cookie is not None and b"cookie" not in named else b""
    return [*lines, b"Cookie: " + kept] if kept else lines


def without_hub_cookies(cookie: bytes) -> bytes:
    """A Cookie header's value without the hub's cookies.

    >>> without_hub_cookies(b'a=1; parachute_hub_session=x;b="2"')
    b'a=1; b="2"'
    """
    pairs = (pair.strip() for pair in cookie.split(b";"))
    return b"; ".join(pair for pair in pairs if pair and not _is_hub_cookie(pair))


def _is_hub_cookie(pair: bytes) -> bool:
    """True if `name=value` could be read as a hub cookie: quoted, nameless, oddly spaced, in any case."""
    name = pair.lstrip(b" \t=").partition(b"=")[0].strip(b' \t"')
    return name.lower().startswith(_HUB_COOKIE_NAMES)


_HUB_COOKIE_NAMES = tuple(prefix + HUB_COOKIE for prefix in _BROWSER_PREFIXES)


class ResponseRules(NamedTuple):
    """The source of a response: the module, its mount, port and trust, and the kind of request.

    `mcp` is true for an MCP endpoint, `vault` then names the vault, if it is one's. `token` means that the request
    carried a token issued by this hub. `upstream` is the host of a module on another machine, empty here.
    """

    prefix: bytes
    sandboxed: bool
    mcp: bool = False
    vault: bytes = b""
    token: bool = False
    short: str = ""
    port: int = 0
    strip: bool = False
    upstream: bytes = b""


def is_event_stream(fields: Iterable[Field]) -> bool:
    """Whether a response of server-sent events (HTML standard, section 9.2) has these headers."""
    return any(name == b"content-type" and value.strip().startswith(b"text/event-stream") for name, value, _ in fields)


def response_lines(
    fields: Iterable[Field],
    named: Set[bytes],
    place: ResponseRules,
    cookies: CookieLedger | None = None,
    own_hosts: Collection[bytes] = (),
) -> list[bytes]:
    """A module's header lines that a client may see, without framing.

    `cookies` counts the cookies of all modules, `own_hosts` are the hub's own Host values.
    """
    lines: list[bytes] = []
    left = module_cookies.MOST_PER_RESPONSE
    content_type = b""
    sniffable = buffered = True
    exposed: bytes | None = None
    shared = False
    for name, value, line in fields:
        if name in _DROPPED or name in named:
            continue
        if name in _LOOKED_AT:
            if name == b"content-type":
                content_type = value.strip(b" \t").lower()
            elif name == b"x-content-type-options":
                sniffable = False
            elif name == b"x-accel-buffering":
                buffered = False
            elif name == b"access-control-allow-origin":
                shared = True
            elif name == b"access-control-expose-headers":
                exposed = value if exposed is None else exposed + b"," + value
            elif name == b"www-authenticate":
                line = _challenge(value, line, place)
            elif name == b"set-cookie":
                cookie = _cookie(value, place, cookies) if left else None
                if cookie is None:
                    continue
                left -= 1
                line = cookie
            elif name in _REDIRECTS:
                redirect = _redirect(name, value, place, own_hosts)
                if redirect is None:
                    continue
                line = line if redirect == value else b"%b: %b" % (name.title(), redirect)
            elif not _harmless(name, value.strip(b" \t"), place.prefix):
                continue
        lines.append(line)
    if buffered and content_type.startswith(b"text/event-stream"):
        lines.append(_UNBUFFERED)
    if place.mcp and shared:
        lines += _exposing(exposed)
    if place.sandboxed:
        # On every response, since browsers disagree about what they render as a page.
        lines += [_SANDBOX_POLICY, _MODULE_HTML_POLICY]
    elif content_type.startswith(b"text/html"):
        lines += [_MODULE_HTML_POLICY, _NO_PASSKEYS]
    else:
        if b"xml" in content_type:
            lines.append(_NO_PASSKEYS)
        return lines
    if sniffable:
        lines.append(_NO_SNIFFING)
    return lines


def _cookie(value: bytes, place: ResponseRules, ledger: CookieLedger | None) -> bytes | None:
    """The Set-Cookie line to forward; None for the hub's names and over the module's limit."""
    if _is_hub_cookie(value.partition(b";")[0]):
        return None
    name, path, scoped = module_cookies.scoped(value, place.prefix, strip=place.strip)
    if ledger is not None and not ledger.admits(place.short, name, path):
        return None
    return b"Set-Cookie: " + scoped


def _redirect(name: bytes, value: bytes, place: ResponseRules, own_hosts: Collection[bytes]) -> bytes | None:
    if name == b"refresh":
        return module_redirects.refresh(value, place.port, own_hosts)
    value = module_redirects.from_upstream(value, place.upstream) if place.upstream else value
    return module_redirects.target(value, place.port, place.prefix, place.strip, own_hosts)


_PLAIN_PATH = re.compile(rb"[0-9A-Za-z/_~.\-]*\Z").match


def _harmless(name: bytes, value: bytes, prefix: bytes) -> bool:
    """True for a policy that ours follows, and for a service worker's scope below the mount."""
    if name == b"permissions-policy":
        return _PLAIN_POLICY(value) is not None
    return _within(value, prefix)


def _within(scope: bytes, prefix: bytes) -> bool:
    """True if a service worker's scope is below the mount, however the path is parsed."""
    below = scope.startswith(prefix + b"/") and b"/." not in scope and b"//" not in scope
    return below and _PLAIN_PATH(scope) is not None


def _challenge(value: bytes, line: bytes, place: ResponseRules) -> bytes:
    """A vault's challenge, completed with the scopes to request if it names none."""
    lower = value.strip(b" \t").lower()
    if not place.vault or not lower.startswith(b"bearer ") or b"scope=" in lower:
        return line
    error = b', error="invalid_token"' if place.token and b"error=" not in lower else b""
    return line.rstrip(b" \t") + error + b', scope="vault:%b:read vault:%b:write"' % (place.vault, place.vault)


def _exposing(exposed: bytes | None) -> list[bytes]:
    already = {name.strip().lower() for name in (exposed or b"").split(b",")}
    missing = [name for name in _MCP_EXPOSED if name.lower() not in already]
    return [b"Access-Control-Expose-Headers: " + b", ".join(missing)] if missing and b"*" not in already else []
