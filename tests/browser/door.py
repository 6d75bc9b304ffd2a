"""A hub's front door as a separate process: real accounts, simulated installations. `python -m tests.browser.door`
prints one line of JSON: the port, and the setup token while there is no owner.
"""

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from playwright.sync_api import Page, expect
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.web.server import Site

from parachute_hub.proxy.front import Backend, Front, NoModules
from parachute_hub.proxy.routes import Table
from tests.support.front_door import FakeInstalls, FrontDoor
from tests.support.moving_in import MovingIn

ROOT = Path(__file__).parents[2]


class PlayedInstalls(FakeInstalls):
    """Each installation takes a second; the first one of scribe fails."""

    async def begin(self, short: str, options: Any) -> str:
        """A job that ends by itself."""
        again = any(asked == short for asked, _ in self.asked)
        job_id = await super().begin(short, options)
        error = "The registry could not be reached." if short == "scribe" and not again else None
        reactor.callLater(1.0, self.finish, short, error=error)
        return job_id


def front_of(door: FrontDoor) -> Front:
    """The real front, without modules."""
    table = Table.build((), (), "http://hub.test", gated=False)
    return Front(
        site=Site(door.root),
        backend=Backend(
            table=lambda: table,
            modules=NoModules(),
        ),
        clock=reactor,
        connector=reactor,
    )


def serve(older_home: str | None, *, named: bool = False) -> None:
    """Serve until the pipe on stdin is closed. `older_home` is where to make the home of an older hub; a `named` one
    has the address http://localhost with its port.
    """
    if older_home is None:
        door = FrontDoor(clock=time.time, installs=PlayedInstalls())
    else:
        door = MovingIn(Path(older_home), now=time.time()).door
    port: Any = reactor.listenTCP(0, cast(Any, front_of(door)), interface="127.0.0.1")

    def told(lines: Any) -> None:
        if named:
            origin = f"http://localhost:{port.getHost().port}"
            Deferred.fromCoroutine(door.origin.choose(origin, time.time()))
        setup_token = door.accounts.setup.token
        said = {"port": port.getHost().port, "token": setup_token.value if setup_token else None}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()

    if older_home is None:
        Deferred.fromCoroutine(door.accounts.boot(None, None)).addCallback(told)
    else:
        reactor.callLater(0, told, ())

    def watch() -> None:
        if select.select([sys.stdin], [], [], 0)[0] and not sys.stdin.read(1):
            reactor.stop()
        else:
            reactor.callLater(0.2, watch)

    watch()
    reactor.run()
    door.close()


@contextmanager
def open_door(older_home: Path | None = None, *, named: bool = False) -> Iterator[tuple[str, str]]:
    """The address and setup token of a fresh hub. The process ends with the block or the test."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.browser.door",
            "named" if named else "",
            *([str(older_home)] if older_home else []),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        said = json.loads(process.stdout.readline())
        yield f"http://{'localhost' if named else '127.0.0.1'}:{said['port']}", said["token"]
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def claim(page: Page, url: str, token: str, password: str) -> None:
    """Become the owner of a fresh hub."""
    page.goto(url)
    page.get_by_label("Setup token").fill(token)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_label("Repeat password").fill(password)
    page.get_by_role("button", name="Make it mine").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What should it do?")


def sign_in(page: Page, password: str) -> None:
    """Fill in the sign-in page that is open."""
    page.get_by_label("Username").fill("owner")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


if __name__ == "__main__":
    serve(next(iter(sys.argv[2:]), None), named=sys.argv[1] == "named")
