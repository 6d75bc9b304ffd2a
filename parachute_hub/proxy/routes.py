"""Routing: a pure function over an immutable table."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import unquote_to_bytes

from attrs import evolve, field

from parachute_hub.proxy.client_address import Layer, without_default_port
from parachute_hub.proxy.headers import ResponseRules
from parachute_hub.system import own_names
from parachute_hub.system.records import frozen

Exposure: TypeAlias = Literal["allowed", "loopback", "auth-required"]
Audience: TypeAlias = Literal["public", "hub-users", "operator"]

# First path segments that belong to the hub; no mount can have them. `vault` and `mcp` have special rules below.
OWN_SEGMENTS = frozenset(name.encode() for name in (*own_names.SEGMENTS, ".", "..", "favicon.ico", "robots.txt"))
VAULT = "vault"
_NEVER_MOUNTED = OWN_SEGMENTS | {b"mcp"}
_VAULT_ADMIN = b"/vault/admin"
MCP = b"/mcp"
_MCP_WITH_SLASH = b"/mcp/"
_VAULT_PAGES = frozenset((b"/vault", b"/vault/", b"/vault/new"))


@frozen
class Mount:
    """A module's path prefix, without trailing slash, and how requests below it are handled.

    `strip` removes the prefix before forwarding. `sandboxed` is for pages of untrusted modules. `open_paths` need no
    credentials even if `exposure` is `auth-required` (complete paths, as clients send them). `part` (leading slash, no
    trailing one) narrows the mount to a sub-unit with its own `audience`. `scopes_required` are the scope patterns for
    tokens used in place of a session. `upstream` is the host (with a port) of one on another machine that this hub
    does not steer.
    """

    short: str
    prefix: bytes
    port: int
    strip: bool = False
    websocket: bool = False
    exposure: Exposure = "allowed"
    sandboxed: bool = False
    open_paths: tuple[bytes, ...] = ()
    part: bytes = b""
    audience: Audience = "public"
    scopes_required: tuple[str, ...] = ()
    upstream: bytes = b""

    @cached_property
    def top(self) -> bytes:
        """The shortest path of this mount."""
        return self.prefix + self.part

    @cached_property
    def below(self) -> bytes:
        """The prefix of every longer path."""
        return self.top + b"/"

    @cached_property
    def host_line(self) -> bytes:
        """The Host header for the module."""
        return b"Host: " + self.upstream if self.upstream else b"Host: 127.0.0.1:%d" % self.port

    @cached_property
    def place(self) -> ResponseRules:
        """How responses of this mount are filtered, except for MCP endpoints."""
        return ResponseRules(
            self.prefix,
            self.sandboxed,
            short=self.short,
            port=self.port,
            strip=self.strip,
            upstream=self.upstream,
        )


@frozen
class ToSite:
    """The hub answers."""


class ToModule(NamedTuple):
    """A module answers. `target` is the request target to forward, `path` is as the client sent it."""

    mount: Mount
    target: bytes
    path: bytes


@frozen
class ErrorResponse:
    """The proxy answers. `error` is a word for programs, `text` a sentence for people; `detail` is added to the
    JSON.
    """

    status: int
    error: str
    text: str
    headers: tuple[tuple[str, str], ...] = ()
    detail: Mapping[str, object] = field(factory=dict)
    close: bool = False


def bad_request(status: int, why: str) -> ErrorResponse:
    """The answer to bytes that are not a request, or not one to wait for."""
    return ErrorResponse(status, "bad_request", why, close=True)


Decision: TypeAlias = ToSite | ToModule | ErrorResponse
_TO_SITE = ToSite()
NOT_FOUND = ErrorResponse(404, "not_found", "not found")
_NO_VAULT = ErrorResponse(
    404, "vault_module_not_running", "No vault is installed here. Install one on the Modules page."
)
_AMBIGUOUS = ErrorResponse(
    400,
    "ambiguous_path",
    "This path is ambiguous: programs may read it differently. Send it without encoded or relative segments.",
    close=True,
)


@frozen
class Table:
    """The routing table.

    `hosts` are the accepted Host values, in lower case and without a default port; empty accepts any (before setup).
    `issuer` is the canonical origin. While `gated`, the site answers for every module (first run); without `known`
    modules (the hub is starting) it answers for every path. `mcp` and `vault_admin` lead to the vault's process, for
    any vault. `shadowed` mounts claim reserved paths and are ignored.
    """

    by_segment: Mapping[bytes, tuple[Mount, ...]]
    mcp: Mount | None
    vault_admin: Mount | None
    hosts: frozenset[bytes]
    issuer: str
    gated: bool
    shadowed: tuple[Mount, ...]
    known: bool = True

    @classmethod
    def unknown(cls, issuer: str) -> "Table":
        """A table for the time before the modules are known."""
        return evolve(cls.build((), (), issuer, gated=True), known=False)

    @classmethod
    def build(cls, mounts: Iterable[Mount], hosts: Iterable[str], issuer: str, gated: bool = False) -> "Table":
        """Build a table. Of two mounts at the same path the first wins. Sub-units come after their whole mount."""
        by_segment: dict[bytes, list[Mount]] = {}
        taken: dict[bytes, str] = {}
        shadowed: list[Mount] = []
        for mount in mounts:
            plain = evolve(mount, prefix=mount.prefix.rstrip(b"/"))
            stray = bool(plain.part) and taken.get(plain.prefix) != plain.short
            if stray or plain.top in taken or not _may_mount(plain):
                shadowed.append(mount)
                continue
            taken[plain.top] = plain.short
            by_segment.setdefault(_segment(plain.prefix), []).append(plain)
        vaults = by_segment.get(b"vault")
        return cls(
            by_segment={key: tuple(sorted(found, key=_longest_first)) for key, found in by_segment.items()},
            mcp=evolve(vaults[0], prefix=b"/mcp", strip=False) if vaults else None,
            vault_admin=evolve(vaults[0], prefix=_VAULT_ADMIN, strip=False) if vaults else None,
            hosts=frozenset(without_default_port(host.lower().encode()) for host in hosts),
            issuer=issuer,
            gated=gated,
            shadowed=tuple(shadowed),
        )

    @cached_property
    def issuer_host(self) -> bytes:
        """Host and port of the canonical origin."""
        return self.issuer.partition("://")[2].encode()

    @cached_property
    def issuer_scheme(self) -> bytes:
        """http or https."""
        return self.issuer.partition("://")[0].encode()

    def place(self, path: bytes) -> Mount | bytes | None:
        """The owner of a path: a mount, one of the hub's own segments, or None."""
        segment = _segment(path)
        if segment in OWN_SEGMENTS:
            return segment
        if segment == b"mcp":
            return self.mcp or segment
        if segment == b"vault":
            if path in _VAULT_PAGES or _VAULT_METADATA(path):
                return segment
            if path == _VAULT_ADMIN or path.startswith(_VAULT_ADMIN + b"/"):
                return self.vault_admin
        for mount in self.by_segment.get(segment, ()):
            # Longest prefix first; a prefix must end at a segment boundary.
            if path.startswith(mount.below) or path == mount.top:
                return mount
        return None


