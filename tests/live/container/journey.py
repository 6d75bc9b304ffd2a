"""What an owner does with a container: install modules, write a note, read it."""

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.live.engine import ROOT, Container, Machine, NotHealthy

_NOTES = "/vault/default/api/notes"
_KEY = "/parachute/vault/data/default/initial-key"


class Registry:
    """A package registry in `machine` that serves the packs of a folder until `close`.

    `variables` tell the hub's installer of it.
    """

    def __init__(self, machine: Machine, packs: Path) -> None:
        self._process = subprocess.Popen(
            [*machine.entering, sys.executable, "-m", "tests.live.registry", str(packs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.variables = {"BUN_CONFIG_REGISTRY": self._process.stdout.readline().decode().strip()}

    def close(self) -> None:
        """It ends when its input closes."""
        self._process.communicate()


def install(hub: Container, short: str) -> None:
    """With the command, in a shell of the container."""
    done = hub.run("parachute", "install", short, user=1000)
    if done.returncode:
        raise AssertionError(f"{short} was not installed:\n{done.stdout}{done.stderr}\n{hub.log()[-4000:]}")


def wait_ready(hub: Container, *shorts: str, seconds: float = 60.0) -> float:
    """Seconds from the container's start until each of these modules answers. Raises NotHealthy."""
    hub.wait_phase("up", seconds)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if set(shorts) <= set(hub.request("GET", "/api/ready").json()["ready_modules"]):
            return time.monotonic() - hub.started_at
        time.sleep(0.02)
    raise NotHealthy(f"{', '.join(shorts)} not ready within {seconds} s:\n{hub.log()[-4000:]}")


def write_note(hub: Container, content: str) -> str:
    """The new note's id."""
    body = json.dumps({"content": content, "path": "container/note"}).encode()
    made = hub.request("POST", _NOTES, {**_key(hub), "Content-Type": "application/json"}, body)
    if made.status != 201:
        raise AssertionError(f"The vault answered {made.status}: {made.body!r}")
    return str(made.json()["id"])


def read_note(hub: Container, note: str) -> str:
    """The content of a note."""
    return str(hub.request("GET", f"{_NOTES}/{note}", _key(hub)).json()["content"])


def _key(hub: Container) -> dict[str, str]:
    """The key of the vault's first owner."""
    return {"Authorization": f"Bearer {hub.run('cat', _KEY).stdout.strip()}"}
