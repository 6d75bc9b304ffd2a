"""The `resource` parameter (RFC 8707): which part of the hub a token is for."""

import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from parachute_hub.oauth.authorization.scopes import ScopeCatalog, vault_scope
from parachute_hub.system.records import frozen

_PRM = "/.well-known/oauth-protected-resource"
_VAULT = re.compile(r"/vault/([a-zA-Z0-9_-]{1,64})(?:/mcp)?")


class InvalidTarget(Exception):
    """The resource does not belong to this hub (`invalid_target`)."""


@frozen
class Target:
    """What a token is for. `name` is the vault's or module's name, None for the hub and for `/mcp`."""

    kind: Literal["hub", "mcp", "vault", "module"]
    name: str | None = None

    def __str__(self) -> str:
        return self.kind if self.name is None else f"{self.kind}:{self.name}"

    def admits(self, other: "Target") -> bool:
        """True if a token for `other` can be issued under a grant for this target."""
        if self == other or self.kind == "hub":
            return True
        return self.kind == "mcp" and other.kind == "vault"


def stored(text: str | None) -> Target | None:
    """Parse the result of `str(target)`."""
    if text is None:
        return None
    kind, _, name = text.partition(":")
    if kind in ("hub", "mcp", "vault", "module"):
        return Target(kind, name or None)  # type: ignore[arg-type]
    raise ValueError(f"no target: {text!r}")


def read_all(resources: Iterable[str], *, origins: Iterable[str], catalog: ScopeCatalog) -> Target | None:
    """The one target that several `resource` parameters name: the narrowest, if it is inside all others.

    None without any. Raises InvalidTarget, also for targets that have nothing in common.
    """
    narrowest: Target | None = None
    for uri in dict.fromkeys(resources):
        target = read(uri, origins=origins, catalog=catalog)
        if narrowest is None or narrowest.admits(target):
            narrowest = target
        elif not target.admits(narrowest):
            raise InvalidTarget("Ask for one resource at a time.")
    return narrowest


def read(resource: str, *, origins: Iterable[str], catalog: ScopeCatalog) -> Target:
    """The target of a `resource` URI, on any of the hub's origins and in any spelling that clients use.

    Raises InvalidTarget for a foreign URI, a query or fragment, an unknown vault or module.
    """
    try:
        parts = urlsplit(resource)
        origin = _origin(parts)
    except ValueError:
        raise InvalidTarget("This resource cannot be read.") from None
    if origin not in set(origins) or "#" in resource:
        raise InvalidTarget("This resource does not belong to this hub.")
    path = parts.path.rstrip("/")
    if path.startswith(_PRM):
        path = path.removeprefix(_PRM)
    path = path.removesuffix(_PRM)
    if path == "":
        return Target("hub")
    if path == "/mcp":
        return Target("mcp")
    found = _VAULT.fullmatch(path)
    if found is not None and found[1] in catalog.vaults:
        return Target("vault", found[1])
    short = path.removesuffix("/mcp").removeprefix("/")
    if short in catalog.modules and short != "vault":
        return Target("module", short)
    raise InvalidTarget("There is no such resource on this hub.")


def _origin(parts: SplitResult) -> str:
    """Scheme, host and port, normalized (RFC 3986, section 6.2). Raises ValueError for an invalid port."""
    if "@" in parts.netloc:
        return ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = "" if parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def narrow(scopes: Iterable[str], target: Target | None) -> tuple[str, ...]:
    """The scopes that apply to the target; for one vault, `vault:read` becomes that vault's scope.

    >>> narrow(["vault:read", "scribe:transcribe", "vault:work:read"], Target("vault", "home"))
    ('vault:home:read',)
    """
    if target is None or target.kind == "hub":
        return tuple(dict.fromkeys(scopes))
    kept: dict[str, None] = {}
    for scope in scopes:
        found = vault_scope(scope)
        if target.kind == "module":
            if scope.startswith(f"{target.name}:"):
                kept[scope] = None
        elif found is not None and target.kind == "mcp":
            kept[scope] = None
        elif found is not None and found.name in (None, target.name):
            kept[f"vault:{target.name}:{found.verb}"] = None
    return tuple(kept)
