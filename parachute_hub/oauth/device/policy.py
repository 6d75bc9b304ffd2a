"""Decides about the codes of devices, without side effects (RFC 8628).

A device shows its user code; a person types it on the hub's page. The code is never part of a link, because whoever
sends a link with a code would be let in by it (section 5.4).
"""

from collections.abc import Iterable

from attrs import evolve

from parachute_hub.oauth.tokens.grant_policy import Deny, IssueTokens, Verdict
from parachute_hub.store.rows import Client, DeviceCode, Family
from parachute_hub.system.records import frozen

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LIFETIME = 600.0
INTERVAL = 5.0
SLOWER_BY = 5.0
SLOWEST = 60.0
MOST_TRIES = 5
# A network is not exact to the second.
LENIENCE = 0.5
# Section 6.1: no vowels, so that no words appear; no digits, so that nothing looks like something else.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8
_HALF = LENGTH // 2


def user_code(octets: bytes) -> str:
    """A code for people from 16 random bytes: 34 bits, of which five guesses find nothing."""
    number, letters = int.from_bytes(octets, "big"), ""
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        letters += ALPHABET[digit]
    return letters


def shown(code: str) -> str:
    """As people read it.

    >>> shown("BCDFGHJK")
    'BCDF-GHJK'
    """
    return f"{code[:_HALF]}-{code[_HALF:]}"


def typed(text: str) -> str:
    """What a person typed, as the code is stored; empty if it cannot be one.

    >>> typed(" bcdf ghjk"), typed("BCDF-GHJK"), typed("BCDF-GHJ0")
    ('BCDFGHJK', 'BCDFGHJK', '')
    """
    letters = "".join(text.upper().split()).replace("-", "")
    return letters if len(letters) == LENGTH and not set(letters) - set(ALPHABET) else ""


def may_ask(client: Client) -> bool:
    """True for a client that an owner approved, or this hub itself.

    Others were let in because of the address to which a code is sent, and here nothing is sent to an address.
    """
    return client.status == "approved" and client.vouched_by is not None


@frozen(kw_only=True)
class Tried:
    """The result of typing a code: the device's code if it was right, and the codes that count a wrong try."""

    found: DeviceCode | None = None
    missed: tuple[DeviceCode, ...] = ()


def decide_try(code: str, waiting: Iterable[DeviceCode]) -> Tried:
    """Look for a typed code among those that wait. A wrong one counts for each code of which it has half.

    After five of them a code ends, so that nobody finds the second half by guessing.
    """
    codes = tuple(waiting)
    found = next((one for one in codes if one.user_code == code), None)
    if found is not None:
        return Tried(found=found)
    return Tried(missed=tuple(_missed(one) for one in codes if _is_near(one.user_code, code)))


def _is_near(code: str, guess: str) -> bool:
    return bool(guess) and (code[:_HALF] == guess[:_HALF] or code[_HALF:] == guess[_HALF:])


def _missed(code: DeviceCode) -> DeviceCode:
    tries = code.tries + 1
    return evolve(code, tries=tries, state="ended" if tries >= MOST_TRIES else code.state)


def can_be_answered(code: DeviceCode | None, now: float) -> bool:
    """True while a person may allow or refuse it."""
    return code is not None and code.state == "waiting" and now < code.expires_at


@frozen
class Asked:
    """What a device is told, and what becomes of its code; None if that stays as it is."""

    verdict: Verdict
    code: DeviceCode | None = None


def decide_poll(code: DeviceCode | None, family: Family | None, *, client_id: str, now: float) -> Asked:
    """Decide on a device's question (section 3.5). A second use ends what came of the first."""
    if code is None or code.client_id != client_id:
        return Asked(Deny("invalid_grant", "This device code is not known, or was given to another app."))
    if code.state == "used":
        return Asked(Deny("invalid_grant", "This code was already used, so its tokens were revoked.", code.family_id))
    if code.state == "denied":
        return Asked(Deny("access_denied", "The user denied access."))
    if code.state == "ended" or code.expires_at <= now:
        return Asked(Deny("expired_token", "This code has ended. Start again."))
    if code.state == "waiting":
        return _wait(code, now)
    if family is None or family.ended_at is not None:
        return Asked(Deny("access_denied", "This connection was ended. Start again."))
    return Asked(IssueTokens(family, family.scopes, code.hash), evolve(code, state="used"))


def _wait(code: DeviceCode, now: float) -> Asked:
    if code.polled_at is not None and now < code.polled_at + code.interval - LENIENCE:
        slower = min(SLOWEST, code.interval + SLOWER_BY)
        told = Deny("slow_down", f"Wait {int(slower)} seconds before each further question.")
        return Asked(told, evolve(code, interval=slower, polled_at=now))
    return Asked(Deny("authorization_pending", "Nobody has typed the code yet."), evolve(code, polled_at=now))
