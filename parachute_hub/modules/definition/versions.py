"""Version precedence by Semantic Versioning 2.0.0, section 11."""

import re
from collections.abc import Iterable
from typing import Self

from parachute_hub.system.records import frozen

_FORM = re.compile(
    r"v?(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})\.(0|[1-9]\d{0,14})"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)

_LONGEST = 256


@frozen
class Version:
    """A comparable version. `key` orders it; `text` is the original."""

    text: str
    key: tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None if this is not a semantic version, or longer than npm allows."""
        found = _FORM.fullmatch(text.strip()) if len(text) <= _LONGEST else None
        if found is None:
            return None
        numbers = tuple(int(part) for part in found.group(1, 2, 3))
        pre = found[4]
        parts = tuple(_identifier(part) for part in pre.split(".")) if pre else ()
        return cls(text.strip(), (numbers, pre is None, parts))


def is_newer(candidate: str | None, installed: str | None) -> bool:
    """True if both are versions and the candidate is strictly newer.

    >>> is_newer("1.0.0", "1.0.0-rc.2"), is_newer("1.0.0-rc.10", "1.0.0-rc.9"), is_newer("latest", "1.0.0")
    (True, True, False)
    """
    new, old = Version.parse(candidate or ""), Version.parse(installed or "")
    return new is not None and old is not None and new.key > old.key


def newest(candidates: Iterable[str | None]) -> str | None:
    """The highest semantic version among the candidates."""
    versions = [version for text in candidates if text and (version := Version.parse(text))]
    return max(versions, key=lambda version: version.key).text if versions else None


def _identifier(part: str) -> tuple[bool, int, str]:
    """Numeric identifiers sort below others and compare as numbers."""
    return (False, int(part), "") if part.isdigit() else (True, 0, part)
