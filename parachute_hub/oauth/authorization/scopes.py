"""Scopes: grammar, catalog, delegation rules, and the audience of a token.

A scope is `<resource>:<verb>` or `<resource>:<name>:<verb>`. For vaults, `read < write < admin`; other resources are
unordered. `vault:read` (without a name) is a request that the consent page resolves to `vault:<name>:read`; it is never
signed.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from attrs import evolve, field

from parachute_hub.store.rows import User
from parachute_hub.system.records import frozen

Risk = Literal["low", "elevated", "high"]

VAULT_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SCOPE = re.compile(r"[a-z][a-z0-9._-]{0,63}(:[a-zA-Z0-9*][a-zA-Z0-9_*-]{0,63})?:[a-z][a-z0-9_-]{0,63}")
_RANK: Mapping[str, int] = {"read": 1, "write": 2, "admin": 3}
MAX_SCOPES = 50

_HOST_VERBS = ("admin", "install", "start", "expose", "auth", "vault", "metrics")
HOST_SCOPES = tuple(f"parachute:host:{verb}" for verb in _HOST_VERBS)
# Never granted to an app: these administer the hub itself, or a module's settings with its API keys.
NOT_REQUESTABLE = frozenset({*HOST_SCOPES, "hub:admin", "scribe:admin"})
# The client id of the `parachute` command on another machine.
COMMAND = "parachute-command"
# The default for an app that requests no scope.
DEFAULT_WISH = ("vault:read", "vault:write")

_WORDS: Mapping[str, tuple[str, Risk]] = {
    "parachute:host:admin": ("Run this hub: install and remove modules, change settings, manage people", "elevated"),
    "parachute:host:auth": ("Make access tokens, also for all notes", "elevated"),
    "vault:read": ("Read your notes", "low"),
    "vault:write": ("Add, change and delete notes", "low"),
    "vault:admin": ("Manage everything, settings and keys included,", "elevated"),
    "scribe:transcribe": ("Turn speech into text", "low"),
    "scribe:admin": ("Change how speech becomes text", "elevated"),
    "surface:read": ("See your surfaces", "low"),
    "surface:write": ("Change your surfaces", "low"),
    "surface:admin": ("Manage surfaces", "elevated"),
    "account:self:read": ("See your account and its vaults", "low"),
    "account:self:write": ("Create vaults in your account", "elevated"),
    "account:self:admin": ("Do everything with your account, deleting vaults included", "high"),
}


@frozen
class VaultScope:
    """A scope on notes. `name` is None if it names no vault."""

    name: str | None
    verb: str

    def __str__(self) -> str:
        return f"vault:{self.verb}" if self.name is None else f"vault:{self.name}:{self.verb}"


def vault_scope(text: str) -> VaultScope | None:
    """Parse a vault scope; None for any other scope.

    >>> vault_scope("vault:home:read"), vault_scope("vault:*:read"), vault_scope("vault:home:fly")
    (VaultScope(name='home', verb='read'), VaultScope(name=None, verb='read'), None)
    """
    parts = text.split(":")
    if parts[0] != "vault" or len(parts) not in (2, 3) or parts[-1] not in _RANK:
        return None
    if len(parts) == 2 or parts[1] == "*":
        return VaultScope(None, parts[-1])
    return VaultScope(parts[1], parts[2]) if VAULT_NAME.fullmatch(parts[1]) else None


def split(text: str) -> tuple[str, ...]:
    """The scopes of a `scope` parameter: unique, in order, with `vault:*:read` as `vault:read`.

    Words that are not scopes are dropped; callers that must report them compare the result.

    >>> split("vault:read full  vault:*:read vault:home:write")
    ('vault:read', 'vault:home:write')
    """
    words = (word for word in text.split() if _SCOPE.fullmatch(word))
    normal = (str(vault_scope(word) or word) for word in words)
    return tuple(dict.fromkeys(normal))[:MAX_SCOPES]


def requestable(scope: str) -> bool:
    """True if an app may request the scope."""
    return scope.lower() not in NOT_REQUESTABLE and not scope.lower().startswith("parachute:")


@frozen
class ScopeDescription:
    """A scope described for the user, and its risk."""

    text: str
    risk: Risk


@frozen
class ScopeCatalog:
    """The scopes of this hub: for its vaults, and those that installed modules declare (`scopes.defines`)."""

    vaults: tuple[str, ...]
    modules: Mapping[str, tuple[str, ...]] = field(factory=dict)

    def knows(self, scope: str) -> bool:
        """True if the scope exists here: its vault exists, or an installed module defines it."""
        found = vault_scope(scope)
        if found is not None:
            return found.name is None or found.name in self.vaults
        return _general(scope) in self._declared() or scope.startswith("account:self:") and scope in _WORDS

    def explain(self, scope: str) -> ScopeDescription:
        """The description for the consent page. An unknown scope counts as elevated."""
        found = vault_scope(scope)
        text, risk = _WORDS.get(f"vault:{found.verb}" if found else _general(scope), (None, None))
        text, risk = (text, risk) if text else _WORDS.get(scope, (None, None))
        if text is not None and risk is not None:
            return ScopeDescription(text if found is None or found.name is None else f"{text} in “{found.name}”", risk)
        resource, _, verb = _general(scope).rpartition(":")
        if not self.knows(scope) or verb == "admin":
            return ScopeDescription(f"{verb} on {resource}", "elevated")
        return ScopeDescription(f"Use {resource} ({verb})", "low")

    def advertised(self) -> list[str]:
        """`scopes_supported`: only harmless scopes, since clients request everything listed."""
        offered = {*DEFAULT_WISH, *self._declared()}
        return sorted(scope for scope in offered if requestable(scope) and self.explain(scope).risk == "low")

    def _declared(self) -> frozenset[str]:
        return frozenset(scope for scopes in self.modules.values() for scope in scopes)


def _general(scope: str) -> str:
    """`surface:blog:read` is declared as `surface:read`."""
    parts = scope.split(":")
    return scope if len(parts) < 3 else f"{parts[0]}:{parts[-1]}"


@frozen
class Authority:
    """The scopes someone can delegate.

    `every_vault` is the highest verb on all vaults, `vaults` the highest per vault. `modules`: `low` covers the scopes
    that modules declare except admin, `all` everything that can be requested. `exact` are additional scopes by name.
    """

    every_vault: str | None = None
    vaults: Mapping[str, str] = field(factory=dict)
    modules: Literal["none", "low", "all"] = "none"
    exact: frozenset[str] = frozenset()

    def allows(self, scope: str) -> bool:
        """True if this scope can be delegated. A vault scope without a name cannot."""
        if scope in self.exact:
            return True
        found = vault_scope(scope)
        if found is not None:
            if found.name is None:
                return False
            held = (self.every_vault, self.vaults.get(found.name))
            return _RANK[found.verb] <= max(_RANK.get(verb or "", 0) for verb in held)
        if not requestable(scope) or scope.startswith("vault:"):
            return False
        return self.modules == "all" or (
            self.modules == "low" and not scope.endswith(":admin") and not scope.startswith("account:")
        )

    def vault_claim(self) -> list[str]:
        """The `vault_scope` claim: the vaults' names, empty for no limit."""
        return [] if self.every_vault else sorted(self.vaults)


