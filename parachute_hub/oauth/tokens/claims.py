"""Parses the hub's own tokens, accepting only the exact form its issuer writes."""

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import field
from joserfc import jws
from joserfc.errors import JoseError

from parachute_hub.oauth.tokens.keys import Key
from parachute_hub.system import strict_json
from parachute_hub.system.records import frozen

MAX_TOKEN = 8192
TYPE = "at+jwt"
_HEADERS = frozenset({"alg", "kid", "typ"})
_TYPES = frozenset({TYPE, "jwt"})


class InvalidToken(Exception):
    """The token is invalid. The text says why and contains nothing of the token."""


class ForeignToken(InvalidToken):
    """The token was issued by someone else, or is not a JWT."""


@frozen(kw_only=True)
class Claims:
    """The claims of a verified token. `expires_at` is in epoch seconds."""

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
    """The unverified issuer of a token; None if it is not a JWT.

    Only this claim has to be readable: a malformed token of the hub's own must still be rejected here, because other
    readers might accept it.
    """
    parts = token.split(".")
    try:
        value = _object(parts[1]).get("iss") if len(parts) == 3 else None
    except InvalidToken:
        return None
    return value if isinstance(value, str) else None


def read(token: str, *, find: Callable[[str], Key | None], issuers: Iterable[str], now: float) -> Claims:
    """Verify signature, issuer, times and structure. Raises InvalidToken.

    The header must be one that the hub writes: RS256, a known key id, no embedded key or critical extension (RFC 8725,
    sections 3.1, 3.5, 3.10).
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
    """A token segment as a JSON object. Raises InvalidToken."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        value = strict_json.read_strictly(raw, limit=MAX_TOKEN)
    except ValueError:
        raise InvalidToken("This is not a token of this hub.") from None
    if not isinstance(value, dict):
        raise InvalidToken("This is not a token of this hub.")
    return value
