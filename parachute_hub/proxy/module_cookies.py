"""Restricts the cookies a module sets: to its own mount and host, and in number.

A browser keeps a limited number of cookies per host and drops the oldest, so a module that sets hundreds would sign the
owner out.
"""

import re

MOST_PER_RESPONSE = 20
MOST_PER_MODULE = 40
"""Cookies of different name or path that a module may set while the hub runs."""
_PLAIN_PATH = re.compile(rb"/[!-:<-~]*\Z").match


class CookieLedger:
    """Counts the cookies of each module."""

    def __init__(self) -> None:
        self._known: dict[str, set[tuple[bytes, bytes]]] = {}

    def admits(self, short: str, name: bytes, path: bytes) -> bool:
        """True for a known cookie, or while the module is below its limit."""
        known = self._known.setdefault(short, set())
        if (name, path) not in known and len(known) >= MOST_PER_MODULE:
            return False
        known.add((name, path))
        return True


def scoped(value: bytes, prefix: bytes, *, strip: bool) -> tuple[bytes, bytes, bytes]:
    """Name, path and value of a Set-Cookie header, restricted to the mount `prefix`, without Domain.

    With `strip` the module does not know its mount, so its paths are relative to it.

    >>> scoped(b"a=1; Path=/; Domain=hub.test; HttpOnly", b"/notes", strip=False)
    (b'a', b'/notes', b'a=1; HttpOnly; Path=/notes')
    """
    pair, *attributes = value.split(b";")
    kept = [pair.strip()]
    asked = b""
    for attribute in attributes:
        key, _, content = attribute.partition(b"=")
        match key.strip().lower():
            case b"domain":
                continue
            case b"path":
                asked = content.strip()
            case _:
                kept.append(attribute.strip())
    path = _below(asked, prefix, strip)
    name = pair.partition(b"=")[0].strip()
    return name, path, b"; ".join([*kept, b"Path=" + path])


def _below(asked: bytes, prefix: bytes, strip: bool) -> bytes:
    if not _PLAIN_PATH(asked) or b"/." in asked or b"//" in asked:
        return prefix
    if asked == prefix or asked.startswith(prefix + b"/"):
        return asked
    return prefix + asked.rstrip(b"/") if strip else prefix
