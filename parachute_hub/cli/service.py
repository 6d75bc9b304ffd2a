"""`parachute service`: the hub as a service of this user, which starts it again after a crash or a restart.

systemd on Linux, launchd on macOS.
"""

import os
import plistlib
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from parachute_hub.cli.client import CommandError, HubClient
from parachute_hub.cli.commands import show
from parachute_hub.cli.grammar import Words
from parachute_hub.cli.which_hub import catalog_of
from parachute_hub.settings import from_process
from parachute_hub.system.atomic_files import atomic_write
from parachute_hub.system.records import frozen

NAME = "parachute.service"
LABEL = "local.parachute.hub"
_STOP_SECONDS = 30
_PATIENCE_SECONDS = 60

_NO_BUS = (
    "Nothing was changed. Sign in as this user, not by su or sudo. Where there is no systemd for users, let the "
    "system's own service manager run `parachute serve`."
)

Run: TypeAlias = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a program; its exit code and what it said."""


class Manager(Protocol):
    """What keeps the hub running."""

    def install(self, program: Sequence[str], variables: Mapping[str, str]) -> None:
        """Write what starts `program`, and start it now and at every sign-in. Raises CommandError."""

    def uninstall(self) -> bool:
        """Stop it and remove what was written. False if there is none. Raises CommandError."""

    def restart(self) -> None:
        """Stop it and start it again. Raises CommandError."""

    def state(self) -> dict[str, str | bool]:
        """Whether it is installed and starts by itself, and whether it is `active` now."""

    def after_install(self) -> str:
        """What to tell about the log, and about starting before anybody signs in."""


@frozen(kw_only=True)
class Systemd:
    """The unit in `folder`, and the systemd that `run` talks to."""

    folder: Path
    run: Run

    @property
    def path(self) -> Path:
        return self.folder / NAME

    def install(self, program: Sequence[str], variables: Mapping[str, str]) -> None:
        """Implements Manager."""
        text = unit(program, variables)
        # Asked first, so that no file is left where nothing would ever read it.
        self._must("show-environment")
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path, text.encode())
        self._must("daemon-reload")
        self._must("enable", NAME)
        self.restart()

    def uninstall(self) -> bool:
        """Implements Manager."""
        if not self.path.exists():
            return False
        self._must("disable", "--now", NAME)
        self.path.unlink()
        self._must("daemon-reload")
        return True

    def restart(self) -> None:
        """Implements Manager."""
        self._must("restart", NAME)

    def state(self) -> dict[str, str | bool]:
        """Implements Manager, with systemd's own word for what it does now."""
        said = self._ask("is-active", NAME)[1].strip()
        return {
            "installed": self.path.exists(),
            "unit": str(self.path),
            "enabled": self._ask("is-enabled", NAME)[1].strip() == "enabled",
            # Anything longer is why it does not answer.
            "active": said if said.isalpha() else "unknown",
        }

    def after_install(self) -> str:
        """Implements Manager."""
        return (
            f"Its log: journalctl --user -u {NAME} -f\n"
            "To start it with the machine, before you sign in: loginctl enable-linger"
        )

    def _ask(self, *words: str) -> tuple[int, str]:
        return self.run(["systemctl", "--user", *words])

    def _must(self, *words: str) -> None:
        _must(self.run, ["systemctl", "--user", *words])


@frozen(kw_only=True)
class Launchd:
    """The agent in `folder`, and the launchd that `run` talks to. `user` is the number of the user."""

    folder: Path
    logs: Path
    user: int
    run: Run

    @property
    def path(self) -> Path:
        return self.folder / f"{LABEL}.plist"

    def install(self, program: Sequence[str], variables: Mapping[str, str]) -> None:
        """Implements Manager."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.logs.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path, agent(program, variables, self.logs), mode=0o644)
        # One that runs keeps what it was started with.
        self.run(["launchctl", "bootout", self._name()])
        _must(self.run, ["launchctl", "bootstrap", f"gui/{self.user}", str(self.path)])

    def uninstall(self) -> bool:
        """Implements Manager."""
        if not self.path.exists():
            return False
        self.run(["launchctl", "bootout", self._name()])
        self.path.unlink()
        return True

    def restart(self) -> None:
        """Implements Manager."""
        _must(self.run, ["launchctl", "kickstart", "-k", self._name()])

    def state(self) -> dict[str, str | bool]:
        """Implements Manager."""
        code, said = self.run(["launchctl", "print", self._name()])
        active = "unknown" if code else "active" if "state = running" in said else "inactive"
        return {"installed": self.path.exists(), "unit": str(self.path), "enabled": code == 0, "active": active}

    def after_install(self) -> str:
        """Implements Manager."""
        return f"Its log: {self.logs}"

    def _name(self) -> str:
        return f"gui/{self.user}/{LABEL}"


def _must(run: Run, words: Sequence[str]) -> None:
    code, said = run(words)
    if code:
        why = said.strip() or f"exit code {code}"
        if "connect to bus" in why:
            why += "\n" + _NO_BUS
        raise CommandError(f"`{' '.join(words)}` failed: {why}")


def unit(program: Sequence[str], variables: Mapping[str, str]) -> str:
    """The unit file. The hub itself stops its modules, so only it is told to stop (`KillMode=mixed`). What is
    delegated lets the kernel keep each module to its limits (`supervise.memory.module_groups`).
    """
    environment = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in sorted(variables.items()))
    return f"""[Unit]
