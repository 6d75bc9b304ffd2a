"""Puts the accounts together: one call for the composition root."""

from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen
from twisted.logger import Logger

from parachute_hub.accounts.encryption import Sealer
from parachute_hub.accounts.humanize import ago
from parachute_hub.accounts.model import AccessWatch, Caller, Clock, Random, SignedIn
from parachute_hub.accounts.people.account_api import AccountApi
from parachute_hub.accounts.people.account_pages import AccountPages, Links
from parachute_hub.accounts.people.invitations import Invitations
from parachute_hub.accounts.people.invite_pages import InvitePages
from parachute_hub.accounts.people.self_service import Account
from parachute_hub.accounts.people.users import People
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.policy import DEVICE, IDLE
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.accounts.setup.bootstrap import BootstrapToken, banner, reset_from_environment, seed
from parachute_hub.accounts.setup.gate import SetupGate
from parachute_hub.accounts.setup.pages import SetupPages
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.accounts.setup.setup import SelfCheck, Setup
from parachute_hub.accounts.setup.wizard import Installs
from parachute_hub.accounts.signin.login_pages import LoginPages
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.accounts.signin.second_factor import SecondFactor
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.accounts.signin.throttle import Guard
from parachute_hub.accounts.static_files import StaticFiles
from parachute_hub.settings import InitialAdmin
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import Part
from parachute_hub.store.audit import Audit
from parachute_hub.store.database import Database
from parachute_hub.store.factors import Factors
from parachute_hub.store.invites import Invites
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.throttles import Throttles
from parachute_hub.store.users import Users

KEY_FILE = "accounts.key"


@frozen(kw_only=True)
class Accounts:
    """What the rest of the hub uses of the accounts."""

    parts: Sequence[Part]
    recogniser: SessionRecogniser
    gate: SetupGate
    step_up: ProofsOfPresence
    sign_in: SignIn
    account: Account
    people: People
    invitations: Invitations
    setup: Setup
    origin: HubOrigin
    audit: Audit
    caller: Caller
    clock: Clock
    _boot: "Boot"
    _prune: Callable[[], None]

    async def boot(self, initial: InitialAdmin | None, reset_owner: str | None) -> Sequence[str]:
        """Before the first request: the owner from the environment, or lines for the log with the setup token."""
        return await self._boot.run(initial, reset_owner)

    def prune(self) -> None:
        """Drop what has ended by time; call it every hour or so."""
        self._prune()


@frozen(kw_only=True)
class Boot:
    """What happens to the owner's account at a start."""

    people: People
    setup: Setup
    stored: StoredSettings
    hasher: Hasher
    origin: HubOrigin
    clock: Clock
    random: Random
    _log = Logger()

    async def run(self, initial: InitialAdmin | None, reset_owner: str | None) -> Sequence[str]:
        """Nothing here keeps the hub from starting: what cannot be done is logged."""
        if reset_owner is not None:
            try:
                await reset_from_environment(reset_owner, self.people, self.stored, self.hasher, self.clock())
            except Refused as refused:
                self._log.error("PARACHUTE_RESET_OWNER was not used: {why}", why=refused.description)
        if not self.setup.has_owner and initial is not None:
            await seed(self.people, initial)
        if self.setup.has_owner:
            return ()
        token = BootstrapToken(self.random, self.clock)
        self.setup.token = token
        return banner(self.origin.issuer(), token.value)


@frozen(kw_only=True)
class Around:
    """What the accounts are given from outside."""

    hasher: Hasher
    caller: Caller
    origin: HubOrigin
    installs: Installs
    self_check: SelfCheck
    watch: AccessWatch
    links: Links
    clock: Clock
    random: Random


@frozen(kw_only=True)
class Stores:
    """The tables of the accounts."""

    database: Database
    users: Users
    sessions: Sessions
    stored: StoredSettings
    invites: Invites
    throttles: Throttles
    audit: Audit
    factors: Factors

    @classmethod
    def over(cls, database: Database) -> "Stores":
        """All of them."""
        return cls(
            database=database,
            users=Users(database),
            sessions=Sessions(database),
            stored=StoredSettings(database),
            invites=Invites(database),
            throttles=Throttles(database),
            audit=Audit(database),
            factors=Factors(database),
        )


def build(
    database: Database,
    *,
    folder: Path,
    hasher: Hasher,
    caller: Caller,
    origin: HubOrigin,
    installs: Installs,
    self_check: SelfCheck,
    watch: AccessWatch,
    links: Links,
    clock: Clock,
    random: Random,
) -> Accounts:
    """The accounts over a database. `folder` is private to the hub and holds the key that seals second factors."""
    around = Around(
        hasher=hasher,
        caller=caller,
        origin=origin,
        installs=installs,
        self_check=self_check,
        watch=watch,
        links=links,
        clock=clock,
        random=random,
    )
    return Made(Stores.over(database), Sealer.from_file(folder / KEY_FILE, random), around).accounts()


