"""Issues tokens for users and scripts, and enforces who may have which."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime

from parachute_hub.oauth.authorization.scopes import (
    HOST_SCOPES,
    NOT_REQUESTABLE,
    Authority,
    attenuate,
    audience,
    authority_of,
    authority_of_scopes,
    split,
    vault_scope,
    whole_authority_of,
)
from parachute_hub.oauth.tokens.claims import Claims
from parachute_hub.oauth.tokens.issuer import Issuer, Minted, NothingToGrant, TokenRequest
from parachute_hub.oauth.tokens.token_list import cursor_of, listed, read_cursor
from parachute_hub.oauth.tokens.token_service import TokenExchange
from parachute_hub.oauth.well_known import Resources, catalog_of
from parachute_hub.site.auth import ADMIN, AUTH, Principal
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.rows import Act, TokenRecord, User
from parachute_hub.store.tokens import PAGE, Tokens
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import to_the_second

SHORT_LIFETIME = 600
PAGE_LIFETIME = 300
"""Lifetime in seconds of a token for a module's settings page, which renews it automatically."""

DEFAULT_LIFETIME = 90 * 86400
LONGEST_LIFETIME = 365 * 86400
MOST_TEXT = 256
MOST_NAME = 64
# A step-up proof lists every scope, and its operation is limited to 500 characters.
MOST_SCOPE_TEXT = 450
MOST_PERMISSIONS = 2000
# Scopes requested by the older hub's web app; this one uses the session.
SPA_SCOPES = (ADMIN, AUTH)


@frozen(kw_only=True)
class MintRequest:
    """A token request. `claims` are those of the requesting token, None for a session."""

    scope: str
    audience: str | None = None
    expires_in: int = DEFAULT_LIFETIME
    subject: str | None = None
    permissions: Mapping[str, Any] | None = None
    claims: Claims | None = None
    name: str = ""


def read_wish(body: Mapping[str, Any], claims: Claims | None) -> MintRequest:
    """Parse a request body. Raises Refused 400 naming the invalid member."""
    scope = _text(body, "scope") or ""
    if len(scope) > MOST_SCOPE_TEXT:
        raise Refused(400, "invalid_scope", "That is too much for one token. Ask for fewer scopes.")
    expires_in = body.get("expires_in", DEFAULT_LIFETIME)
    if not isinstance(expires_in, int) or isinstance(expires_in, bool) or not 0 < expires_in <= LONGEST_LIFETIME:
        raise _bad(f"expires_in must be a number of seconds from 1 to {LONGEST_LIFETIME}.")
    permissions = body.get("permissions")
    if permissions is not None and not isinstance(permissions, dict):
        raise _bad("permissions must be an object.")
    if len(json.dumps(permissions)) > MOST_PERMISSIONS:
        raise _bad(f"permissions may have at most {MOST_PERMISSIONS} characters, or the token fits into no header.")
    name = (_text(body, "name") or "").strip()
    if len(name) > MOST_NAME or any(letter < " " or letter == "\x7f" for letter in name):
        raise _bad(f"name is one line of up to {MOST_NAME} characters.")
    return MintRequest(
        scope=scope,
        name=name,
        audience=_text(body, "audience"),
        expires_in=expires_in,
        subject=_text(body, "subject"),
        permissions=permissions,
        claims=claims,
    )


