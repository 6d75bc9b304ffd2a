"""Ports for live tests. Test runs on one machine, and processes of one run, do not collide."""

import fcntl
import os
import socket
import tempfile
from functools import cache
from itertools import count
from pathlib import Path
from typing import IO

from parachute_hub.settings import MODULE_PORTS

_SIZE = 30
_HUBS = 2
# The first ports are left to a hub that somebody uses.
_RANGES = [range(first, first + _SIZE) for first in range(MODULE_PORTS[40], MODULE_PORTS[-1] - _SIZE, _SIZE)]
_hubs = count()
_locks: list[IO[str]] = []


def free_port() -> int:
    """A loopback port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def module_ports() -> range:
    """Ports for one hub's modules, reserved for this process until it ends."""
    claimed = _claim()
    size = _SIZE // _HUBS
    first = claimed[0] + next(_hubs) % _HUBS * size
    return range(first, first + size)


@cache
def _claim() -> range:
    folder = Path(tempfile.gettempdir()) / f"parachute-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for ports in _RANGES:
        lock = (folder / str(ports[0])).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _locks.append(lock)
        return ports
    raise AssertionError(f"{len(_RANGES)} test runs are under way: wait for one of them")
