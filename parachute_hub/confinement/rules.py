"""What one process may do. Values only; `kernel` enforces them."""

from collections.abc import Iterable

from attrs import frozen

# Landlock's rights on files, by bit (linux/landlock.h).
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_DEVICES = 1 << 6 | 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL_DEV
LIST = READ_DIR
READ = EXECUTE | READ_FILE | READ_DIR
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1 << 0, 1 << 1

# Read by programs everywhere, and not a secret: shared libraries, time zones, certificates, the resolver's settings.
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
    """What a process and all that it starts may do.

    `reads` may be read and executed, `writes` changed as well: absolute paths of folders or files, with all below
    them. In `lists` and below them only the names of files may be read. `bind` and `connect` are TCP ports; None is
    any port, and for `connect` UDP as well. `change_modes` lets chmod and its like have an effect. `open_files` and
    `file_bytes` are limits of each process. `oom_score` says how soon the kernel ends it when memory runs out
    (proc(5), oom_score_adj).
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    lists: tuple[str, ...] = ()
    bind: tuple[int, ...] | None = ()
    connect: tuple[int, ...] | None = ()
    change_modes: bool = False
    open_files: int = 4096
    file_bytes: int = 8 << 30
    oom_score: int = 500


def handled_files(abi: int) -> int:
    """The rights on files that this version of Landlock restricts.

    >>> hex(handled_files(1)), hex(handled_files(7))
    ('0x1fff', '0xffff')
    """
    rights = (1 << 13) - 1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if abi >= since:
            rights |= right
    return rights


def all_rights(abi: int) -> int:
    """Every right on files that this version knows, but for making device nodes."""
    return handled_files(abi) & ~_MAKE_DEVICES


def rights_on(rights: int, *, folder: bool) -> int:
    """Those of the rights that can be given on a path: a file has fewer than a folder."""
    return rights if folder else rights & _FILE_RIGHTS


def missing(abi: int) -> tuple[str, ...]:
    """What this version of Landlock (0: none) leaves open, as nouns for a sentence.

    >>> missing(3)
    ('the network', 'signals to other programs')
    """
    if abi < 1:
        return ("files", "the network", "signals to other programs")
    found = ((4, "the network"), (6, "signals to other programs"))
    return tuple(what for since, what in found if abi < since)


def covers(folder: str, path: str) -> bool:
    """Whether a path is this folder or lies in it.

    >>> covers("/a/b", "/a/b/c"), covers("/a/b", "/a/bc"), covers("/", "/a")
    (True, False, True)
    """
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def exposed(opened: Iterable[str], protected: Iterable[str]) -> str | None:
    """The first protected path that lies in an opened one, or None. All are real paths, without links."""
    folders = tuple(opened)
    return next((path for path in protected if any(covers(folder, path) for folder in folders)), None)
