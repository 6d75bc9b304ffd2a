"""Takes the pictures of terminal sessions for docs/command.md: `python -m tests.browser.terminal_pictures`.

The command runs in a terminal of its own against a real hub; Chromium draws what it wrote, with its colours.
"""

import fcntl
import html
import os
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from parachute_hub.settings import MODULE_PORTS
from tests.browser.browser import chromium, window
from tests.browser.pictures import FOLDER
from tests.live.harness import OWNER, HubProcess, packed_examples

COLUMNS = 92
_PAGE = """<!doctype html><style>
body { margin: 0; background: #17212b }
pre { margin: 0; padding: 18px 22px; width: max-content; color: #e6edf3; font: 14px/1.5 "DejaVu Sans Mono", monospace }
.c1 { font-weight: bold } .c2 { color: #93a1b0 } .c31 { color: #ff8a80 } .c32 { color: #7ee2a8 } .c33 { color: #ffd479 }
.ask { color: #8ecbff }
</style><pre>%s</pre>"""
SESSIONS = {
    "terminal-install": ["install hello"],
    "terminal-status": ["status", "doctor", "settings limits vault --cpu 50"],
    "terminal-mistakes": ["instal hello"],
}


def typed(home: Path, words: str) -> str:
    """What the command writes to a terminal."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environ = {**os.environ, "PARACHUTE_HOME": str(home), "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    environ.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "parachute_hub.cli.main", *words.split()]
    process = subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:
        pass  # The other end is closed.
    process.wait()
    os.close(ours)
    return written.decode()


def drawn(text: str) -> str:
    """The screen as HTML: a line that was written again shows its last state."""
    lines = [re.split(r"\r|\x1b\[\d*[KGA]", line.rstrip("\r"))[-1] for line in text.split("\n")]
    parts = re.split(r"\x1b\[([\d;]*)m", "\n".join(lines).rstrip())
    shown = html.escape(parts[0])
    for tint, words in zip(parts[1::2], parts[2::2], strict=True):
        shown += f"<span class='c{tint}'>{html.escape(words)}</span>"
    return shown


def main() -> None:
    """A hub with a vault; then each session in turn."""
    catalog = packed_examples()
    with tempfile.TemporaryDirectory(prefix="parachute-pictures-") as folder:
        # The ports that a hub on a person's machine has, rather than those of a test.
        usual = {"PARACHUTE_MODULE_PORTS": f"{MODULE_PORTS[0]}-{MODULE_PORTS[-1]}"}
        hub = HubProcess(home=Path(folder) / "home", catalog=catalog, environment={**OWNER, **usual})
        try:
            hub.start()
            hub.install("vault")
            with chromium() as browser, window(browser) as (_, page):
                for name, sessions in SESSIONS.items():
                    shown = []
                    for words in sessions:
                        written = typed(hub.home, words).replace(f"{catalog.parent}/", "")
                        shown.append(f"<span class='ask'>$ parachute {words}</span>\n{drawn(written)}")
                    page.set_content(_PAGE % "\n\n".join(shown))
                    page.locator("pre").screenshot(path=str(FOLDER / f"{name}.png"))
        finally:
            hub.end()


if __name__ == "__main__":
    main()
