"""Adds passkeys, and verifies what they sign."""

from collections.abc import Mapping
from typing import Any, Protocol

from parachute_hub.accounts import validation
from parachute_hub.accounts.model import Clock, SignedIn, Visitor
from parachute_hub.accounts.passkeys import policy
from parachute_hub.accounts.passkeys.challenges import LIFETIME, Challenges
from parachute_hub.accounts.passkeys.policy import BadAnswer, Loss, Place
from parachute_hub.accounts.passkeys.verifier import Verifier
from parachute_hub.accounts.signin.second_factor import SecondFactor
from parachute_hub.site.errors import Refused
from parachute_hub.store.audit import Audit
from parachute_hub.store.passkeys import Passkeys as Rows
from parachute_hub.store.passkeys import PasskeyTaken
from parachute_hub.store.rows import Act, Passkey, User
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import base64url
from parachute_hub.system.records import frozen

_ALGORITHMS = (-7, -257, -8)
_ADDING = "add a passkey"
_COPIED = "Its counter went back: somebody may have a copy of it."

Options = Mapping[str, Any]


class Names(Protocol):
    """The origins of this hub."""

    def bound(self) -> tuple[str, ...]:
        """Those that are the hub's for good."""

    def answering(self) -> tuple[str, ...]:
        """These, and former ones at which it still answers."""

    def bound_after(self, text: str | None) -> tuple[str, ...]:
        """`bound` after a change of the address to `text`."""


@frozen(kw_only=True)
class Signed:
    """A passkey signed what it was asked to. `accept` decides whether it still counts."""

    passkey: Passkey
    sign_count: int


