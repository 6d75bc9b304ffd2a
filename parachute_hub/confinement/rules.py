"""What one process may do. Pure values; `kernel` enforces them."""

import struct
from collections.abc import Callable, Iterable
from typing import Protocol

from parachute_hub.system.records import frozen

# Landlock's file access rights, by bit (linux/landlock.h).
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_DEVICES = 1 << 6 | 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL_DEV
LIST = READ_DIR
READ = EXECUTE | READ_FILE | READ_DIR
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1 << 0, 1 << 1

# Readable for all programs and not secret: shared libraries, time zones, certificates, resolver settings.
SYSTEM_FOLDERS = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc",
    "/proc",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


@frozen(kw_only=True)
class Rules:
    """What a process and its descendants may do.

    `reads` may be read and executed, `writes` modified as well: absolute paths of files, or folders with everything
    below. In `lists` and below, only file names may be read. `bind` and `connect` are TCP ports; None is any port, and
    for `connect` UDP as well. `change_modes` makes chmod effective. `open_files` and `file_bytes` are per-process
    limits. `tasks` is how many more processes and threads the user may have for a fork of this process to succeed.
    `oom_score` is oom_score_adj (proc(5)).
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    lists: tuple[str, ...] = ()
    bind: tuple[int, ...] | None = ()
    connect: tuple[int, ...] | None = ()
    change_modes: bool = False
    open_files: int = 4096
    file_bytes: int = 8 << 30
    tasks: int = 1024
    oom_score: int = 500


class Confines(Protocol):
    """Starts confined processes; implemented by `kernel.Confiner`."""

    def start(self, rules: Rules, spawn: Callable[[], int], release: Callable[[], object] | None = None) -> int:
        """Call `spawn` so that the process it starts is confined. Raises NotConfined.

        With `release` the process waits for that call, and becomes a child of the hub's main thread before it.
        """


def handled_files(abi: int) -> int:
    """The file access rights that this Landlock version restricts.

    >>> hex(handled_files(1)), hex(handled_files(7))
    ('0x1fff', '0xffff')
    """
    rights = (1 << 13) - 1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if abi >= since:
            rights |= right
    return rights


def all_rights(abi: int) -> int:
    """Every file access right of this version except creating device nodes."""
    return handled_files(abi) & ~_MAKE_DEVICES


def rights_on(rights: int, *, folder: bool) -> int:
    """The subset of rights that applies to the path: files have fewer than folders."""
    return rights if folder else rights & _FILE_RIGHTS


def ruleset(abi: int, rules: Rules) -> bytes:
    """`struct landlock_ruleset_attr` with what this version can restrict.

    Older kernels have a shorter structure and reject a longer one whose rest is not zero.
    """
    network = sum(right for right, _ in port_rights(abi, rules))
    scopes = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS if abi >= 6 else 0
    content = struct.pack("=QQQ", handled_files(abi), network, scopes)
    return content[: 24 if abi >= 6 else 16 if abi >= 4 else 8]


def port_rights(abi: int, rules: Rules) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """The restricted uses of TCP ports, each with the ports that stay allowed."""
    uses = ((BIND_TCP, rules.bind), (CONNECT_TCP, rules.connect)) if abi >= 4 else ()
    return tuple((right, tuple(sorted(set(ports)))) for right, ports in uses if ports is not None)


def missing(abi: int) -> tuple[str, ...]:
    """What this Landlock version (0: none) cannot restrict, as nouns for a sentence.

    >>> missing(3)
    ('the network', 'signals to other programs')
    """
    found = ((1, "files"), (4, "the network"), (6, "signals to other programs"))
    return tuple(what for since, what in found if abi < since)


def readable_of(bun: str) -> tuple[str, ...]:
    """What may be read so that bun runs: its folder if that is a `bin`, else its own files alone.

    Any other folder, such as a person's home, may hold what is not for modules.

    >>> readable_of("/opt/bun/bin/bun"), readable_of("/home/ann/bun")
    (('/opt/bun/bin',), ('/home/ann/bun', '/home/ann/bunx'))
    """
    folder = bun.rpartition("/")[0]
    return (folder,) if folder.endswith("/bin") else (bun, f"{folder}/bunx")


def covers(folder: str, path: str) -> bool:
    """True if a path is this folder or inside it.

    >>> covers("/a/b", "/a/b/c"), covers("/a/b", "/a/bc"), covers("/", "/a")
    (True, False, True)
    """
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def exposed(opened: Iterable[str], protected: Iterable[str]) -> str | None:
    """The first protected path inside an opened one, or None. All are real paths, without links."""
    folders = tuple(opened)
    return next((path for path in protected if any(covers(folder, path) for folder in folders)), None)