class TokenMinter:
    """Mints tokens within the caller's own authority; lists and revokes them.

    `tags_enforced` says whether the installed vault honors `scoped_tags`; if not, such tokens are refused.
    """

    def __init__(
        self,
        *,
        write: Write,
        issuer: Issuer,
        tokens: Tokens,
        users: Users,
        redeemer: TokenExchange,
        resources: Resources,
        note: Callable[[Act], None],
        clock: IReactorTime,
        tags_enforced: bool = False,
    ) -> None:
        self._write = write
        self._issuer = issuer
        self._tokens = tokens
        self._users = users
        self._redeemer = redeemer
        self._resources = resources
        self._note = note
        self._clock = clock
        self._tags_enforced = tags_enforced

    async def mint(self, principal: Principal, wish: MintRequest, act: tuple[str, str] | None = None) -> dict[str, Any]:
        """A recorded token. `act` is what the audit log calls it, and its subject.

        Raises Refused 400 `invalid_scope`, or 403 if it exceeds the caller's authority.
        """
        scopes = self._scopes(wish)
        authority = self._authority(principal)
        denied = [scope for scope in scopes if scope not in attenuate(scopes, authority)]
        if denied:
            raise Refused(403, "insufficient_scope", f"You may not give: {' '.join(denied)}.")
        if wish.subject not in (None, principal.name, principal.user_id) and principal.kind != "operator":
            raise Refused(403, "insufficient_scope", "Only the operator can name another subject.")
        self._check_audience(wish, scopes)
        minted = await self._mint(
            principal,
            scopes,
            authority,
            act or ("mint-token", " ".join(scopes)),
            lifetime=self._lifetime(wish),
            created_via="cli_mint",
            subject=wish.subject,
            permissions=self._permissions(wish),
            family_id=self._family(wish),
            name=wish.name,
        )
        answer = {"jti": minted.jti, "token": minted.token, "expires_at": to_the_second(minted.expires_at)}
        answer["scope"] = " ".join(minted.scopes)
        return answer if not wish.permissions else {**answer, "permissions": wish.permissions}

    async def short(
        self,
        principal: Principal,
        scopes: Sequence[str],
        act: tuple[str, str],
        audience: str | None = None,
        lifetime: float = SHORT_LIFETIME,
    ) -> dict[str, Any]:
        """A short-lived token (`lifetime` in seconds) for a signed-in user. `act` as for `mint`. Raises Refused 403."""
        authority = self._whole_authority(principal, scopes)
        minted = await self._mint(
            principal, scopes, authority, act, lifetime=lifetime, created_via="session_mint", audience=audience
        )
        return {"token": minted.token, "expires_at": to_the_second(minted.expires_at), "scopes": list(minted.scopes)}

    def vaults(self, principal: Principal) -> Sequence[str]:
        """The vaults that the caller can use; every vault for whoever runs the hub."""
        names = self._resources.vaults()
        user = None if principal.user_id is None else self._users.by_id(principal.user_id)
        if user is None:
            return names if principal.may(ADMIN) else ()
        return names if user.is_admin else [name for name in names if name in user.vaults]

    def may_give(self, principal: Principal, scopes: Sequence[str]) -> Authority:
        """What the caller may give away. Raises Refused 403 unless that includes these scopes."""
        if principal.user_id is None and principal.may(ADMIN):
            return authority_of_scopes(principal.scopes)
        return self._whole_authority(principal, scopes)

    async def for_account(
        self, principal: Principal, claims: Claims | None, vault: str, scopes: Sequence[str]
    ) -> dict[str, Any]:
        """A short token that an app gets for a vault of its person. It ends with the app's connection. Raises Refused
        403.
        """
        wish = MintRequest(scope=" ".join(scopes), expires_in=SHORT_LIFETIME, claims=claims)
        minted = await self._mint(
            principal,
            scopes,
            self.may_give(principal, scopes),
            ("vault-token", vault),
            lifetime=self._lifetime(wish),
            created_via="cli_mint",
            family_id=self._family(wish),
        )
        return {"token": minted.token, "expires_at": to_the_second(minted.expires_at), "scopes": list(minted.scopes)}

    async def for_vault(self, principal: Principal, vault: str, verb: str) -> dict[str, Any]:
        """A 90-day token for one of the user's own vaults. Raises Refused 400, 403 or 404."""
        if verb not in ("read", "write"):
            raise _bad("verb must be read or write.")
        if vault not in self._resources.vaults():
            raise not_found("There is no such vault.")
        return await self.mint(principal, MintRequest(scope=f"vault:{vault}:{verb}"), ("vault-token", vault))

    def module_scope(self, short: str) -> str:
        """The scope for a module's settings. Raises Refused 400 or 404."""
        if short == "vault":
            raise Refused(400, "use_vault_admin_token", "Ask for the token of one vault.")
        if short not in self._resources.module_scopes():
            raise not_found("There is no such module.")
        return f"{short}:admin"

    def declared(self, scope: str) -> Sequence[str]:
        """Every scope that the module of this one declares."""
        return tuple(self._resources.module_scopes()[scope.partition(":")[0]])

    def settings_scopes(self, principal: Principal, short: str, vaults: Sequence[str]) -> tuple[str, ...]:
        """The scopes for a module's settings page in this session. Raises Refused 400, 403 or 404."""
        own = () if short == "vault" else (self.module_scope(short),)
        if not own and not vaults:
            raise _bad("Name the vault whose settings are opened.")
        scopes = (*own, *(self.vault_admin_scope(vault) for vault in vaults))
        self._whole_authority(principal, scopes)
        return scopes

    def vault_admin_scope(self, vault: str) -> str:
        """The admin scope of a vault. Raises Refused 404."""
        if vault not in self._resources.vaults():
            raise not_found("There is no such vault.")
        return f"vault:{vault}:admin"

    def page(self, principal: Principal, query: Mapping[str, str]) -> dict[str, Any]:
        """Unexpired tokens, fifty per page: everyone's with `parachute:host:auth`, else the caller's own."""
        own = None if principal.may(AUTH) else self._person(principal).id
        records = self._tokens.page(
            self._clock.seconds(),
            revoked={"true": True, "false": False}.get(query.get("revoked", "all")),
            user_id=own,
            subject=query.get("subject"),
            created_via=query.get("created_via"),
            before=read_cursor(query.get("cursor")),
        )
        more = len(records) == PAGE
        return {
            "tokens": [listed(record) for record in records],
            "next_cursor": cursor_of(records[-1]) if more else None,
        }

    async def revoke(self, principal: Principal, jti: str, confirm: Callable[[], None]) -> dict[str, Any]:
        """Revoke a token; one that an app got by consent ends the whole connection. Raises Refused 403 or 404.

        `confirm` is called before another user's token is revoked, and may raise.
        """
        record = self._tokens.get(jti) if 0 < len(jti) <= MOST_TEXT else None
        if record is None:
            raise not_found("There is no such token.")
        own = principal.kind == "session" and principal.user_id == record.user_id
        if not (own or principal.may(AUTH) or self._could_give(principal, record)):
            raise Refused(403, "insufficient_scope", f"This needs the scope {AUTH}.")
        if not own:
            confirm()
        revoked_at = await self._write(self._revoke, jti)
        return {"jti": jti, "revoked_at": to_the_second(revoked_at or 0)}

    def _revoke(self, jti: str) -> float | None:
        record, now = self._tokens.get(jti), self._clock.seconds()
        if record is not None and record.revoked_at is None:
            if record.family_id is not None:
                self._redeemer.end_family(record.family_id)
            self._note(Act(at=now, actor="", action="revoke-token", subject=" ".join(record.scopes)))
        return self._tokens.revoke(jti, now)

    def _could_give(self, principal: Principal, record: TokenRecord) -> bool:
        return attenuate(record.scopes, self._authority(principal)) == record.scopes

    def _scopes(self, wish: MintRequest) -> tuple[str, ...]:
        scopes = split(wish.scope)
        words = wish.scope.split()
        if not scopes or len(scopes) != len(set(words)):
            raise Refused(400, "invalid_scope", "scope must be a list of scopes, each once, such as vault:home:read.")
        catalog = catalog_of(self._resources)
        for scope in scopes:
            found = vault_scope(scope)
            if found is not None and found.name is None:
                raise Refused(400, "invalid_scope", f"Name the vault: vault:<name>:{found.verb}.")
            if scope not in NOT_REQUESTABLE and not catalog.knows(scope):
                raise Refused(400, "invalid_scope", f"Nothing here knows the scope {scope}.")
        return scopes

    def _authority(self, principal: Principal) -> Authority:
        if principal.kind == "session" and not principal.may(AUTH):
            return authority_of(self._person(principal))
        return authority_of_scopes(principal.scopes)

    def _whole_authority(self, principal: Principal, scopes: Sequence[str]) -> Authority:
        """The user's full authority. Raises Refused 403 `not_admin` if these scopes exceed it."""
        authority = whole_authority_of(self._person(principal))
        if attenuate(scopes, authority) != tuple(scopes):
            raise Refused(403, "not_admin", "Only an owner of this hub can have this token.")
        return authority

    def _person(self, principal: Principal) -> User:
        user = None if principal.user_id is None else self._users.by_id(principal.user_id)
        if user is None:
            raise Refused(403, "insufficient_scope", f"This needs the scope {AUTH}.")
        return user

    def _check_audience(self, wish: MintRequest, scopes: Sequence[str]) -> None:
        """The audience follows from the scopes; a request may only repeat it."""
        computed = audience(scopes, self._issuer.issuer)
        words = [computed] if isinstance(computed, str) else computed
        if wish.audience is not None and wish.audience not in words:
            raise _bad(f"audience follows from the scopes; for these it is {words[0]}.")

    def _lifetime(self, wish: MintRequest) -> float:
        """A token minted by a token expires no later than it, except for the operator's."""
        if wish.claims is None or "operator" in wish.claims.audience:
            return wish.expires_in
        return min(wish.expires_in, wish.claims.expires_at - self._clock.seconds())

    def _permissions(self, wish: MintRequest) -> Mapping[str, Any] | None:
        """The limits on the new token: at least those of the requesting token."""
        held = None if wish.claims is None else wish.claims.permissions
        if held and wish.permissions not in (None, held):
            raise Refused(403, "insufficient_scope", "A limited token can only pass on its own limits.")
        permissions = wish.permissions or held
        if permissions and "scoped_tags" in permissions and not self._tags_enforced:
            raise _bad("The installed vault does not limit tokens to tags, so the hub makes no such token.")
        return permissions

    def _family(self, wish: MintRequest) -> str | None:
        """The consent behind the requesting token, so that disconnecting the app ends what it minted too."""
        record = None if wish.claims is None else self._tokens.get(wish.claims.jti)
        return None if record is None else record.family_id

    async def _mint(
        self,
        principal: Principal,
        scopes: Sequence[str],
        authority: Authority,
        act: tuple[str, str],
        *,
        lifetime: float,
        created_via: str,
        subject: str | None = None,
        audience: str | None = None,
        permissions: Mapping[str, Any] | None = None,
        family_id: str | None = None,
        name: str = "",
    ) -> Minted:
        order = TokenRequest(
            subject=subject or principal.user_id or principal.name,
            client_id="parachute-account" if audience == "account" else "parachute-hub",
            scopes=scopes,
            authority=authority,
            lifetime=lifetime,
            created_via=created_via,
            user_id=principal.user_id,
            family_id=family_id,
            audience=audience,
            permissions=permissions,
            name=name,
        )

        def mint() -> Minted:
            action, about = act
            self._note(Act(at=self._clock.seconds(), actor="", action=action, subject=about))
            return self._issuer.mint(order)

        try:
            return await self._write(mint)
        except NothingToGrant:
            raise Refused(403, "insufficient_scope", "You may not give any of these scopes.") from None


ACCOUNT_SCOPES = ("account:self:admin", *HOST_SCOPES)


def _bad(description: str) -> Refused:
    return Refused(400, "invalid_request", description)


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 4096:
        raise _bad(f"{name} must be a text.")
    return value
