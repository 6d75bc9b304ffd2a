"""Connected apps: what a person allowed to whom, and its end. Ending means at once, access tokens included."""

from typing import Any

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from parachute_hub.oauth.authorization.redirects import place
from parachute_hub.oauth.authorization.scopes import attenuate, authority_of, vault_scope, whole_authority_of
from parachute_hub.oauth.clients.registration import domain_of
from parachute_hub.oauth.tokens.token_service import Redeemer
from parachute_hub.store.clients import Clients
from parachute_hub.store.database import Database
from parachute_hub.store.grants import Grants
from parachute_hub.store.rows import Client, Grant
from parachute_hub.store.tokens import Tokens
from parachute_hub.store.users import Users


@frozen(kw_only=True)
class ConnectedApp:
    """One app that a person allowed something. `active`: whether it holds anything that still works."""

    client: Client
    grant: Grant
    active: bool

    def to_json(self) -> dict[str, Any]:
        """As the API shows it. `domain` is proven, `name` is only said. Times are seconds since the epoch."""
        scopes = self.grant.scopes
        return {
            "client_id": self.client.client_id,
            "name": self.client.name,
            "domain": domain_of(self.client.client_id) or None,
            "same_hub": self.client.same_hub,
            "redirect_host": place(self.grant.redirect_uri),
            "vaults": sorted({scope.name for scope in map(vault_scope, scopes) if scope and scope.name}),
            "scopes": list(scopes),
            "first_used": self.grant.first_at,
            "last_used": self.grant.last_at,
            "address": self.grant.address,
            "active": self.active,
        }


class Connections:
    """What people allowed. Also the accounts' `AccessWatch`: told when somebody's access shrinks."""

    _log = Logger()

    def __init__(
        self,
        *,
        database: Database,
        clients: Clients,
        grants: Grants,
        tokens: Tokens,
        users: Users,
        redeemer: Redeemer,
        clock: IReactorTime,
    ) -> None:
        self._database = database
        self._clients = clients
        self._grants = grants
        self._tokens = tokens
        self._users = users
        self._redeemer = redeemer
        self._clock = clock

    def of_user(self, user_id: str) -> list[ConnectedApp]:
        """Somebody's apps, the latest used first."""
        apps = []
        for grant in self._grants.of_user(user_id):
            client = self._clients.get(grant.client_id)
            if client is not None:
                active = bool(self._grants.live_families(user_id, grant.client_id))
                apps.append(ConnectedApp(client=client, grant=grant, active=active))
        return apps

    def disconnect(self, user_id: str, client_id: str) -> bool:
        """Take back what a person allowed to an app, and end all of it (A3); False when there was nothing."""
        with self._database.transaction(durable=True):
            for family in self._grants.live_families(user_id, client_id):
                self._redeemer.end_family(family.id)
            ended = self._grants.forget(user_id, client_id)
        self._log.info("{user_id} disconnected {client_id}", user_id=user_id, client_id=client_id)
        return ended

    def clients(self) -> list[Client]:
        """Every app that the hub knows, the newest first."""
        return self._clients.all()

    def client(self, client_id: str) -> Client | None:
        """One app."""
        return self._clients.get(client_id)

    def approve_client(self, client_id: str, vouched_by: str) -> None:
        """Somebody vouches for an app."""
        self._clients.approve(client_id, vouched_by)

    def remove_client(self, client_id: str) -> bool:
        """Remove an app for everybody; its access tokens end with it. False when there is none."""
        with self._database.transaction(durable=True):
            removed = self._clients.delete(client_id)
            self._tokens.revocations += 1
        return removed

    def access_ended(self, user_id: str) -> None:
        """Everything that somebody's authority stands behind ends: their password changed, or they are gone."""
        with self._database.transaction(durable=True):
            for family in self._grants.live_families(user_id):
                self._redeemer.end_family(family.id)
            self._tokens.revoke_user(user_id, self._clock.seconds())

    def access_changed(self, user_id: str) -> None:
        """Somebody's role or vaults are others: end what goes beyond them, and cut what was allowed."""
        user = self._users.by_id(user_id)
        if user is None:
            self.access_ended(user_id)
            return
        authority, whole, now = authority_of(user), whole_authority_of(user), self._clock.seconds()
        with self._database.transaction(durable=True):
            for record in self._tokens.of_user(user_id, now):
                if attenuate(record.scopes, whole) != record.scopes:
                    self._tokens.revoke(record.jti, now)
            for grant in self._grants.of_user(user_id):
                self._grants.replace_scopes(user_id, grant.client_id, attenuate(grant.scopes, authority))
            for family in self._grants.live_families(user_id):
                if not attenuate(family.scopes, authority):
                    self._redeemer.end_family(family.id)
