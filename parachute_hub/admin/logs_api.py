"""Logs of modules and of the hub: what is kept, filtered, and live."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest

from parachute_hub.admin.stream_api import Log, Stream, Streams, unbuffered
from parachute_hub.modules.state.records import LOG_SIZES, RecordsRefused
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_stored
from parachute_hub.system.doer import Done
from parachute_hub.system.log_lines import LEVELS, Line, LogQuery
from parachute_hub.system.timestamps import from_utc, to_the_millisecond

HUB = "hub"
MOST_LINES = 20_000
"""The newest lines that are sent where no number is asked for: some 2 MB."""


class ReadsLogs(Protocol):
    """Reads the files of one log."""

    def __call__(self, name: str, query: LogQuery) -> list[Line] | None:
        """The lines asked for; None if there is no file. Blocks. Raises OSError."""


class Logs:
    """Answers requests for a log. `read` runs by `in_thread`; a log whose files cannot be read is taken from memory."""

    def __init__(
        self,
        *,
        read: ReadsLogs,
        in_thread: Callable[..., Awaitable[Any]],
        streams: Streams,
    ) -> None:
        self._read = read
        self._in_thread = in_thread
        self._streams = streams

    async def answer(self, request: IRequest, name: str, ring: Log | None) -> bytes | None:
        """As JSON; as text with `format=text`, to be saved with `download=1`; as a stream with `follow=1`.

        `since` and `until` are times (ISO 8601 or epoch seconds), `n` a number of lines, `level` the least level, `q` a
        text. Raises Refused.
        """
        query, form = read_query(request), _one(request, b"format")
        if _one(request, b"follow") not in ("", "0") and ring is not None:
            return await self._follow(request, name, query, ring, as_lines=form == "json")
        lines = await self._kept(name, query, ring)
        if lines is None:
            raise Refused(404, "not_supervised", f"There is no log of {name} yet.")
        if form != "text":
            told = [f"[{name}] {line.text}\n" for line in lines]
            body = {"short": name, "lines": told, "text": "".join(told), "entries": [one.to_json() for one in lines]}
            return as_json(request, body)
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        request.setHeader("Cache-Control", "no-store")
        if _one(request, b"download") not in ("", "0"):
            request.setHeader("Content-Disposition", f'attachment; filename="{name}.log"')
        return "".join(f"{_plain(line)}\n" for line in lines).encode("utf-8", "replace")

    async def _kept(self, name: str, query: LogQuery, ring: Log | None) -> list[Line] | None:
        try:
            lines: list[Line] | None = await self._in_thread(self._read, name, query)
        except OSError:
            lines = None
        if lines is None and ring is not None:
            return query.select(ring.since(0))
        return lines

    async def _follow(
        self, request: IRequest, name: str, query: LogQuery, ring: Log, *, as_lines: bool
    ) -> bytes | None:
        """What is kept, then each new line: as plain text, or as one JSON object a line."""
        request.setHeader("Content-Type", "application/x-ndjson" if as_lines else "text/plain; charset=utf-8")
        unbuffered(request)
        stream = self._streams.open(request, b"")
        wire = _Wire(stream, query, as_lines=as_lines)
        stream.at_end(ring.subscribe(wire.heard))
        wire.begin(await self._kept(name, query, ring) or [])
        await stream.over
        return None


class _Wire:
    """Lines on their way to a reader. New ones wait until those of the files are sent."""

    def __init__(self, stream: Stream, query: LogQuery, *, as_lines: bool) -> None:
        self._stream = stream
        self._query = query
        self._as_lines = as_lines
        self._waiting: list[Line] | None = []

    def heard(self, line: Line) -> None:
        """A new line."""
        if not self._query.wants(line):
            return
        if self._waiting is None:
            self._send([line])
        else:
            self._waiting.append(line)

    def begin(self, kept: Sequence[Line]) -> None:
        """Send these and what has come meanwhile, each line once."""
        waiting, self._waiting = self._waiting or [], None
        self._send([*kept, *waiting[_already(kept, waiting) :]])

    def _send(self, lines: Sequence[Line]) -> None:
        texts = (json.dumps(line.to_json()) if self._as_lines else line.text for line in lines)
        self._stream.write("".join(f"{text}\n" for text in texts).encode("utf-8", "replace"))


class LogSizes(Protocol):
    """The part of `modules.state.records.RecordsFile` that says how much is kept."""

    @property
    def log_megabytes(self) -> int: ...

    def choose_log_size(self, megabytes: int) -> "Deferred[None]": ...


class HubLogArea:
    """`/api/hub/logs`: the hub's own log, and how much is kept of each log."""

    app: Klein = area()

    def __init__(self, *, who: Authenticator, logs: Logs, ring: Log, sizes: LogSizes, done: Done) -> None:
        self._who = who
        self._logs = logs
        self._ring = ring
        self._sizes = sizes
        self._done = done

    @app.route("/api/hub/logs", methods=["GET"])
    async def hub(self, request: IRequest) -> bytes | None:
        """As a module's log."""
        self._who.need(request, ADMIN)
        return await self._logs.answer(request, HUB, self._ring)

    @app.route("/api/hub/logs/size", methods=["GET"])
    def size(self, request: IRequest) -> bytes:
        """What each log may take on the disk: `megabytes`, and the `sizes` to choose from."""
        self._who.need(request, ADMIN)
        return as_json(request, {"megabytes": self._sizes.log_megabytes, "sizes": list(LOG_SIZES)})

    @app.route("/api/hub/logs/size", methods=["PUT"])
    async def choose_size(self, request: IRequest) -> bytes:
        """`{megabytes}`: from the next lines on."""
        self._who.need(request, ADMIN)
        size = next((one for one in LOG_SIZES if one == read_json(request).get("megabytes")), None)
        if size is None:
            raise Refused(400, "invalid_size", f"megabytes is one of {', '.join(map(str, LOG_SIZES))}.")
        try:
            await self._sizes.choose_log_size(size)
        except RecordsRefused as error:
            raise not_stored(error, str(error)) from None
        await self._done("log-size-changed", f"{size} MB")
        return self.size(request)


