"""Signing in with a passkey: alone, or after the password."""

from parachute_hub.accounts.model import Clock, NewSession, Visitor
from parachute_hub.accounts.passkeys.policy import Place
from parachute_hub.accounts.passkeys.service import Options, Passkeys
from parachute_hub.accounts.signin.second_factor import SecondFactor
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.accounts.signin.throttle import AttemptThrottle
from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import PendingLogin, User
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import hashed
from parachute_hub.system.records import frozen

_ALONE = "sign in"
_SECOND = "second factor"


def not_accepted() -> Refused:
    """The same for an unknown passkey, a deleted person, a blocked or a forged one."""
    return Refused(
        401, "passkey_refused", "That passkey did not work. Try again, or sign in with your username and password."
    )


@frozen
class SecondFactors:
    """What a sign-in can go on with, besides a recovery code."""

    app: bool
    passkey: bool


class PasskeySignIn:
    """Creates sessions from passkeys."""

    def __init__(
        self,
        *,
        passkeys: Passkeys,
        sign_in: SignIn,
        second_factor: SecondFactor,
        users: Users,
        sessions: Sessions,
        guard: AttemptThrottle,
        write: Write,
        clock: Clock,
    ) -> None:
        self._passkeys = passkeys
        self._sign_in = sign_in
        self._second_factor = second_factor
        self._users = users
        self._sessions = sessions
        self._guard = guard
        self._write = write
        self._clock = clock

    def ask(self, visitor: Visitor) -> Options:
        """Options for whoever it is: they name no credential, so they tell nothing. Raises Refused 409."""
        return self._passkeys.ask(visitor, holder=_browser(visitor), purpose=_ALONE, user_id=None, verified=True)

    async def enter(self, text: str, visitor: Visitor) -> NewSession:
        """Sign in without a password. Raises Refused 401, 429 or 503."""
        owner = self._passkeys.owner_of(text, visitor.origin)
        attempt = await self._write(self._guard.begin, "passkey", owner or "(unknown)", visitor, user_id=owner)
        signed = await self._passkeys.signed(
            visitor, text, holder=_browser(visitor), purpose=_ALONE, owner=None, verified=True
        )

        def decide() -> NewSession | None:
            user = self._passkeys.accept(signed, visitor)
            if user is None:
                self._sign_in.note_refused(None if owner is None else self._users.by_id(owner), "sign-in", visitor)
                return None
            attempt.succeeded()
            return self._sign_in.enter_within(user, visitor, methods="passkey")

        entered = await self._write(decide)
        if entered is None:
            raise not_accepted()
        return entered

    def place(self, visitor: Visitor) -> Place:
        """Whether passkeys work for this browser."""
        return self._passkeys.place(visitor.origin)

    def second_factors(self, pending_token: str | None, visitor: Visitor) -> SecondFactors:
        """How the person whose password was right can go on here."""
        found = self._pending(pending_token)
        if found is None:
            return SecondFactors(app=True, passkey=False)
        user_id = found[1].id
        return SecondFactors(
            app=self._second_factor.passkeys_since(user_id) is None,
            passkey=bool(self._passkeys.usable(user_id, visitor.origin)),
        )

    def ask_second(self, pending_token: str | None, visitor: Visitor) -> Options:
        """Options for the passkeys of whoever gave the password. Raises Refused 401 or 409."""
        pending, user = self._need(pending_token)
        return self._passkeys.ask(visitor, holder=pending.id, purpose=_SECOND, user_id=user.id, verified=False)

    async def enter_second(self, pending_token: str | None, text: str, visitor: Visitor) -> tuple[NewSession, str]:
        """Finish a sign-in. Returns the session and the requested page. Raises Refused 401, 429 or 503."""
        pending, user = self._need(pending_token)
        attempt = await self._write(self._guard.begin, "code", user.id, visitor, user_id=user.id, strict=True)
        signed = await self._passkeys.signed(
            visitor, text, holder=pending.id, purpose=_SECOND, owner=user.id, verified=False
        )

        def decide() -> NewSession | None:
            found = self._passkeys.accept(signed, visitor)
            if found is None or not self._sessions.end_pending(pending.id):
                self._sign_in.note_refused(user, "second-factor", visitor)
                return None
            attempt.succeeded()
            return self._sign_in.enter_within(found, visitor, methods="pwd passkey")

        entered = await self._write(decide)
        if entered is None:
            raise Refused(401, "passkey_refused", "That passkey did not work. Try again, or type a code.")
        return entered, pending.next

    def _pending(self, token: str | None) -> tuple[PendingLogin, User] | None:
        pending = self._sessions.pending(hashed(token), self._clock()) if token else None
        user = self._users.by_id(pending.user_id) if pending else None
        return None if pending is None or user is None else (pending, user)

    def _need(self, token: str | None) -> tuple[PendingLogin, User]:
        found = self._pending(token)
        if found is None:
            raise Refused(401, "sign_in_expired", "That took too long. Sign in again, starting with your password.")
        return found


def _browser(visitor: Visitor) -> str:
    """What only this browser has. A form was checked to come with one of them."""
    return visitor.anonymous or visitor.session or ""