def decide(table: Table, method: bytes, host: bytes, target: bytes, layer: Layer) -> Decision:
    """Route a request. `host` is lower-case without default port; `target` is raw and kept as it is."""
    if method in (b"CONNECT", b"TRACE"):
        return ErrorResponse(405, "method_not_allowed", "This server does not support that method.", close=True)
    if target[:1] != b"/":
        plain = _origin_form(table, host, target)
        if isinstance(plain, ErrorResponse):
            return plain
        target = plain
    if b"#" in target:
        return _BAD_TARGET
    path = target.partition(b"?")[0]
    if table.hosts and host not in table.hosts and path != b"/health":
        return _misdirected(table.issuer)
    if not table.known:
        return _TO_SITE
    place = table.place(path)
    if is_suspect(path) and _readings_differ(table, path, place):
        return _AMBIGUOUS
    if isinstance(place, Mount):
        return _to_module(table, place, method, target, path, layer)
    return _nowhere(path) if place is None else _own(place)


def _to_module(table: Table, mount: Mount, method: bytes, target: bytes, path: bytes, layer: Layer) -> Decision:
    if table.gated:
        return _TO_SITE
    if mount.exposure == "loopback" and layer != "loopback":
        return _nowhere(path)
    if method == b"POST" and path == mount.prefix and path.startswith(b"/vault/") and path != _VAULT_ADMIN:
        # People also give an MCP client the address of the vault. `path` stays as it was sent: clients compare it.
        target = path + MCP + target[len(path) :]
    elif path.startswith(b"/vault/") and path == mount.prefix + _MCP_WITH_SLASH:
        # People paste addresses with a slash behind. The endpoint has none, and MCP clients follow no redirect.
        path, target = path[:-1], path[:-1] + target[len(path) :]
    if not mount.strip:
        return ToModule(mount, target, path)
    rest = target[len(mount.prefix) :]
    return ToModule(mount, rest if rest[:1] == b"/" else b"/" + rest, path)


