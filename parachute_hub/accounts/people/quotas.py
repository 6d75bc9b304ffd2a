"""How much room people and vaults may take. The proxy enforces it."""

from collections.abc import Mapping

from parachute_hub.accounts.model import Clock
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.audit import Audit
from parachute_hub.store.rows import Act, User
from parachute_hub.store.users import Users
from parachute_hub.store.vaults import VaultQuotas
from parachute_hub.store.writer import Write
from parachute_hub.system.records import frozen

# Programs in JavaScript read larger numbers inexactly.
MOST_BYTES = 1 << 50


@frozen(kw_only=True)
class Quotas:
    """Quotas in bytes; 0 is no limit."""

    rows: VaultQuotas
    users: Users
    audit: Audit
    write: Write
    clock: Clock

    def vaults(self) -> Mapping[str, int]:
        """Those of vaults that have one."""
        return self.rows.all()

    async def set_vault(self, actor: str, vault: str, size: object) -> None:
        """Limit a vault. Raises Refused 400."""
        checked = _size(size)

        def change() -> None:
            self.rows.put(vault, checked)
            self._note(actor, vault)

        await self.write(change)

    async def set_person(self, actor: str, user_id: str, size: object) -> User:
        """Limit all own vaults of a user together. Raises Refused 400 or 404."""
        checked = _size(size)

        def change() -> User:
            self.users.set_quota(user_id, checked)
            user = self.users.by_id(user_id)
            if user is None:
                raise not_found("There is no such person.")
            self._note(actor, user.username)
            return user

        return await self.write(change)

    def _note(self, actor: str, subject: str) -> None:
        self.audit.note(Act(at=self.clock(), actor=actor, action="quota-changed", subject=subject))


def _size(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MOST_BYTES:
        raise Refused(400, "invalid_request", "Give bytes as a whole number; 0 for no limit.")
    return size
