"""Step-up: password, second factor or passkey again, for one named operation, valid once and for five minutes."""

import re
from collections import OrderedDict

from attrs import evolve
from twisted.web.iweb import IRequest

from parachute_hub.accounts.model import Clock, Random, SignedIn, Visitor
from parachute_hub.accounts.passkeys.service import Options, Passkeys
from parachute_hub.accounts.sessions import policy
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.accounts.signin.second_factor import SecondFactor
from parachute_hub.accounts.signin.throttle import AttemptThrottle
from parachute_hub.site.auth import Principal
from parachute_hub.site.errors import Refused
from parachute_hub.store.audit import Audit
from parachute_hub.store.rows import Act, User
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import hashed, new_token
from parachute_hub.system.records import frozen

HEADER = "X-Parachute-Proof"
MOST_PROOFS = 1000
# The operation's verb, then its object: `install:@scope/package`, `user.delete:<id>`.
_OPERATION = re.compile(r"[a-z][a-z0-9.-]{0,63}(:[\x21-\x7e]{1,500})?")


@frozen
class Proof:
    """What a proof is valid for."""

    holder: str
    operation: str
    expires_at: float


class ProofsOfPresence:
    """Implements `site.auth.StepUp`. Proofs are kept in memory; after a restart the password is asked again."""

    def __init__(
        self,
        *,
        write: Write,
        users: Users,
        hasher: Hasher,
        second_factor: SecondFactor,
        passkeys: Passkeys,
        guard: AttemptThrottle,
        audit: Audit,
        clock: Clock,
        random: Random,
    ) -> None:
        self._write = write
        self._users = users
        self._hasher = hasher
        self._second_factor = second_factor
        self._passkeys = passkeys
        self._guard = guard
        self._audit = audit
        self._clock = clock
        self._random = random
        self._proofs: OrderedDict[str, Proof] = OrderedDict()

    async def verify(self, signed_in: SignedIn, visitor: Visitor, *, password: str = "", code: str = "") -> None:
        """Verify that the user is present. Raises Refused 400, 401, 403, 413 or 429.

        A form may bring a proof for its page instead, which a script of ours got with a passkey.
        """
        policy.refuse_limited(signed_in.session)
        user = signed_in.user
        if visitor.proof:
            if not self._use(visitor.proof, signed_in.session.id, page_operation(visitor.path)):
                raise Refused(401, "invalid_credentials", "That took too long. Confirm it again.")
            return
        if not password and not code:
            raise Refused(400, "password_required", "Type your password to confirm this.")
        attempt = await self._write(self._guard.begin, "step-up", user.id, visitor, user_id=user.id, strict=True)
        older = None if password else await self._second_factor.older_code(user.id, code)
        verified = bool(password) and (await self._hasher.check(password, user.password_hash)).right

        def decide() -> bool:
            if password:
                current = self._users.by_id(user.id)
                right = verified and current is not None and current.password_hash == user.password_hash
            else:
                right = self._second_factor.use(user.id, code, older) is not None
                if right and not self._second_factor.enabled(user.id):
                    self._note(user, visitor, "second-factor-off")
            if right:
                attempt.succeeded()
            else:
                self._note_refused(user, visitor)
            return right

        if not await self._write(decide):
            raise Refused(401, "invalid_credentials", "That is not right. Try again.")

    def ask(self, signed_in: SignedIn, visitor: Visitor, operation: str) -> Options:
        """Options to confirm an operation with a passkey. Raises Refused 400 or 409."""
        policy.refuse_limited(signed_in.session)
        _check(operation)
        return self._passkeys.ask(
            visitor,
            holder=signed_in.session.id,
            purpose=_purpose(operation),
            user_id=signed_in.user.id,
            verified=True,
        )

    async def _verify_passkey(self, signed_in: SignedIn, visitor: Visitor, operation: str, passkey: str) -> None:
        user = signed_in.user
        attempt = await self._write(self._guard.begin, "step-up", user.id, visitor, user_id=user.id, strict=True)
        signed = await self._passkeys.signed(
            visitor,
            passkey,
            holder=signed_in.session.id,
            purpose=_purpose(operation),
            owner=user.id,
            verified=True,
        )

        def decide() -> bool:
            right = self._passkeys.accept(signed, visitor) is not None
            if right:
                attempt.succeeded()
            else:
                self._note_refused(user, visitor)
            return right

        if not await self._write(decide):
            raise Refused(401, "invalid_credentials", "That passkey did not work. Try again, or type your password.")

    def _note(self, user: User, visitor: Visitor, action: str) -> None:
        self._audit.note(Act(at=self._clock(), actor=user.username, action=action, address=visitor.address))

    def _note_refused(self, user: User, visitor: Visitor) -> None:
        act = Act(at=self._clock(), actor=user.username, action="confirm", outcome="refused", address=visitor.address)
        self._audit.note(act)

    async def issue(
        self,
        signed_in: SignedIn,
        visitor: Visitor,
        operation: str,
        *,
        password: str = "",
        code: str = "",
        passkey: str = "",
    ) -> tuple[str, float]:
        """A proof for this session and operation, and its expiry (epoch seconds). Raises like `verify`.

        Forms ask for the password, which a code does not replace, and no proof leads to another.
        """
        policy.refuse_limited(signed_in.session)
        _check(operation)
        if passkey:
            await self._verify_passkey(signed_in, visitor, operation, passkey)
        else:
            code = "" if operation.startswith(page_operation("")) else code
            await self.verify(signed_in, evolve(visitor, proof=""), password=password, code=code)
        return self.grant(signed_in.session.id, operation)

    def grant(self, holder: str, operation: str) -> tuple[str, float]:
        """A proof for a session or a connection of the hub's command, whose person has just confirmed the operation."""
        proof = new_token(self._random)
        expires_at = self._clock() + policy.PROOF
        self._proofs[hashed(proof)] = Proof(holder, operation, expires_at)
        while len(self._proofs) > MOST_PROOFS:
            self._proofs.popitem(last=False)
        return proof, expires_at

    def prove(self, request: IRequest, principal: Principal, operation: str) -> None:
        """Consume the proof in the request's header. Raises Refused 403 `step_up_required`.

        The operator is exempt, since whoever has the operator token controls the machine. Issued tokens do not
        represent a person and cannot give a proof, except those of the hub's own command.
        """
        if principal.kind == "operator":
            return
        presented = request.getHeader(HEADER)
        holder = principal.session_id if principal.kind == "session" else principal.connection
        if presented and holder and self._use(presented, holder, operation):
            return
        raise Refused(
            403,
            "step_up_required",
            "Confirm with your password first: ask /api/account/step-up for a proof.",
            detail={"operation": operation, "step_up_url": "/api/account/step-up"},
        )

    def _use(self, presented: str, holder: str, operation: str) -> bool:
        proof = self._proofs.get(hashed(presented))
        if proof is None or proof.holder != holder or proof.operation != operation:
            return False
        del self._proofs[hashed(presented)]
        return self._clock() < proof.expires_at


def page_operation(path: str) -> str:
    """The operation that a form on a page is, for a passkey in place of the password."""
    return f"page:{path}"


def _purpose(operation: str) -> str:
    return f"confirm {operation}"


def _check(operation: str) -> None:
    if not _OPERATION.fullmatch(operation):
        raise Refused(400, "invalid_operation", "Name the operation to confirm, such as user.delete:<id>.")
