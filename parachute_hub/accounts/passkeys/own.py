"""Changes that people make to their own passkeys. Each needs the password, or another passkey."""

from parachute_hub.accounts.model import Clock, NewSession, SignedIn, Visitor
from parachute_hub.accounts.passkeys import policy
from parachute_hub.accounts.passkeys.service import Options, Passkeys, checked_name
from parachute_hub.accounts.signin.second_factor import SecondFactor
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.audit import Audit
from parachute_hub.store.passkeys import Passkeys as Rows
from parachute_hub.store.rows import Act, Passkey
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write


class OwnPasskeys:
    """Adds, renames and removes passkeys, and makes them the second factor."""

    def __init__(
        self,
        *,
        passkeys: Passkeys,
        rows: Rows,
        users: Users,
        sessions: Sessions,
        second_factor: SecondFactor,
        sign_in: SignIn,
        presence: ProofsOfPresence,
        audit: Audit,
        write: Write,
        clock: Clock,
    ) -> None:
        self.passkeys = passkeys
        self._rows = rows
        self._users = users
        self._sessions = sessions
        self._second_factor = second_factor
        self._sign_in = sign_in
        self._presence = presence
        self._audit = audit
        self._write = write
        self._clock = clock

    async def begin(self, signed_in: SignedIn, visitor: Visitor, password: str) -> Options:
        """Options for a new passkey. Raises Refused 400, 401, 409 or 429."""
        await self._presence.verify(signed_in, visitor, password=password)
        return self.passkeys.begin_adding(signed_in, visitor)

    async def rename(self, signed_in: SignedIn, visitor: Visitor, passkey_id: str, name: str, password: str) -> None:
        """Raises Refused 400, 401, 404 or 429."""
        name = checked_name(name)
        await self._presence.verify(signed_in, visitor, password=password)

        def rename() -> None:
            self.get(signed_in, passkey_id)
            self._rows.rename(passkey_id, name)
            self._note(signed_in, visitor, "passkey-renamed", name)

        await self._write(rename)

    async def remove(self, signed_in: SignedIn, visitor: Visitor, passkey_id: str, password: str) -> None:
        """Raises Refused 400, 401, 404 or 429, and 409 for one that must stay."""
        await self._presence.verify(signed_in, visitor, password=password)

        def remove() -> None:
            found = self.get(signed_in, passkey_id)
            why = policy.why_it_stays(
                self._rows.of_user(signed_in.user.id),
                passkey_id,
                only_factor=self._second_factor.passkeys_since(signed_in.user.id) is not None,
                rp_ids=self.passkeys.names(),
            )
            if why:
                raise Refused(409, "passkey_needed", why)
            self._rows.remove(passkey_id)
            self._note(signed_in, visitor, "passkey-removed", found.name)

        await self._write(remove)

    async def become_second_factor(
        self, signed_in: SignedIn, visitor: Visitor, password: str
    ) -> tuple[NewSession, list[str]]:
        """From now on a password needs a passkey or a recovery code, too. Returns the codes, to be shown once.

        Other sessions end, since they never used a second factor. Raises Refused 400, 401, 409 or 429.
        """
        await self._presence.verify(signed_in, visitor, password=password)

        def switch() -> tuple[NewSession, list[str]]:
            user = signed_in.user
            if not policy.in_use(self._rows.of_user(user.id), self.passkeys.names()):
                raise Refused(409, "no_passkey", "Add a passkey first.")
            codes = self._second_factor.by_passkeys(user.id)
            self._sessions.end_all(user.id, except_id=signed_in.session.id)
            entered = self._sign_in.enter_within(
                self._users.by_id(user.id) or user,
                visitor,
                methods=signed_in.session.methods,
                action="second-factor-on",
            )
            return entered, codes

        return await self._write(switch)

    def find(self, signed_in: SignedIn, passkey_id: str) -> Passkey | None:
        """One of the person's own passkeys."""
        found = self._rows.get(passkey_id)
        return found if found is not None and found.user_id == signed_in.user.id else None

    def get(self, signed_in: SignedIn, passkey_id: str) -> Passkey:
        """The same. Raises Refused 404."""
        found = self.find(signed_in, passkey_id)
        if found is None:
            raise not_found("You have no such passkey.")
        return found

    def _note(self, signed_in: SignedIn, visitor: Visitor, action: str, name: str) -> None:
        act = Act(at=self._clock(), actor=signed_in.user.username, action=action, subject=name, address=visitor.address)
        self._audit.note(act)
