"""What tests need from the machine. A test names its needs: `@requires(program("nginx"), right("to mount"))`.

A test is skipped where a need is not met. `tools/run_tests.py` installs the missing Debian packages where it may and
lists what was left out, with what would bring it. The tables in this file are the only list of packages.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from parachute_hub.confinement.kernel import Kernel

_CGROUPS = Path("/sys/fs/cgroup")
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/podman"
Test = TypeVar("Test", bound=Callable[..., object])


@frozen
class Need:
    """One thing that the machine must have. `package` is the Debian package that brings a program, else None."""

    name: str
    met: Callable[[], bool]
    remedy: str
    package: str | None = None


def find(name: str) -> str | None:
    """Path of a program. Debian keeps some outside the PATH of ordinary users, and podman's helpers outside all."""
    return shutil.which(name, path=_PATH)


def _works(*words: str) -> bool:
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def cgroup_folder(controller: str) -> Path:
    """Where cgroups with this controller are made: its own hierarchy (v1) or the common one (v2)."""
    return _CGROUPS / controller if (_CGROUPS / controller).is_dir() else _CGROUPS


def _can_make_cgroups() -> bool:
    for controller, old, new, limit in (
        ("memory", "memory.limit_in_bytes", "memory.max", 1 << 30),
        ("pids", "pids.max", "pids.max", 1000),
    ):
        top = cgroup_folder(controller)
        folder = top / f"parachute-probe-{os.getpid()}"
        try:
            folder.mkdir()
            (folder / (new if top == _CGROUPS else old)).write_text(str(limit))
        except OSError:
            return False
        finally:
            with suppress(OSError):
                folder.rmdir()
    return True


def _can_mount() -> bool:
    return os.geteuid() == 0 and _works("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt")


def _can_make_namespaces() -> bool:
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return _works("unshare", *as_root, "--net", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt")


def _can_trace() -> bool:
    return _works("strace", "-o", os.devnull, "true")


# Program: the Debian package that brings it.
PROGRAMS = {
    "aardvark-dns": "aardvark-dns",
    "age": "age",
    "caddy": "caddy",
    "chromium": "chromium",
    "crun": "crun",
    "debootstrap": "debootstrap",
    "espeak-ng": "espeak-ng",
    "ip": "iproute2",
    "iptables": "iptables",
    "netavark": "netavark",
    "nginx": "nginx-light",
    "nsenter": "util-linux",
    "podman": "podman",
    "podman-compose": "podman-compose",
    "setpriv": "util-linux",
    "strace": "strace",
    "zstd": "zstd",
}
# Right: how it is found out, and what would bring it.
RIGHTS: dict[str, tuple[Callable[[], bool], str]] = {
    "to make cgroups": (_can_make_cgroups, "run it as root where /sys/fs/cgroup is writable (podman run --privileged)"),
    "to mount": (_can_mount, "run it as root with CAP_SYS_ADMIN (podman run --privileged)"),
    "to make namespaces": (
        _can_make_namespaces,
        "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1), or run as root",
    ),
    "to confine programs": (
        lambda: Kernel.find().confines,
        "run it on Linux 5.13 or newer with Landlock, where the container's profile allows its system calls",
    ),
    "to trace processes": (_can_trace, "allow ptrace (podman run --cap-add=SYS_PTRACE)"),
}
_REASON = "needs "
_declared: set[Need] = set()


@cache
def program(name: str) -> Need:
    """A program of the table."""
    package = PROGRAMS[name]
    return Need(name, lambda: find(name) is not None, f"install {package}", package)


@cache
def right(name: str) -> Need:
    """A right of the table."""
    probe, remedy = RIGHTS[name]
    return Need(f"the right {name}", cache(probe), remedy)


def requires(*needs: Need) -> Callable[[Test], Test]:
    """Decorate a test class or a test method: it is skipped when this machine lacks one of `needs`."""

    def mark(test: Test) -> Test:
        _declared.update(needs)
        reason = why_skip(needs)
        if reason is not None:
            test.skip = reason  # type: ignore[attr-defined]
        return test

    return mark


def why_skip(needs: Sequence[Need]) -> str | None:
    """Reason to skip a test with these needs, None when all are met."""
    missing = [need.name for need in needs if not need.met()]
    return f"{_REASON}{', '.join(missing)}" if missing else None


def lacking() -> list[Need]:
    """Needs of the tests imported so far that this machine does not meet."""
    return sorted((need for need in _declared if not need.met()), key=lambda need: need.name)


def names_in(reason: str) -> list[str]:
    """Names of the needs in the reason of a skipped test; none for a test that was skipped for another reason."""
    return reason.removeprefix(_REASON).split(", ") if reason.startswith(_REASON) else []
