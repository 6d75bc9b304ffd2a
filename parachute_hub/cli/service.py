"""`parachute service`: the hub as a systemd service of this user, which starts it again after a crash or a restart."""

import os
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.commands import home_of, show
from parachute_hub.cli.grammar import Words
from parachute_hub.system.atomic_files import atomic_write

NAME = "parachute.service"
_STOP_SECONDS = 30
_PATIENCE_SECONDS = 60

Run: TypeAlias = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a program; its exit code and what it said."""


@frozen(kw_only=True)
class Service:
    """The unit in `folder`, and the systemd that `run` talks to."""

    folder: Path
    run: Run

    @property
    def path(self) -> Path:
        return self.folder / NAME

    def install(self, text: str) -> None:
        """Write the unit, and start it now and at every sign-in. Raises CommandError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path, text.encode())
        self._must("daemon-reload")
        self._must("enable", NAME)
        self._must("restart", NAME)

    def uninstall(self) -> bool:
        """Stop it and remove the unit. False if there is none. Raises CommandError."""
        if not self.path.exists():
            return False
        self._must("disable", "--now", NAME)
        self.path.unlink()
        self._must("daemon-reload")
        return True

    def state(self) -> dict[str, str | bool]:
        """Whether it is installed and starts by itself, and systemd's word for what it does now."""
        return {
            "installed": self.path.exists(),
            "unit": str(self.path),
            "enabled": self._ask("is-enabled", NAME)[1].strip() == "enabled",
            "active": self._ask("is-active", NAME)[1].strip() or "unknown",
        }

    def _ask(self, *words: str) -> tuple[int, str]:
        return self.run(["systemctl", "--user", *words])

    def _must(self, *words: str) -> None:
        code, said = self._ask(*words)
        if code:
            raise CommandError(f"`systemctl --user {' '.join(words)}` failed: {said.strip() or f'exit code {code}'}")


def unit(program: Sequence[str], variables: Mapping[str, str]) -> str:
    """The unit file. The hub itself stops its modules, so only it is told to stop (`KillMode=mixed`)."""
    environment = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in sorted(variables.items()))
    return f"""[Unit]
Description=Parachute Hub

[Service]
ExecStart={" ".join(_quoted(word.replace("$", "$$")) for word in program)}
{environment}Restart=on-failure
RestartSec=2
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


def add_words(words: Words) -> None:
    """The subcommands."""
    service = words.group("service", "Keep the hub running in the background (Linux with systemd).")
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
    home, service = home_of(arguments), _service()
    program = [sys.executable, "-m", "parachute_hub.cli.main", "serve", "--home", str(home)]
    for option, value in (("--listen", arguments.listen), ("--catalog", arguments.catalog)):
        program += [option, value] if value else []
    # Modules run programs, which a service would not find on systemd's short PATH.
    service.install(unit(program, {"PATH": os.environ.get("PATH", os.defpath)}))
    text = (
        f"The hub runs as a service now, with its data in {home}.\n"
        f"Its log: journalctl --user -u {NAME} -f\n"
        "To start it with the machine, before you sign in: loginctl enable-linger"
    )
    show(arguments, service.state(), text)
    return 0


def _status(arguments: Namespace) -> int:
    state = _service().state()
    begins = "starts when you sign in" if state["enabled"] else "does not start by itself"
    text = f"The service is {state['active']} and {begins}." if state["installed"] else "The service is not installed."
    show(arguments, state, text)
    return 0 if state["active"] == "active" else 1


def _uninstall(arguments: Namespace) -> int:
    service = _service()
    removed = service.uninstall()
    text = "The service is gone; the hub's data stays." if removed else "The service is not installed."
    show(arguments, {**service.state(), "removed": removed}, text)
    return 0


def _service() -> Service:
    if shutil.which("systemctl") is None:
        raise CommandError("There is no systemd here. Let your system's own service manager run `parachute serve`.")
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Service(folder=settings / "systemd" / "user", run=_run)


def _run(words: Sequence[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return 1, "systemd does not answer."
    return done.returncode, done.stdout + done.stderr
