"""Ends everything that anybody holds, for an owner who fears that something was stolen."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from parachute_hub.oauth.authorization.scopes import COMMAND
from parachute_hub.oauth.tokens.keys import Keyring
from parachute_hub.oauth.tokens.operator_token import OperatorToken
from parachute_hub.store.clients import Clients
from parachute_hub.store.grants import Grants
from parachute_hub.store.invites import Invites
from parachute_hub.store.rows import Act, StoredKey
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.tokens import Tokens
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.records import frozen

_PAGES_OWN = "session_mint"


@frozen(kw_only=True)
class Ended:
    """What ended and must be connected or made again.

    `people` are usernames; `apps` pairs of an app's name and a username; `invitations` names; `tokens` the scopes of
    tokens that were made by hand.
    """

    people: tuple[str, ...]
    apps: tuple[tuple[str, str], ...]
    invitations: tuple[str, ...]
    tokens: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For the API."""
        return {
            "people": [*self.people],
            "apps": [{"name": name, "user": user} for name, user in self.apps],
            "invitations": [*self.invitations],
            "tokens": [*self.tokens],
        }


class Lockdown:
    """Sessions, known devices, tokens, app connections and invitations end, and a new key signs at once.

    Apps from elsewhere need an owner's approval again. Passwords and second factors stay.
    """

    def __init__(
        self,
        *,
        write: Write,
        users: Users,
        sessions: Sessions,
        invites: Invites,
        tokens: Tokens,
        grants: Grants,
        clients: Clients,
        keys: Keyring,
        operator: OperatorToken,
        note: Callable[[Act], None],
        clock: IReactorTime,
    ) -> None:
        self._write = write
        self._users = users
        self._sessions = sessions
        self._invites = invites
        self._tokens = tokens
        self._grants = grants
        self._clients = clients
        self._keys = keys
        self._operator = operator
        self._note = note
        self._clock = clock

    async def lock(self) -> Ended:
        """End everything, in one transaction; then write a new token for the machine's own command."""
        scope_set = self._operator.scope_set()
        ended: Ended = await self._keys.replace_all(self._end)
        await self._operator.renew(scope_set)
        return ended

    def _end(self, key: StoredKey, store_key: Callable[[StoredKey], None]) -> Ended:
        now = self._clock.seconds()
        users = {user.id: user.username for user in self._users.all()}
        live = [record for user_id in users for record in self._tokens.of_user(user_id, now)]
        ended = Ended(
            people=tuple(name for user_id, name in users.items() if self._sessions.of_user(user_id)),
            apps=tuple(
                (client.name, name)
                for user_id, name in users.items()
                for grant in self._grants.of_user(user_id)
                if (client := self._clients.get(grant.client_id)) is not None
            ),
            invitations=tuple(
                invite.name or invite.username or "(no name)"
                for invite in self._invites.all()
                if invite.status(now) == "pending"
            ),
            tokens=tuple(
                " ".join(record.scopes) for record in live if not record.family_id and record.created_via != _PAGES_OWN
            ),
        )
        self._sessions.end_everything()
        self._invites.revoke_all(now)
        self._grants.end_everything(now)
        self._clients.distrust_all(COMMAND)
        self._tokens.revoke_all(now)
        store_key(key)
        self._note(Act(at=now, actor="", action="locked", subject=""))
        return ended
