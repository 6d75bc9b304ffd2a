"""`/vaults`: list and create vaults, limit them, and delete them after a time."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.people.deletion_policy import ends_at
from parachute_hub.accounts.people.quotas import Quotas
from parachute_hub.accounts.people.vault_deletions import VaultDeletions
from parachute_hub.accounts.validation import vault_name_problem
from parachute_hub.admin.modules_bodies import text_of
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, StepUp, prove_person
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.rows import VaultDeletion
from parachute_hub.system.doer import Done
from parachute_hub.system.timestamps import to_the_second


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
        owners: Callable[[], Mapping[str, str]],
        deletions: VaultDeletions,
        quotas: Quotas,
    ) -> None:
        """`known` returns `name`, `url` and `version` of each vault (as `/.well-known/parachute.json`), `sizes`
        bytes, `owners` the name of the person whose vault it is.
        """
        self._owners = owners
        self._deletions = deletions
        self._quotas = quotas
        self._who = who
        self._step_up = step_up
        self._known = known
        self._maker = maker
        self._sizes = sizes
        self._done = done

    @app.route("/vaults", methods=["GET"])
    async def listing(self, request: IRequest) -> bytes:
        """Every vault with its address and size; `bytes` is null where unknown. `deletion` is of one to be deleted."""
        self._who.need(request, ADMIN)
        vaults, owners, quotas = self._known(), self._owners(), self._quotas.vaults()
        leaving = {one.vault: _deletion(one) for one in self._deletions.all()}
        sizes = await self._sizes([vault["name"] for vault in vaults])
        shown = [
            {
                "name": vault["name"],
                "url": vault["url"],
                "mcp_url": f"{vault['url']}/mcp",
                "version": vault["version"],
                "bytes": sizes.get(vault["name"]),
                "owner": owners.get(vault["name"]),
                "quota": quotas.get(vault["name"], 0),
                "deletion": leaving.get(vault["name"]),
            }
            for vault in vaults
        ]
        return as_json(request, {"vaults": shown})

    @app.route("/vaults/<name>/quota", methods=["PUT"])
    async def limit(self, request: IRequest, name: str) -> bytes:
        """`{bytes}` that the vault may take; 0 for no limit."""
        principal = self._who.need(request, ADMIN)
        self._vault(name)
        await self._quotas.set_vault(principal.name, name, read_json(request).get("bytes"))
        return as_json(request, {"name": name, "quota": self._quotas.vaults().get(name, 0)})

    @app.route("/vaults/<name>/deletion", methods=["PUT"])
    async def delete(self, request: IRequest, name: str) -> bytes:
        """Delete a vault in 30 days. 409 while a member uses it."""
        principal = self._who.need(request, ADMIN)
        self._step_up.prove(request, principal, f"vault.delete:{name}")
        self._vault(name)
        return as_json(request, {"deletion": _deletion(await self._deletions.schedule(principal.name, name))})

    @app.route("/vaults/<name>/deletion", methods=["DELETE"])
    async def keep(self, request: IRequest, name: str) -> bytes:
        """Keep it after all."""
        principal = self._who.need(request, ADMIN)
        await self._deletions.keep(principal.name, name)
        return as_json(request, {"ok": True})

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

    def _vault(self, name: str) -> Mapping[str, Any]:
        vault = next((vault for vault in self._known() if vault["name"] == name), None)
        if vault is None:
            raise not_found(f"There is no vault {name[:32]}.")
        return vault


def _deletion(deletion: VaultDeletion) -> dict[str, Any]:
    """For the API: when, whose vault it was, and why the last try failed, if one did."""
    return {
        "due_at": to_the_second(ends_at(deletion)),
        "asked_at": to_the_second(deletion.asked_at),
        "asked_by": deletion.asked_by,
        "whose": deletion.whose or None,
        "failure": deletion.failure or None,
    }
