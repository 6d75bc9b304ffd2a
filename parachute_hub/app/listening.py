"""Listening on the hub's port, and what to tell if that fails."""

import errno

from parachute_hub.settings import Settings

# Connections that may wait to be accepted.
BACKLOG = 1024


class CannotListen(Exception):
    """The port cannot be bound. The text names it."""


def with_backlog(listen: str) -> str:
    """The endpoint with room for a crowd that arrives at once; Twisted's own 50 make the kernel drop clients."""
    return f"{listen}:backlog={BACKLOG}" if listen.startswith("tcp") and ":backlog=" not in listen else listen


def why_not(why: object, settings: Settings) -> str:
    """Why the hub cannot listen, and what to do."""
    number = why.errno if isinstance(why, OSError) else None
    if number == errno.EADDRINUSE:
        return (
            f"Another program uses port {settings.port}, perhaps an earlier hub. Stop it, or choose another port: "
            f"{settings.another_port}"
        )
    if number == errno.EACCES:
        return (
            f"This user may not use port {settings.port}; most systems keep those below 1024 for root. "
            f"Choose another port: {settings.another_port}"
        )
    if number == errno.EADDRNOTAVAIL:
        return f"This machine does not have the address of {settings.listen}. Listen on one that it has, or on 0.0.0.0."
    return f"The hub cannot listen on {settings.listen}: {why}."
