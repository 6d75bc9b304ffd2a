"""The only place where tokens are signed, and where the hub verifies its own."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from attrs import field
from joserfc import jws
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from parachute_hub.oauth.authorization.redirects import own_origins
from parachute_hub.oauth.authorization.scopes import Authority, attenuate, audience
from parachute_hub.oauth.tokens.claims import TYPE, Claims, ForeignToken, InvalidToken, issuer_of, read
from parachute_hub.oauth.tokens.keys import Keyring
from parachute_hub.store.rows import TokenRecord
from parachute_hub.store.tokens import Tokens
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import new_token
from parachute_hub.system.records import frozen

REMEMBERED = 4096
# Seconds until a revocation written by another process is noticed.
RECHECK = 1.0
# Seconds between two notes that a token is in use, and the lifetime from which that is worth noting.
NOTE_USE_EVERY = 600.0
LONG_LIVED = 3600.0


class NothingToGrant(Exception):
    """None of the requested scopes is within the authority."""


@frozen(kw_only=True)
class TokenRequest:
    """A token to sign. `lifetime` is in seconds.

    `audience` is only for tokens that the hub itself reads (`operator`, `account`), or that show the hub to another
    machine; otherwise it follows from the scopes. `claims` are additional members, such as `auth_time`.
    """

    subject: str
    client_id: str
    scopes: Sequence[str]
    authority: Authority
    lifetime: float
    created_via: str
    user_id: str | None = None
    family_id: str | None = None
    audience: str | None = None
    permissions: Mapping[str, Any] | None = None
    claims: Mapping[str, Any] = field(factory=dict)
    name: str = ""


@frozen(kw_only=True)
class Minted:
    """A signed token. `expires_at` is in epoch seconds."""

    token: str = field(repr=False)
    jti: str
    scopes: tuple[str, ...]
    expires_at: int


@frozen
class _Known:
    claims: Claims
    revocations: int
    checked_at: float
    used_at: float


class Issuer:
    """Signs and verifies. `issuer` is the canonical origin, `origins` are all at which the hub answers.

    `own_origins` are those that may receive a code without consent; a former address of the hub is not among them.
    """

    def __init__(
        self,
        *,
        issuer: str,
        origins: Sequence[str],
        answering: Sequence[str] = (),
        write: Write,
        keys: Keyring,
        tokens: Tokens,
        clock: IReactorTime,
        random: Callable[[int], bytes],
    ) -> None:
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self.move(issuer, origins, answering)
        self._write = write
        self._keys = keys
        self._tokens = tokens
        self._clock = clock
        self._random = random
        self._log = Logger()

    def move(self, issuer: str, origins: Sequence[str], answering: Sequence[str] = ()) -> None:
        """The hub's address changed. Tokens of another issuer stay valid while it is among `origins` or `answering`."""
        self.issuer = issuer
        own = tuple(dict.fromkeys((issuer, *origins)))
        self.origins = tuple(dict.fromkeys((*own, *answering)))
        self.own_origins = own_origins(issuer, own)
        self._known.clear()  # Some may name an issuer that has had its time.

    def mint(self, order: TokenRequest) -> Minted:
        """Reduce the scopes to the authority, sign and record the token. Call within a transaction. Raises
        NothingToGrant.
        """
        scopes = attenuate(order.scopes, order.authority)
        if not scopes:
            raise NothingToGrant()
        now = self._clock.seconds()
        key = self._keys.signer()
        jti = new_token(self._random, 16)
        expires_at = int(now + order.lifetime)
        payload = {
            **order.claims,
            "scope": " ".join(scopes),
            "client_id": order.client_id,
            "vault_scope": order.authority.vault_claim(),
            "sub": order.subject,
            "iss": self.issuer,
            "iat": int(now),
            "exp": expires_at,
            "aud": order.audience or audience(scopes, self.issuer),
            "jti": jti,
        }
        if order.permissions:
            payload["permissions"] = order.permissions
        header = {"alg": "RS256", "kid": key.kid, "typ": TYPE}
        # joserfc.jwt would load encryption (JWE) too.
        token = jws.serialize_compact(header, json.dumps(payload).encode(), key.jwk, algorithms=["RS256"])
        self._tokens.add(
            TokenRecord(
                jti=jti,
                kid=key.kid,
                subject=order.subject,
                user_id=order.user_id,
                client_id=order.client_id,
                family_id=order.family_id,
                scopes=scopes,
                permissions=order.permissions,
                created_via=order.created_via,
                created_at=now,
                expires_at=expires_at,
                name=order.name,
            )
        )
        return Minted(token=token, jti=jti, scopes=scopes, expires_at=expires_at)

    async def for_service(self, scopes: Sequence[str], *, lifetime: float = 60.0, audience: str | None = None) -> str:
        """A short-lived token for the hub's own requests to a module, or to another machine (`audience`)."""
        minted = await self._write(
            self.mint,
            TokenRequest(
                subject="hub",
                client_id="parachute-hub",
                scopes=scopes,
                authority=Authority(every_vault="admin", exact=frozenset(scopes)),
                lifetime=lifetime,
                audience=audience,
                created_via="service",
            ),
        )
        return minted.token

    def verify(self, token: str) -> Claims:
        """The claims of one of the hub's tokens. Raises InvalidToken if it is forged, expired or revoked, ForeignToken
        if it does not claim to be one.

        The signature is verified once and cached until expiry; revocation takes effect at once.
        """
        now = self._clock.seconds()
        name = sha256(token.encode()).digest()
        known = self._known.get(name)
        if known is None:
            if issuer_of(token) not in self.origins:
                raise ForeignToken("This token was not issued by this hub.")
            claims = read(token, find=self._keys.find, issuers=self.origins, now=now)
        elif known.claims.expires_at <= now:
            del self._known[name]
            raise InvalidToken("This token has expired.")
        elif known.revocations == self._tokens.revocations and 0 <= now - known.checked_at < RECHECK:
            return known.claims
        else:
            claims = known.claims
        record = self._tokens.get(claims.jti)
        if record is None or record.revoked_at is not None:
            self._known.pop(name, None)
            raise InvalidToken("This token has been revoked.")
        used_at = self._note_use(record, now, known.used_at if known else 0.0)
        self._known[name] = _Known(claims, self._tokens.revocations, now, used_at)
        self._known.move_to_end(name)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return claims

    def _note_use(self, record: TokenRecord, now: float, noted: float) -> float:
        """Record the use of a long-lived token, unless that was done lately. Returns when it was noted last."""
        noted = max(noted, record.last_used_at or 0.0)
        if record.expires_at - record.created_at < LONG_LIVED or now - noted < NOTE_USE_EVERY:
            return noted
        # A full disk must not keep anybody out.
        self._write(self._tokens.used, record.jti, now).addErrback(
            lambda failure: self._log.warn("The use of a token was not noted: {why}", why=failure.getErrorMessage())
        )
        return now

    def signed(self, token: str) -> Claims:
        """The claims of any token this hub ever signed, under any origin, expired or not. Raises InvalidToken.

        This proves the origin of the token, not that it is valid.
        """
        return read(token, find=self._keys.find, issuers=[issuer_of(token) or ""], now=0.0)

    def record(self, jti: str) -> TokenRecord | None:
        """The record of a token."""
        return self._tokens.get(jti)

    def revoked_jtis(self) -> list[str]:
        """The ids for the revocation list."""
        return self._tokens.revoked(self._clock.seconds())
