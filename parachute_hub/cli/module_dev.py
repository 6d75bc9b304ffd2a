"""`parachute module dev`: a module's folder behind a hub, started again as its files change.

The hub runs the folder itself (`modules/reconcile/linked_folders` restarts it); this command starts a hub where none
is named, shows the module's log, state and checks, and ends all of it.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlencode

from attrs import field

from parachute_hub.cli.client import CommandError, HubClient, HubDown, module_path
from parachute_hub.cli.grammar import path_of
from parachute_hub.cli.progress import ProgressPrinter, run_job
from parachute_hub.cli.which_hub import catalog_of, home_of
from parachute_hub.settings import from_process
from parachute_hub.system.home import Home
from parachute_hub.system.log_lines import visible
from parachute_hub.system.records import define, frozen

POLL_SECONDS = 0.3
START_SECONDS = 60.0
STOP_SECONDS = 30.0
_USER = "dev"
_READ_AT_INSTALL = ("package.json", ".parachute/module.json")


def add_options(sub: ArgumentParser) -> None:
    sub.add_argument("folder", nargs="?", type=path_of, default=".", help="the module's folder [.]")
    sub.add_argument("--listen", help="where the hub that it starts listens [a free port]")
    sub.add_argument("--catalog", help="modules that this hub offers: published, reference, or a file [published]")
    sub.add_argument(
        "--with", action="append", default=[], metavar="MODULE", dest="others", help="install this module beside it"
    )


def test(arguments: Namespace) -> int:
    """Run the module's own tests with the hub's bun; its exit code. `kit/testing.ts` finds this command."""
    from parachute_hub.modules.packages.bun import NoBun, find

    folder = Path(arguments.folder)
    if not folder.is_dir():
        raise CommandError(f"{folder} is not a folder.", code=2)
    try:
        bun = find(from_process({}).bun)
    except NoBun as error:
        raise CommandError(str(error)) from None
    command = os.environ.get("PARACHUTE_COMMAND") or str(Path(sys.executable).with_name("parachute"))
    return subprocess.call([str(bun), "test"], cwd=folder, env={**os.environ, "PARACHUTE_COMMAND": command})


def dev(arguments: Namespace) -> int:
    """Run until Ctrl-C, SIGTERM or, with --json, the end of standard input."""
    folder = Path(arguments.folder).absolute()
    if not folder.is_dir():
        raise CommandError(f"{folder} is not a folder.", code=2)
    signal.signal(signal.SIGTERM, _interrupt)
    show = Shown(as_json=arguments.json)
    if arguments.json:
        threading.Thread(target=_end_with_input, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as ends:
        hub = ends.enter_context(_hub(arguments))
        for other in arguments.others:
            show.tell("installing", f"Installing {other} ...", module=other)
            run_job(hub.client, module_path(other, "install"), {}, ProgressPrinter(quiet=True))
        try:
            Session(folder=folder, hub=hub, show=show).run(ends)
        finally:
            # The end of the input often follows a signal; what is left to do is done once.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
    return 0


@frozen
class Shown:
    """What the terminal shows, or one JSON object a line for programs. Methods may be called in any thread."""

    as_json: bool
    _one: threading.Lock = field(factory=threading.Lock, eq=False, repr=False)

    def tell(self, event: str, text: str, /, **facts: Any) -> None:
        line = json.dumps({"event": event, **facts}) if self.as_json else text
        with self._one:  # Lines of two threads would run into each other.
            print(line, flush=True)

    def log(self, entry: Mapping[str, Any]) -> None:
        flag = f"[{entry['mark']}]" if entry["mark"] else entry["level"]
        self.tell("log", f"{str(entry['at'])[11:19]} {flag:<8} {visible(str(entry['text']))}", **entry)


@frozen(kw_only=True)
class Hub:
    """The hub that runs the module. `own`: started by this command.

    `password` is that of its account; `ended` returns its last lines once it has ended.
    """

    client: HubClient
    home: Path
    own: bool
    password: str | None = None
    ended: Callable[[], str | None] = lambda: None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{(Home(self.home).announced() or {}).get('port')}"


@define(kw_only=True)
class Session:
    """One module in development."""

    folder: Path
    hub: Hub
    show: Shown
    _short: str | None = field(default=None, init=False)
    _findings: tuple[str, ...] | None = field(default=None, init=False)
    _state: tuple[Any, ...] | None = field(default=None, init=False)

    def run(self, ends: contextlib.ExitStack) -> None:
        """Install the folder and follow it. Raises KeyboardInterrupt at the end, HubDown if the hub ended by itself."""
        from parachute_hub.modules.reconcile.linked_folders import newest_change

        changed = Settled(lambda: newest_change(self.folder))
        installed = Settled(lambda: tuple(_changed_at(self.folder / name) for name in _READ_AT_INSTALL))
        self._check()
        self._install(ends)
        while True:
            time.sleep(POLL_SECONDS)
            if (why := self.hub.ended()) is not None:
                raise HubDown(f"The hub ended by itself. Its last lines:\n{why}")
            # Both are asked each time: a new manifest is also a change.
            again = installed.changed()
            if changed.changed():
                self.show.tell("changed", "A file changed.")
                self._check()
                again = again or self._short is None
            if again:
                self._install(ends)
            self._tell_state()

    def _check(self) -> None:
        """Tell what `parachute module check` finds, when it is something else than before."""
        from parachute_hub.modules.definition.lint import check

        found = tuple(str(finding) for finding in check(self.folder))
        if found != self._findings:
            text = "\n".join(("Check:", *(f"  {one}" for one in found))) if found else "Check: nothing to mend."
            self.show.tell("findings", text, findings=[*found])
        self._findings = found

    def _install(self, ends: contextlib.ExitStack) -> None:
        """Install the folder, or read its manifest again. A failure is told; the next change is the next try."""
        if not self.hub.own and self._short is None:
            self._refuse_installed()
        began = time.time()
        body = {"source": str(self.folder), "init": self.hub.own}
        try:
            job = run_job(self.hub.client, "/api/modules/install", body, ProgressPrinter(quiet=True))
        except HubDown:
            raise
        except CommandError as error:
            self.show.tell("failed", f"It cannot be run: {error}\nChange a file to try again.", error=str(error))
            return
        if self._short is not None:
            return
        short = self._short = str(job["short"])
        if not self.hub.own:
            ends.callback(self._uninstall, short)
        self._follow_log(short, began)
        page = str(self._module(short).get("management_url") or "")
        mount = page if page.startswith("/") else f"/{short}"
        lines = [f"{short} is at {self.hub.origin}{mount} and starts again when a file changes. Ctrl-C ends it."]
        if self.hub.password is not None:
            lines.append(f"Sign in as {_USER} with the password {self.hub.password}")
        facts = {"short": short, "origin": self.hub.origin, "mount": mount, "home": str(self.hub.home)}
        account = {"user": _USER, "password": self.hub.password} if self.hub.password else {}
        self.show.tell("ready", "\n".join(lines), **facts, **account)

    def _refuse_installed(self) -> None:
        """The owner's own module must not be replaced for a while and then removed."""
        from parachute_hub.modules.definition.manifests import read_manifest
        from parachute_hub.modules.definition.validation import Invalid

        with contextlib.suppress(Invalid):
            manifest = read_manifest(self.folder)
            if manifest is not None and self._module(manifest.name).get("installed"):
                raise CommandError(
                    f"{manifest.name} is installed on this hub. Leave out --home to develop it on a hub of its own, or "
                    f"uninstall it first: parachute uninstall {manifest.name}"
                )

    def _uninstall(self, short: str) -> None:
        with contextlib.suppress(CommandError):
            run_job(self.hub.client, module_path(short, "uninstall"), {}, ProgressPrinter(quiet=True))
            self.show.tell("removed", f"{short} is removed from the hub; its data stays.")

    def _follow_log(self, short: str, since: float) -> None:
        asked = urlencode({"since": since, "follow": 1, "format": "json"})

        def follow() -> None:
            with contextlib.suppress(CommandError):
                for line in self.hub.client.lines(f"{module_path(short, 'logs')}?{asked}"):
                    self.show.log(json.loads(line))

        threading.Thread(target=follow, daemon=True).start()

    def _tell_state(self) -> None:
        """Tell how it runs and what it says is wrong with itself, when either changes."""
        if self._short is None:
            return
        module = self._module(self._short)
        reports = tuple(module.get("reports") or ())
        state = (module.get("state"), module.get("reason"), reports)
        if state != self._state:
            told = " ".join(part for part in (f"[{state[0]}]", str(state[1] or ""), *map(_reported, reports)) if part)
            self.show.tell("state", told, state=state[0], reason=state[1], reports=[*reports])
        self._state = state

    def _module(self, short: str) -> Mapping[str, Any]:
        listing = self.hub.client.call("GET", "/api/modules")["modules"]
        return next((module for module in listing if module["short"] == short), {})


