"""Invitations by link."""

from collections.abc import Mapping

from parachute_hub.accounts.model import Clock, Random
from parachute_hub.accounts.people.users import Actor, People, check_password, check_username
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.audit import Audit
from parachute_hub.store.invites import Invites
from parachute_hub.store.rows import Act, Invite, User, VaultRole
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import hashed, new_token

LASTS = 7 * 24 * 3600
LASTS_AT_MOST = 90 * 24 * 3600
MOST_USES = 1000


class Invitations:
    """Creates and redeems links. Counting the use and storing the user happen in one transaction."""

    def __init__(
        self, *, people: People, invites: Invites, audit: Audit, write: Write, clock: Clock, random: Random
    ) -> None:
        self._people = people
        self._invites = invites
        self._audit = audit
        self._write = write
        self._clock = clock
        self._random = random

    async def make(
        self,
        actor: Actor,
        *,
        vaults: Mapping[str, VaultRole],
        username: str | None = None,
        lasts: float = LASTS,
        max_uses: int = 1,
    ) -> tuple[Invite, str]:
        """An invitation and the token for its link. Raises Refused 400."""
        if not 0 < lasts <= LASTS_AT_MOST or not 1 <= max_uses <= MOST_USES:
            raise Refused(400, "invalid_request", f"A link lasts up to 90 days and lets in up to {MOST_USES} people.")
        if username is not None:
            check_username(username)
            if max_uses != 1:
                raise Refused(400, "invalid_request", "A link for one username lets in one person.")
        now = self._clock()
        token = new_token(self._random)
        invite = Invite(
            id=hashed(token),
            created_by=actor.user_id or self._people.owner().id,
            username=username,
            vaults=vaults,
            max_uses=max_uses,
            used_count=0,
            created_at=now,
            expires_at=now + lasts,
            revoked_at=None,
        )

        def add() -> None:
            self._invites.add(invite)
            self._note(actor, "invited", username or "(whoever has the link)")

        await self._write(add)
        return invite, token

    def all(self) -> list[Invite]:
        """All invitations, newest first."""
        return self._invites.all()

    async def revoke(self, actor: Actor, invite_id: str) -> Invite:
        """Revoke an invitation. Raises Refused 404."""

        def revoke() -> Invite:
            self._invites.revoke(invite_id, self._clock())
            invite = self._invites.get(invite_id)
            if invite is None:
                raise not_found("There is no such invitation.")
            self._note(actor, "invite-revoked", invite_id[:12])
            return invite

        return await self._write(revoke)

    def open(self, token: str) -> Invite:
        """The invitation for a token. Raises Refused 404 for an invalid one, 410 for one that ended."""
        invite = self._invites.get(hashed(token))
        if invite is None:
            raise not_found("This invitation link is not valid. Check that you copied all of it.")
        match invite.status(self._clock()):
            case "pending":
                return invite
            case "redeemed":
                raise Refused(410, "invite_used", "This invitation was already used. Sign in, or ask for a new one.")
            case _:
                raise Refused(410, "invite_expired", "This invitation has ended. Ask for a new one.")

    async def redeem(self, token: str, username: str, password: str, address: str) -> User:
        """Create an account from a link. Raises Refused 400, 404, 409, 410, 413 or 429."""
        invite = self.open(token)
        username = invite.username or username.strip()
        check_username(username)
        check_password(password, username)
        user = await self._people.person(username, password, vaults=invite.vaults)

        def admit() -> None:
            if not self._invites.use(invite.id, self._clock()):
                self.open(token)
            self._people.admit(user)
            self._note(Actor(name=user.username, address=address), "invite-redeemed", invite.id[:12])

        await self._write(admit)
        return user

    def prune(self) -> None:
        """Delete invitations that ended long ago. Call within a transaction."""
        self._invites.prune(self._clock() - LASTS_AT_MOST)

    def _note(self, actor: Actor, action: str, subject: str) -> None:
        self._audit.note(Act(at=self._clock(), actor=actor.name, action=action, subject=subject, address=actor.address))