def read_query(request: IRequest) -> LogQuery:
    """The parameters of a request for a log. Raises Refused 400."""
    level, count = _one(request, b"level"), _one(request, b"n")
    known = next((one for one in LEVELS if one == level), None)
    if level and known is None:
        raise Refused(400, "invalid_level", f"level is one of {', '.join(LEVELS)}.")
    if count and not (count.isdigit() and len(count) < 8):
        raise Refused(400, "invalid_request", "n is a number of lines.")
    return LogQuery(
        since=_time(_one(request, b"since"), "since"),
        until=_time(_one(request, b"until"), "until"),
        level=known or "debug",
        text=_one(request, b"q"),
        count=int(count) if count else MOST_LINES,
    )


def _time(text: str, name: str) -> float | None:
    if not text:
        return None
    try:
        return float(text) if text.replace(".", "", 1).isdigit() else from_utc(text)
    except ValueError:
        raise Refused(400, "invalid_request", f"{name} is a time such as 2026-01-31T08:00:00Z.") from None


def _already(kept: Sequence[Line], fresh: Sequence[Line]) -> int:
    """How many of the fresh lines were in the file when it was read."""
    keys = [(to_the_millisecond(line.at), line.text) for line in fresh]
    tail = [(to_the_millisecond(line.at), line.text) for line in kept[-len(keys) :]] if keys else []
    return next((count for count in range(len(tail), 0, -1) if tail[-count:] == keys[:count]), 0)


def _plain(line: Line) -> str:
    flag = f"[{line.mark}]" if line.mark else line.level
    return f"{to_the_millisecond(line.at)} {flag} {line.text}"


def _one(request: IRequest, name: bytes) -> str:
    values: list[bytes] = request.args.get(name, [])
    return values[-1].decode("utf-8", "replace") if values else ""
