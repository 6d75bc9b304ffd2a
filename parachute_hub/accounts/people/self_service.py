"""Changes users make to their own account: password, second factor, sessions."""

from parachute_hub.accounts.model import Clock, NewSession, SignedIn, Visitor
from parachute_hub.accounts.people.users import People
from parachute_hub.accounts.sessions import policy
from parachute_hub.accounts.signin.second_factor import SecondFactor, Started
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.audit import Audit
from parachute_hub.store.rows import Act, Session
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import hashed
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class AccountSecurity:
    """How an account is secured."""

    second_factor: bool
    by_passkeys: bool
    enrolled_at: float | None
    codes_left: int
    sessions: int


class SelfService:
    """Each change to an account's protection requires the password again and renews the session id."""

    def __init__(
        self,
        *,
        write: Write,
        people: People,
        sessions: Sessions,
        sign_in: SignIn,
        second_factor: SecondFactor,
        presence: ProofsOfPresence,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._write = write
        self._people = people
        self._sessions = sessions
        self._sign_in = sign_in
        self._second_factor = second_factor
        self._presence = presence
        self._audit = audit
        self._clock = clock

    def standing(self, signed_in: SignedIn) -> AccountSecurity:
        """For the account page and `/api/me`."""
        user_id = signed_in.user.id
        return AccountSecurity(
            second_factor=self._second_factor.enabled(user_id),
            by_passkeys=self._second_factor.passkeys_since(user_id) is not None,
            enrolled_at=self._second_factor.enrolled_at(user_id),
            codes_left=self._second_factor.codes_left(user_id),
            sessions=len(self._sessions.of_user(user_id)),
        )

    async def change_name(self, signed_in: SignedIn, visitor: Visitor, name: str) -> None:
        """Change what the person is called. Raises Refused 400."""
        await self._people.set_display_name(signed_in.user, name, visitor.address)

    async def change_password(self, signed_in: SignedIn, visitor: Visitor, current: str, new: str) -> NewSession:
        """Change the password; other sessions and issued tokens end. Raises Refused 400, 401, 413, 429."""
        if not new or not (current or visitor.proof):
            raise Refused(400, "password_required", "Type both your current password and the new one.")
        await self._presence.verify(signed_in, visitor, password=current)
        if new == current:
            raise Refused(400, "password_unchanged", "The new password is the same as the old one.")
        await self._people.set_own_password(
            signed_in.user, new, keep_session=signed_in.session.id, address=visitor.address
        )
        return await self._write(self._renew, signed_in, visitor, "session-renewed")

    async def start_second_factor(self, signed_in: SignedIn, visitor: Visitor, password: str, host: str) -> Started:
        """Begin enabling the second factor. Raises Refused 400, 401, 409, 413 or 429."""
        await self._presence.verify(signed_in, visitor, password=password)
        return await self._write(self._second_factor.start, signed_in.user.id, signed_in.user.username, host)

    def started_second_factor(self, signed_in: SignedIn, host: str) -> Started | None:
        """An unconfirmed second factor, if any; none for a browser that a link signed in."""
        if policy.is_limited(signed_in.session):
            return None
        return self._second_factor.started(signed_in.user.id, signed_in.user.username, host)

    async def confirm_second_factor(
        self, signed_in: SignedIn, visitor: Visitor, code: str
    ) -> tuple[NewSession, list[str]]:
        """Enable it and return the recovery codes, shown once. Other sessions end, since they never used a second
        factor. Raises Refused 400 or 409.
        """

        def confirm() -> tuple[NewSession, list[str]]:
            codes = self._second_factor.confirm(signed_in.user.id, code)
            self._sessions.end_all(signed_in.user.id, except_id=signed_in.session.id)
            return self._renew(signed_in, visitor, "second-factor-on", methods="pwd otp"), codes

        return await self._write(confirm)

    async def new_recovery_codes(self, signed_in: SignedIn, visitor: Visitor, password: str) -> list[str]:
        """Replace the recovery codes. Raises Refused 400, 401, 409, 413 or 429."""
        await self._presence.verify(signed_in, visitor, password=password)

        def renew() -> list[str]:
            self._note(signed_in, visitor, "recovery-codes-renewed")
            return self._second_factor.new_codes(signed_in.user.id)

        return await self._write(renew)

    async def second_factor_off(self, signed_in: SignedIn, visitor: Visitor, password: str) -> NewSession:
        """Disable it. Raises Refused 400, 401, 413 or 429."""
        await self._presence.verify(signed_in, visitor, password=password)

        def off() -> NewSession:
            self._second_factor.off(signed_in.user.id)
            return self._renew(signed_in, visitor, "second-factor-off")

        return await self._write(off)

    def sessions(self, signed_in: SignedIn) -> list[Session]:
        """The user's sessions, most recently used first."""
        return self._sessions.of_user(signed_in.user.id)

    async def end_session(self, signed_in: SignedIn, visitor: Visitor, session_id: str) -> None:
        """Sign out one of the user's browsers. Raises Refused 403, 404."""
        if session_id != signed_in.session.id:
            policy.refuse_limited(signed_in.session)

        def end() -> None:
            if session_id not in (session.id for session in self.sessions(signed_in)):
                raise not_found("This session has already ended.")
            self._sessions.end(session_id)
            self._note(signed_in, visitor, "session-ended")

        await self._write(end)

    async def end_other_sessions(self, signed_in: SignedIn, visitor: Visitor) -> int:
        """Sign out all other browsers. Returns their number."""
        device = hashed(visitor.device) if visitor.device else None

        def end() -> int:
            self._sessions.forget_devices(signed_in.user.id, except_id=device)
            self._note(signed_in, visitor, "other-sessions-ended")
            return self._sessions.end_all(signed_in.user.id, except_id=signed_in.session.id)

        return await self._write(end)

    def _renew(self, signed_in: SignedIn, visitor: Visitor, action: str, methods: str | None = None) -> NewSession:
        return self._sign_in.enter_within(
            self._people.get(signed_in.user.id), visitor, methods=methods or signed_in.session.methods, action=action
        )

    def _note(self, signed_in: SignedIn, visitor: Visitor, action: str) -> None:
        self._audit.note(Act(at=self._clock(), actor=signed_in.user.username, action=action, address=visitor.address))
