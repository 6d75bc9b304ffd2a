"""Connected apps: what users granted to whom. Disconnecting takes effect immediately, including access tokens."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from parachute_hub.oauth.authorization.redirects import place
from parachute_hub.oauth.authorization.scopes import COMMAND, attenuate, authority_for, vault_scope, whole_authority_of
from parachute_hub.oauth.clients.registration import domain_of
from parachute_hub.oauth.tokens.token_service import TokenExchange
from parachute_hub.store.clients import Clients
from parachute_hub.store.grants import Grants
from parachute_hub.store.rows import Act, Branch, Client, Grant
from parachute_hub.store.tokens import Tokens
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import to_day


@frozen(kw_only=True)
class ConnectedApp:
    """One app with a user's consent. `active`: whether it holds any valid token.

    `branches` are its processes that can go on, the last used first. `trouble` says when and why the hub ended its
    latest connection by itself.
    """

    client: Client
    grant: Grant
    active: bool
    branches: tuple[Branch, ...] = ()
    trouble: tuple[float, str] | None = None

    def in_short(self) -> tuple[str, str, str]:
        """Its id, its name, and a sentence about its last use."""
        used = f"Last used on {to_day(self.grant.last_at)}, connected from {self.grant.address}"
        return self.client.client_id, self.client.name, used

    def to_json(self) -> dict[str, Any]:
        """The API representation. `domain` is verified, `name` is self-asserted. Times are in epoch seconds."""
        scopes = self.grant.scopes
        return {
            "client_id": self.client.client_id,
            "name": self.client.name,
            "domain": domain_of(self.client.client_id) or None,
            "same_hub": self.client.same_hub,
            "redirect_host": place(self.grant.redirect_uri) if self.grant.redirect_uri else None,
            "vaults": sorted({scope.name for scope in map(vault_scope, scopes) if scope and scope.name}),
            "scopes": list(scopes),
            "first_used": self.grant.first_at,
            "last_used": self.grant.last_at,
            "address": self.grant.address,
            "active": self.active,
            "branches": [
                {"first_used": branch.began_at, "last_used": branch.last_at, "address": branch.address}
                for branch in self.branches
            ],
            "ended": None if self.trouble is None else {"at": self.trouble[0], "why": self.trouble[1]},
        }


class Connections:
    """All consents. Implements the accounts' `AccessWatch`, which reports reduced access within the transaction."""

    _log = Logger()

    def __init__(
        self,
        *,
        write: Write,
        clients: Clients,
        grants: Grants,
        tokens: Tokens,
        users: Users,
        redeemer: TokenExchange,
        note: Callable[[Act], None],
        clock: IReactorTime,
    ) -> None:
        """`note` adds to the audit log within a transaction."""
        self._note = note
        self._write = write
        self._clients = clients
        self._grants = grants
        self._tokens = tokens
        self._users = users
        self._redeemer = redeemer
        self._clock = clock

    def of_user(self, user_id: str) -> list[ConnectedApp]:
        """A user's apps, most recently used first."""
        apps = []
        for grant in self._grants.of_user(user_id):
            client = self._clients.get(grant.client_id)
            if client is not None:
                apps.append(self._connected(client, grant))
        return apps

    def _connected(self, client: Client, grant: Grant) -> ConnectedApp:
        families = self._grants.live_families(grant.user_id, grant.client_id)
        now = self._clock.seconds()
        branches = [branch for family in families for branch in self._grants.branches(family.id, now)]
        return ConnectedApp(
            client=client,
            grant=grant,
            active=bool(families),
            branches=tuple(sorted(branches, key=lambda branch: branch.last_at, reverse=True)),
            trouble=self._grants.last_trouble(grant.user_id, grant.client_id),
        )

    def connected_names(self) -> list[str]:
        """The names of the apps that anybody has connected, sorted."""
        connected = map(self._clients.get, self._grants.connected_clients())
        return sorted({client.name or client.client_id for client in connected if client is not None})

    async def disconnect(self, user_id: str, client_id: str) -> bool:
        """Withdraw a consent and everything issued from it; False if there is none."""

        def end() -> bool:
            for family in self._grants.live_families(user_id, client_id):
                self._redeemer.end_family(family.id)
            forgotten = self._grants.forget(user_id, client_id)
            if forgotten:
                self._noted("app-disconnected", client_id)
            return forgotten

        ended = await self._write(end)
        self._log.info("{user_id} disconnected {client_id}", user_id=user_id, client_id=client_id)
        return ended

    def clients(self) -> list[Client]:
        """All registered clients, newest first. The hub's own command was not registered by anybody."""
        return [client for client in self._clients.all() if client.client_id != COMMAND]

    def client(self, client_id: str) -> Client | None:
        return self._clients.get(client_id)

    async def approve_client(self, client_id: str, vouched_by: str) -> None:
        """Approve a client on behalf of `vouched_by`."""

        def approve() -> None:
            self._clients.approve(client_id, vouched_by)
            self._noted("app-approved", client_id)

        await self._write(approve)

    async def remove_client(self, client_id: str) -> bool:
        """Remove a client for all users and revoke its access tokens. False if unknown."""

        def remove() -> bool:
            self._tokens.changed()
            client = self._clients.get(client_id)
            if client is None or client_id == COMMAND:
                return False
            self._noted("app-removed" if client.status == "approved" else "app-refused", client_id, client.name)
            return self._clients.delete(client_id)

        return await self._write(remove)

    def _noted(self, action: str, client_id: str, name: str | None = None) -> None:
        client = self._clients.get(client_id)
        told = name or (client.name if client else client_id)
        self._note(Act(at=self._clock.seconds(), actor="", action=action, subject=told))

    def access_ended(self, user_id: str) -> None:
        """Revoke everything that carries this user's authority: the password changed, or the user was deleted."""
        for family in self._grants.live_families(user_id):
            self._redeemer.end_family(family.id)
        self._tokens.revoke_user(user_id, self._clock.seconds())

    def access_changed(self, user_id: str) -> None:
        """A user's role or vaults changed: revoke and reduce what exceeds them."""
        user = self._users.by_id(user_id)
        if user is None:
            self.access_ended(user_id)
            return
        whole, now = whole_authority_of(user), self._clock.seconds()
        for record in self._tokens.of_user(user_id, now):
            if attenuate(record.scopes, whole) != record.scopes:
                self._tokens.revoke(record.jti, now)
        for grant in self._grants.of_user(user_id):
            authority = authority_for(user, grant.client_id)
            self._grants.replace_scopes(user_id, grant.client_id, attenuate(grant.scopes, authority))
        for family in self._grants.live_families(user_id):
            if not attenuate(family.scopes, authority_for(user, family.client_id)):
                self._redeemer.end_family(family.id)