Description=Parachute Hub

[Service]
ExecStart={" ".join(_quoted(word.replace("$", "$$")) for word in program)}
{environment}Restart=on-failure
RestartSec=2
Delegate=memory cpu
KillMode=mixed
TimeoutStopSec={_STOP_SECONDS}

[Install]
WantedBy=default.target
"""


def _quoted(word: str) -> str:
    r"""A word of a unit file (systemd.syntax(7)).

    >>> _quoted('100% "mine"')
    '"100%% \\"mine\\""'
    """
    if any(ord(letter) < 32 for letter in word):
        raise CommandError("A control character cannot be part of the service's command.", code=2)
    return '"{}"'.format(word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%"))


def agent(program: Sequence[str], variables: Mapping[str, str], logs: Path) -> bytes:
    """The property list (launchd.plist(5)): started at sign-in, and again when it ends with an error."""
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": [*program],
            "EnvironmentVariables": dict(variables),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ExitTimeOut": _STOP_SECONDS,
            "ProcessType": "Interactive",
            "StandardOutPath": str(logs),
            "StandardErrorPath": str(logs),
        }
    )


def add_words(words: Words) -> None:
    """The subcommands."""
    service = words.group("service", "Keep the hub running in the background (systemd on Linux, launchd on macOS).")
    for name, action, told in (
        ("install", _install, "Start the hub now, after a crash, and whenever you sign in."),
        ("status", _status, "Show whether the service is installed and running."),
        ("uninstall", _uninstall, "Stop the service and remove it; the hub's data stays."),
    ):
        sub = service.add(name, action, told)
        if name == "install":
            sub.add_argument("--listen", help="a port, address:port or Twisted endpoint [1939]")
            sub.add_argument("--catalog", help="modules to offer: published, reference, or a file")


def _install(arguments: Namespace) -> int:
    # What is wrong is said here: the hub itself would say it in a log, again and again.
    settings = from_process({name: vars(arguments).get(name) for name in ("home", "listen")})
    home, catalog = settings.home, arguments.catalog and catalog_of(arguments.catalog)
    client, service = HubClient(home), _manager()
    if client.running and service.state()["active"] != "active":
        raise CommandError(f"A hub runs for {home} already, but not as a service. Stop it, then try again.")
    program = [sys.executable, "-m", "parachute_hub.cli.main", "serve", "--home", str(home)]
    for option, value in (("--listen", arguments.listen), ("--catalog", catalog)):
        program += [option, value] if value else []
    # Modules run programs, which a service would not find on its own short PATH.
    service.install(program, {"PATH": os.environ.get("PATH", os.defpath)})
    text = f"The hub runs as a service now, with its data in {home}.\n{service.after_install()}"
    show(arguments, service.state(), text)
    return 0


def _status(arguments: Namespace) -> int:
    state = _manager().state()
    begins = "starts when you sign in" if state["enabled"] else "does not start by itself"
    known = f"The service is {state['active']} and {begins}."
    if state["active"] == "unknown":
        known = "The service is installed, but this system does not say whether it runs."
    text = known if state["installed"] else "The service is not installed."
    show(arguments, state, text)
    return 0 if state["active"] == "active" else 1


def _uninstall(arguments: Namespace) -> int:
    service = _manager()
    removed = service.uninstall()
    text = "The service is gone; the hub's data stays." if removed else "The service is not installed."
    show(arguments, {**service.state(), "removed": removed}, text)
    return 0 if removed else 1


def manager() -> Manager | None:
    """The service manager of this machine, if it is one of those that are known here."""
    if sys.platform == "darwin":
        library = _user_home() / "Library"
        logs = library / "Logs" / "Parachute" / "hub.log"
        return Launchd(folder=library / "LaunchAgents", logs=logs, user=os.getuid(), run=_run)
    if shutil.which("systemctl") is None:
        return None
    chosen = os.environ.get("XDG_CONFIG_HOME", "")
    # A relative one is invalid, and to be ignored.
    settings = Path(chosen) if chosen.startswith("/") else _user_home() / ".config"
    return Systemd(folder=settings / "systemd" / "user", run=_run)


def _user_home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise CommandError("Your home folder is not known here. Set HOME, then try again.") from None


def _manager() -> Manager:
    found = manager()
    if found is None:
        raise CommandError("There is no systemd here. Let your system's own service manager run `parachute serve`.")
    return found


def _run(words: Sequence[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return 1, f"{words[0]} does not answer."
    return done.returncode, done.stdout + done.stderr
