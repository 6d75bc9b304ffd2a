"""A port for platforms that ask whether the host lives: whatever is asked, the answer is the same and tells nothing."""

from typing import Any, Final, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_SECONDS: Final = 5.0
_MOST: Final = 64
"""Connections at a time; whoever comes on top is closed, so that probes do not take the hub's descriptors."""


class _Asked(Protocol):
    def __init__(self, probe: "Probe", clock: IReactorTime) -> None:
        self._probe = probe
        self._clock = clock
        self._end: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._probe.open += 1
        self._end = self._clock.callLater(_SECONDS, cast(Any, self.transport).abortConnection)

    def dataReceived(self, data: bytes) -> None:
        """What it says is not even read: no parser can be attacked here."""
        transport = cast(Any, self.transport)
        transport.write(_ANSWER)
        transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._probe.open -= 1
        if self._end is not None and self._end.active():
            self._end.cancel()


class Probe(Factory):
    """Answers probes. `clock` is the reactor."""

    noisy = False

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.open = 0

    def buildProtocol(self, addr: Any) -> Protocol | None:
        return _Asked(self, self._clock) if self.open < _MOST else None
