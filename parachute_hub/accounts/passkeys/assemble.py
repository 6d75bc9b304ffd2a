"""Creates the services for passkeys."""

from collections.abc import Callable

from parachute_hub.accounts.humanize import ago
from parachute_hub.accounts.model import Clock, Random
from parachute_hub.accounts.passkeys import policy
from parachute_hub.accounts.passkeys.challenges import Challenges
from parachute_hub.accounts.passkeys.entry import PasskeySignIn
from parachute_hub.accounts.passkeys.own import OwnPasskeys
from parachute_hub.accounts.passkeys.service import Names, Passkeys
from parachute_hub.accounts.passkeys.verifier import Verifier
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.accounts.signin.second_factor import SecondFactor
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.accounts.signin.throttle import AttemptThrottle
from parachute_hub.site.root import MountedArea, later
from parachute_hub.store.audit import Audit
from parachute_hub.store.database import Database
from parachute_hub.store.passkeys import Passkeys as Rows
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.users import Users
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import frozen

with lazily():
    from parachute_hub.accounts.passkeys import pages


@frozen(kw_only=True)
class PasskeyServices:
    """Passkeys, and signing in with them."""

    rows: Rows
    passkeys: Passkeys
    entry: PasskeySignIn


def any_in_use(database: Database, origins: Names) -> Callable[[str], bool]:
    """Whether a passkey of a user works at one of the hub's addresses for good."""
    rows = Rows(database)
    return lambda user_id: bool(policy.in_use(rows.of_user(user_id), policy.names(origins.bound())))


def build(
    database: Database,
    *,
    users: Users,
    sessions: Sessions,
    second_factor: SecondFactor,
    sign_in: SignIn,
    guard: AttemptThrottle,
    verifier: Verifier,
    origins: Names,
    audit: Audit,
    clock: Clock,
    random: Random,
) -> PasskeyServices:
    """Create them on a database."""
    rows = Rows(database)
    passkeys = Passkeys(
        rows=rows,
        users=users,
        second_factor=second_factor,
        challenges=Challenges(clock=clock, random=random),
        verifier=verifier,
        origins=origins,
        audit=audit,
        write=database.write,
        clock=clock,
    )
    entry = PasskeySignIn(
        passkeys=passkeys,
        sign_in=sign_in,
        second_factor=second_factor,
        users=users,
        sessions=sessions,
        guard=guard,
        write=database.write,
        clock=clock,
    )
    return PasskeyServices(rows=rows, passkeys=passkeys, entry=entry)


def own(
    services: PasskeyServices,
    database: Database,
    *,
    users: Users,
    sessions: Sessions,
    second_factor: SecondFactor,
    sign_in: SignIn,
    presence: ProofsOfPresence,
    audit: Audit,
    clock: Clock,
) -> OwnPasskeys:
    """What people do with their own."""
    return OwnPasskeys(
        passkeys=services.passkeys,
        rows=services.rows,
        users=users,
        sessions=sessions,
        second_factor=second_factor,
        sign_in=sign_in,
        presence=presence,
        audit=audit,
        write=database.write,
        clock=clock,
    )


def part(own: OwnPasskeys, browser: Browser, sessions: SessionRecogniser, clock: Clock) -> MountedArea:
    """The area of people's own."""
    return later(
        ("/account/passkeys", "/api/account/passkeys"),
        pages,
        lambda: pages.PasskeyPages(own=own, browser=browser, sessions=sessions, when=ago(clock)).app,
    )
