"""Creates the accounts services for the composition root."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from parachute_hub.accounts.encryption import Sealer
from parachute_hub.accounts.humanize import ago
from parachute_hub.accounts.model import AccessWatch, Caller, Clock, Random
from parachute_hub.accounts.passkeys import assemble as passkeys_of
from parachute_hub.accounts.passkeys.entry import PasskeySignIn
from parachute_hub.accounts.passkeys.own import OwnPasskeys
from parachute_hub.accounts.passkeys.service import Passkeys
from parachute_hub.accounts.passkeys.verifier import Verifier
from parachute_hub.accounts.people.invitations import Invitations, Vaults
from parachute_hub.accounts.people.quotas import Quotas
from parachute_hub.accounts.people.self_service import SelfService
from parachute_hub.accounts.people.users import People
from parachute_hub.accounts.people.vault_deletions import VaultDeletions
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.password_proof import PasswordProof
from parachute_hub.accounts.sessions.policy import DEVICE, IDLE
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.accounts.setup.boot import Boot
from parachute_hub.accounts.setup.gate import SetupGate
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.accounts.setup.setup import SelfCheck, Setup
from parachute_hub.accounts.setup.wizard import SetupInstalls
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.accounts.signin.second_factor import SecondFactor
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.accounts.signin.throttle import AttemptThrottle
from parachute_hub.settings import InitialAdmin
from parachute_hub.site.cookies import Jar
from parachute_hub.site.root import MountedArea, later
from parachute_hub.store.audit import Audit
from parachute_hub.store.database import Database
from parachute_hub.store.factors import Factors
from parachute_hub.store.invites import Invites
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.throttles import Throttles
from parachute_hub.store.trail import Trail
from parachute_hub.store.users import Users
from parachute_hub.store.vaults import VaultDeletionRows, VaultQuotas
from parachute_hub.store.writer import Write
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import frozen

if TYPE_CHECKING:
    from parachute_hub.accounts.people.account_views import App

with lazily():
    from parachute_hub.accounts import static_files
    from parachute_hub.accounts.people import (
        account_api,
        account_pages,
        download_pages,
        invite_pages,
        share_pages,
        sharing,
    )
    from parachute_hub.accounts.setup import pages as setup_pages
    from parachute_hub.accounts.signin import login_pages, phone_links, phone_pages


@frozen(kw_only=True)
class Accounts:
    """The accounts services that the rest of the hub uses."""

    parts: Sequence[MountedArea]
    recogniser: SessionRecogniser
    prover: PasswordProof
    gate: SetupGate
    step_up: ProofsOfPresence
    sign_in: SignIn
    account: SelfService
    people: People
    passkeys: Passkeys
    own_passkeys: OwnPasskeys
    entry: PasskeySignIn
    invitations: Invitations
    deletions: VaultDeletions
    quotas: Quotas
    setup: Setup
    origin: HubOrigin
    audit: Audit
    trail: Trail
    caller: Caller
    browser: Browser
    clock: Clock
    write: Write
    _boot: Boot
    _prune: Callable[[], None]

    async def boot(self, initial: InitialAdmin | None, reset_owner: str | None) -> Sequence[str]:
        """Before the first request: create the owner from the environment, or return log lines with the setup token."""
        return await self._boot.run(initial, reset_owner)

    async def prune(self) -> None:
        """Delete expired data. Called about hourly."""
        await self.write(self._prune)


def build(
    database: Database,
    *,
    sealer: Sealer,
    jar: Jar,
    hasher: Hasher,
    caller: Caller,
    origin: HubOrigin,
    installs: SetupInstalls,
    self_check: SelfCheck,
    watch: AccessWatch,
    links: "account_pages.Links",
    apps: "Callable[[str], Sequence[App]]",
    verifier: Verifier,
    vaults: Vaults,
    exports: "download_pages.Exports",
    clock: Clock,
    random: Random,
    older_hub: bool = False,
) -> Accounts:
    """Create the accounts on a database, each service from the previous ones.

    `sealer` encrypts second factors, `jar` names the cookies. `links` adds rows to the account page, `apps` are a
    user's connected apps there. `verifier` checks what passkeys sign. `vaults` are those that people can be given,
    `exports` reads them out. `older_hub` is True if an older hub has used this home.
    """
    users, sessions, stored = Users(database), Sessions(database), StoredSettings(database)
    audit, write = Audit(database), database.write
    trail = Trail(write, audit, clock)
    guard = AttemptThrottle(Throttles(database), sessions, clock)
    gate = SetupGate(users)
    second_factor = SecondFactor(
        factors=Factors(database),
        sealer=sealer,
        hasher=hasher,
        has_passkey=passkeys_of.any_in_use(database, origin),
        clock=clock,
        random=random,
    )
    sign_in = SignIn(
        write=write,
        users=users,
        sessions=sessions,
        hasher=hasher,
        second_factor=second_factor,
        guard=guard,
        audit=audit,
        vaults=vaults.names,
        clock=clock,
        random=random,
    )
    keys = passkeys_of.build(
        database,
        users=users,
        sessions=sessions,
        second_factor=second_factor,
        sign_in=sign_in,
        guard=guard,
        verifier=verifier,
        origins=origin,
        audit=audit,
        clock=clock,
        random=random,
    )
    step_up = ProofsOfPresence(
        write=write,
        users=users,
        hasher=hasher,
        second_factor=second_factor,
        passkeys=keys.passkeys,
        guard=guard,
        audit=audit,
        clock=clock,
        random=random,
    )
    quotas = VaultQuotas(database)
    deletion_rows = VaultDeletionRows(database)
    deletions = VaultDeletions(
        rows=deletion_rows,
        quotas=quotas,
        users=users,
        shelf=vaults,
        audit=audit,
        watch=watch,
        write=write,
        clock=clock,
    )
    people = People(
        users=users,
        sessions=sessions,
        hasher=hasher,
        second_factor=second_factor,
        passkeys=keys.rows,
        deletions=deletion_rows,
        audit=audit,
        watch=watch,
        write=write,
        clock=clock,
        random=random,
    )
    invitations = Invitations(
        people=people,
        invites=Invites(database),
        vaults=vaults,
        deletions=deletions,
        sealer=sealer,
        audit=audit,
        write=write,
        clock=clock,
        random=random,
    )
    account = SelfService(
        write=write,
        people=people,
        sessions=sessions,
        sign_in=sign_in,
        second_factor=second_factor,
        presence=step_up,
        audit=audit,
        clock=clock,
    )
    own_keys = passkeys_of.own(
        keys,
        database,
        users=users,
        sessions=sessions,
        second_factor=second_factor,
        sign_in=sign_in,
        presence=step_up,
        audit=audit,
        clock=clock,
    )
    setup = Setup(
        people=people,
        sign_in=sign_in,
        stored=stored,
        write=write,
        origin=origin,
        installs=installs,
        self_check=self_check,
        has_owner=lambda: not gate.closed,
        clock=clock,
    )
    origin.check(keys.passkeys.check_address)
    browser = Browser(jar=jar, caller=caller, origins=origin, random=random, secret=sealer.secret)
    recogniser = SessionRecogniser(sign_in, browser)

    def prune() -> None:
        now = clock()
        sessions.prune(now=now, idle_since=now - IDLE, devices_since=now - DEVICE)
        guard.prune()
        invitations.prune()

    return Accounts(
        parts=(
            later(
                ("/admin/setup",),
                setup_pages,
                lambda: (
                    setup_pages.SetupPages(
                        setup=setup,
                        browser=browser,
                        sessions=recogniser,
                        presence=step_up,
                        origin=origin,
                        passkeys=keys.passkeys,
                        older_hub=older_hub,
                    ).app
                ),
            ),
            later(
                ("/login", "/logout", "/signup"),
                login_pages,
                lambda: (
                    login_pages.LoginPages(
                        sign_in=sign_in, passkeys=keys.entry, browser=browser, sessions=recogniser, presence=step_up
                    ).app
                ),
            ),
            passkeys_of.part(own_keys, browser, recogniser, clock),
            later(
                ("/account",),
                account_pages,
                lambda: (
                    account_pages.AccountPages(
                        account=account,
                        browser=browser,
                        sessions=recogniser,
                        origins=origin,
                        when=ago(clock),
                        links=links,
                        passkeys=own_keys,
                        apps=apps,
                    ).app
                ),
            ),
            later(
                ("/account/download",),
                download_pages,
                lambda: (
                    download_pages.DownloadPages(
                        sessions=recogniser, vaults=vaults, exports=exports, done=trail.done
                    ).app
                ),
            ),
            later(
                ("/account/sharing",),
                (share_pages, sharing),
                lambda: (
                    share_pages.SharePages(
                        sharing=sharing.Sharing(
                            users=users, presence=step_up, watch=watch, audit=audit, write=write, clock=clock
                        ),
                        browser=browser,
                        sessions=recogniser,
                    ).app
                ),
            ),
            later(
                ("/account/setup",),
                invite_pages,
                lambda: invite_pages.InvitePages(invitations=invitations, sign_in=sign_in, browser=browser).app,
            ),
            later(
                ("/api/me", "/account/session", "/api/account"),
                account_api,
                lambda: (
                    account_api.AccountApi(
                        account=account,
                        presence=step_up,
                        passkeys=keys.passkeys,
                        browser=browser,
                        sessions=recogniser,
                        origins=origin,
                    ).app
                ),
            ),
            later(
                ("/login/phone", "/api/phone-links", "/account/phone"),
                (phone_pages, phone_links),
                lambda: (
                    phone_pages.PhonePages(
                        links=phone_links.PhoneLinks(
                            write=write, users=users, sign_in=sign_in, done=trail.done, clock=clock, random=random
                        ),
                        browser=browser,
                        jar=jar,
                        sessions=recogniser,
                        presence=step_up,
                        origins=origin,
                    ).app
                ),
            ),
            later(("/static/hub",), static_files, lambda: static_files.StaticFiles().app),
        ),
        recogniser=recogniser,
        prover=PasswordProof(sign_in=sign_in, browser=browser, presence=step_up),
        gate=gate,
        step_up=step_up,
        sign_in=sign_in,
        account=account,
        people=people,
        passkeys=keys.passkeys,
        own_passkeys=own_keys,
        entry=keys.entry,
        invitations=invitations,
        deletions=deletions,
        quotas=Quotas(rows=quotas, users=users, audit=audit, write=write, clock=clock),
        setup=setup,
        origin=origin,
        audit=audit,
        trail=trail,
        caller=caller,
        browser=browser,
        clock=clock,
        write=write,
        boot=Boot(
            people=people,
            setup=setup,
            stored=stored,
            write=write,
            hasher=hasher,
            origin=origin,
            clock=clock,
            random=random,
            older_hub=older_hub,
        ),
        prune=prune,
    )
