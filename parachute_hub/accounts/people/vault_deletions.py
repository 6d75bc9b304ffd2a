"""Vaults that are deleted 30 days after somebody asked for it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from twisted.logger import Logger

from parachute_hub.accounts.model import AccessWatch, Clock
from parachute_hub.accounts.people.deletion_policy import AFTER, next_step, planned
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.audit import Audit
from parachute_hub.store.rows import Act, VaultDeletion
from parachute_hub.store.users import Users
from parachute_hub.store.vaults import VaultDeletionRows, VaultQuotas
from parachute_hub.store.writer import Write


class Shelf(Protocol):
    """The vaults on the disk."""

    def exists(self, name: str) -> bool:
        """Whether anything is left of a vault."""

    def create(self, name: str) -> Awaitable[Mapping[str, Any]]:
        """Create a vault. Raises Refused."""

    def remove(self, name: str, begin: Callable[[], Awaitable[object]]) -> Awaitable[None]:
        """Delete a vault with everything in it. Raises Refused.

        `begin` is awaited right before; what it raises prevents the removal.
        """


class VaultDeletions:
    """Keeps the dates in the database, where they outlive restarts, and compares them with the machine's clock."""

    _log = Logger()

    def __init__(
        self,
        *,
        rows: VaultDeletionRows,
        quotas: VaultQuotas,
        users: Users,
        shelf: Shelf,
        audit: Audit,
        watch: AccessWatch,
        write: Write,
        clock: Clock,
    ) -> None:
        self._rows = rows
        self._quotas = quotas
        self._users = users
        self._shelf = shelf
        self._audit = audit
        self._watch = watch
        self._write = write
        self._clock = clock

    def all(self) -> list[VaultDeletion]:
        """All deletions to come, the first due first."""
        return self._rows.all()

    async def schedule(self, actor: str, vault: str) -> VaultDeletion:
        """Delete one vault in 30 days. Raises Refused 409 while a member uses it."""

        def schedule() -> VaultDeletion:
            used = [user.called for user in self._users.all() if vault in user.vaults]
            if used:
                text = f"{' and '.join(used)} can use this vault. Take it away from them first, under People."
                raise Refused(409, "vault_in_use", text)
            if self._rows.get(vault) is None:
                self._rows.add(planned(vault, actor, self._clock()))
                self._note(actor, "vault-deletion-asked", vault)
            return self._found(vault)

        return await self._write(schedule)

    async def keep(self, actor: str, vault: str) -> None:
        """Keep a vault after all. Raises Refused 404, or 409 once it is being deleted."""

        def keep() -> None:
            check_staying(self._rows, [vault])
            self._found(vault)
            self._rows.drop(vault)
            self._note(actor, "vault-kept", vault)

        await self._write(keep)

    async def create(self, vault: str) -> Mapping[str, Any]:
        """Create a vault, which has neither the date nor the quota of an earlier one. Raises Refused."""
        check_staying(self._rows, [vault])
        if not self._shelf.exists(vault):
            await self._write(self._drop, vault)
        return await self._shelf.create(vault)

    async def tick(self) -> None:
        """Warn of what comes soon, delete what is due, and forget what somebody else deleted."""
        for deletion in self._rows.all():
            if not self._shelf.exists(deletion.vault):
                await self._write(self._forget, deletion.vault)
                continue
            match next_step(deletion, self._clock()):
                case "renew":
                    await self._write(self._rows.renew, deletion.vault, self._clock() + AFTER)
                case "warn":
                    await self._write(self._rows.warned, deletion.vault, self._clock())
                case "delete":
                    await self._delete(deletion.vault)

    async def _delete(self, vault: str) -> None:
        if self._rows.get(vault) is None:
            return
        why = "The vault module said that it was deleted, but it is still there."
        try:
            try:
                await self._shelf.remove(vault, partial(self._write, self._begin, vault))
            except Refused as refused:
                why = refused.description
            # Whatever the module says, and whoever deleted it: what counts is whether it is there.
            if not self._shelf.exists(vault):
                await self._write(self._forget, vault)
            elif self._rows.get(vault) is not None:
                self._log.warn("The vault {vault} could not be deleted: {why}", vault=vault, why=why)
                await self._write(self._rows.failed, vault, self._clock(), why)
        finally:
            self._rows.removing.discard(vault)

    def _begin(self, vault: str) -> None:
        """Nobody can keep it from now on. Raises Refused if somebody did, while other commands had their turn."""
        self._found(vault)
        self._rows.removing.add(vault)

    def _forget(self, vault: str) -> None:
        """A new vault of this name belongs to nobody yet."""
        for user in self._users.all():
            if vault in user.vaults:
                self._users.set_vaults(user.id, {name: role for name, role in user.vaults.items() if name != vault})
                self._watch.access_changed(user.id)
        self._drop(vault)
        self._note("", "vault-deleted", vault)

    def _drop(self, vault: str) -> None:
        self._quotas.put(vault, 0)
        self._rows.drop(vault)

    def _found(self, vault: str) -> VaultDeletion:
        deletion = self._rows.get(vault)
        if deletion is None:
            raise not_found("This vault is not going to be deleted.")
        return deletion

    def _note(self, actor: str, action: str, vault: str) -> None:
        self._audit.note(Act(at=self._clock(), actor=actor, action=action, subject=vault))


def check_staying(rows: VaultDeletionRows, vaults: Iterable[str]) -> None:
    """Raise Refused 409 if one of these vaults is being deleted. Call within the transaction that relies on it."""
    for vault in vaults:
        if vault in rows.removing:
            raise Refused(409, "vault_being_deleted", f"The vault {vault} is being deleted right now.")
