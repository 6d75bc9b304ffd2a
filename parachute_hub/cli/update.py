"""`parachute update`: a newer hub, by the tool that installed this one."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from parachute_hub import __version__
from parachute_hub.cli.client import CommandError, HubClient, HubRefused
from parachute_hub.cli.commands import show
from parachute_hub.cli.grammar import Words
from parachute_hub.cli.restart import in_place
from parachute_hub.cli.service import Manager
from parachute_hub.cli.which_hub import home_of
from parachute_hub.system.records import frozen

PACKAGE = "parachute-hub"
_NOT_FOUND = 404
_PLATFORMS = {
    "render": "This hub runs on Render. Sync your copy of the repository, then press Manual Deploy, Deploy latest "
    "commit.",
    "fly": "This hub runs on Fly. In your copy of the repository: git pull, then fly deploy.",
    "container": "This hub runs in a container. Where it was started: git pull, then docker compose up -d --build; or "
    "docker compose pull and docker compose up -d for a ready-made image.",
    "clone": "This hub runs from a clone. In its folder: git pull, then make run.",
}


@frozen(kw_only=True)
class Installed:
    """How this hub was installed: `kind`, and the command that updates it, empty where that is done elsewhere."""

    kind: str
    command: tuple[str, ...] = ()


@frozen(kw_only=True)
class Traces:
    """What tells how it was installed. `direct_url` is the package's record of its origin (PEP 610).

    `marks` are the names of the files in the environment's folder and of those that mark a container.
    """

    python: str
    marks: frozenset[str]
    environ: Mapping[str, str]
    installer: str = ""
    direct_url: Mapping[str, object] | None = None


def how_installed(traces: Traces) -> Installed:
    """Decide from the traces.

    >>> how_installed(Traces(python="/x/bin/python", marks=frozenset({"uv-receipt.toml"}), environ={}))
    Installed(kind='uv tool', command=('uv', 'tool', 'upgrade', 'parachute-hub'))
    """
    if "RENDER" in traces.environ:
        return Installed(kind="render")
    if "FLY_APP_NAME" in traces.environ:
        return Installed(kind="fly")
    origin = traces.direct_url or {}
    if _part(origin, "dir_info").get("editable"):
        return Installed(kind="clone")
    if traces.marks & {".dockerenv", ".containerenv"}:
        return Installed(kind="container")
    if "pipx_metadata.json" in traces.marks:
        return Installed(kind="pipx", command=("pipx", "upgrade", PACKAGE))
    if "uv-receipt.toml" in traces.marks:
        return Installed(kind="uv tool", command=("uv", "tool", "upgrade", PACKAGE))
    spec = _spec(origin)
    if traces.installer == "uv":
        words = ("uv", "pip", "install", "--python", traces.python, "--upgrade", spec)
        return Installed(kind="uv", command=words)
    return Installed(kind="pip", command=(traces.python, "-m", "pip", "install", "--upgrade", spec))


def _spec(origin: Mapping[str, object]) -> str:
    """What to install: from where it came, else by name.

    >>> _spec({"url": "https://git.test/hub", "vcs_info": {"vcs": "git", "requested_revision": "main"}})
    'parachute-hub @ git+https://git.test/hub@main'
    """
    url, vcs = origin.get("url"), _part(origin, "vcs_info")
    if not isinstance(url, str) or not vcs:
        return PACKAGE
    revision = vcs.get("requested_revision")
    return f"{PACKAGE} @ {vcs.get('vcs', 'git')}+{url}{f'@{revision}' if revision else ''}"


def _part(origin: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = origin.get(name)
    return part if isinstance(part, dict) else {}


def add_words(words: Words) -> None:
    """The word."""
    sub = words.add("update", update, "Update the hub itself, by the tool that installed it.")
    sub.add_argument("--yes", action="store_true", help="do not ask; without a terminal, it only shows the command")


def update(arguments: Namespace) -> int:
    """Show the command, run it if that is wanted, and let the new version take over."""
    from parachute_hub.cli.service import manager

    home = home_of(arguments)
    HubClient(home)  # Raises CommandError for what cannot be a home before anything is changed.
    found = how_installed(_traces())
    told: dict[str, object] = {"version": __version__, "installed_by": found.kind, "command": [*found.command]}
    if not found.command:
        show(arguments, {**told, "updated": False}, _PLATFORMS[found.kind])
        return 1 if arguments.yes else 0
    shown = " ".join(found.command)
    if not arguments.yes and (arguments.json or not sys.stdin.isatty() or not _agreed(found.kind, shown)):
        show(arguments, {**told, "updated": False}, f"This is hub {__version__}, installed by {found.kind}: {shown}")
        return 0
    _run(found.command)
    after = _version()
    told |= {"updated": after != __version__, "new_version": after}
    if after == __version__:
        show(arguments, {**told, "restarted": False}, f"Hub {__version__} is the newest.")
        return 0
    restarted, said = _taken_over(home, after, manager())
    text = f"The hub was updated from {__version__} to {after}{said}"
    show(arguments, {**told, "restarted": restarted}, text)
    return 0


def _taken_over(home: Path, after: str, service: Manager | None) -> tuple[bool, str]:
    """Let the new version run: in place if the hub that runs can do that, else by the service. What was done, and the
    rest of the sentence.
    """
    running = HubClient(home).running
    if running:
        try:
            version = in_place(lambda: HubClient(home))["version"]
        except HubRefused as refused:
            if refused.status != _NOT_FOUND:
                return False, f". The hub that runs stays at {__version__}: {refused}"
        else:
            if version == after:
                return True, ", while its modules kept running."
            return False, f". The hub that runs belongs to another installation, and stays at {version}."
    if service is not None and service.state()["active"] == "active":
        service.restart()
        return True, ", and its service restarted."
    return False, ". Restart it to use it." if running else "."


def _agreed(kind: str, command: str) -> bool:
    print(f"This is hub {__version__}, installed by {kind}. The update runs:\n  {command}")
    return input("Run it now? [y/N] ").strip().lower() in ("y", "yes")


def _run(command: Sequence[str]) -> None:
    try:
        # With --json, standard output is for the answer alone.
        code = subprocess.run(command, check=False, stdout=sys.stderr).returncode
    except FileNotFoundError:
        raise CommandError(f"{command[0]} was not found, although it installed this hub. Is it on the PATH?") from None
    if code:
        raise CommandError(
            f"`{' '.join(command)}` failed with exit code {code}. The hub was not changed by this command."
        )


def _traces() -> Traces:
    files = {path.name for path in Path(sys.prefix).iterdir()}
    files |= {Path(mark).name for mark in ("/.dockerenv", "/run/.containerenv") if os.path.exists(mark)}
    try:
        installed = metadata.distribution(PACKAGE)
        told = installed.read_text("direct_url.json")
        origin = json.loads(told) if told else None
    except (metadata.PackageNotFoundError, ValueError):
        raise CommandError("How this hub was installed is not known here. Install it again the way you did.") from None
    return Traces(
        python=sys.executable,
        marks=frozenset(files),
        environ=os.environ,
        installer=(installed.read_text("INSTALLER") or "").strip(),
        direct_url=origin if isinstance(origin, dict) else None,
    )


def _version() -> str:
    """The version that a new process would run."""
    words = [sys.executable, "-c", "import parachute_hub; print(parachute_hub.__version__)"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode:
        why = (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1]
        raise CommandError(
            f"The update was installed, but does not start ({why}). A hub that runs stays at {__version__}; "
            "do not stop it before you have installed a version that works."
        )
    return ran.stdout.strip()