class Passkeys:
    """All passkeys. Options are what browsers take (Web Authentication, 5.4 and 5.5), in JSON."""

    def __init__(
        self,
        *,
        rows: Rows,
        users: Users,
        second_factor: SecondFactor,
        challenges: Challenges,
        verifier: Verifier,
        origins: Names,
        audit: Audit,
        write: Write,
        clock: Clock,
    ) -> None:
        self._rows = rows
        self._users = users
        self._second_factor = second_factor
        self._challenges = challenges
        self._verifier = verifier
        self._origins = origins
        self._audit = audit
        self._write = write
        self._clock = clock

    def place(self, origin: str) -> Place:
        """Whether passkeys work for a browser at this origin."""
        bound = self._origins.bound()
        former = [one for one in self._origins.answering() if one not in bound]
        return policy.place(origin, bound=bound, former=former)

    def names(self) -> frozenset[str]:
        """The host names of the hub at which passkeys work for good."""
        return policy.names(self._origins.bound())

    def of_user(self, user_id: str) -> list[Passkey]:
        """A user's passkeys, those of former addresses too."""
        return self._rows.of_user(user_id)

    def usable(self, user_id: str, origin: str) -> list[Passkey]:
        """Those that can sign in for a browser at this origin."""
        where = self.place(origin)
        return policy.in_use(self.of_user(user_id), {where.rp_id}) if where.works else []

    def losses(self, text: str | None) -> list[Loss]:
        """Who loses passkeys when the address becomes `text`. Raises Refused 400."""
        left = {user.id: self._second_factor.codes_left(user.id) for user in self._users.all() if self._only(user.id)}
        return policy.losses(self._rows.all(), self.names(), policy.names(self._origins.bound_after(text)), left)

    def check_address(self, text: str | None) -> None:
        """Raise Refused 409 if somebody could not sign in any more after this change, 400 if it is no address."""
        locked_out = [self._users.by_id(loss.user_id) for loss in self.losses(text) if loss.locked_out]
        stuck = [user.called for user in locked_out if user is not None]
        if stuck:
            raise Refused(
                409,
                "locks_out",
                f"These people could not sign in any more: {', '.join(stuck)}. Their second factor is a passkey of the"
                " present address, and they have no recovery codes left. They can make new codes on their account page,"
                " or an owner turns off their second factor first.",
                detail={"people": stuck},
            )

    def begin_adding(self, signed_in: SignedIn, visitor: Visitor) -> Options:
        """Options for a new passkey. Raises Refused 409 where none can be added."""
        user, where = signed_in.user, self.place(visitor.origin)
        theirs = self.of_user(user.id)
        if where.obstacle:
            raise Refused(409, "no_passkeys_here", "A passkey cannot be added at this address.")
        if len(theirs) >= policy.MOST_PASSKEYS:
            raise Refused(409, "too_many_passkeys", f"You have {len(theirs)} passkeys. Remove one first.")
        return {
            "rp": {"id": where.rp_id, "name": "Parachute"},
            "user": {"id": base64url(user.id.encode()), "name": user.username, "displayName": user.called},
            "challenge": self._challenges.begin(signed_in.session.id, _ADDING, visitor.address),
            "pubKeyCredParams": [{"type": "public-key", "alg": one} for one in _ALGORITHMS],
            "timeout": int(LIFETIME * 1000),
            "excludeCredentials": _listed(one for one in theirs if one.rp_id == where.rp_id),
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": True,
                "userVerification": "required",
            },
            "attestation": "none",
        }

    async def add(self, signed_in: SignedIn, visitor: Visitor, text: str, name: str) -> Passkey:
        """Keep the new passkey. Raises Refused 400, 409 or 429."""
        where = self.place(visitor.origin)
        name = checked_name(name)
        try:
            answer = policy.read_answer(text, kind="webauthn.create", origin=visitor.origin)
        except BadAnswer:
            raise _not_added() from None
        if not self._challenges.take(answer.challenge, signed_in.session.id, _ADDING):
            raise Refused(400, "passkey_expired", "That took too long. Add the passkey again.")
        told = await self._verifier.verify({"kind": "webauthn.create", **_job(answer.text, answer.challenge, where)})
        if not told["good"] or told["id"] != answer.credential_id:
            raise _not_added()
        added = Passkey(
            id=told["id"],
            user_id=signed_in.user.id,
            name=name,
            rp_id=where.rp_id,
            public_key=policy.octets(told["public_key"]),
            sign_count=int(told["sign_count"]),
            synced=bool(told["synced"]),
            created_at=self._clock(),
        )

        def keep() -> bool:
            if self._users.by_id(added.user_id) is None or len(self.of_user(added.user_id)) >= policy.MOST_PASSKEYS:
                return False
            self._rows.add(added)
            self._note(signed_in.user, visitor, "passkey-added", name)
            return True

        try:
            kept = await self._write(keep)
        except PasskeyTaken:
            kept = False
        if not kept:
            raise _not_added()
        return added

    def ask(self, visitor: Visitor, *, holder: str, purpose: str, user_id: str | None, verified: bool) -> Options:
        """Options to sign with a passkey: any that the browser knows, or one of this user's.

        `verified`: the authenticator must know who it is, by a PIN or a fingerprint. Raises Refused 409.
        """
        where = self.place(visitor.origin)
        theirs = [] if user_id is None else self.usable(user_id, visitor.origin)
        if not where.works or (user_id is not None and not theirs):
            raise Refused(409, "no_passkeys_here", "You have no passkey for this address. Use your password.")
        return {
            "challenge": self._challenges.begin(holder, purpose, visitor.address),
            "timeout": int(LIFETIME * 1000),
            "rpId": where.rp_id,
            "allowCredentials": _listed(theirs),
            "userVerification": "required" if verified else "preferred",
        }

    def owner_of(self, text: str, origin: str) -> str | None:
        """Whose passkey an answer is of, unverified: for the throttle and the log."""
        try:
            known = self._rows.get(policy.read_answer(text, kind="webauthn.get", origin=origin).credential_id)
        except BadAnswer:
            return None
        return None if known is None else known.user_id

    async def signed(
        self, visitor: Visitor, text: str, *, holder: str, purpose: str, owner: str | None, verified: bool
    ) -> Signed | None:
        """Verify an answer to `ask`; None if it is not good. Raises Refused 429 or 503."""
        where = self.place(visitor.origin)
        try:
            answer = policy.read_answer(text, kind="webauthn.get", origin=visitor.origin)
        except BadAnswer:
            return None
        if not where.works or not self._challenges.take(answer.challenge, holder, purpose):
            return None
        known = self._rows.get(answer.credential_id)
        if policy.why_foreign(known, answer, owner=owner, rp_id=where.rp_id) is not None or known is None:
            return None
        told = await self._verifier.verify(
            {
                "kind": "webauthn.get",
                **_job(answer.text, answer.challenge, where),
                "public_key": base64url(known.public_key),
                "verified": verified,
            }
        )
        return Signed(passkey=known, sign_count=int(told["sign_count"])) if told["good"] else None

    def accept(self, signed: Signed | None, visitor: Visitor) -> User | None:
        """Whose passkey it was, if it still counts. Call within a transaction.

        A passkey whose counter went back is blocked: of two devices with its key, nobody knows which is whose.
        """
        current = None if signed is None else self._rows.get(signed.passkey.id)
        if signed is None or current is None or current.blocked_at is not None:
            return None
        user = self._users.by_id(current.user_id)
        if user is None:
            return None
        if policy.is_copy(current.sign_count, signed.sign_count):
            self._rows.block(current.id, self._clock())
            self._note(user, visitor, "passkey-blocked", current.name, why=_COPIED)
            return None
        self._rows.used(current.id, sign_count=signed.sign_count, now=self._clock())
        return user

    def _only(self, user_id: str) -> bool:
        return self._second_factor.passkeys_since(user_id) is not None

    def _note(self, user: User, visitor: Visitor, action: str, name: str, *, why: str = "") -> None:
        self._audit.note(
            Act(at=self._clock(), actor=user.username, action=action, subject=name, address=visitor.address, why=why)
        )


def checked_name(name: str) -> str:
    """A passkey's name. Raises Refused 400."""
    name = name.strip() or "Passkey"
    problem = validation.display_name_problem(name)
    if problem is not None:
        raise Refused(400, "invalid_name", problem)
    return name


def _job(text: str, challenge: str, where: Place) -> dict[str, Any]:
    return {"credential": text, "challenge": challenge, "rp_id": where.rp_id, "origin": where.origin}


def _listed(passkeys: Any) -> list[dict[str, str]]:
    return [{"type": "public-key", "id": one.id} for one in passkeys]


def _not_added() -> Refused:
    return Refused(400, "passkey_refused", "That passkey could not be added. Try again, or use another device.")
