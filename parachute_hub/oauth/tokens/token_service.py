"""Exchanges codes and refresh tokens: reads, decides, writes and signs in one transaction, so that only one of two
concurrent requests succeeds.
"""

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from parachute_hub.oauth.authorization.resource import Target
from parachute_hub.oauth.authorization.scopes import authority_for
from parachute_hub.oauth.device.policy import decide_poll
from parachute_hub.oauth.tokens.claims import InvalidToken
from parachute_hub.oauth.tokens.grant_policy import (
    REUSED,
    Deny,
    IssueTokens,
    Lineage,
    Verdict,
    decide_code,
    decide_refresh,
)
from parachute_hub.oauth.tokens.issuer import Issuer, Minted, NothingToGrant, TokenRequest
from parachute_hub.store.device_codes import DeviceCodes
from parachute_hub.store.grants import Grants
from parachute_hub.store.rows import Act, Refresh
from parachute_hub.store.tokens import Tokens
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import hashed, new_token
from parachute_hub.system.records import frozen

ACCESS_LIFETIME = 900.0
REFRESH_LIFETIME = 30 * 86400.0


@frozen(kw_only=True)
class IssuedTokens:
    """The result of an exchange: an access token and the next refresh token."""

    access: Minted
    refresh_token: str


class TokenExchange:
    """Carries out exchanges for the token endpoint. Returns tokens or a Deny; on reuse, the family has been revoked."""

    _log = Logger()

    def __init__(
        self,
        *,
        write: Write,
        grants: Grants,
        device_codes: DeviceCodes,
        tokens: Tokens,
        users: Users,
        issuer: Issuer,
        note: Callable[[Act], None],
        clock: IReactorTime,
        random: Callable[[int], bytes],
    ) -> None:
        self._write = write
        self._grants = grants
        self._device_codes = device_codes
        self._tokens = tokens
        self._users = users
        self._issuer = issuer
        self._note = note
        self._clock = clock
        self._random = random

    async def code(
        self, code: str, *, client_id: str, redirect_uri: str, verifier: str, target: Target | None, address: str
    ) -> IssuedTokens | Deny:
        """Redeem an authorization code. `address` is where the client is."""

        def redeem() -> IssuedTokens | Deny:
            found = self._grants.code(hashed(code))
            verdict = decide_code(
                found,
                self._grants.family(found.family_id) if found else None,
                client_id=client_id,
                redirect_uri=redirect_uri,
                verifier=verifier,
                target=target,
                now=self._clock.seconds(),
            )
            return self._carry_out(verdict, self._grants.use_code, address)

        return await self._write(redeem)

    async def device(self, code: str, *, client_id: str, address: str) -> IssuedTokens | Deny:
        """Redeem a device code that a person has allowed. `address` is where the device is."""

        def redeem() -> IssuedTokens | Deny:
            found = self._device_codes.get(hashed(code))
            family = self._grants.family(found.family_id) if found and found.family_id else None
            asked = decide_poll(found, family, client_id=client_id, now=self._clock.seconds())
            if asked.code is not None:
                self._device_codes.put(asked.code)
            return self._carry_out(asked.verdict, lambda _, *first: self._grants.begin(*first), address)

        return await self._write(redeem)

    async def refresh(
        self, token: str, *, client_id: str, scopes: Iterable[str], target: Target | None, address: str
    ) -> IssuedTokens | Deny:
        """Rotate a refresh token. `address` is where the client is."""

        def rotate() -> IssuedTokens | Deny:
            found = self._grants.refresh(hashed(token))
            verdict = decide_refresh(
                found,
                self._lineage(found) if found else Lineage(),
                self._grants.family(found.family_id) if found else None,
                client_id=client_id,
                scopes=scopes,
                target=target,
                now=self._clock.seconds(),
            )
            return self._carry_out(verdict, self._grants.rotate, address)

        return await self._write(rotate)

    async def revoke(self, token: str, client_id: str) -> None:
        """Revoke the connection of a refresh or access token of this client (RFC 7009, 2.1). Unknown tokens are
        ignored.
        """
        await self._write(self._revoke, token, client_id)

    def _revoke(self, token: str, client_id: str) -> None:
        refresh = self._grants.refresh(hashed(token))
        if refresh is not None:
            family = self._grants.family(refresh.family_id)
            if family is not None and family.client_id == client_id:
                self.end_family(family.id)
            return
        try:
            record = self._issuer.record(self._issuer.signed(token).jti)
        except InvalidToken:
            return
        if record is None or record.client_id != client_id:
            return
        if record.family_id is None:
            self._tokens.revoke(record.jti, self._clock.seconds())
        else:
            self.end_family(record.family_id)

    def end_family(self, family_id: str, why: str | None = None) -> None:
        """End everything issued from one consent, including access tokens. Call within a transaction.

        `why` is shown to the user if they did not ask for it.
        """
        now = self._clock.seconds()
        self._grants.end_family(family_id, now, why)
        self._tokens.revoke_family(family_id, now)

    def _lineage(self, refresh: Refresh) -> Lineage:
        return Lineage(
            children_used=self._grants.children_used(refresh.hash),
            newest=self._grants.newest_generation(refresh.branch),
            branches=len(self._grants.branches(refresh.family_id, self._clock.seconds())),
        )

    def _carry_out(
        self, verdict: Verdict, use_up: Callable[[str, Refresh, float, str], None], address: str
    ) -> IssuedTokens | Deny:
        now = self._clock.seconds()
        if isinstance(verdict, Deny):
            if verdict.ends_family is not None:
                self._end_reused(verdict.ends_family, now, address)
            return verdict
        access = self._access(verdict)
        if isinstance(access, Deny):
            return access
        token = new_token(self._random)
        refresh = Refresh(
            hash=hashed(token),
            family_id=verdict.family.id,
            branch=verdict.branch or self._random(16).hex(),
            generation=verdict.generation,
            # The first one came for a code.
            parent=verdict.replaces if verdict.generation else None,
            created_at=now,
            expires_at=now + REFRESH_LIFETIME,
        )
        use_up(verdict.replaces, refresh, now, address)
        return IssuedTokens(access=access, refresh_token=token)

    def _end_reused(self, family_id: str, now: float, address: str) -> None:
        """End a connection whose code or token came once too often, and tell its user."""
        family = self._grants.family(family_id)
        if family is None or family.ended_at is not None:
            return
        self._log.warn("A code or token was reused; consent {family} was revoked", family=family_id)
        self.end_family(family_id, REUSED)
        act = Act(
            at=now,
            actor=family.client_id,
            action="app-key-reused",
            subject=self._username(family.user_id),
            outcome="refused",
            address=address,
        )
        self._note(act)

    def _username(self, user_id: str) -> str:
        user = self._users.by_id(user_id)
        return "" if user is None else user.username

    def _access(self, verdict: IssueTokens) -> Minted | Deny:
        """The access token, reduced to what the user may grant today."""
        family = verdict.family
        user = self._users.by_id(family.user_id)
        if user is None:
            return Deny("invalid_grant", "This account no longer exists.")
        try:
            return self._issuer.mint(
                TokenRequest(
                    subject=user.id,
                    client_id=family.client_id,
                    scopes=verdict.scopes,
                    authority=authority_for(user, family.client_id),
                    lifetime=ACCESS_LIFETIME,
                    created_via="oauth_refresh",
                    user_id=user.id,
                    family_id=family.id,
                    claims={"auth_time": int(family.auth_time)},
                )
            )
        except NothingToGrant:
            self.end_family(family.id)
            return Deny("invalid_grant", "This user can no longer grant this access.")
