"""The users of a hub: the first owner, roles, passwords, deletion."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from parachute_hub.accounts import validation
from parachute_hub.accounts.model import AccessWatch, Clock, Random
from parachute_hub.accounts.people.deletion_policy import planned
from parachute_hub.accounts.people.vault_deletions import check_staying
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.accounts.signin.second_factor import SecondFactor
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.audit import Audit
from parachute_hub.store.passkeys import Passkeys
from parachute_hub.store.rows import Act, Role, User, VaultRole
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.users import LastAdmin, UsernameTaken, Users
from parachute_hub.store.vaults import VaultDeletionRows
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import new_id
from parachute_hub.system.records import frozen

T = TypeVar("T")


@frozen(kw_only=True)
class Actor:
    """Who acts, and from which address, for the audit log."""

    name: str
    address: str = ""
    user_id: str | None = None


class People:
    """Creates, changes and deletes users. Every action is audited; reducing access takes effect everywhere.

    Each operation is one transaction across the stores and the watch.
    """

    def __init__(
        self,
        *,
        users: Users,
        sessions: Sessions,
        hasher: Hasher,
        second_factor: SecondFactor,
        passkeys: Passkeys,
        deletions: VaultDeletionRows,
        audit: Audit,
        watch: AccessWatch,
        write: Write,
        clock: Clock,
        random: Random,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._hasher = hasher
        self._second_factor = second_factor
        self._passkeys = passkeys
        self._deletions = deletions
        self._audit = audit
        self._watch = watch
        self._write = write
        self._clock = clock
        self._random = random

    def all(self) -> list[User]:
        """All users."""
        return self._users.all()

    def get(self, user_id: str) -> User:
        """One user. Raises Refused 404."""
        user = self._users.by_id(user_id)
        if user is None:
            raise not_found("There is no such person.")
        return user

    def owner(self) -> User:
        """The oldest admin, for whom the machine itself acts. Raises Refused 404."""
        for user in self.all():
            if user.is_admin:
                return user
        raise not_found("This hub has no owner yet. Set it up at /admin/setup.")

    def has_second_factor(self, user_id: str) -> bool:
        """True if a password is not enough to sign in."""
        return self._second_factor.enabled(user_id)

    def count_passkeys(self, user_id: str) -> int:
        """How many passkeys the user has."""
        return len(self._passkeys.of_user(user_id))

    async def first_owner(self, username: str, password: str, *, must_change: bool = False) -> User | None:
        """Create the owner of a fresh hub; None if another request was first. Raises Refused 400 for an invalid
        name.
        """
        check_username(username, owner=True)
        user = await self.person(username, password, role="admin", must_change=must_change)

        def claim() -> bool:
            first = self._users.add_first(user)
            if first:
                self._note(Actor(name=username), "owner-created", username)
            return first

        return user if await self._write(claim) else None

    async def add(
        self, actor: Actor, username: str, password: str, *, vaults: Mapping[str, VaultRole], role: Role = "member"
    ) -> User:
        """Create an account with a temporary password. Raises Refused 400, 409, 413 or 429."""
        check_username(username)
        check_password(password, username)
        user = await self.person(username, password, role=role, must_change=True, vaults=vaults)

        def add() -> None:
            self.admit(user)
            self._note(actor, "user-created", username)

        await self._change(add)
        return user

    async def set_own_password(self, user: User, password: str, *, keep_session: str | None, address: str) -> None:
        """Replace a user's password with their own choice. Everything issued to them ends, except this session."""
        check_password(password, user.username)
        actor = Actor(name=user.username, address=address)
        await self._put_password(actor, "password-changed", user, password, keep_session=keep_session)

    async def reset_password(self, actor: Actor, user_id: str, password: str) -> User:
        """Set a temporary password; everything issued to the user ends."""
        user = self.get(user_id)
        if user.id == actor.user_id:
            raise Refused(403, "own_account", "Change your own password on your account page.")
        check_password(password, user.username)
        await self._put_password(actor, "password-reset", user, password, must_change=True)
        return self.get(user_id)

    async def reset_owner(self, password: str) -> User:
        """Recovery for whoever controls the machine: give the oldest admin this one-time password.

        Second factor and passkeys are removed too, since they may be what was lost or found. Raises Refused 400 or 404.
        """
        owner = self.owner()
        check_password(password, owner.username)
        await self._change(lambda: self._only_password(owner.id))
        await self._put_password(Actor(name="(machine)"), "owner-reset", owner, password, must_change=True)
        return owner

    async def set_vaults(
        self, actor: Actor, user_id: str, vaults: Mapping[str, VaultRole], own: Sequence[str] | None = None
    ) -> User:
        """Replace a user's vault roles; vaults that are not listed are removed. `own` are theirs, and nobody else's.

        Raises Refused 404, or 409 for a vault that is being deleted.
        """
        user = self.get(user_id)

        def change() -> User:
            check_staying(self._deletions, vaults)
            self._users.set_vaults(user_id, vaults, own)
            self._changed(user_id, own or ())
            self._note(actor, "vaults-changed", user.username)
            return self.get(user_id)

        return await self._change(change)

    async def set_display_name(self, user: User, name: str, address: str) -> None:
        """Change what a person is called; empty for the username. Raises Refused 400."""
        name = name.strip()
        check_display_name(name)

        def change() -> None:
            self._users.set_display_name(user.id, name)
            self._note(Actor(name=user.username, address=address), "name-changed", user.username)

        await self._change(change)

    async def set_role(self, actor: Actor, user_id: str, role: Role) -> User:
        """Change a user's role; they must sign in again. Raises Refused 403 for the last admin."""
        user = self.get(user_id)

        def change() -> User:
            self._users.set_role(user_id, role)
            self._sessions.end_all(user_id)
            self._watch.access_ended(user_id)
            self._note(actor, f"role-{role}", user.username)
            return self.get(user_id)

        return await self._change(change)

    async def remove_second_factor(self, actor: Actor, user_id: str) -> User:
        """Remove a lost second factor and all passkeys; the user must sign in again, with the password."""
        user = self.get(user_id)

        def remove() -> None:
            self._only_password(user_id)
            self._sessions.end_all(user_id)
            self._note(actor, "second-factor-removed", user.username)

        await self._change(remove)
        return user

    async def delete(self, actor: Actor, user_id: str, *, heir: str | None = None, delete_vaults: bool = False) -> None:
        """Delete a user; everything issued to them ends. Raises Refused 403 for the last admin.

        `heir` is a user who gets their own vaults, and the roles on those that no other member can use. With
        `delete_vaults`, their own vaults that nobody else can use are deleted after 30 days.
        """
        user = self.get(user_id)
        if heir is not None and delete_vaults:
            raise Refused(400, "invalid_request", "The vaults can be given to somebody, or deleted, but not both.")
        if heir is not None and (heir == user_id or self.get(heir).is_admin):
            raise Refused(400, "invalid_request", "Give the vaults to another member. Owners can use every vault.")

        def delete() -> None:
            self._users.need_another_admin(user_id)
            # Before the row is deleted, since the user's tokens refer to it.
            self._watch.access_ended(user_id)
            self._users.delete(user_id)
            self._note(actor, "user-deleted", user.username)
            used = {name for other in self.all() for name in other.vaults}
            if heir is not None:
                left = {name: role for name, role in user.vaults.items() if name not in used or name in user.own}
                taker = self.get(heir)
                self._users.set_vaults(heir, {**taker.vaults, **left}, (*taker.own, *user.own))
                self._changed(heir, user.own)
                self._note(actor, "vaults-changed", taker.username)
            if delete_vaults:
                for name in sorted(set(user.own) - used):
                    self._deletions.add(planned(name, actor.name, self._clock(), user.called))
                    self._note(actor, "vault-deletion-asked", name)

        await self._change(delete)

    def admit(self, user: User) -> None:
        """Store an invited user. Call within a transaction. Raises Refused 409."""
        check_staying(self._deletions, user.vaults)
        try:
            self._users.add(user)
        except UsernameTaken:
            raise _taken() from None

    def check_free(self, username: str) -> None:
        """Raise Refused 409 if the username is taken. Only `admit` decides; this saves work before it."""
        if self._users.by_name(username) is not None:
            raise _taken()

    async def person(
        self,
        username: str,
        password: str,
        *,
        role: Role = "member",
        must_change: bool = False,
        vaults: Mapping[str, VaultRole] | None = None,
        display_name: str = "",
    ) -> User:
        """A new user, not stored yet, with the password hashed. Raises Refused 413 or 429."""
        now = self._clock()
        return User(
            id=new_id(self._random),
            username=username,
            password_hash=await self._hasher.hash(password),
            role=role,
            must_change_password=must_change,
            email=None,
            created_at=now,
            password_changed_at=now,
            vaults=dict(vaults or {}),
            display_name=display_name,
        )

    async def _put_password(
        self,
        actor: Actor,
        action: str,
        user: User,
        password: str,
        *,
        must_change: bool = False,
        keep_session: str | None = None,
    ) -> None:
        password_hash = await self._hasher.hash(password)

        def put() -> None:
            self.get(user.id)
            self._users.set_password(user.id, password_hash, must_change=must_change, now=self._clock())
            self._sessions.end_all(user.id, except_id=keep_session)
            self._sessions.forget_devices(user.id)
            self._watch.access_ended(user.id)
            self._note(actor, action, user.username)

        await self._change(put)

    def _only_password(self, user_id: str) -> None:
        self._second_factor.off(user_id)
        self._passkeys.remove_all(user_id)

    def _changed(self, user_id: str, own: Sequence[str]) -> None:
        """Somebody's vaults changed, and those who also use what is now their own may do less there."""
        for user in self.all():
            if user.id == user_id or not user.vaults.keys().isdisjoint(own):
                self._watch.access_changed(user.id)

    async def _change(self, work: Callable[[], T]) -> T:
        try:
            return await self._write(work)
        except LastAdmin:
            raise Refused(
                403, "last_admin", "This is the only admin, and a hub needs one. Make someone else an admin first."
            ) from None

    def _note(self, actor: Actor, action: str, subject: str) -> None:
        self._audit.note(Act(at=self._clock(), actor=actor.name, action=action, subject=subject, address=actor.address))


def check_username(username: str, *, owner: bool = False) -> None:
    """Raise Refused 400 with the rule that a name violates."""
    problem = validation.username_problem(username, owner=owner)
    if problem is not None:
        raise Refused(400, "invalid_username", problem)


def check_display_name(name: str) -> None:
    """Raise Refused 400 with the rule that a person's name violates."""
    problem = validation.display_name_problem(name)
    if problem is not None:
        raise Refused(400, "invalid_name", problem)


def check_password(password: str, username: str) -> None:
    """Raise Refused 400 (413 for an extremely long one) with the rule that a new password violates."""
    problem = validation.password_problem(password, username=username)
    if problem is not None:
        too_long = len(password) > validation.LONGEST_PASSWORD
        raise Refused(413 if too_long else 400, "password_too_long" if too_long else "invalid_password", problem)


def _taken() -> Refused:
    return Refused(409, "username_taken", "This username is taken. Choose another.")
