"""Runs an image as a container: own namespaces, read-only root, limits, Docker's default capabilities, a disk."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from attrs import frozen

from tests.live.container.disk import MEBIBYTE, Disk
from tests.live.container.image import Image
from tests.live.container.limits import group
from tests.live.container.network import Network

_ENTER = Path(__file__).parent / "enter.sh"
_NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--cgroup")
# What Docker leaves to root in a container.
_DOCKERS = tuple(
    "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod audit_write "
    "setfcap".split()
)
_JOIN = 'for file in $JOIN; do echo $$ >"$file"; done; exec "$@"'


class NotHealthy(Exception):
    """The hub did not answer in time; the text ends with the container's log."""


@frozen
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)


class Box:
    """One container, running from construction until `stop` or `kill`; `close` frees what it held.

    `variables` come over the image's own, as a platform's dashboard gives them. `command` replaces the image's.
    `user` is the user id it starts with, as `docker run --user` does; 0 is the image's own. `capabilities` are root's.
    """

    def __init__(
        self,
        image: Image,
        disk: Disk,
        network: Network,
        *,
        variables: Mapping[str, str] | None = None,
        command: tuple[str, ...] | None = None,
        memory: int = 512 * MEBIBYTE,
        cpus: float = 0.5,
        user: int = 0,
        capabilities: Sequence[str] = _DOCKERS,
    ) -> None:
        self._network = network
        self.env = {**image.config.env, **(variables or {})}
        self.group = group(memory, cpus)
        self._folder = Path(mkdtemp(prefix="parachute-box-"))
        self._log = self._folder / "log"
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        inside = [*become, *image.config.entrypoint, *(command or image.config.cmd)]
        # If this test run is killed, so is the container.
        with_us = [*network.entering, "setpriv", "--pdeathsig", "KILL"]
        unshare = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "/bin/sh", str(_ENTER), *self._variables()]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_joining(), *with_us, *unshare, *inside],
                env=self._told(image, disk, capabilities),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at = time.monotonic()

    @property
    def init(self) -> int:
        """The id, out here, of the container's process 1."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            raise NotHealthy(f"The container has ended:\n{self.log()}")
        return int(children[0])

    @property
    def port(self) -> int:
        """Where the hub listens, in the container's network."""
        return int(self.env["PORT"])

    def processes(self) -> list[int]:
        """The ids, out here, of what runs inside, process 1 left out."""
        return [pid for pid in self.group.members() if pid not in (self._process.pid, self.init)]

    def log(self) -> str:
        """All that the container has printed."""
        return self._log.read_text(errors="replace")

    def running(self) -> bool:
        """Whether the container has not ended."""
        return self._process.poll() is None

    def wait_healthy(self, seconds: float = 60.0) -> float:
        """Seconds from the start until /health first said 200. Raises NotHealthy."""
        while time.monotonic() - self.started_at < seconds and self.running():
            with contextlib.suppress(OSError, NotHealthy):
                if self.request("GET", "/health").status == 200:
                    return time.monotonic() - self.started_at
            time.sleep(0.02)
        raise NotHealthy(f"No 200 from /health within {seconds} s:\n{self.log()[-4000:]}")

    def wait_phase(self, phase: str = "up", seconds: float = 60.0) -> None:
        """Until /health says that the hub's start has come this far. Raises NotHealthy."""
        self.wait_healthy(seconds)
        deadline = time.monotonic() + seconds
        while (found := self.request("GET", "/health").json()["phase"]) != phase:
            if found == "failed" or time.monotonic() > deadline:
                raise NotHealthy(f"The hub is not {phase}:\n{self.log()[-4000:]}")
            time.sleep(0.02)

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request on a connection of its own, from inside the container's network."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            with self._network.inside():
                connection.connect()
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def run(self, *command: str, user: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as `docker exec` does; its output and exit code."""
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        enter = [*self._network.entering, f"--target={self.init}", *_NAMESPACES, "--", "env", "-i", *self._variables()]
        return subprocess.run(
            [*_joining(), *enter, *become, *command],
            env={"PATH": os.environ["PATH"], "JOIN": self._join()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def stop(self, seconds: float = 30.0) -> tuple[int, float]:
        """As a redeploy does: SIGTERM, and SIGKILL after `seconds`. Exit code and seconds that it took."""
        asked = time.monotonic()
        with contextlib.suppress(NotHealthy, ProcessLookupError):
            os.kill(self.init, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()
        return self._process.returncode, time.monotonic() - asked

    def ended(self, seconds: float = 30.0) -> int:
        """Wait until it ends by itself; its exit code."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it at once, as a lost machine does."""
        if self.running():
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it and free what it held."""
        self.kill()
        self.group.remove()
        shutil.rmtree(self._folder)

    def _told(self, image: Image, disk: Disk, capabilities: Sequence[str]) -> dict[str, str]:
        """What enter.sh wants to know."""
        root, hosts = self._folder / "root", self._folder / "hosts"
        root.mkdir()
        hosts.write_text("127.0.0.1 localhost\n")
        return {
            "PATH": os.environ["PATH"],
            "JOIN": self._join(),
            "LAYERS": str(image.layers_in),
            "LOWER": ":".join(image.layers),
            "ROOT": str(root),
            "DISK": str(disk.path),
            "HOSTS": str(hosts),
            "WORKDIR": image.config.workdir,
            "CGROUPS": " ".join(f"{name}={path}" for name, path in self.group.shown.items()),
            "CAPABILITIES": ",".join(f"+{name}" for name in capabilities),
        }

    def _variables(self) -> list[str]:
        return [f"{name}={value}" for name, value in self.env.items()]

    def _join(self) -> str:
        return " ".join(str(path) for path in self.group.joining)


def _joining() -> list[str]:
    """The start of a command line whose process joins the group before all else."""
    return ["/bin/sh", "-c", _JOIN, "sh"]
