"""Signing in and out: password, second factor, session."""

from collections.abc import Callable, Sequence

from attrs import evolve
from twisted.logger import Logger
from twisted.python.failure import Failure

from parachute_hub.accounts.model import Clock, NewSession, PendingSecondFactor, Random, SignedIn, Visitor
from parachute_hub.accounts.sessions import policy
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.accounts.signin.second_factor import SecondFactor
from parachute_hub.accounts.signin.throttle import AttemptThrottle
from parachute_hub.site.errors import Refused
from parachute_hub.store.audit import Audit
from parachute_hub.store.rows import Act, PendingLogin, Session, User, VaultRole
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import hashed, is_token, new_token

USER_AGENT_KEPT = 200
_log = Logger()


def wrong() -> Refused:
    """The same response for an unknown name and a wrong password."""
    return Refused(401, "invalid_credentials", "That username and password do not match. Try again.")


class SignIn:
    """Creates sessions from credentials, and looks sessions up."""

    def __init__(
        self,
        *,
        write: Write,
        users: Users,
        sessions: Sessions,
        hasher: Hasher,
        second_factor: SecondFactor,
        guard: AttemptThrottle,
        audit: Audit,
        vaults: Callable[[], Sequence[str]],
        clock: Clock,
        random: Random,
    ) -> None:
        self._write = write
        self._vaults = vaults
        self._users = users
        self._sessions = sessions
        self._hasher = hasher
        self._second_factor = second_factor
        self._guard = guard
        self._audit = audit
        self._clock = clock
        self._random = random
        self._touching: set[str] = set()

    async def with_password(
        self, username: str, password: str, visitor: Visitor, next_path: str
    ) -> NewSession | PendingSecondFactor:
        """First step. Raises Refused 401, 413 or 429. An unknown name takes as long as a wrong password."""
        username = username.strip()
        user = self._users.by_name(username)
        attempt = await self._write(self._guard.begin, "password", username, visitor, user_id=user.id if user else None)
        verdict = await self._hasher.check(password, user.password_hash if user else None)

        def decide() -> NewSession | PendingSecondFactor | None:
            # The account or its password may have changed while the hash was computed.
            current = self._users.by_id(user.id) if user else None
            if user is None or current is None or not verdict.right or current.password_hash != user.password_hash:
                self._note(current, "sign-in", visitor, outcome="refused")
                return None
            attempt.succeeded()
            if self._second_factor.enabled(user.id):
                return self._halfway(current, next_path)
            return self.enter_within(current, visitor, methods="pwd")

        entered = await self._write(decide)
        if entered is None or user is None:
            raise wrong()
        if verdict.stale:
            fresh = await self._hasher.hash(password)
            await self._write(self._users.rehash, user.id, user.password_hash, fresh)
        return entered

    async def with_code(self, pending_token: str | None, code: str, visitor: Visitor) -> tuple[NewSession, str]:
        """Second step. Returns the new session and the requested page. Raises Refused 401 or 429."""
        pending = self._sessions.pending(hashed(pending_token), self._clock()) if pending_token else None
        user = self._users.by_id(pending.user_id) if pending else None
        if pending is None or user is None:
            raise Refused(401, "sign_in_expired", "That took too long. Sign in again, starting with your password.")
        attempt = await self._write(self._guard.begin, "code", user.id, visitor, user_id=user.id, strict=True)
        older = await self._second_factor.older_code(user.id, code)

        def decide() -> NewSession | Refused:
            method = self._second_factor.use(user.id, code, older)
            if method is None:
                self._note(user, "second-factor", visitor, outcome="refused")
                return Refused(401, "invalid_code", "That code is not correct, or was already used. Try the next one.")
            if not self._sessions.end_pending(pending.id):
                return Refused(401, "sign_in_expired", "This sign-in is already complete. Sign in again.")
            attempt.succeeded()
            if not self._second_factor.enabled(user.id):
                self._note(user, "second-factor-off", visitor)
            return self.enter_within(user, visitor, methods=f"pwd {method}")

        entered = await self._write(decide)
        if isinstance(entered, Refused):
            raise entered
        return entered, pending.next

    async def enter(self, user: User, visitor: Visitor, *, methods: str, action: str = "sign-in") -> NewSession:
        """Start a session for an authenticated user; the browser's previous one ends, against session fixation."""
        return await self._write(self.enter_within, user, visitor, methods=methods, action=action)

    def enter_within(self, user: User, visitor: Visitor, *, methods: str, action: str = "sign-in") -> NewSession:
        """Like `enter`, within a transaction."""
        now = self._clock()
        token = new_token(self._random)
        if visitor.origin.startswith("http:"):
            token = policy.PLAIN + token
        device = visitor.device if visitor.device and is_token(visitor.device) else new_token(self._random)
        if visitor.session:
            self._sessions.end(hashed(visitor.session))
        self._sessions.add(
            Session(
                id=hashed(token),
                user_id=user.id,
                created_at=now,
                authenticated_at=now,
                last_seen_at=now,
                expires_at=now + policy.ABSOLUTE,
                methods=methods,
                address=visitor.address,
                user_agent=visitor.user_agent[:USER_AGENT_KEPT],
            )
        )
        self._sessions.know_device(hashed(device), user.id, now)
        self._note(user, action, visitor)
        return NewSession(user=user, token=token, device=device)

    def find(self, token: str | None, address: str = "") -> SignedIn | None:
        """The session for a cookie value, if valid. `address` is where it is used, if known."""
        if not token:
            return None
        now = self._clock()
        session = self._sessions.get(hashed(token))
        if session is None or not policy.alive(session, now):
            return None
        user = self._users.by_id(session.user_id)
        if user is None:
            return None
        if policy.should_touch(session, now) and session.id not in self._touching:
            # Not awaited. On a slow disk at most one update is pending.
            self._touching.add(session.id)
            self._write(self._sessions.touch, session.id, now, address).addBoth(self._touched, session.id)
        return SignedIn(user=self._limited(user) if policy.is_limited(session) else user, session=session, token=token)

    def _limited(self, user: User) -> User:
        """Somebody who runs the hub, as a person who uses it."""
        if not user.is_admin:
            return user
        every: dict[str, VaultRole] = dict.fromkeys(self._vaults(), "write")
        return evolve(user, role="member", vaults=every)

    def lives(self, session_id: str) -> bool:
        """True until the session was signed out, ended elsewhere, or expired."""
        session = self._sessions.get(session_id)
        return session is not None and policy.alive(session, self._clock())

    async def leave(self, signed_in: SignedIn, visitor: Visitor) -> None:
        """End this browser's session."""

        def end() -> None:
            self._sessions.end(signed_in.session.id)
            self._note(signed_in.user, "sign-out", visitor)

        await self._write(end)

    def _touched(self, result: object, session_id: str) -> None:
        self._touching.discard(session_id)
        if isinstance(result, Failure):
            _log.debug("A session's last use was not noted: {why}", why=result.getErrorMessage())

    def _halfway(self, user: User, next_path: str) -> PendingSecondFactor:
        token = new_token(self._random)
        self._sessions.add_pending(
            PendingLogin(
                id=hashed(token),
                user_id=user.id,
                next=next_path,
                expires_at=self._clock() + policy.PENDING_LOGIN,
            )
        )
        return PendingSecondFactor(token=token)

    def note_refused(self, user: User | None, action: str, visitor: Visitor) -> None:
        """Note a refused attempt, within a transaction."""
        self._note(user, action, visitor, outcome="refused")

    def _note(self, user: User | None, action: str, visitor: Visitor, *, outcome: str = "ok") -> None:
        # Unknown usernames are not logged, because people type their password there by mistake.
        name = user.username if user else "(unknown)"
        self._audit.note(Act(at=self._clock(), actor=name, action=action, outcome=outcome, address=visitor.address))
