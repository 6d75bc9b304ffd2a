"""Random tokens that clients hold, and the hashes under which the hub stores them."""

import base64
import hashlib
import re
from collections.abc import Callable

TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def base64url(octets: bytes) -> str:
    """URL-safe base64 without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def new_token(random: Callable[[int], bytes], size: int = TOKEN_BYTES) -> str:
    """`size` random bytes as text, 256 bits by default: fit for a cookie, a header or a link.

    It begins with no dash, which a command line would take for an option.

    >>> new_token(lambda size: bytes([248] + [0] * (size - 1)), 4)
    '_AAAAA'
    """
    text = base64url(random(size))
    return f"_{text[1:]}" if text.startswith("-") else text


def is_token(text: str | None) -> bool:
    """True if the text has the format of `new_token`."""
    return text is not None and _TOKEN.fullmatch(text) is not None


def new_id(random: Callable[[int], bytes]) -> str:
    """An id for a new row: a version 4 UUID (RFC 9562)."""
    octets = bytearray(random(16))
    octets[6] = octets[6] & 0x0F | 0x40
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def hashed(token: str) -> str:
    """The stored form of a token. With 256 random bits, a fast hash suffices."""
    return hashlib.sha256(token.encode()).hexdigest()
