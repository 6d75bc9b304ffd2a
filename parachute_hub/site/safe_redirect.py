"""Redirect targets after sign-in: only paths of this hub."""

import re
from urllib.parse import quote, urlsplit

# One slash, then neither slash nor backslash, and no character that browsers strip or reinterpret.
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")
LONGEST = 4096


def safe_next(text: str | None, default: str) -> str:
    r"""`text` if it is a path of this hub, else `default`.

    >>> safe_next("/oauth/authorize?client_id=a", "/")
    '/oauth/authorize?client_id=a'
    >>> safe_next("//evil.example", "/"), safe_next("/\\evil.example", "/"), safe_next("https://evil.example", "/")
    ('/', '/', '/')
    """
    if text is None or len(text) > LONGEST or not _PATH.fullmatch(text):
        return default
    try:
        parts = urlsplit(text)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else text


def login_url(next_path: str) -> str:
    """The sign-in URL that returns to `next_path`.

    >>> login_url("/account?x=1&y=2")
    '/login?next=/account%3Fx%3D1%26y%3D2'
    """
    return "/login?next=" + quote(safe_next(next_path, "/"), safe="/")


def sign_in_again_url(next_path: str) -> str:
    """The same for a signed-in user who is to sign in again, or as someone else."""
    return login_url(next_path).replace("?", "?again=1&", 1)
