"""TOTP codes (RFC 6238) and recovery codes."""

import base64
import hashlib
import hmac
from collections.abc import Callable

import pyotp

PERIOD = 30
WINDOW = 1
SECRET_BYTES = 20
ISSUER_LABEL = "Parachute Hub"
RECOVERY_CODES = 10
# No look-alike characters, since codes are copied from paper. 16 of 31 letters are 79 bits, so a plain hash suffices.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_CODE_LENGTH = 16
_GROUP = 4
_OLDER_CODE_LENGTH = 10


def new_secret(random: Callable[[int], bytes]) -> str:
    """A shared secret in base32; `random` returns the given number of random bytes."""
    return base64.b32encode(random(SECRET_BYTES)).decode()


def app_url(secret: str, username: str, host: str) -> str:
    """The `otpauth` URL for the QR code (Google's key URI format), labelled with the hub's host."""
    return str(pyotp.TOTP(secret).provisioning_uri(name=f"{username}@{host}", issuer_name=ISSUER_LABEL))


def matching_step(secret: str, code: str, now: float) -> int | None:
    """The time step of a code, allowing one step of clock skew; None if it is wrong.

    The caller must reject a step that was already used (RFC 6238, section 5.2).
    """
    given = "".join(code.split())
    if len(given) != 6 or not given.isascii() or not given.isdigit():
        return None
    at = int(now) // PERIOD
    totp = pyotp.TOTP(secret)
    found = None
    for step in range(at - WINDOW, at + WINDOW + 1):
        if hmac.compare_digest(str(totp.generate_otp(step)), given):
            found = step
    return found


def new_recovery_codes(random: Callable[[int], bytes]) -> list[str]:
    """Ten codes as shown to the user, in groups of four."""
    return [_recovery_code(random) for _ in range(RECOVERY_CODES)]


def recovery_hash(code: str) -> str | None:
    """The stored form of a recovery code; None if malformed. Case, spaces and dashes are ignored.

    >>> recovery_hash("ABCD-efgh jkmn-pqrs") == recovery_hash("abcdefghjkmnpqrs"), recovery_hash("123456")
    (True, None)
    """
    plain = "".join(letter for letter in code.lower() if letter not in " -\t")
    if len(plain) != _CODE_LENGTH or not set(plain) <= set(_ALPHABET):
        return None
    return hashlib.sha256(plain.encode()).hexdigest()


def older_recovery_code(code: str) -> str | None:
    """What the older hub hashed of a recovery code; None if it is none of those.

    >>> older_recovery_code("ABCDE-fghjk"), older_recovery_code("123456")
    ('abcdefghjk', None)
    """
    plain = "".join(letter for letter in code.lower() if letter not in " -\t")
    return plain if len(plain) == _OLDER_CODE_LENGTH and set(plain) <= set(_ALPHABET) else None


def _recovery_code(random: Callable[[int], bytes]) -> str:
    letters = ""
    while len(letters) < _CODE_LENGTH:
        # Rejection sampling, so that all letters are equally likely.
        letters += "".join(_ALPHABET[value % 31] for value in random(_CODE_LENGTH) if value < 248)
    return "-".join(letters[at : at + _GROUP] for at in range(0, _CODE_LENGTH, _GROUP))
