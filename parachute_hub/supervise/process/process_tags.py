"""What tells a process of our modules from all others, even after the hub was killed: a word in its environment."""

import hashlib
import os
from pathlib import Path

from attrs import frozen

VARIABLE = "PARACHUTE_SUPERVISED"


@frozen
class Mark:
    """Whose process it is: the module, the home of its hub (hashed), and which life of that hub started it."""

    short: str
    home: str
    life: str

    def __str__(self) -> str:
        return f"{self.short}:{self.home}:{self.life}"


@frozen
class Whose:
    """Picks processes by their mark: those of one home; of one module of it; or of other lives of the hub only."""

    home: str
    short: str | None = None
    other_than: str | None = None

    def has(self, text: str) -> bool:
        """Whether a mark belongs to it.

        >>> Whose("abc", "vault").has("vault:abc:1"), Whose("abc", other_than="1").has("vault:abc:1")
        (True, False)
        """
        short, _, rest = text.partition(":")
        home, _, life = rest.partition(":")
        return home == self.home and self.short in (None, short) and life != self.other_than


def home_hash(home: Path) -> str:
    """Names a hub by its home."""
    return hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
