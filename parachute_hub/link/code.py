"""The pairing code: what a person carries from a module host to the hub, and the proofs that both know it."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, Literal

GROUPS: Final = 8
SIZE: Final = 3
LIFE_SECONDS: Final = 600.0
"""How long a code is valid."""

MOST_TRIES: Final = 5
"""Wrong proofs after which it is not."""

# Crockford's base32: no letter looks like another or like a digit.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS: Final = str.maketrans("OIL", "011")
_PURPOSE: Final = b"parachute-link-1\0"


def new_code(random: Callable[[int], bytes]) -> str:
    """A new code with 120 bits, in groups. `random` returns that many random bytes.

    >>> new_code(lambda size: bytes(range(size)))
    '012-345-678-9AB-CDE-FGH-JKM-NPQ'
    """
    letters = "".join(_ALPHABET[octet % 32] for octet in random(GROUPS * SIZE))
    return "-".join(letters[at : at + SIZE] for at in range(0, len(letters), SIZE))


def normal(typed: str) -> str:
    """The letters of a code as somebody typed it. Raises ValueError, with a sentence, if it cannot be one.

    >>> normal("o12 345 678 9ab cde fgh jkm npq")
    '0123456789ABCDEFGHJKMNPQ'
    """
    letters = "".join(letter for letter in typed.upper() if letter.isalnum()).translate(_READ_AS)
    if len(letters) != GROUPS * SIZE:
        raise ValueError(f"The code has {GROUPS} groups of {SIZE} letters or digits.")
    wrong = sorted(set(letters) - set(_ALPHABET))
    if wrong:
        raise ValueError(f"The code has no letter {wrong[0]}.")
    return letters


def proof(code: str, side: Literal["hub", "host"], host_key: bytes, hub_key: bytes) -> str:
    """What `side` shows to prove that it knows the code, in hex. Raises ValueError if it is none.

    The keys are the SHA-256 of what both sides' certificates hold (`certificates.key_of`): whoever stands between them
    has other certificates, and so would need another proof. With 120 bits, trying all codes against it is hopeless.
    """
    message = _PURPOSE + side.encode() + b"\0" + host_key + hub_key
    return hmac.new(normal(code).encode(), message, hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """True if two proofs are equal, in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
