"""Ports for live tests. Test runs on one machine, and processes of one run, do not collide.

A hub that restarts listens on its port again. Until then nobody else may take it: each process has a block of ports of
its own, outside the range from which the kernel takes ports for outgoing connections.
"""

import socket
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

from attrs import frozen

from parachute_hub.settings import MODULE_PORTS

_SIZE = 30
_HUBS = 2
# The first ports are left to a hub that somebody uses.
RANGES = [range(first, first + _SIZE) for first in range(MODULE_PORTS[40], MODULE_PORTS[-1] - _SIZE, _SIZE)]
# Below are well-known ports, and one that browsers refuse.
_LOWEST = 12_000
_FEWEST = 50
# IANA's range, which macOS uses, too.
_USUAL = range(49_152, 65_536)
_hubs = count()
_turns = count()


@frozen
class Block:
    """What one process has until it ends. `guard` is bound to the first of the `free` ports and marks it as taken."""

    modules: range
    free: tuple[int, ...]
    guard: socket.socket


def free_port() -> int:
    """A port of this process on which nothing listens. It comes again only after all others of the block."""
    block = _claim().free[1:]
    for _ in block:
        port = block[next(_turns) % len(block)]
        probe = _bound(port)
        if probe is not None:
            probe.close()
            return port
    raise AssertionError(f"all ports from {block[0]} to {block[-1]} are in use")


def module_ports() -> range:
    """Ports for one hub's modules, reserved for this process until it ends."""
    claimed = _claim().modules
    size = _SIZE // _HUBS
    first = claimed[0] + next(_hubs) % _HUBS * size
    return range(first, first + size)


@cache
def _claim() -> Block:
    for modules, free in zip(RANGES, blocks(outgoing(), len(RANGES)), strict=True):
        guard = _bound(free[0])
        if guard is not None:
            return Block(modules, free, guard)
    raise AssertionError(f"{len(RANGES)} test runs are under way: wait for one of them")


def blocks(outgoing: range, number: int) -> list[tuple[int, ...]]:
    """As many blocks of ports. They avoid the `outgoing` ones, unless the kernel may use nearly all.

    >>> blocks(range(32768, 61000), 30)[0][0]
    12000
    """
    every = range(_LOWEST, 65_536)
    ports = [port for port in every if port not in outgoing]
    if len(ports) < number * _FEWEST:
        ports = list(every)
    size = len(ports) // number
    return [tuple(ports[first : first + size]) for first in range(0, number * size, size)]


def outgoing() -> range:
    """Ports that the kernel gives to connections, and to whoever asks for any port."""
    with suppress(OSError):
        first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        return range(int(first), int(last) + 1)
    return _USUAL


def _bound(port: int) -> socket.socket | None:
    """A socket bound to the port on all addresses. None if another has it on any, or had it a moment ago."""
    probe = socket.socket()
    try:
        probe.bind(("", port))
    except OSError:
        probe.close()
        return None
    return probe
