"""What an owner does with a container: install modules, write a note, read it."""

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.live.container.box import Box, NotHealthy
from tests.live.container.disk import Disk
from tests.live.container.image import REPOSITORY
from tests.live.container.network import Network

OWNER = {"PARACHUTE_INITIAL_ADMIN_USERNAME": "owner", "PARACHUTE_INITIAL_ADMIN_PASSWORD": "correct-horse-battery"}
_NOTES = "/vault/default/api/notes"


class Registry:
    """A package registry in `network` that serves the packs of a folder until `close`.

    `variables` tell the hub's installer of it.
    """

    def __init__(self, network: Network, packs: Path) -> None:
        self._process = subprocess.Popen(
            [*network.entering, sys.executable, "-m", "tests.live.registry", str(packs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
        )
        assert self._process.stdout is not None
        self.variables = {"BUN_CONFIG_REGISTRY": self._process.stdout.readline().decode().strip()}

    def close(self) -> None:
        """It ends when its input does."""
        self._process.communicate()


def install(box: Box, short: str) -> None:
    """By the command, as an owner does from a shell in the container."""
    done = box.run("parachute", "install", short, user=1000)
    if done.returncode:
        raise AssertionError(f"{short} was not installed:\n{done.stdout}{done.stderr}\n{box.log()[-4000:]}")


def wait_ready(box: Box, *shorts: str, seconds: float = 60.0) -> float:
    """Seconds from the container's start until each of these modules answers. Raises NotHealthy."""
    box.wait_phase("up", seconds)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if set(shorts) <= set(box.request("GET", "/api/ready").json()["ready_modules"]):
            return time.monotonic() - box.started_at
        time.sleep(0.02)
    raise NotHealthy(f"{', '.join(shorts)} not ready within {seconds} s:\n{box.log()[-4000:]}")


def write_note(box: Box, disk: Disk, content: str) -> str:
    """The new note's id."""
    body = json.dumps({"content": content, "path": "container/note"}).encode()
    made = box.request("POST", _NOTES, {**_key(disk), "Content-Type": "application/json"}, body)
    if made.status != 201:
        raise AssertionError(f"The vault answered {made.status}: {made.body!r}")
    return str(made.json()["id"])


def read_note(box: Box, disk: Disk, note: str) -> str:
    """The content of a note."""
    return str(box.request("GET", f"{_NOTES}/{note}", _key(disk)).json()["content"])


def processes(box: Box, word: str) -> list[int]:
    """Ids, out here, of the container's processes whose command line has `word`."""
    return [pid for pid in box.processes() if word in command_line(pid)]


def command_line(pid: int) -> str:
    """Empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def _key(disk: Disk) -> dict[str, str]:
    """The key that the vault makes for its first owner."""
    key = (disk.path / "vault" / "data" / "default" / "initial-key").read_text().strip()
    return {"Authorization": f"Bearer {key}"}
