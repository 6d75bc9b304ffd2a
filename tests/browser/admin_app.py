"""The admin app for browser tests: built when its sources are newer, and served by the fake hub in `web/dev`."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from attrs import define

from tests.browser.browser import _bun as bun
from tests.live.harness import fetch
from tests.live.ports import free_port
from tools.locks import locked

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
BUILT = ROOT / "parachute_hub" / "static" / "admin"
PAGES = (
    "",
    "modules",
    "modules/scribe",
    "vaults",
    "apps",
    "tokens",
    "people",
    "backups",
    "backups/restore",
    "notices",
    "settings",
    "settings/reach",
    "space",
    "activity",
    "about",
    "no-such-page",
)


@cache
def built() -> Path:
    """The folder of the built app, as `make web` makes it."""
    with locked(ROOT / ".cache" / "web"):
        page = BUILT / "index.html"
        sources = [path for folder in ("src", "public") for path in (WEB / folder).rglob("*") if path.is_file()]
        newest = max(path.stat().st_mtime for path in (*sources, WEB / "build.ts", WEB / "bun.lock"))
        if not page.exists() or page.stat().st_mtime < newest:
            for words in (["install", "--frozen-lockfile"], ["run", "build.ts"]):
                subprocess.run([bun(), *words], cwd=WEB, check=True, capture_output=True, timeout=120)
    return BUILT


@define
class PretendedHub:
    """`web/dev/server.ts` as a process."""

    scenario: str
    held: bool = False
    url: str = ""
    _process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        """Serve; after a stop, on the same port."""
        port = self.url.rpartition(":")[2] or str(free_port())
        self._process = subprocess.Popen(
            [bun(), "run", "dev/server.ts"],
            cwd=WEB,
            env={**os.environ, "PORT": port, "SCENARIO": self.scenario, "HELD": str(int(self.held))},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1].rstrip("/")

    def let_go(self) -> None:
        """Operations end from now on."""
        self.held = False
        fetch(f"{self.url}/dev/let-go")

    def stop(self) -> None:
        """End it, like a restart of the hub."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.communicate(timeout=10)


@contextmanager
def pretended_hub(scenario: str, *, held: bool = False) -> Iterator[PretendedHub]:
    """A fake hub for the block: `fresh`, `well` or `trouble`; a `held` one ends no operation before `let_go`."""
    built()
    hub = PretendedHub(scenario, held)
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()
