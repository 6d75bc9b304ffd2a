"""What the terminal can show: its width, and colours unless NO_COLOR is set (https://no-color.org)."""

import os
import re
import shutil
import sys
from typing import Final, TextIO

from parachute_hub.system.log_lines import visible
from parachute_hub.system.records import frozen

RED, GREEN, YELLOW, BOLD, DIM = "31", "32", "33", "1", "2"
TINTS: Final = {
    **dict.fromkeys(("ready", "running", "approved", "ok", "yes"), GREEN),
    **dict.fromkeys(("error", "parked", "held", "refused", "failed"), RED),
    **dict.fromkeys(("warning", "starting", "backoff", "pending", "waiting"), YELLOW),
    **dict.fromkeys(("stopped", "expired", "revoked", "redeemed", "-"), DIM),
}
"""The colours of states, wherever one fills a cell."""


@frozen
class Terminal:
    """`width` in columns; None is a pipe or file, where nothing is folded."""

    width: int | None = None
    colour: bool = False

    def paint(self, text: str, tint: str | None) -> str:
        """The text in a colour."""
        return f"\x1b[{tint}m{text}\x1b[0m" if self.colour and tint and text else text


PLAIN: Final = Terminal()
_PAINT: Final = re.compile(f"(\x1b\\[(?:0|{'|'.join((RED, GREEN, YELLOW, BOLD, DIM))})m)")


def clean(text: str) -> str:
    r"""Escape control characters. On a terminal, the colours of this command stay.

    >>> clean("red \x1b[2Jtext")
    'red \\x1b[2Jtext'
    """
    if not terminal().colour:
        return visible(text)
    return "".join(part if _PAINT.fullmatch(part) else visible(part) for part in _PAINT.split(text))


def terminal(stream: TextIO | None = None) -> Terminal:
    """What a stream is connected to; standard output by default."""
    stream = stream or sys.stdout
    if not stream.isatty():
        return PLAIN
    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Terminal(shutil.get_terminal_size().columns, colour)
