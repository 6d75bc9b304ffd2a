"""`GET` and `POST /vaults`: list and create vaults."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.validation import vault_name_problem
from parachute_hub.admin.modules_bodies import text_of
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, StepUp, prove_person
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused
from parachute_hub.system.doer import Done


class VaultMaker(Protocol):
    """Creates vaults with the vault module's command."""

    async def create(self, name: str) -> Mapping[str, Any]:
        """The command's result: `name`, `token` (its first key) and `paths`. Raises Refused."""


class VaultsApi:
    """The vaults, for administrators. Serves `/vaults`."""

    app: Klein = area()

    def __init__(
        self,
        *,
        who: Authenticator,
        step_up: StepUp,
        known: Callable[[], Sequence[Mapping[str, Any]]],
        maker: VaultMaker,
        sizes: Callable[[Iterable[str]], Awaitable[Mapping[str, int]]],
        done: Done,
    ) -> None:
        """`known` returns `name`, `url` and `version` of each vault (as `/.well-known/parachute.json`), `sizes`
        bytes.
        """
        self._who = who
        self._step_up = step_up
        self._known = known
        self._maker = maker
        self._sizes = sizes
        self._done = done

    @app.route("/vaults", methods=["GET"])
    async def listing(self, request: IRequest) -> bytes:
        """Every vault with its address and size; `bytes` is null where unknown."""
        self._who.need(request, ADMIN)
        vaults = self._known()
        sizes = await self._sizes([vault["name"] for vault in vaults])
        shown = [
            {
                "name": vault["name"],
                "url": vault["url"],
                "mcp_url": f"{vault['url']}/mcp",
                "version": vault["version"],
                "bytes": sizes.get(vault["name"]),
            }
            for vault in vaults
        ]
        return as_json(request, {"vaults": shown})

    @app.route("/vaults", methods=["POST"])
    async def create(self, request: IRequest) -> bytes:
        """Create the vault `name`. 201 with its first key, shown only here; 400, 409 or 502 with a sentence."""
        principal = self._who.need(request, ADMIN)
        name = text_of(read_json(request), "name")
        problem = vault_name_problem(name)
        if problem is not None:
            raise Refused(400, "invalid_name", problem)
        if any(vault["name"] == name for vault in self._known()):
            raise Refused(409, "vault_exists", f"There is already a vault {name}. Choose another name.")
        # The response contains a key with permanent access to the vault.
        prove_person(self._step_up, request, principal, f"vault.create:{name}")
        made = await self._maker.create(name)
        await self._done("vault-made", name)
        vault = next((vault for vault in self._known() if vault["name"] == name), {})
        body = {
            "name": name,
            "url": vault.get("url"),
            "version": vault.get("version"),
            "token": made.get("token"),
            "paths": made.get("paths"),
        }
        return as_json(request, body, status=201)