NOBODY = Authority()


def authority_of(user: User) -> Authority:
    """What a user can grant to an app: an admin every requestable scope, a member their own vaults.

    The role `write` on a vault includes its admin verb, unless it is somebody else's own: with that verb, keys could be
    made that outlive the sharing.
    """
    if user.role == "admin":
        return Authority(every_vault="admin", modules="all")
    verbs = {
        name: "admin" if role == "write" and name not in user.borrowed else role for name, role in user.vaults.items()
    }
    return Authority(vaults=verbs, modules="low")


def whole_authority_of(user: User) -> Authority:
    """What a user can have in a token of their own: for an admin, hub administration too."""
    authority = authority_of(user)
    return evolve(authority, exact=NOT_REQUESTABLE) if user.role == "admin" else authority


def authority_for(user: User, client_id: str) -> Authority:
    """What a user can grant to this client: to the hub's own command, everything that they have."""
    return whole_authority_of(user) if client_id == COMMAND else authority_of(user)


def wish_of_command(user: User | None) -> tuple[str, ...]:
    """What the hub's own command asks of this user: to run the hub, or to use the vaults that they were given."""
    if user is None or user.is_admin:
        return ("parachute:host:admin", "parachute:host:auth")
    return tuple(f"vault:{name}:{role}" for name, role in sorted(user.vaults.items()))


def authority_of_scopes(scopes: frozenset[str]) -> Authority:
    """What the bearer of a token can delegate by minting another.

    `parachute:host:auth` covers every requestable scope except the admin verb on vaults, which takes
    `parachute:host:admin`, as `parachute:host:metrics` does; `vault:<name>:admin` covers that vault.
    """
    named = (vault_scope(scope) for scope in scopes)
    every_vault = "write" if "parachute:host:auth" in scopes else None
    return Authority(
        every_vault="admin" if "parachute:host:admin" in scopes else every_vault,
        vaults={found.name: "admin" for found in named if found and found.name and found.verb == "admin"},
        modules="all" if "parachute:host:auth" in scopes else "none",
        exact=frozenset({"parachute:host:metrics"} if "parachute:host:admin" in scopes else ()),
    )


def attenuate(scopes: Iterable[str], authority: Authority) -> tuple[str, ...]:
    """The scopes that can be delegated, in order. The only place where scopes of a token are reduced."""
    return tuple(dict.fromkeys(scope for scope in scopes if authority.allows(scope)))


def covers(granted: Iterable[str], scope: str) -> bool:
    """True if `granted` includes `scope`: itself, or a higher verb on the same vault.

    >>> covers({"vault:home:write"}, "vault:home:read"), covers({"vault:home:write"}, "vault:work:read")
    (True, False)
    """
    wanted = vault_scope(scope)
    for held in granted:
        if held == scope:
            return True
        found = vault_scope(held)
        if found and wanted and found.name == wanted.name and _RANK[found.verb] >= _RANK[wanted.verb]:
            return True
    return False


def audience(scopes: Iterable[str], issuer: str) -> str | list[str]:
    """The `aud` claim for these scopes: for each vault `vault.<name>` and its resource URI, then other modules' names.

    Modules look for their own name; RFC 8707 requires the URI. A single value is a string. Several are a list with the
    module's name first, because some readers use only the first.

    >>> audience(["vault:home:read", "scribe:transcribe"], "https://hub.test")
    ['vault.home', 'https://hub.test/vault/home/mcp', 'scribe']
    """
    words: dict[str, None] = {}
    for scope in scopes:
        found = vault_scope(scope)
        if found is not None and found.name is not None:
            words[f"vault.{found.name}"] = None
            words[f"{issuer}/vault/{found.name}/mcp"] = None
        elif found is None:
            words[_word(scope)] = None
    listed = list(words) or ["hub"]
    return listed[0] if len(listed) == 1 else listed


def _word(scope: str) -> str:
    """`parachute:*` and `hub:*` are for the hub; `surface:<name>:*` is for that surface."""
    resource, *rest = scope.split(":")
    if resource in ("parachute", "hub"):
        return "hub"
    return f"{resource}.{rest[0]}" if resource == "surface" and len(rest) == 2 else resource
