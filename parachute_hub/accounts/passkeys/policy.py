"""Where passkeys work, what a browser's answer must say, and which passkeys must stay. W3C Web Authentication, Level 3.

A passkey belongs to a host name (its `rp_id`), never to an IP address, and browsers use it over https or on localhost.
"""

import base64
import binascii
import ipaddress
import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from parachute_hub.store.rows import Passkey
from parachute_hub.system.records import frozen

Obstacle = Literal["", "number", "plain", "stranger", "former"]
Ceremony = Literal["webauthn.create", "webauthn.get"]
LONGEST_ANSWER = 12 * 1024
MOST_PASSKEYS = 20


class BadAnswer(Exception):
    """What the browser sent is no answer to this challenge. The text is for logs."""


@frozen
class Place:
    """Where a browser is, as far as passkeys are concerned.

    `obstacle`: `number` for an IP address, `plain` for http other than on this machine, `stranger` for an address that
    is not the hub's. At a `former` address passkeys sign in, but none is added.
    """

    origin: str
    rp_id: str
    obstacle: Obstacle

    @property
    def works(self) -> bool:
        """True if a passkey can sign in here."""
        return self.obstacle in ("", "former")


def place(origin: str, *, bound: Collection[str], former: Collection[str]) -> Place:
    """The place of a browser at `origin`; `bound` are the hub's origins for good, `former` those that it gave up.

    >>> place("http://127.0.0.1:1939", bound=["http://127.0.0.1:1939"], former=[]).obstacle
    'number'
    >>> place("http://localhost:1939", bound=["http://localhost:1939"], former=[]).rp_id
    'localhost'
    """
    obstacle: Obstacle = ""
    host = host_of(origin)
    if is_number(host):
        obstacle = "number"
    elif not origin.startswith("https://") and host != "localhost" and not host.endswith(".localhost"):
        obstacle = "plain"
    elif origin in bound:
        obstacle = ""
    elif origin in former:
        obstacle = "former"
    else:
        obstacle = "stranger"
    return Place(origin, host, obstacle)


def host_of(origin: str) -> str:
    """The host name of an origin, without a port.

    >>> host_of("https://Hub.example:8443"), host_of("http://[::1]:1939")
    ('hub.example', '::1')
    """
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def is_number(host: str) -> bool:
    """True for an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def names(origins: Collection[str]) -> frozenset[str]:
    """The host names of the hub's own origins at which passkeys work.

    >>> sorted(names(["https://hub.example", "http://127.0.0.1:1939", "http://localhost:1939"]))
    ['hub.example', 'localhost']
    """
    return frozenset(one.rp_id for one in (place(origin, bound=origins, former=()) for origin in origins) if one.works)


def in_use(passkeys: Iterable[Passkey], rp_ids: Collection[str]) -> list[Passkey]:
    """Those that can sign in at one of the host names."""
    return [one for one in passkeys if one.rp_id in rp_ids and one.blocked_at is None]


@frozen
class Answer:
    """What a browser sent: the credential's id, the person that it names, and the whole text for the library."""

    credential_id: str
    challenge: str
    user_handle: str | None
    text: str


def read_answer(text: str, *, kind: Ceremony, origin: str) -> Answer:
    """Parse the answer of `navigator.credentials`, and check what needs no key. Raises BadAnswer.

    A page of another origin that frames the hub cannot have it: neither `crossOrigin` nor `topOrigin` is accepted.
    """
    if len(text) > LONGEST_ANSWER:
        raise BadAnswer("too long")
    try:
        told = json.loads(text)
        credential_id, response = told["id"], told["response"]
        client = json.loads(octets(response["clientDataJSON"]))
        handle = response.get("userHandle")
        challenge = client["challenge"]
        sides = (client["type"], client["origin"], client.get("crossOrigin", False), client.get("topOrigin"))
        if not all(isinstance(one, str) for one in (credential_id, challenge)):
            raise TypeError
        named = None if handle is None else octets(handle).decode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadAnswer(f"no answer of a browser: {type(error).__name__}") from None
    if sides != (kind, origin, False, None):
        raise BadAnswer("for another page or purpose")
    return Answer(credential_id, challenge, named, text)


def octets(text: Any) -> bytes:
    """Decode base64url. Raises ValueError or TypeError."""
    if not isinstance(text, str):
        raise TypeError
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def why_foreign(known: Passkey | None, answer: Answer, *, owner: str | None, rp_id: str) -> str | None:
    """Why this credential does not count here, before its signature is looked at; None if it does.

    `owner` is whose it must be; None if it says itself who signs in.
    """
    if known is None:
        return "unknown"
    if known.blocked_at is not None:
        return "blocked"
    if known.rp_id != rp_id:
        return "another address"
    if owner is not None and known.user_id != owner:
        return "somebody else's"
    if answer.user_handle not in (None, known.user_id) or (owner is None and answer.user_handle is None):
        return "names somebody else"
    return None


def is_copy(stored: int, told: int) -> bool:
    """True if a counter shows that two devices have this key (6.1.1). Passkeys that count nothing say 0.

    >>> is_copy(0, 0), is_copy(4, 5), is_copy(5, 5), is_copy(5, 0)
    (False, False, True, True)
    """
    return (stored > 0 or told > 0) and told <= stored


def why_it_stays(passkeys: Sequence[Passkey], passkey_id: str, *, only_factor: bool, rp_ids: Collection[str]) -> str:
    """Why a person cannot remove a passkey now; empty if they can.

    `only_factor`: passkeys are what their sign-in asks for after the password. `rp_ids` are the hub's names for good.
    """
    if only_factor and [one.id for one in in_use(passkeys, rp_ids)] == [passkey_id]:
        return (
            "This passkey is your second factor, and you have no other. Add another passkey first, or switch the"
            " second factor off."
        )
    return ""


@frozen
class Loss:
    """What an address change means to one person: names of passkeys that end, and whether none of theirs stays.

    `locked_out`: they would have no way in that does not depend on the address.
    """

    user_id: str
    passkeys: tuple[str, ...]
    all: bool
    locked_out: bool


def losses(
    passkeys: Iterable[Passkey], before: Collection[str], after: Collection[str], codes_left: dict[str, int]
) -> list[Loss]:
    """Who loses passkeys when the hub's names for good become `after`.

    `codes_left` has the number of recovery codes of everybody whose second factor is a passkey: those have no other
    way past it.
    """
    people: dict[str, list[Passkey]] = {}
    for one in passkeys:
        people.setdefault(one.user_id, []).append(one)
    found = []
    for user_id, theirs in people.items():
        lost = tuple(one.name for one in in_use(theirs, before) if one.rp_id not in after)
        stays = bool(in_use(theirs, after))
        if lost:
            found.append(Loss(user_id, lost, not stays, not stays and codes_left.get(user_id, 1) == 0))
    return found
