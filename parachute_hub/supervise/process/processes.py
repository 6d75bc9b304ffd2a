"""Process and port lookups, and signals for our own processes.

Everything reads /proc (through psutil) and may take tens of milliseconds, so call it in a thread; only `group_lives` is
quick. Only tagged processes are ever signalled, and psutil guards against reused process ids.
"""

import os
import resource
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from parachute_hub.supervise.process.process_tags import VARIABLE, TagFilter
from parachute_hub.system.kernel_files import read_kernel_file
from parachute_hub.system.records import frozen

# /proc/net tables, and how they show the remote address of a listening socket.
_TABLES = ((Path("/proc/net/tcp"), b"0" * 8), (Path("/proc/net/tcp6"), b"0" * 32))
# In clock ticks a second.
_TICKS = os.sysconf("SC_CLK_TCK")
# Four megabytes, with pages of 4 KB.
_FEW_PAGES = 1024
# Local addresses in these tables that receive connections to 127.0.0.1: that address, and the wildcard.
_REACHED = {b"0100007F", b"00000000", b"0000000000000000FFFF00000100007F", b"0" * 32}


@frozen
class Holder:
    """Who listens on a port: `pid` and `command`, None if the process belongs to another user.

    `ours` is true if it matches the tag asked for.
    """

    pid: int | None
    command: str | None
    ours: bool = False

    def __str__(self) -> str:
        if self.pid is None:
            return "a process of another user"
        return f"process {self.pid} ({self.command})"