def _own(segment: bytes) -> Decision:
    return _NO_VAULT if segment == b"mcp" else _TO_SITE


def _nowhere(path: bytes) -> ErrorResponse:
    """The same response whether nothing exists or the caller must not know about it."""
    return evolve(NOT_FOUND, detail={"path": path.decode("latin-1")})


def _origin_form(table: Table, host: bytes, target: bytes) -> bytes | ErrorResponse:
    """The path of an absolute-form target, which a server must accept (RFC 9112, 3.2.2); Host must match it."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return _BAD_TARGET
    authority = without_default_port(rest.partition(b"/")[0].lower())
    if authority != host or (table.hosts and authority not in table.hosts):
        return ErrorResponse(
            400, "foreign_target", "The request line names a different host than the Host header.", close=True
        )
    return origin_form(target)


def origin_form(target: bytes) -> bytes:
    """A request target as a path, from origin form or absolute form.

    >>> origin_form(b"/a?b"), origin_form(b"http://hub.test/a?b"), origin_form(b"http://hub.test")
    (b'/a?b', b'/a?b', b'/')
    """
    return target if target[:1] == b"/" else b"/" + target.partition(b"://")[2].partition(b"/")[2]


_BAD_TARGET = ErrorResponse(
    400, "bad_target", "The request target must be a path that begins with a slash.", close=True
)

# The hub is the issuer, so it serves each vault's OAuth metadata itself.
_VAULT_METADATA = re.compile(
    rb"/vault/[^/]+(?:/mcp)?/\.well-known/(?:oauth-protected-resource|oauth-authorization-server|openid-configuration)\Z"
).match
# A path that parsers may read differently.
is_suspect = re.compile(rb"[%\\]|//|/\.").search
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_DECODINGS = 4


def _readings_differ(table: Table, path: bytes, place: Mount | bytes | None) -> bool:
    """True if a parser that decodes (even repeatedly) or normalizes the path would find another owner."""
    if _BROKEN_ESCAPE(path):
        return True
    reading = path
    for _ in range(_DECODINGS):
        if b"\0" in reading or table.place(_tidy(reading)) != place:
            return True
        decoded = unquote_to_bytes(reading)
        if decoded == reading:
            return False
        if table.place(decoded) != place:
            return True
        reading = decoded
    return True


def _tidy(path: bytes) -> bytes:
    """The path with `\\` replaced by `/`, without empty and dot segments."""
    kept: list[bytes] = []
    for segment in path.replace(b"\\", b"/").split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    return b"/" + b"/".join(kept)


def _segment(path: bytes) -> bytes:
    """The first segment: b"vault" of b"/vault/default"."""
    return path[1:].partition(b"/")[0]


def _may_mount(mount: Mount) -> bool:
    """False for the hub's own paths. Only the vault mounts below /vault, and only there."""
    prefix = mount.prefix
    if not prefix.startswith(b"/") or is_suspect(prefix) or b"?" in prefix or _segment(prefix) in _NEVER_MOUNTED:
        return False
    if _segment(prefix) != b"vault":
        return mount.short != VAULT
    name = prefix.split(b"/")[2:3]
    return mount.short == VAULT and name not in ([], [b"new"], [b"admin"])


def _longest_first(mount: Mount) -> int:
    return -len(mount.top)


def _misdirected(issuer: str) -> ErrorResponse:
    return ErrorResponse(
        421, "unknown_host", f"This hub has a different address. Use {issuer}", detail={"origin": issuer}
    )
