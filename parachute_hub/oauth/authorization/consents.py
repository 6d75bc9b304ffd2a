"""Records a consent: the grant and the app's authorization code, in one transaction."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from parachute_hub.oauth.authorization.policy import AuthorizationRequest, IssueCode
from parachute_hub.oauth.authorization.scopes import COMMAND
from parachute_hub.store.clients import Clients
from parachute_hub.store.grants import Grants
from parachute_hub.store.rows import Act, Code, Family, Grant, User
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import hashed, new_token
from parachute_hub.system.records import frozen

CODE_LIFETIME = 60.0


@frozen(kw_only=True)
class ConsentingUser:
    """Who consents: the user, the time of sign-in (epoch seconds), and the current address."""

    user: User
    auth_time: float
    address: str


class Consents:
    """Stores consents."""

    _log = Logger()

    def __init__(
        self,
        *,
        write: Write,
        clients: Clients,
        grants: Grants,
        note: Callable[[Act], None],
        clock: IReactorTime,
        random: Callable[[int], bytes],
    ) -> None:
        self._note = note
        self._write = write
        self._clients = clients
        self._grants = grants
        self._clock = clock
        self._random = random

    def granted(self, user: User | None, client_id: str) -> tuple[str, ...]:
        """The scopes this user granted to the app before."""
        grant = None if user is None else self._grants.get(user.id, client_id)
        return () if grant is None else grant.scopes

    async def give(self, ask: AuthorizationRequest, issue: IssueCode, giver: ConsentingUser) -> str:
        """Record the consent, approve the app if the consent implies that, and return the code."""
        code = new_token(self._random)
        await self._write(self.record, issue, giver, ask["redirect_uri"], code=code, challenge=ask["code_challenge"])
        return code

    def record(
        self, issue: IssueCode, giver: ConsentingUser, redirect_uri: str, *, code: str = "", challenge: str = ""
    ) -> str:
        """Record a consent, with a code that is sent to `redirect_uri` unless it is empty. Returns the family's id.

        Call within a transaction.
        """
        now = self._clock.seconds()
        family_id = self._random(16).hex()
        client_id, user = issue.client.client_id, giver.user
        if client_id == COMMAND:
            self._clients.put(issue.client)
        if issue.approves:
            self._clients.approve(client_id, user.username)
        self._note(
            Act(
                at=now,
                actor=user.username,
                action="app-connected",
                subject=issue.client.name,
                address=giver.address,
                means="session",
                why=" ".join(issue.scopes),
            )
        )
        self._grants.allow(
            Grant(
                user_id=user.id,
                client_id=client_id,
                scopes=issue.scopes,
                redirect_uri=redirect_uri,
                address=giver.address,
                first_at=now,
                last_at=now,
            ),
            Family(
                id=family_id,
                user_id=user.id,
                client_id=client_id,
                scopes=issue.scopes,
                resource=None if issue.target is None else str(issue.target),
                auth_time=giver.auth_time,
                created_at=now,
            ),
            Code(
                hash=hashed(code),
                family_id=family_id,
                redirect_uri=redirect_uri,
                challenge=challenge,
                expires_at=now + CODE_LIFETIME,
            )
            if code
            else None,
        )
        self._log.info(
            "{user} allowed {client} ({client_id}): {scopes}",
            user=user.username,
            client=issue.client.name,
            client_id=client_id,
            scopes=" ".join(issue.scopes),
        )
        return family_id
