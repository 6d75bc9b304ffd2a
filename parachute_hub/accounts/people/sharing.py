"""People share their own vaults with each other."""

from parachute_hub.accounts.model import AccessWatch, Clock, SignedIn, Visitor
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.audit import Audit
from parachute_hub.store.rows import Act, User, VaultRole
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class Sharing:
    """Sharing needs the password, since it lets somebody in for good. Ending it does not, and ends tokens at once."""

    users: Users
    presence: ProofsOfPresence
    watch: AccessWatch
    audit: Audit
    write: Write
    clock: Clock

    def of(self, user: User) -> dict[str, list[User]]:
        """The user's own vaults, each with the others who may use it."""
        everyone = self.users.all()
        return {
            vault: [other for other in everyone if other.id != user.id and vault in other.vaults] for vault in user.own
        }

    async def share(
        self, signed_in: SignedIn, visitor: Visitor, vault: str, username: str, role: VaultRole, password: str
    ) -> None:
        """Let somebody read, or read and write, one of the user's own vaults.

        Raises Refused 400, 401, 404, 413 or 429.
        """
        await self.presence.verify(signed_in, visitor, password=password)

        def share() -> None:
            self._check_own(signed_in, vault)
            other = self.users.by_name(username.strip())
            if other is None:
                raise not_found(f"Nobody here signs in as “{username.strip()[:64]}”. Ask them for their username.")
            if other.id == signed_in.user.id:
                raise Refused(400, "own_account", "You can use this vault already. Type somebody else's username.")
            if other.is_admin:
                raise Refused(400, "already_shared", f"{other.called} runs this hub and can use every vault.")
            self._put(other, {**other.vaults, vault: role})
            self._note(signed_in, visitor, "vault-shared", f"{vault}: {other.username}")

        await self.write(share)

    async def end(self, signed_in: SignedIn, visitor: Visitor, vault: str, user_id: str) -> None:
        """Take one of the user's own vaults away from somebody. Raises Refused 404."""

        def end() -> None:
            self._check_own(signed_in, vault)
            other = self.users.by_id(user_id)
            if other is None or vault not in other.vaults:
                raise not_found("This vault is not shared with that person any more.")
            self._put(other, {name: role for name, role in other.vaults.items() if name != vault})
            self._note(signed_in, visitor, "share-ended", f"{vault}: {other.username}")

        await self.write(end)

    def _put(self, other: User, vaults: dict[str, VaultRole]) -> None:
        self.users.set_vaults(other.id, vaults)
        self.watch.access_changed(other.id)

    def _check_own(self, signed_in: SignedIn, vault: str) -> None:
        user = self.users.by_id(signed_in.user.id)
        if user is None or vault not in user.own:
            raise not_found("You have no vault of this name that you can share.")

    def _note(self, signed_in: SignedIn, visitor: Visitor, action: str, subject: str) -> None:
        actor = signed_in.user.username
        self.audit.note(Act(at=self.clock(), actor=actor, action=action, subject=subject, address=visitor.address))
