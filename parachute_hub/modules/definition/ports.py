"""Chooses the port of a newly installed module."""

from collections.abc import Callable, Iterable

from parachute_hub.system.records import frozen

HUB_PORT = 1939
ASSIGNABLE = range(1940, 2950)
"""Ports that the hub assigns; a module may prefer one outside."""
CANONICAL = frozenset({1940, 1942, 1943, 1946})
"""Ports of the built-in modules, installed or not."""

_UNASSIGNED = tuple(port for port in range(1940, 1950) if port not in CANONICAL)


class NoPort(Exception):
    """No port is free."""


@frozen
class PortChoice:
    """The port, and a note for the owner if it is not the preferred one."""

    port: int
    note: str | None = None


def choose(wanted: int | None, taken: Iterable[int], busy: Callable[[int], bool]) -> PortChoice:
    """The module's preferred port if free, else the first free one. Raises NoPort.

    `taken` are the ports of other rows and of the hub; `busy` tells whether a port cannot be had.

    >>> choose(1940, {1940}, lambda port: False)
    PortChoice(port=1941, note='It uses port 1941, since it cannot have 1940.')
    """
    reserved = {HUB_PORT, *taken}

    def free(port: int) -> bool:
        return port not in reserved and not busy(port)

    if wanted is not None and free(wanted):
        return PortChoice(wanted)
    for port in (*_UNASSIGNED, *ASSIGNABLE[10:]):
        if free(port):
            return PortChoice(port, None if wanted is None else f"It uses port {port}, since it cannot have {wanted}.")
    raise NoPort("No port from 1940 to 2949 is free. Stop a program that uses one of them, then try again.")
