"""Listening on the hub's port, anew or with the socket of the hub before, and what to tell if that fails."""

import errno
import os
import socket
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from parachute_hub.app.handover import Handover
from parachute_hub.proxy.front import Front
from parachute_hub.settings import Settings

# Connections that may wait to be accepted.
BACKLOG = 1024
_log = Logger()


class CannotListen(Exception):
    """The port cannot be bound. The text names it."""


def listen(reactor: Any, settings: Settings, clients: IProtocolFactory) -> IListeningPort:
    """Bind the port. Raises CannotListen."""
    heard: list[IListeningPort] = []
    failed: list[Failure] = []
    listening = serverFromString(reactor, with_backlog(settings.listen)).listen(clients)
    # TCP endpoints listen synchronously.
    listening.addCallbacks(heard.append, failed.append)
    if failed:
        error = failed[0].value
        why = error.socketError if isinstance(error, CannotListenError) else error
        raise CannotListen(why_not(why, settings))
    return heard[0]


def listen_again(reactor: Any, inherited: Handover, front: Front) -> IListeningPort:
    """Go on with the socket of the hub before, on which clients may wait."""
    port: IListeningPort = reactor.adoptStreamPort(inherited.listener, inherited.family, front)
    os.close(inherited.listener)
    return port


def serve_again(reactor: Any, inherited: Handover, front: Front) -> None:
    """Go on with the clients of the hub before, as far as they are still there."""
    for client in inherited.clients:
        try:
            server = reactor.adoptStreamConnection(client.descriptor, client.family, front)
        except OSError:
            # It was reset meanwhile, so that the kernel knows no peer any more.
            server = None
        os.close(client.descriptor)
        if server is None:
            continue
        try:
            server.protocol.taken_over(client.sent)
        except Exception:
            _log.failure("A client of the hub before was disconnected because of an error")
            server.abortConnection()


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
    if isinstance(why, socket.gaierror):
        return f"No machine is known by the name in {settings.listen}. Listen on 127.0.0.1, or on 0.0.0.0."
    return f"The hub cannot listen on {settings.listen}: {why}."
