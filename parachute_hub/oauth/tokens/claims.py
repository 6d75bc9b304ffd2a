"""Reading a token of ours: the strict form that our own issuer writes, and nothing else."""

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import field, frozen
from joserfc import jws
from joserfc.errors import JoseError

from parachute_hub.oauth.tokens.keys import Key
from parachute_hub.system import strict_json

MAX_TOKEN = 8192
TYPE = "at+jwt"
_HEADERS = frozenset({"alg", "kid", "typ"})
_TYPES = frozenset({TYPE, "jwt"})


class InvalidToken(Exception):
    """The token is not to be accepted; the text says why and holds nothing of the token."""


class ForeignToken(InvalidToken):
    """The token is from somebody else, or no token at all."""


@frozen(kw_only=True)
class Claims:
    """What a token of ours says. `expires_at` is in seconds since the epoch."""

    issuer: str
    subject: str
    audience: tuple[str, ...]
    scopes: frozenset[str]
    jti: str
    client_id: str
    expires_at: float
    vault_scope: tuple[str, ...] = ()
    permissions: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(factory=dict, repr=False)


def issuer_of(token: str) -> str | None:
    """What an unverified token says of who made it; None when it is no JWT at all.

    Only the part that says so must be in order: a token of ours with something wrong about the rest is still ours to
    refuse, because there are readers who would take it.
    """
    parts = token.split(".")
    try:
        value = _object(parts[1]).get("iss") if len(parts) == 3 else None
    except InvalidToken:
        return None
    return value if isinstance(value, str) else None


def read(token: str, *, find: Callable[[str], Key | None], issuers: Iterable[str], now: float) -> Claims:
    """Verify signature, issuer, times and shape. Raises InvalidToken.

    The header must be one that we write: RS256, a key of ours by name, no key or critical extension brought along
    (RFC 8725 3.1, 3.5, 3.10).
    """
    header = _segment(token, 0)
    kid, kind = header.get("kid"), header.get("typ", TYPE)
    if header.get("alg") != "RS256" or set(header) - _HEADERS or str(kind).lower() not in _TYPES:
        raise InvalidToken("This token uses a different signing algorithm.")
    key = find(kid) if isinstance(kid, str) else None
    if key is None:
        raise InvalidToken("This token was signed with a key that the hub does not use.")
    try:
        jws.deserialize_compact(token, key.jwk, algorithms=["RS256"])
    except (JoseError, ValueError):
        raise InvalidToken("This token's signature is invalid.") from None
    return _claims(_segment(token, 1), frozenset(issuers), now)


def _claims(payload: dict[str, Any], issuers: frozenset[str], now: float) -> Claims:
    audience = payload.get("aud")
    audience = [audience] if isinstance(audience, str) else audience
    words = [payload.get(name) for name in ("iss", "sub", "jti", "client_id", "scope")]
    if not all(isinstance(word, str) for word in words) or not all(words[:3]):
        raise InvalidToken("This token lacks a required claim.")
    if not isinstance(audience, list) or not all(isinstance(word, str) for word in audience):
        raise InvalidToken("This token has no audience.")
    issuer, subject, jti, client_id, scope = (str(word) for word in words)
    if issuer not in issuers:
        raise InvalidToken("This token was not issued by this hub.")
    times = [payload.get("exp"), payload.get("nbf", 0)]
    if not all(isinstance(time, int | float) and not isinstance(time, bool) for time in times):
        raise InvalidToken("This token's times cannot be read.")
    expires_at, not_before = (float(time) for time in times if time is not None)
    if expires_at <= now or not_before > now:
        raise InvalidToken("This token has expired.")
    permissions, vaults = payload.get("permissions"), payload.get("vault_scope", [])
    return Claims(
        issuer=issuer,
        subject=subject,
        audience=tuple(audience),
        scopes=frozenset(scope.split()),
        jti=jti,
        client_id=client_id,
        expires_at=expires_at,
        vault_scope=tuple(vaults) if isinstance(vaults, list) else (),
        permissions=permissions if isinstance(permissions, dict) else None,
        extra=payload,
    )


def _segment(token: str, index: int) -> dict[str, Any]:
    parts = token.split(".")
    if len(token) > MAX_TOKEN or len(parts) != 3 or not token.isascii():
        raise InvalidToken("This is not a token of this hub.")
    return _object(parts[index])


def _object(text: str) -> dict[str, Any]:
    """A part of a token as the JSON object that it holds. Raises InvalidToken."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        value = strict_json.read_strictly(raw, limit=MAX_TOKEN)
    except ValueError:
        raise InvalidToken("This is not a token of this hub.") from None
    if not isinstance(value, dict):
        raise InvalidToken("This is not a token of this hub.")
    return value
