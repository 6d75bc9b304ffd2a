"""Invitations by link."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import evolve

from parachute_hub.accounts.encryption import Sealer, Unsealable
from parachute_hub.accounts.model import Clock, Random
from parachute_hub.accounts.people.users import Actor, People, check_display_name, check_password, check_username
from parachute_hub.accounts.people.vault_deletions import Shelf, VaultDeletions
from parachute_hub.accounts.validation import username_from, vault_name_for
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.audit import Audit
from parachute_hub.store.invites import Invites
from parachute_hub.store.rows import Act, Invite, User, VaultRole
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import hashed, new_token

LASTS = 7 * 24 * 3600
LASTS_AT_MOST = 90 * 24 * 3600
MOST_USES = 1000
LONGEST_NOTE = 500


class Vaults(Shelf, Protocol):
    """The vaults of this hub."""

    def names(self) -> Sequence[str]:
        """Their names; none without the vault module."""


class Invitations:
    """Creates and redeems links. Counting the use and storing the user happen in one transaction."""

    def __init__(
        self,
        *,
        people: People,
        invites: Invites,
        vaults: Vaults,
        deletions: VaultDeletions,
        sealer: Sealer,
        audit: Audit,
        write: Write,
        clock: Clock,
        random: Random,
    ) -> None:
        self._people = people
        self._vaults = vaults
        self._deletions = deletions
        self._sealer = sealer
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
        own_vault: bool = False,
        username: str | None = None,
        name: str = "",
        note: str = "",
        lasts: float = LASTS,
        max_uses: int = 1,
    ) -> tuple[Invite, str]:
        """An invitation and the token for its link. Raises Refused 400, or 409 if no vault can be made."""
        if not 0 < lasts <= LASTS_AT_MOST or not 1 <= max_uses <= MOST_USES:
            raise Refused(400, "invalid_request", f"A link lasts up to 90 days and lets in up to {MOST_USES} people.")
        if username is not None:
            check_username(username)
            if max_uses != 1:
                raise Refused(400, "invalid_request", "A link for one username lets in one person.")
        check_display_name(name)
        if len(note) > LONGEST_NOTE:
            raise Refused(400, "invalid_request", f"A note has at most {LONGEST_NOTE} characters.")
        if own_vault and not self._vaults.names():
            raise Refused(
                409,
                "no_vault_module",
                "Their vault needs the Vault module. Install it first, or invite without a vault.",
            )
        now = self._clock()
        token = new_token(self._random)
        invite = Invite(
            id=(invite_id := hashed(token)),
            created_by=actor.user_id or self._people.owner().id,
            username=username,
            vaults=vaults,
            max_uses=max_uses,
            used_count=0,
            created_at=now,
            expires_at=now + lasts,
            revoked_at=None,
            name=name,
            note=note,
            own_vault=own_vault,
            sealed_token=self._sealer.seal(token, _about(invite_id)),
        )

        def add() -> None:
            self._invites.add(invite)
            self._note(actor, "invited", username or name or "(whoever has the link)")

        await self._write(add)
        return invite, token

    def all(self) -> list[Invite]:
        """All invitations, newest first."""
        return self._invites.all()

    async def show(self, actor: Actor, invite_id: str) -> str:
        """The token of a link that is still valid. Raises Refused 404, or 410."""

        def show() -> str:
            token = self._token(invite_id)
            self._note(actor, "invite-shown", invite_id[:12])
            return token

        return await self._write(show)

    def _token(self, invite_id: str) -> str:
        invite = self._invites.get(invite_id)
        if invite is None:
            raise not_found("There is no such invitation.")
        self._check(invite)
        try:
            return self._sealer.open(invite.sealed_token or b"", _about(invite_id))
        except Unsealable:
            text = "This link was made by an earlier version and cannot be shown again. Make a new invitation."
            raise Refused(410, "link_not_kept", text) from None

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
        self._check(invite)
        return invite

    def inviter(self, invite: Invite) -> str:
        """The name of the person who invites."""
        return self._people.get(invite.created_by).called

    async def redeem(self, token: str, username: str, password: str, address: str, *, display_name: str = "") -> User:
        """Create an account from a link, with a vault of its own if the invitation says so.

        Without a username, it is made from the name. Raises Refused 400, 404, 409, 410, 413, 429 or 502.
        """
        invite = self.open(token)
        display_name = display_name.strip()
        username = invite.username or username.strip() or username_from(display_name)
        check_username(username)
        check_display_name(display_name)
        check_password(password, username)
        self._people.check_free(username)
        user = await self._people.person(username, password, vaults=invite.vaults, display_name=display_name)
        actor = Actor(name=user.username, address=address)
        made = None
        if invite.own_vault:
            made = vault_name_for(username, self._vaults.names())
            await self._deletions.create(made)
            user = evolve(user, vaults={**user.vaults, made: "write"}, own=(made,))

        def admit() -> None:
            if not self._invites.use(invite.id, self._clock()):
                self.open(token)
            self._people.admit(user)
            self._note(actor, "invite-redeemed", invite.id[:12])
            if made is not None:
                self._note(actor, "vault-made", made)

        await self._write(admit)
        return user

    def prune(self) -> None:
        """Delete invitations that ended long ago. Call within a transaction."""
        self._invites.prune(self._clock() - LASTS_AT_MOST)

    def _check(self, invite: Invite) -> None:
        """Raise Refused 410 if the link lets nobody in any more."""
        match invite.status(self._clock()):
            case "pending":
                return
            case "redeemed":
                raise Refused(410, "invite_used", "This invitation was already used. Sign in, or ask for a new one.")
            case _:
                raise Refused(410, "invite_expired", "This invitation has ended. Ask for a new one.")

    def _note(self, actor: Actor, action: str, subject: str) -> None:
        self._audit.note(Act(at=self._clock(), actor=actor.name, action=action, subject=subject, address=actor.address))


def _about(invite_id: str) -> str:
    return f"invite {invite_id}"
