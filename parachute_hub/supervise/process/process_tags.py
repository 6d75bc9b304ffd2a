"""Tags in the environment of module processes, which identify them even after the hub was killed."""

import hashlib
import os
import time
from pathlib import Path

from parachute_hub.system.records import frozen

VARIABLE = "PARACHUTE_SUPERVISED"


@frozen
class ProcessTag:
    """The module, a hash of the hub's home, and the id of the hub process that started it."""

    short: str
    home: str
    life: str

    def __str__(self) -> str:
        return f"{self.short}:{self.home}:{self.life}"


@frozen
class TagFilter:
    """Matches tags: of one home; of one of its modules; or of earlier hub processes only."""

    home: str
    short: str | None = None
    other_than: str | None = None

    def has(self, text: str) -> bool:
        """True if the tag matches.

        >>> TagFilter("abc", "vault").has("vault:abc:1"), TagFilter("abc", other_than="1").has("vault:abc:1")
        (True, False)
        """
        short, _, rest = text.partition(":")
        home, _, life = rest.partition(":")
        return home == self.home and self.short in (None, short) and life != self.other_than


def new_life() -> str:
    """Identifies this hub process."""
    return f"{os.getpid()}-{time.time():.3f}"


def home_hash(home: Path) -> str:
    """Identifies a hub by its home."""
    return hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
