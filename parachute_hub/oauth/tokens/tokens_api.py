"""The token API for users and scripts: `/api/auth/*`, and the URLs where existing clients request short-lived
tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.oauth.authorization.scopes import vault_scope
from parachute_hub.oauth.params import query
from parachute_hub.oauth.tokens.bearer_auth import HUB_AUDIENCES, BearerRecogniser, invalid_token
from parachute_hub.oauth.tokens.claims import Claims
from parachute_hub.oauth.tokens.keys import Keyring
from parachute_hub.oauth.tokens.minting import ACCOUNT_SCOPES, PAGE_LIFETIME, SPA_SCOPES, TokenMinter, read_wish
from parachute_hub.oauth.tokens.operator_token import SCOPE_SETS, OperatorToken
from parachute_hub.oauth.tokens.settings_grants import SettingsGrants
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import AUTH, Authenticator, Principal, Recogniser, StepUp, bearer, prove_person
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused
from parachute_hub.system.doer import Done
from parachute_hub.system.timestamps import to_the_second

MOST_VAULTS = 20


class TokensArea:
    """Mint, list, revoke. A session needs a step-up proof to mint; a token can only mint what expires with it."""

    app: Klein = area()

    def __init__(
        self,
        *,
        minting: TokenMinter,
        bearers: BearerRecogniser,
        sessions: Recogniser,
        step_up: StepUp,
        operator: OperatorToken,
        keys: Keyring,
        grants: SettingsGrants,
        done: Done,
    ) -> None:
        self._minting = minting
        self._bearers = bearers
        self._sessions = sessions
        self._who = Authenticator([bearers, sessions])
        self._step_up = step_up
        self._operator = operator
        self._keys = keys
        self._grants = grants
        self._done = done

    @app.route("/api/auth/mint-token", methods=["POST"])
    async def mint(self, request: IRequest) -> bytes:
        """Issue a recorded token."""
        principal, claims = self._minter(request)
        wish = read_wish(read_json(request), claims)
        self._prove(request, principal, wish.scope.split())
        return as_json(request, await self._minting.mint(principal, wish))

    @app.route("/api/auth/revoke-token", methods=["POST"])
    async def revoke(self, request: IRequest) -> bytes:
        """Revoke a token by id. Idempotent."""
        principal, _ = self._minter(request)
        jti = read_json(request).get("jti")
        if not isinstance(jti, str) or not jti:
            raise Refused(400, "invalid_request", "Send the token's id as jti.")
        operation = "token.revoke:" + quote(jti[:200], safe="")
        confirm = partial(prove_person, self._step_up, request, principal, operation)
        return as_json(request, await self._minting.revoke(principal, jti, confirm))

    @app.route("/api/auth/tokens", methods=["GET"])
    def tokens(self, request: IRequest) -> bytes:
        """The unexpired tokens."""
        principal = self._someone(request)
        return as_json(request, self._minting.page(principal, dict(query(request).pairs)))

    @app.route("/api/auth/rotate-operator", methods=["POST"])
    async def rotate_operator(self, request: IRequest) -> bytes:
        """Write a new operator token and revoke the current one."""
        principal = self._who.need(request, AUTH)
        scope_set = read_json(request).get("scope_set")
        if scope_set is not None and scope_set not in SCOPE_SETS:
            raise Refused(400, "invalid_request", f"scope_set must be one of {', '.join(SCOPE_SETS)}.")
        self._step_up.prove(request, principal, "operator.rotate")
        await self._operator.rotate(scope_set)
        return as_json(request, {"ok": True})

    @app.route("/api/auth/rotate-key", methods=["POST"])
    async def rotate_key(self, request: IRequest) -> bytes:
        """Publish a new signing key. It signs after ten minutes; existing tokens stay valid."""
        principal = self._who.need(request, AUTH)
        self._step_up.prove(request, principal, "key.rotate")
        return as_json(request, {"kid": await self._keys.rotate()})

    @app.route("/admin/host-admin-token", methods=["POST"])
    async def host_admin(self, request: IRequest) -> bytes:
        """For existing clients: a ten-minute token that administers the hub."""
        return await self._short(request, lambda: SPA_SCOPES, ("host-admin-token", ""))

    @app.route("/admin/vault-admin-token/<vault>", methods=["POST"])
    @app.route("/account/vault-admin-token/<vault>", methods=["POST"])
    async def vault_admin(self, request: IRequest, vault: str) -> bytes:
        """A ten-minute admin token for one vault."""
        return await self._short(
            request, lambda: [self._minting.vault_admin_scope(vault)], ("vault-admin-token", vault)
        )

    @app.route("/admin/module-token/<short>", methods=["POST"])
    async def module(self, request: IRequest, short: str) -> bytes:
        """A ten-minute token for a module's settings."""
        return await self._short(request, lambda: [self._minting.module_scope(short)], ("module-token", short))

    @app.route("/api/auth/open-settings", methods=["POST"])
    async def open_settings(self, request: IRequest) -> bytes:
        """Allow a module's settings page to fetch tokens in this session for ten minutes.

        The body names the `module`, and the `vaults` that the page may change as well.
        """
        principal = self._session(request)
        short, vaults = _page_and_vaults(read_json(request))
        scopes = self._minting.settings_scopes(principal, short, vaults)
        self._step_up.prove(request, principal, "settings.open:" + ",".join((short, *vaults)))
        ends = self._grants.open(str(principal.session_id), scopes)
        await self._done("open-settings", short)
        return as_json(request, {"module": short, "vaults": vaults, "expires_at": to_the_second(ends)})

    @app.route("/admin/module-token/<short>", methods=["GET"])
    async def module_page(self, request: IRequest, short: str) -> bytes:
        """A token for a module's settings page, which only sends the session cookie."""
        scope = partial(self._minting.module_scope, short)
        return await self._for_page(request, scope, f"/admin/modules/{short}", ("module-token", short))

    @app.route("/admin/agent-token", methods=["GET"])
    async def agent_page(self, request: IRequest) -> bytes:
        """The same under the name that the agent's page uses; it needs every scope of the agent."""
        scope = partial(self._minting.module_scope, "agent")
        act = ("module-token", "agent")
        return await self._for_page(request, scope, "/admin/modules/agent", act, self._minting.declared)

    @app.route("/admin/vault-admin-token/<vault>", methods=["GET"])
    async def vault_page(self, request: IRequest, vault: str) -> bytes:
        """The same for a vault named when the settings were opened."""
        scope = partial(self._minting.vault_admin_scope, vault)
        return await self._for_page(request, scope, "/admin/modules/vault", ("vault-admin-token", vault))

    @app.route("/account/token", methods=["POST"])
    async def account(self, request: IRequest) -> bytes:
        """A ten-minute token for the account API."""
        return await self._short(request, lambda: ACCOUNT_SCOPES, ("account-token", ""), "account")

    @app.route("/account/vault-token/<vault>", methods=["POST"])
    async def own_vault(self, request: IRequest, vault: str) -> bytes:
        """A 90-day token for one of the user's vaults, to read or write."""
        principal = self._session(request)
        verb = str(read_json(request).get("verb", "read"))
        self._prove(request, principal, [f"vault:{vault}:{verb}"])
        return as_json(request, await self._minting.for_vault(principal, vault, verb))

    def _minter(self, request: IRequest) -> tuple[Principal, Claims | None]:
        """The caller and the claims of its bearer token. A vault's admin token is accepted here, although issued for
        the vault.
        """
        token = bearer(request)
        if not token:
            return self._session(request), None
        claims = self._bearers.claims(token)
        if not HUB_AUDIENCES.intersection(claims.audience) and not _manages_a_vault(claims.scopes):
            raise invalid_token("This token is meant for a module, not for the hub.")
        return self._bearers.principal(claims), claims

    async def _short(
        self,
        request: IRequest,
        scopes_of: Callable[[], Sequence[str]],
        act: tuple[str, str],
        audience: str | None = None,
    ) -> bytes:
        """`scopes_of` is called once the caller is known, so that anonymous clients cannot enumerate modules."""
        principal = self._session(request)
        scopes = scopes_of()
        self._prove(request, principal, scopes)
        return as_json(request, await self._minting.short(principal, scopes, act, audience))

    async def _for_page(
        self,
        request: IRequest,
        scope_of: Callable[[], str],
        settings_url: str,
        act: tuple[str, str],
        all_of: Callable[[str], Sequence[str]] = lambda scope: [scope],
    ) -> bytes:
        """A token of a few minutes for a script of this origin whose settings were just opened by the user."""
        principal = self._session(request)
        told = (request.getHeader("Sec-Fetch-Site"), request.getHeader("Sec-Fetch-Dest"))
        if told != ("same-origin", "empty"):
            raise Refused(403, "not_a_page", "Only scripts of this hub's own pages can get this token.")
        scope = scope_of()
        if not self._grants.covers(principal.session_id, scope):
            raise Refused(
                403,
                "settings_not_opened",
                f"Open these settings from the hub's page first: {settings_url}",
                detail={"settings_url": settings_url},
            )
        return as_json(request, await self._minting.short(principal, all_of(scope), act, lifetime=PAGE_LIFETIME))

    def _prove(self, request: IRequest, principal: Principal, scopes: Sequence[str]) -> None:
        """A user needs a step-up proof; a script's token cannot give one, and what it mints expires with it.

        So does what the command makes for its own use, such as an export: it may read and write notes without a proof.
        """
        if principal.connection is not None and all(map(_uses_a_vault, scopes)):
            return
        prove_person(self._step_up, request, principal, "token.mint:" + ",".join(scopes))

    def _session(self, request: IRequest) -> Principal:
        principal = self._sessions.recognise(request)
        if principal is None:
            raise Refused(401, "unauthenticated", "Sign in first.")
        return principal

    def _someone(self, request: IRequest) -> Principal:
        principal = self._who.identify(request)
        if principal is None:
            raise Refused(401, "unauthenticated", "Sign in, or send a bearer token.")
        return principal


def _uses_a_vault(scope: str) -> bool:
    found = vault_scope(scope)
    return found is not None and found.verb in ("read", "write")


def _manages_a_vault(scopes: frozenset[str]) -> bool:
    return any(scope.startswith("vault:") and scope.endswith(":admin") for scope in scopes)


def _page_and_vaults(body: Mapping[str, Any]) -> tuple[str, list[str]]:
    short, vaults = body.get("module"), body.get("vaults", [])
    if not isinstance(short, str) or not isinstance(vaults, list) or not all(isinstance(name, str) for name in vaults):
        raise Refused(400, "invalid_request", "Send the module's name as module, and vaults as a list of names.")
    if len(vaults) > MOST_VAULTS:
        raise Refused(400, "invalid_request", f"At most {MOST_VAULTS} vaults can be named at once.")
    return short, list(dict.fromkeys(vaults))
