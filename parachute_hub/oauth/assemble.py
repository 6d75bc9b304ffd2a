"""Creates the OAuth services: `build` for signing and policy, `OAuth.parts` for the pages that need accounts."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from parachute_hub.oauth.authorization.browser_session import PageSessions
from parachute_hub.oauth.authorization.consent_ticket import Tickets
from parachute_hub.oauth.clients.connections import Connections
from parachute_hub.oauth.clients.lookup import ClientDirectory, Documents
from parachute_hub.oauth.tokens.bearer_auth import BearerRecogniser
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.oauth.tokens.keys import Keyring
from parachute_hub.oauth.tokens.minting import TokenMinter
from parachute_hub.oauth.tokens.operator_token import OperatorToken
from parachute_hub.oauth.tokens.token_guard import TokenGuard
from parachute_hub.oauth.tokens.token_service import TokenExchange
from parachute_hub.oauth.well_known import PREFIXES, Resources, WellKnownArea
from parachute_hub.site.auth import Authenticator, Recogniser, StepUp
from parachute_hub.site.root import MountedArea, later
from parachute_hub.store.audit import Audit
from parachute_hub.store.clients import Clients
from parachute_hub.store.database import Database
from parachute_hub.store.device_codes import DeviceCodes
from parachute_hub.store.grants import Grants
from parachute_hub.store.invites import Invites
from parachute_hub.store.keys import SigningKeys
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.tokens import Tokens
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.doer import Done
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import frozen

with lazily():
    from parachute_hub.oauth import lock_pages, lockdown
    from parachute_hub.oauth.authorization import approval_page, consents, endpoint
    from parachute_hub.oauth.clients import connect_pages, connected_apps, connected_apps_pages
    from parachute_hub.oauth.clients import endpoint as registration
    from parachute_hub.oauth.device import confirmation_pages, confirmations, requests
    from parachute_hub.oauth.device import pages as device_pages
    from parachute_hub.oauth.tokens import endpoint as token_endpoint
    from parachute_hub.oauth.tokens import settings_grants, tokens_api


@frozen(kw_only=True)
class OAuth:
    """The OAuth services. `connections` implements the accounts' `AccessWatch`; `bearers` precedes the sessions in an
    `Authenticator`.
    """

    issuer: Issuer
    keys: Keyring
    guard: TokenGuard
    bearers: BearerRecogniser
    connections: Connections
    operator: OperatorToken
    minting: TokenMinter
    tokens: Tokens
    _write: Write
    _directory: ClientDirectory
    _consents: "Callable[[], consents.Consents]"
    _redeemer: TokenExchange
    _devices: "Callable[[], requests.DeviceRequests]"
    _device_codes: DeviceCodes
    _lockdown: "Callable[[], lockdown.Lockdown]"
    _resources: Resources
    _grants: Grants
    _users: Users
    _clients: Clients
    _tickets: Tickets
    _clock: Any
    _random: Callable[[int], bytes]
    _log = Logger()

    async def boot(self) -> None:
        """Before the first request: ensure a signing key and a valid operator token."""
        await self.keys.ensure()
        await self.operator.ensure()

    async def maintain(self) -> None:
        """Prune expired data and renew keys and tokens. Called about hourly."""
        now = self._clock.seconds()

        def prune() -> int:
            gone = self.tokens.prune(now) + self._device_codes.prune(now)
            return gone + self._grants.prune(now) + self._directory.prune()

        gone = await self._write(prune)
        await self.keys.maintain()
        await self.operator.ensure()
        self._log.debug("Pruned {gone} expired tokens, connections and apps", gone=gone)

    def parts(self, *, visits: PageSessions, sessions: Recogniser, step_up: StepUp, done: Done) -> list[MountedArea]:
        """All areas with their paths. `sessions` identifies browsers, `step_up` checks recent authentication."""
        return [*self._public_parts(visits), *self._own_parts(visits, sessions, step_up, done)]

    def _public_parts(self, visits: PageSessions) -> list[MountedArea]:
        """For apps, and for users that apps send here."""
        wellknown = WellKnownArea(issuer=self.issuer, keys=self.keys, resources=self._resources, clock=self._clock)
        return [
            # The proxy routes each vault's OAuth metadata to the hub (proxy.routes).
            MountedArea((*PREFIXES, "/vault"), wellknown.app.resource()),
            later(
                ("/oauth/authorize",),
                endpoint,
                lambda: (
                    endpoint.AuthorizeArea(
                        issuer=self.issuer,
                        directory=self._directory,
                        consents=self._consents(),
                        resources=self._resources,
                        visits=visits,
                        tickets=self._tickets,
                    ).app
                ),
            ),
            later(
                ("/oauth/token", "/oauth/revoke", "/oauth/device_authorization"),
                token_endpoint,
                lambda: (
                    token_endpoint.TokenArea(
                        issuer=self.issuer,
                        directory=self._directory,
                        redeemer=self._redeemer,
                        devices=self._devices(),
                        resources=self._resources,
                        address=visits.address,
                        clock=self._clock,
                    ).app
                ),
            ),
            later(
                ("/oauth/register", "/oauth/clients"),
                registration,
                lambda: (
                    registration.RegisterArea(
                        directory=self._directory,
                        connections=self.connections,
                        bearers=self.bearers,
                        visits=visits,
                        clock=self._clock,
                    ).app
                ),
            ),
        ]

    def _own_parts(self, visits: PageSessions, sessions: Recogniser, step_up: StepUp, done: Done) -> list[MountedArea]:
        """For the hub's users, its admin app and scripts."""
        who = Authenticator([self.bearers, sessions])
        mints = ("/admin/host-admin-token", "/admin/vault-admin-token", "/admin/module-token", "/admin/agent-token")
        own_mints = ("/account/token", "/account/vault-token", "/account/vault-admin-token")
        return [
            later(
                ("/oauth/device",),
                device_pages,
                lambda: (
                    device_pages.DeviceArea(
                        devices=self._devices(),
                        directory=self._directory,
                        visits=visits,
                        tickets=self._tickets,
                        clock=self._clock,
                    ).app
                ),
            ),
            later(
                ("/account/confirm", "/api/confirmations"),
                confirmation_pages,
                lambda: (
                    confirmation_pages.ConfirmationArea(
                        confirmations=confirmations.Confirmations(clock=self._clock, random=self._random),
                        bearers=self.bearers,
                        issuer=self.issuer,
                        visits=visits,
                        users=self._users,
                        clients=self._clients,
                        grants=self._grants,
                        clock=self._clock,
                    ).app
                ),
            ),
            later(
                ("/account/lock", "/api/lock"),
                lock_pages,
                lambda: lock_pages.LockPages(lockdown=self._lockdown(), visits=visits, who=who, step_up=step_up).app,
            ),
            later(
                ("/admin/approve-client", "/oauth/authorize/approve"),
                approval_page,
                lambda: (
                    approval_page.ApproveArea(
                        directory=self._directory, connections=self.connections, visits=visits
                    ).app
                ),
            ),
            later(
                ("/api/apps", "/api/grants", "/api/oauth/clients"),
                connected_apps,
                lambda: connected_apps.AppsArea(connections=self.connections, who=who, step_up=step_up).app,
            ),
            later(
                ("/account/apps",),
                connected_apps_pages,
                lambda: (
                    connected_apps_pages.AppsPages(
                        connections=self.connections, visits=visits, resources=self._resources
                    ).app
                ),
            ),
            later(
                ("/account/connect",),
                connect_pages,
                lambda: (
                    connect_pages.ConnectPages(
                        connections=self.connections,
                        visits=visits,
                        resources=self._resources,
                        origin=lambda: self.issuer.issuer,
                    ).app
                ),
            ),
            later(
                ("/api/auth", *mints, *own_mints),
                (tokens_api, settings_grants),
                lambda: (
                    tokens_api.TokensArea(
                        minting=self.minting,
                        bearers=self.bearers,
                        sessions=sessions,
                        step_up=step_up,
                        operator=self.operator,
                        keys=self.keys,
                        grants=settings_grants.SettingsGrants(self._clock),
                        done=done,
                    ).app
                ),
            ),
        ]