class Settled:
    """Tells of a change once what is looked at has kept still for one look: editors and builds write in bursts."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look
        self._told = self._latest = look()

    def changed(self) -> bool:
        """True once for each change."""
        now = self._look()
        still, self._latest = now == self._latest, now
        if not still or now == self._told:
            return False
        self._told = now
        return True


def _reported(report: str) -> str:
    return f"It reports: {report}."


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _hub(arguments: Namespace) -> "contextlib.AbstractContextManager[Hub]":
    """The running hub of --home, or a new one: there if --home is given, else in a temporary folder."""
    if arguments.home is not None:
        home = home_of(arguments)
        client = HubClient(home)
        if client.running:
            if (wait := client.not_up()) is not None:
                raise HubDown(wait)
            return contextlib.nullcontext(Hub(client=client, home=home, own=False))
    return _started(arguments)


@contextlib.contextmanager
def _started(arguments: Namespace) -> Iterator[Hub]:
    with tempfile.TemporaryDirectory(prefix="parachute-dev-", ignore_cleanup_errors=True) as folder:
        home = home_of(arguments) if arguments.home else Path(folder, "home")
        password = None if arguments.home else secrets.token_urlsafe(12)
        words = [sys.executable, "-m", "parachute_hub.cli.main", "serve", "--home", str(home)]
        words += ["--listen", arguments.listen or f"127.0.0.1:{_free_port()}"]
        words += ["--catalog", catalog_of(arguments.catalog)] if arguments.catalog else []
        account = {"PARACHUTE_INITIAL_ADMIN_USERNAME": _USER, "PARACHUTE_INITIAL_ADMIN_PASSWORD": password or ""}
        log = Path(folder, "hub.log")
        with log.open("wb") as out:
            # In a session of its own, so that Ctrl-C ends it through us, in order.
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(account if password else {})},
                cwd=folder,
                start_new_session=True,
            )

        def ended() -> str | None:
            return _tail(log) if process.poll() is not None else None

        try:
            client = _wait_until_up(home, process, log)
            yield Hub(client=client, home=home, own=True, password=password, ended=ended)
        finally:
            _stop(process)


def _wait_until_up(home: Path, process: "subprocess.Popen[bytes]", log: Path) -> HubClient:
    """A client of the hub once it is up. Raises HubDown with its last lines."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        client = HubClient(home)
        if client.running and client.phase == "up":
            return client
        time.sleep(0.05)
    raise HubDown(f"The hub did not start. Its last lines:\n{_tail(log)}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the hub as a platform does. A second Ctrl-C does not leave it behind."""
    process.terminate()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path, lines: int = 15) -> str:
    shown: Sequence[str] = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(visible(line) for line in shown)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_input() -> None:
    """A program that started us may die without a word; its end of the pipe closes then."""
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