class Made:
    """The services, each made from those before it."""

    def __init__(self, stores: Stores, sealer: Sealer, around: Around) -> None:
        self._stores = stores
        self._around = around
        self._guard = Guard(stores.throttles, stores.sessions, around.clock)
        self._gate = SetupGate(stores.users)
        self._second_factor = SecondFactor(
            factors=stores.factors, sealer=sealer, clock=around.clock, random=around.random
        )
        self._sign_in = self._make_sign_in()
        self._step_up = self._make_step_up()
        self._people = self._make_people()
        self._invitations = Invitations(
            people=self._people,
            invites=stores.invites,
            audit=stores.audit,
            together=stores.database.transaction,
            clock=around.clock,
            random=around.random,
        )
        self._account = self._make_account()
        self._setup = self._make_setup()
        self._browser = Browser(caller=around.caller, origins=around.origin, random=around.random)
        self._recogniser = SessionRecogniser(self._sign_in, self._browser)

    def accounts(self) -> Accounts:
        """What the rest of the hub gets."""
        return Accounts(
            parts=self._parts(),
            recogniser=self._recogniser,
            gate=self._gate,
            step_up=self._step_up,
            sign_in=self._sign_in,
            account=self._account,
            people=self._people,
            invitations=self._invitations,
            setup=self._setup,
            origin=self._around.origin,
            audit=self._stores.audit,
            caller=self._around.caller,
            clock=self._around.clock,
            boot=self._make_boot(),
            prune=self._prune,
        )

    def _make_sign_in(self) -> SignIn:
        return SignIn(
            users=self._stores.users,
            sessions=self._stores.sessions,
            hasher=self._around.hasher,
            second_factor=self._second_factor,
            guard=self._guard,
            audit=self._stores.audit,
            clock=self._around.clock,
            random=self._around.random,
        )

    def _make_step_up(self) -> ProofsOfPresence:
        return ProofsOfPresence(
            users=self._stores.users,
            hasher=self._around.hasher,
            second_factor=self._second_factor,
            guard=self._guard,
            audit=self._stores.audit,
            clock=self._around.clock,
            random=self._around.random,
        )

    def _make_people(self) -> People:
        return People(
            users=self._stores.users,
            sessions=self._stores.sessions,
            hasher=self._around.hasher,
            second_factor=self._second_factor,
            audit=self._stores.audit,
            watch=self._around.watch,
            together=self._stores.database.transaction,
            clock=self._around.clock,
            random=self._around.random,
        )

    def _make_account(self) -> Account:
        return Account(
            people=self._people,
            sessions=self._stores.sessions,
            sign_in=self._sign_in,
            second_factor=self._second_factor,
            presence=self._step_up,
            audit=self._stores.audit,
            clock=self._around.clock,
        )

    def _make_setup(self) -> Setup:
        return Setup(
            people=self._people,
            sign_in=self._sign_in,
            stored=self._stores.stored,
            origin=self._around.origin,
            installs=self._around.installs,
            self_check=self._around.self_check,
            has_owner=lambda: not self._gate.closed,
            clock=self._around.clock,
        )

    def _make_boot(self) -> Boot:
        return Boot(
            people=self._people,
            setup=self._setup,
            stored=self._stores.stored,
            hasher=self._around.hasher,
            origin=self._around.origin,
            clock=self._around.clock,
            random=self._around.random,
        )

    def _parts(self) -> Sequence[Part]:
        account, browser, sessions, origin = self._account, self._browser, self._recogniser, self._around.origin
        wizard = SetupPages(
            setup=self._setup, browser=browser, sessions=sessions, presence=self._step_up, origin=origin
        )
        login = LoginPages(sign_in=self._sign_in, browser=browser, sessions=sessions)
        joining = InvitePages(invitations=self._invitations, sign_in=self._sign_in, browser=browser)
        api = AccountApi(account=account, presence=self._step_up, browser=browser, sessions=sessions, origins=origin)
        pages = AccountPages(
            account=account,
            browser=browser,
            sessions=sessions,
            origins=origin,
            when=ago(self._around.clock),
            links=self._around.links,
        )
        return (
            Part(("/admin/setup",), wizard.app.resource()),
            Part(("/login", "/logout"), login.app.resource()),
            Part(("/account",), pages.app.resource()),
            Part(("/account/setup",), joining.app.resource()),
            Part(("/api/me", "/account/session", "/api/account"), api.app.resource()),
            Part(("/static/hub",), StaticFiles().app.resource()),
        )

    def _prune(self) -> None:
        now = self._around.clock()
        self._stores.sessions.prune(now=now, idle_since=now - IDLE, devices_since=now - DEVICE)
        self._guard.prune()
        self._invitations.prune()


def no_links(signed_in: SignedIn) -> Sequence[tuple[str, str, str]]:
    """No further rows on the account page."""
    return ()
