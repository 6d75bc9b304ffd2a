"""Decides what a code or refresh token is exchanged for, without side effects (RFC 6749, 5.2; OAuth 2.1, section 4).

A code that comes twice ends everything issued from that consent. A refresh token that comes twice may be a second
process of the same app, or a lost answer: within limits it begins a branch of its own, beyond them it ends the
connection (docs/decisions/083-refresh-tokens-in-branches.md).
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import TypeAlias

from attrs import evolve

from parachute_hub.oauth.authorization.redirects import is_same
from parachute_hub.oauth.authorization.resource import Target, narrow, stored
from parachute_hub.oauth.authorization.scopes import covers, vault_scope
from parachute_hub.store.rows import Code, Family, Refresh
from parachute_hub.system.random_tokens import base64url
from parachute_hub.system.records import frozen

# For so long after a refresh token was superseded, it begins another branch.
SHARED_FOR = 1800.0
MOST_BRANCHES = 8
REUSED = "A key of this app was used again after it had been replaced, perhaps by somebody who copied it."
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@frozen
class IssueTokens:
    """Issue `scopes` within `family`. `replaces` is the hash of the code or token used up.

    The refresh token goes on in `branch` as its `generation`; None begins a branch.
    """

    family: Family
    scopes: tuple[str, ...]
    replaces: str
    branch: str | None = None
    generation: int = 0


@frozen
class Deny:
    """Reject with an error of RFC 6749, section 5.2. `ends_family` is the id of a family to revoke."""

    error: str
    description: str
    ends_family: str | None = None


Verdict: TypeAlias = IssueTokens | Deny
_UNKNOWN = "This code or token is not known, or was given to another app."


def challenge_of(verifier: str) -> str:
    """The PKCE S256 challenge of a verifier (RFC 7636, section 4.6).

    >>> challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return base64url(hashlib.sha256(verifier.encode()).digest())


def decide_code(
    code: Code | None,
    family: Family | None,
    *,
    client_id: str,
    redirect_uri: str,
    verifier: str,
    target: Target | None,
    now: float,
) -> Verdict:
    """Decide on a code. `target` is the `resource` of this request, if any."""
    if code is None or family is None or family.client_id != client_id:
        return Deny("invalid_grant", _UNKNOWN)
    if code.used_at is not None:
        return Deny("invalid_grant", "This code was already used, so its tokens were revoked.", family.id)
    if family.ended_at is not None or code.expires_at <= now:
        return Deny("invalid_grant", "This code has expired. Start again.")
    # OAuth 2.1 drops the parameter from this request; PKCE binds the code to the client that asked.
    if redirect_uri and not is_same(code.redirect_uri, redirect_uri):
        return Deny("invalid_grant", "The redirect_uri is not the one of the authorization request.")
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(challenge_of(verifier), code.challenge):
        return Deny("invalid_grant", "The code_verifier does not match the code_challenge.")
    return _within(family, (), target, IssueTokens(family, (), code.hash))


@frozen(kw_only=True)
class Lineage:
    """What became of a refresh token. `children_used`: a token given for it was used. `newest`: how many generations
    its branch has come. `branches`: those of its family that can still be used.
    """

    children_used: bool = False
    newest: int = 0
    branches: int = 1


def decide_refresh(
    presented: Refresh | None,
    lineage: Lineage,
    family: Family | None,
    *,
    client_id: str,
    scopes: Iterable[str],
    target: Target | None,
    now: float,
) -> Verdict:
    """Decide on a refresh token. `scopes` narrows this one access token."""
    if presented is None or family is None or family.client_id != client_id:
        return Deny("invalid_grant", _UNKNOWN)
    if family.ended_at is not None:
        return Deny("invalid_grant", "This connection was ended. Connect again.")
    if presented.expires_at <= now:
        return Deny("invalid_grant", "This token has expired. Connect again.")
    first = presented.generation == 0
    if presented.used_at is None:
        # The token that came for the code is shared by all processes: whoever uses it goes on in a branch.
        branch = None if first else presented.branch
        goes_on = IssueTokens(family, (), presented.hash, branch, 1 if first else presented.generation + 1)
        return _within(family, tuple(scopes), target, goes_on)
    lately = now - presented.used_at <= SHARED_FOR and (first or presented.generation >= lineage.newest - 1)
    if lineage.children_used and not lately:
        return Deny("invalid_grant", "This token was already used, so the connection was revoked.", family.id)
    if lineage.branches >= MOST_BRANCHES:
        return Deny("invalid_grant", f"{MOST_BRANCHES} processes use this connection already. Connect again.")
    return _within(family, tuple(scopes), target, IssueTokens(family, (), presented.hash, None, 1))


def _within(family: Family, wanted: tuple[str, ...], target: Target | None, issue: IssueTokens) -> Verdict:
    limit = stored(family.resource)
    if target is not None and limit is not None and not limit.admits(target):
        return Deny("invalid_target", "This grant is not for that resource.")
    scopes = narrow(family.scopes, target)
    if not scopes:
        return Deny("invalid_target", "This grant holds nothing for that resource.")
    if wanted:
        scopes = _of_these(narrow(wanted, target), scopes)
        if not scopes:
            return Deny("invalid_scope", "None of these scopes was granted.")
    return evolve(issue, scopes=scopes)


def _of_these(wanted: Iterable[str], granted: tuple[str, ...]) -> tuple[str, ...]:
    """The requested scopes that were granted. `vault:read` stands for that verb on each granted vault, since clients
    repeat their first request; what the user did not grant is skipped.
    """
    vaults = tuple(scope.name for scope in map(vault_scope, granted) if scope and scope.name)
    kept: dict[str, None] = {}
    for scope in wanted:
        found = vault_scope(scope)
        unnamed = found is not None and found.name is None
        spelled = [f"vault:{name}:{found.verb}" for name in vaults] if found and unnamed else [scope]
        kept.update(dict.fromkeys(one for one in spelled if covers(granted, one)))
    return tuple(kept)