class Processes:
    """Implements the supervisor's `System`."""

    def __init__(self) -> None:
        # Resident pages and PSS by process, as last added up.
        self._known: dict[int, tuple[int | None, int]] = {}

    def group_lives(self, group: int) -> bool:
        """True if a process group has a live member. Zombies do not count, since some init processes reap them late."""
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return sys.platform != "linux" or any(_lives_in(group, pid) for pid in psutil.pids())

    def marked(self, tag_filter: TagFilter) -> list[psutil.Process]:
        """Every live process with a matching tag."""
        return [process for process, found in self._marks() if tag_filter.has(found)]

    def signal(self, tag_filter: TagFilter, number: int) -> list[int]:
        """Signal the matching processes; 0 only looks. Returns their ids."""
        found = self.marked(tag_filter)
        for process in found:
            if number:
                _send(process, number)
        return [process.pid for process in found]

    def holder(self, port: int, tag_filter: TagFilter) -> Holder | None:
        """Who listens on `port`, or None."""
        while sockets := _listening(port):
            # macOS hides other users' sockets, so the port is assumed to be ours.
            found = Holder(None, None, ours=sys.platform != "linux")
            for process in psutil.process_iter():
                if _has_one(process.pid, sockets):
                    found = Holder(process.pid, _command(process), tag_filter.has(_mark(process) or ""))
                    if found.ours:
                        break
            # A socket that was closed meanwhile was found with nobody, and is nobody's.
            if found.pid is not None or not sockets.isdisjoint(_listening(port)):
                return found
        return None

    def owner(self, session: int, port: int, tag_filter: TagFilter) -> Holder | None:
        """Who listens on `port`; `ours` if in this session or matching. None if nobody does."""
        sockets = _listening(port)
        for pid in psutil.pids() if sockets else ():
            if _session(pid) == session and _has_one(pid, sockets):
                return Holder(pid, None, ours=True)
        return self.holder(port, tag_filter) if sockets else None

    def ports(self, tag_filter: TagFilter) -> list[int]:
        """The TCP ports on which the matching processes listen."""
        found = set()
        for process in self.marked(tag_filter):
            try:
                connections = process.net_connections(kind="tcp")
            except psutil.Error:
                continue
            found |= {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
        return sorted(found)

    def members(self, sessions: Mapping[str, int]) -> dict[str, list[int]]:
        """The processes by session: one look at each process of the machine."""
        names = {session: name for name, session in sessions.items()}
        found: dict[str, list[int]] = {name: [] for name in sessions}
        for pid in psutil.pids() if names else ():
            name = names.get(_session(pid) or -1)
            if name is not None:
                found[name].append(pid)
        return found

    def footprints(self, members: Mapping[str, Sequence[int]]) -> dict[str, int]:
        """PSS in bytes by session; shared pages are divided among their users, so sums are meaningful."""
        living = {os.getpid(), *(pid for pids in members.values() for pid in pids)}
        self._known = {pid: known for pid, known in self._known.items() if pid in living}
        return {name: sum(map(self._footprint, pids)) for name, pids in members.items()}

    def processor(self, members: Mapping[str, Sequence[int]]) -> dict[str, float]:
        """Processor time in seconds by session, with that of children that ended."""
        return {name: sum(map(_processor, pids), 0.0) for name, pids in members.items()}

    def own(self) -> int:
        """PSS of this process in bytes."""
        return self._footprint(os.getpid())

    def _footprint(self, pid: int) -> int:
        """The kernel takes milliseconds to add up the PSS, so a few pages more or less since then are taken as the
        process's own.
        """
        resident = _resident(pid)
        pages, pss = self._known.get(pid, (None, 0))
        if pages is None or resident is None or abs(resident - pages) > _FEW_PAGES:
            pss = _pss(pid)
            self._known[pid] = (resident, pss)
            return pss
        return max(0, pss + (resident - pages) * resource.getpagesize())

    def _marks(self) -> Iterable[tuple[psutil.Process, str]]:
        """Each live tagged process with its tag, without this process and its ancestors."""
        us = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
        for process in psutil.process_iter():
            if process.pid not in us:
                mark = _mark(process)
                if mark is not None:
                    yield process, mark


def _mark(process: psutil.Process) -> str | None:
    """The process's tag; zombies have none."""
    try:
        if sys.platform != "linux":
            value: str | None = process.environ().get(VARIABLE)
            return value
        # Much cheaper than parsing the whole environment, and most processes have no tag.
        environ = Path(f"/proc/{process.pid}/environ").read_bytes()
    except (OSError, psutil.Error):
        return None
    _, found, rest = (b"\0" + environ).partition(f"\0{VARIABLE}=".encode())
    return rest.partition(b"\0")[0].decode("utf-8", "replace") if found else None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _lives_in(group: int, pid: int) -> bool:
    try:
        # `pid (any name) state ppid pgrp ...`, proc(5).
        state, _, found = read_kernel_file(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(found) == group and state not in (b"Z", b"X")


def _command(process: psutil.Process) -> str:
    """The program and its script, without further arguments: those may hold a password, and the text is visible to all
    users.
    """
    try:
        words = process.cmdline() or [str(process.name())]
    except psutil.Error:
        return "unknown"
    runs = words[2:3] if words[1:2] == ["-m"] else words[1:2]
    shown = [os.path.basename(words[0]), *(word for word in runs if not word.startswith("-"))]
    # On one line, because it becomes part of a sentence.
    return " ".join("".join(one if one.isprintable() else " " for one in " ".join(shown)).split())[:200]


def _resident(pid: int) -> int | None:
    """Resident pages, which the kernel has counted; None elsewhere."""
    try:
        return int(read_kernel_file(f"/proc/{pid}/statm").split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _pss(pid: int) -> int:
    try:
        if sys.platform != "linux":
            return int(psutil.Process(pid).memory_info().rss)
        for line in read_kernel_file(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, psutil.Error):
        return 0
    return 0


def _processor(pid: int) -> float:
    try:
        if sys.platform != "linux":
            return float(sum(psutil.Process(pid).cpu_times()[:4]))
        # The fields 14 to 17, utime to cstime, proc(5).
        ticks = read_kernel_file(f"/proc/{pid}/stat").rpartition(b")")[2].split()[11:15]
        return sum(map(int, ticks)) / _TICKS
    except (OSError, ValueError, psutil.Error):
        return 0.0


def _listening(port: int) -> set[str]:
    """The sockets listening on 127.0.0.1:`port` as named in /proc; elsewhere as `pid:<id>`."""
    if sys.platform != "linux":
        return {f"pid:{each.pid}" for each in _connections() if each.laddr and each.laddr.port == port}
    sockets = set()
    for table, nobody in _TABLES:
        try:
            text = table.read_bytes()
        except OSError:
            continue
        # There may be thousands of connections; parsing every line would hold the GIL for too long.
        for line in _lines_with(b":%04X %b:0000 0A " % (port, nobody), text):
            _, local, *_, inode = line.split()[:10]
            if local.partition(b":")[0] in _REACHED:
                sockets.add(f"socket:[{inode.decode()}]")
    return sockets


def _lines_with(needle: bytes, text: bytes) -> Iterable[bytes]:
    at = text.find(needle)
    while at >= 0:
        yield text[text.rfind(b"\n", 0, at) + 1 : text.find(b"\n", at)]
        at = text.find(needle, at + 1)


def _connections() -> list[Any]:
    try:
        return [each for each in psutil.net_connections(kind="tcp") if each.status == psutil.CONN_LISTEN]
    except psutil.Error:
        return []


def _has_one(pid: int, sockets: set[str]) -> bool:
    if sys.platform != "linux":
        return f"pid:{pid}" in sockets
    folder = f"/proc/{pid}/fd"
    try:
        return any(_target(f"{folder}/{name}") in sockets for name in os.listdir(folder))
    except OSError:
        return False


def _target(link: str) -> str:
    """The link's target; descriptors may be closed while we look."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return
