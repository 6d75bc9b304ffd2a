"""The first owner: a one-time token in the hub's log proves control of the machine."""

import hmac
from collections.abc import Callable

from twisted.logger import Logger

from parachute_hub.accounts import validation
from parachute_hub.accounts.people.users import People
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.settings import InitialAdmin
from parachute_hub.site.errors import Refused
from parachute_hub.site.rate_limit import RateLimit
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.writer import Write
from parachute_hub.system.random_tokens import new_token

SETUP = "/admin/setup"
TOKEN_PREFIX = "parachute-bootstrap-"
VALID_SECONDS = 24 * 3600
TOKEN_BYTES = 32
# 256 bits cannot be guessed; the limit protects the log and the CPU from guessers.
FREE_TRIES = 10
TRIES_WINDOW = 15 * 60
RESET_USED = "reset_owner_used"
_log = Logger()


class BootstrapToken:
    """The setup token of one boot. Exists only in memory and in the log, never sent over HTTP."""

    def __init__(self, random: Callable[[int], bytes], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._made_at = clock()
        self.value = TOKEN_PREFIX + new_token(random)
        self._spent = False
        self._wrong = RateLimit(times=FREE_TRIES + 1, seconds=TRIES_WINDOW, clock=clock)

    @property
    def expired(self) -> bool:
        """True if the token is too old; a restart creates a new one."""
        return self._clock() >= self._made_at + VALID_SECONDS

    def accepts(self, presented: str) -> bool:
        """Compare in constant time and count wrong attempts.

        The correct token is accepted even after many wrong ones, so that guessing cannot lock the owner out.
        """
        right = hmac.compare_digest(self.value.encode(), presented.strip().encode())
        if right and not self._spent and not self.expired:
            return True
        self._wrong.count()
        return False

    def wait(self) -> float:
        """Seconds until the next attempt after a wrong one; 0 at first. Shared by all clients."""
        return self._wrong.wait()

    def spend(self) -> None:
        """Invalidate the token once the owner exists."""
        self._spent = True


def banner(origin: str, token: str, *, older_hub: bool = False) -> tuple[str, ...]:
    """The log lines of a hub without an owner. `origin` is a URL that a browser can open."""
    begin = "An older hub's accounts are here: you can move in." if older_hub else "Parachute is ready to be set up."
    lines = (
        "",
        f"{begin} Open this link in a browser:",
        "",
        f"  {origin}{SETUP}#{token}",
        "",
        "What follows the # is the setup token, which shows that the hub is yours. It stays in your browser until you",
        f"send the form. At {origin}{SETUP} you can also type it.",
        "",
        "The token works once, for 24 hours. A restart of the hub makes a new one.",
        "",
    )
    return tuple(f"[wizard] {line}".rstrip() for line in lines)


async def seed(people: People, initial: InitialAdmin) -> bool:
    """Create the owner configured on the hosting platform. False if there is one already, or it is not possible.

    A password that violates the rules works once and must be changed at the first sign-in.
    """
    weak = validation.password_problem(initial.password, username=initial.username)
    try:
        owner = await people.first_owner(initial.username, initial.password, must_change=weak is not None)
    except Refused as refused:
        _log.error("PARACHUTE_INITIAL_ADMIN_* was not used: {why}", why=refused.description)
        return False
    if owner is None:
        return False
    _log.info("Created the owner {username} from PARACHUTE_INITIAL_ADMIN_*", username=owner.username)
    if weak is not None:
        _log.warn("PARACHUTE_INITIAL_ADMIN_PASSWORD is weak and must be changed at the first sign-in: {why}", why=weak)
    return True


async def reset_from_environment(
    password: str, people: People, stored: StoredSettings, write: Write, hasher: Hasher, now: float
) -> str | None:
    """Apply PARACHUTE_RESET_OWNER once. Returns the username, or None if this value was used before.

    The variable stays set after the boot that used it, so its hash is stored. Raises Refused 400 for an invalid
    password, 404 if there is no owner.
    """
    used = stored.get(RESET_USED)
    if used is not None and (await hasher.check(password, used)).right:
        return None
    owner = await people.reset_owner(password)
    await write(stored.put, RESET_USED, await hasher.hash(password), now)
    _log.warn(
        "The password of {username} was reset by PARACHUTE_RESET_OWNER and must be changed at the next sign-in. "
        "Remove the variable now.",
        username=owner.username,
    )
    return owner.username
