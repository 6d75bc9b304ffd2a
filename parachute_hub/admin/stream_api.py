"""Event streams: server-sent events for the admin app, and live module logs."""

from collections.abc import Callable
from typing import Any, Protocol

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from parachute_hub.events import (
    Bus,
    JobChanged,
    LogHead,
    ModuleChanged,
    Notice,
    NumberedEvent,
    ProblemChanged,
    RegistryChanged,
)
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator
from parachute_hub.system import strict_json

TICK_SECONDS = 15.0
BACKLOG_BYTES = 512 * 1024
"""Bytes a reader may lag behind before it is disconnected; its page reconnects and catches up."""


class Log(Protocol):
    """A module's log ring."""

    def since(self, number: int) -> list[Any]:
        """The lines after this number."""

    def subscribe(self, listener: Callable[[Any], None]) -> Callable[[], None]:
        """Subscribe; call the result to unsubscribe."""


class Stream:
    """One streaming response, open until the reader leaves or lags too far behind."""

    def __init__(self, request: Any, clock: Any, tick: bytes) -> None:
        self._request = request
        self._clock = clock
        self._tick = tick
        self._paused = False
        self._dropped = False
        self._waiting: list[bytes] = []
        self._backlog = 0
        self._ends: list[Callable[[], None]] = []
        self.over: Deferred[None] = Deferred(lambda _: self.end())
        self._timer = clock.callLater(TICK_SECONDS, self._ticked)
        # When this fires, twisted.web has already unregistered the request from its connection.
        self._request.notifyFinish().addBoth(lambda _: self._over())
        self._request.registerProducer(self, True)

    def at_end(self, function: Callable[[], None]) -> None:
        """Call this when the stream ends."""
        self._ends.append(function)

    def write(self, data: bytes) -> None:
        """Send, or buffer for a slow reader; one who is too slow is disconnected."""
        if self.over.called or self._dropped or not data:
            return
        if not self._paused:
            self._request.write(data)
            return
        self._waiting.append(data)
        self._backlog += len(data)
        if self._backlog > BACKLOG_BYTES:
            self._drop()

    def end(self) -> None:
        if not self.over.called:
            self._request.unregisterProducer()
            self._over()

    def _over(self) -> None:
        if self.over.called:
            return
        if self._timer.active():
            self._timer.cancel()
        for function in self._ends:
            function()
        self.over.callback(None)

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        waiting, self._waiting, self._backlog = self._waiting, [], 0
        for data in waiting:
            self.write(data)

    def stopProducing(self) -> None:
        self.end()

    def _ticked(self) -> None:
        self._timer = self._clock.callLater(TICK_SECONDS, self._ticked)
        self.write(self._tick)

    def _drop(self) -> None:
        """Close the connection, which then ends the stream."""
        self._waiting = []
        self._dropped = True
        self._request.transport.abortConnection()


class Streams:
    """All open streams. On shutdown the hub ends them first.

    This way no page sees modules stop because of the shutdown, and no reader delays it.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._open: set[Stream] = set()

    def open(self, request: IRequest, tick: bytes) -> Stream:
        """Open a stream; `tick` is sent periodically as a keep-alive."""
        stream = Stream(request, self._clock, tick)
        self._open.add(stream)
        stream.at_end(lambda: self._open.discard(stream))
        return stream

    def end(self) -> None:
        """End all streams."""
        for stream in tuple(self._open):
            stream.end()


class EventsArea:
    """`GET /api/events`: server-sent events (HTML standard, section 9.2) with replay by Last-Event-ID.

    `boot` differs for every start of the hub, because event numbers restart.
    """

    app: Klein = area()

    def __init__(self, *, who: Authenticator, bus: Bus, streams: Streams, boot: str) -> None:
        self._who = who
        self._bus = bus
        self._streams = streams
        self._boot = boot

    @app.route("/api/events", methods=["GET"])
    def events(self, request: IRequest) -> "Deferred[None]":
        """Jobs, states, log previews, problems and changes of services.json."""
        self._who.need(request, ADMIN)
        request.setHeader("Content-Type", "text/event-stream")
        unbuffered(request)
        stream = self._streams.open(request, b"event: tick\ndata: {}\n\n")
        stream.write(b"retry: 1000\n\n")
        for numbered in self._bus.since(self._last(request)):
            stream.write(self._message(numbered))
        stream.at_end(self._bus.subscribe(lambda numbered: stream.write(self._message(numbered))))
        return stream.over

    def _last(self, request: IRequest) -> int:
        """The number after which to send events: the latest for a first visit, 0 after a restart of the hub."""
        given = request.getHeader("last-event-id") or ""
        boot, _, number = given.rpartition("-")
        if not given:
            return self._bus.latest
        return int(number) if boot == self._boot and number.isdigit() else 0

    def _message(self, numbered: NumberedEvent) -> bytes:
        """Empty for what browsers are not told: a notice becomes a problem."""
        if isinstance(numbered.event, Notice):
            return b""
        name, data = _told(numbered.event)
        return b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (
            self._boot.encode(),
            numbered.number,
            name.encode(),
            strict_json.write(data),
        )


def _told(
    event: ModuleChanged | JobChanged | LogHead | ProblemChanged | RegistryChanged,
) -> tuple[str, dict[str, Any]]:
    match event:
        case ModuleChanged(short, status):
            return "module", {"short": short, "status": dict(status)}
        case JobChanged(job):
            return "job", {"job": dict(job)}
        case LogHead(short, text):
            return "log", {"short": short, "text": text}
        case ProblemChanged(change, problem):
            return "problem", {"change": change, "problem": dict(problem)}
        case RegistryChanged():
            return "registry", {}


def unbuffered(request: IRequest) -> None:
    """Keep caches and proxies from holding back a stream."""
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("X-Accel-Buffering", "no")
    request.setHeader("X-Content-Type-Options", "nosniff")
