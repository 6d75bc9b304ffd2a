"""`/account/vaults` for apps and scripts: the caller's vaults, new ones, and short tokens for them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.oauth import cors
from parachute_hub.oauth.tokens.bearer_auth import BearerRecogniser
from parachute_hub.oauth.tokens.minting import TokenMinter
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, Principal
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.doer import Done

READ, WRITE, FULL = "account:self:read", "account:self:write", "account:self:admin"
_VERBS = ("read", "write")


class VaultMaker(Protocol):
    """Creates vaults with the vault module's command."""

    async def create(self, name: str) -> Mapping[str, Any]:
        """Raises Refused."""


class AccountVaultsArea:
    """Access tokens only; a session has the hub's own pages. Deleting vaults and limits on them are not offered.

    `known` lists `name`, `url` and `version` of every vault; `problem` says what is wrong with a new name.
    """

    app: Klein = area()

    def __init__(
        self,
        *,
        bearers: BearerRecogniser,
        minting: TokenMinter,
        known: Callable[[], Sequence[Mapping[str, Any]]],
        maker: VaultMaker,
        problem: Callable[[str], str | None],
        done: Done,
    ) -> None:
        self._who = Authenticator([bearers])
        self._bearers = bearers
        self._minting = minting
        self._known = known
        self._maker = maker
        self._problem = problem
        self._done = done

    @app.route("/account/vaults", methods=["OPTIONS"])
    def options(self, request: IRequest) -> bytes:
        cors.allow_any(request, "GET, POST, OPTIONS")
        return cors.preflight(request)

    @app.route("/account/vaults/<name>/token", methods=["OPTIONS"])
    def token_options(self, request: IRequest, name: str) -> bytes:
        cors.allow_any(request, "POST, OPTIONS")
        return cors.preflight(request)

    @app.route("/account/vaults", methods=["GET"])
    def listing(self, request: IRequest) -> bytes:
        """The vaults that the token's person can use."""
        principal = self._caller(request, READ, WRITE, FULL, ADMIN)
        own = set(self._minting.vaults(principal))
        shown = [{"name": vault["name"], "url": vault["url"]} for vault in self._known() if vault["name"] in own]
        return as_json(request, {"vaults": shown})

    @app.route("/account/vaults", methods=["POST"])
    async def create(self, request: IRequest) -> bytes:
        """Create the vault `name`, for an owner of the hub. 201 with a short token to read and write it."""
        principal = self._caller(request, WRITE, FULL, ADMIN)
        name = read_json(request).get("name")
        problem = self._problem(name if isinstance(name, str) else "")
        if problem is not None:
            raise Refused(400, "invalid_vault_name", problem)
        scopes = [f"vault:{name}:{verb}" for verb in _VERBS]
        self._minting.may_give(principal, scopes)
        if any(vault["name"] == name for vault in self._known()):
            raise Refused(409, "vault_taken", f"There is already a vault {name}. Choose another name.")
        await self._maker.create(str(name))
        await self._done("vault-made", str(name))
        url = next((vault["url"] for vault in self._known() if vault["name"] == name), None)
        token = await self._token(request, principal, str(name), scopes)
        return as_json(request, {"name": name, "url": url, **token}, status=201)

    @app.route("/account/vaults/<name>/token", methods=["POST"])
    async def token(self, request: IRequest, name: str) -> bytes:
        """A short token for one of the person's vaults: `scopes`, by default to read and write it."""
        principal = self._caller(request, FULL, ADMIN)
        if name not in self._minting.vaults(principal):
            raise not_found("There is no such vault.")
        possible = [f"vault:{name}:{verb}" for verb in _VERBS]
        scopes = read_json(request).get("scopes", possible)
        if not isinstance(scopes, list) or not scopes or any(scope not in possible for scope in scopes):
            raise Refused(400, "invalid_scope", f"scopes must be a list of {' and '.join(possible)}.")
        return as_json(request, await self._token(request, principal, name, scopes))

    def _caller(self, request: IRequest, scope: str, *others: str) -> Principal:
        cors.allow_any(request, "GET, POST, OPTIONS")
        return self._who.need(request, scope, *others)

    async def _token(
        self, request: IRequest, principal: Principal, vault: str, scopes: Sequence[str]
    ) -> dict[str, Any]:
        minted = await self._minting.for_account(principal, self._bearers.presented(request), vault, scopes)
        return {"vault_token": minted["token"], "expires_at": minted["expires_at"]}