def build(
    database: Database,
    *,
    home: Path,
    issuer: str,
    origins: Sequence[str],
    answering: Sequence[str] = (),
    resources: Resources,
    documents: Documents,
    clock: Any,
    random: Callable[[int], bytes],
    off_thread: Callable[..., Awaitable[Any]],
) -> OAuth:
    """Create the issuer. `clock` is the reactor (IReactorTime), `documents` a `metadata_fetch.DocumentFetcher`.

    `off_thread` is `deferToThread`; `random` returns the given number of random bytes. Await `boot()` before serving
    requests.
    """
    tokens, grants, users, clients = Tokens(database), Grants(database), Users(database), Clients(database)
    device_codes, write, note = DeviceCodes(database), database.write, Audit(database).note
    keys = Keyring(write=write, store=SigningKeys(database), note=note, clock=clock, off_thread=off_thread)
    signer = Issuer(
        issuer=issuer,
        origins=origins,
        answering=answering,
        write=write,
        keys=keys,
        tokens=tokens,
        clock=clock,
        random=random,
    )
    redeemer = TokenExchange(
        write=write,
        grants=grants,
        device_codes=device_codes,
        tokens=tokens,
        users=users,
        issuer=signer,
        note=note,
        clock=clock,
        random=random,
    )
    operator = OperatorToken(
        path=home / "operator.token",
        write=write,
        issuer=signer,
        tokens=tokens,
        note=note,
        clock=clock,
        in_thread=off_thread,
    )

    # Their areas make them, with the first request; devices are asked for in two areas.
    @cache
    def made_consents() -> "consents.Consents":
        return consents.Consents(write=write, clients=clients, grants=grants, note=note, clock=clock, random=random)

    @cache
    def made_devices() -> "requests.DeviceRequests":
        return requests.DeviceRequests(
            write=write,
            codes=device_codes,
            clients=clients,
            consents=made_consents(),
            issuer=signer,
            resources=resources,
            note=note,
            clock=clock,
            random=random,
        )

    def locked_down() -> "lockdown.Lockdown":
        return lockdown.Lockdown(
            write=write,
            users=users,
            sessions=Sessions(database),
            invites=Invites(database),
            tokens=tokens,
            grants=grants,
            clients=clients,
            keys=keys,
            operator=operator,
            note=note,
            clock=clock,
        )

    return OAuth(
        issuer=signer,
        keys=keys,
        guard=TokenGuard(signer),
        bearers=BearerRecogniser(signer, users),
        connections=Connections(
            write=write,
            clients=clients,
            grants=grants,
            tokens=tokens,
            users=users,
            redeemer=redeemer,
            note=note,
            clock=clock,
        ),
        operator=operator,
        lockdown=locked_down,
        minting=TokenMinter(
            write=write,
            issuer=signer,
            tokens=tokens,
            users=users,
            redeemer=redeemer,
            resources=resources,
            note=note,
            clock=clock,
        ),
        directory=ClientDirectory(
            write=write, clients=clients, documents=documents, issuer=signer, clock=clock, random=random
        ),
        consents=made_consents,
        devices=made_devices,
        device_codes=device_codes,
        write=write,
        redeemer=redeemer,
        resources=resources,
        tokens=tokens,
        grants=grants,
        users=users,
        clients=clients,
        tickets=Tickets(random(32)),
        clock=clock,
        random=random,
    )
