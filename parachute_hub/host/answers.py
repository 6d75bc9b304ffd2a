"""Answers to the hub: JSON, a file that it sends, a file that it gets. Each handles one request of a connection."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, BinaryIO, Final, Protocol, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.head import RequestHead
from parachute_hub.proxy.routes import ErrorResponse
from parachute_hub.site.errors import Refused
from parachute_hub.system import strict_json
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.storage_trouble import storage_trouble

_log = Logger()
_WAITING_BYTES: Final = 1 << 20
"""Bytes of an upload that wait for the disk before the hub is paused."""

_PIECE_BYTES: Final = 256 * 1024

Told: TypeAlias = tuple[int, Any]
"""A status, and what is told as JSON; None for an empty body."""


class Receiver(Protocol):
    """A file on its way in. The methods block."""

    def write(self, data: bytes) -> None: ...

    def finish(self) -> None:
        """Raises Refused or OSError."""

    def abandon(self) -> None:
        """Idempotent."""


def rendered(status: int, body: bytes | None, headers: Mapping[str, str], *, close: bool) -> bytes:
    """A complete response, or the head of one whose body follows."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Cache-Control: no-store"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None and status != 204:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def refusal_of(error: BaseException | None) -> Refused:
    """What to tell about an error. The cause of an unexpected one is in the log."""
    if isinstance(error, Refused):
        return error
    trouble = storage_trouble(error)
    if trouble is not None and trouble.kind == "full":
        return Refused(trouble.status, trouble.error, "The host's disk is full. Make room on it, then try again.")
    if trouble is not None:
        return Refused(trouble.status, trouble.error, trouble.text)
    return Refused(500, "internal_error", "Something went wrong on the module host. Its log has the details.")


class _Answering:
    """What all of them share: an answer once, unless the hub is gone."""

    def __init__(self, connection: Connection, request: RequestHead) -> None:
        self.connection = connection
        self.request = request
        self.over = False

    def begun(self) -> bool:
        return self.over

    def held(self, *, exactly: bool) -> int:
        return 0

    def endless(self) -> bool:
        return False

    def client_lost(self) -> None:
        self.over = True

    def tell(self, told: Told) -> None:
        """Answer with JSON."""
        status, value = told
        self._finish(rendered(status, None if value is None else strict_json.write(value), {}, close=self._closes()))

    def refuse(self, error: Refused, *, close: bool = False) -> None:
        """Answer with an error; `close` if the rest of the request is not read."""
        if self.over:
            return
        if close:
            self.over = True
            headers = tuple(error.headers.items())
            answer = ErrorResponse(error.status, error.error, error.description, headers, error.detail, close=True)
            self.connection.answer(answer)
            return
        body = strict_json.write(error.body())
        self._finish(rendered(error.status, body, error.headers, close=self._closes()))

    def failed(self, failure: Failure) -> None:
        """Answer to an exception."""
        refused = refusal_of(failure.value)
        if refused.status == 500:
            _log.failure("{method} {target} failed", failure, method=self.request.method, target=self.request.target)
        self.refuse(refused, close=not self._read_all())

    def _read_all(self) -> bool:
        return True

    def _closes(self) -> bool:
        return self.connection.close

    def _finish(self, data: bytes) -> None:
        if not self.over:
            self.over = True
            self.connection.put(data)
            self.connection.finished()


class JsonCall(_Answering):
    """Reads a body of up to `limit` bytes, calls `run` with it, and answers with what that returns."""

    def __init__(
        self, connection: Connection, request: RequestHead, limit: int, run: Callable[[bytes], Awaitable[Told]]
    ) -> None:
        super().__init__(connection, request)
        self._limit = limit
        self._run = run
        self._body = bytearray()
        self._complete = not request.has_body
        self._started = False

    def start(self) -> None:
        self._started = True
        if self._complete:
            self._process()

    def body(self, data: bytes) -> None:
        if len(self._body) + len(data) > self._limit:
            self.refuse(Refused(413, "too_large", f"Send at most {self._limit // 1024} KiB here."), close=True)
        elif not self.over:
            self._body += data
            self.connection.waited_for()

    def body_done(self) -> None:
        self._complete = True
        if self._started:
            self._process()

    def held(self, *, exactly: bool) -> int:
        return len(self._body)

    def _process(self) -> None:
        if not self.over:
            body, self._body = bytes(self._body), bytearray()

            async def run() -> None:
                self.tell(await self._run(body))

            Deferred.fromCoroutine(run()).addErrback(self.failed)


class FileUpload(_Answering):
    """Writes the body to the receiver that `begin` makes, in the thread of `files`."""

    def __init__(
        self, connection: Connection, request: RequestHead, files: FileWriter, begin: Callable[[], Receiver]
    ) -> None:
        super().__init__(connection, request)
        self._files = files
        self._begin = begin
        self._receiver: Receiver | None = None
        self._waiting = 0
        self._paused = False
        self._complete = False
        self._early: list[bytes] = []

    def start(self) -> None:
        opened = self._files.surely(self._begin)
        opened.addCallbacks(self._opened, self.failed)

    def body(self, data: bytes) -> None:
        if self.over:
            return
        self._waiting += len(data)
        if self._waiting > _WAITING_BYTES and not self._paused:
            self._paused = True
            self.connection.pauseProducing()
        if self._receiver is None:
            self._early.append(data)
        else:
            self._write(self._receiver, data)

    def body_done(self) -> None:
        self._complete = True
        if self._receiver is not None:
            self._end(self._receiver)

    def client_lost(self) -> None:
        """What arrived is worth nothing: it has no hash yet."""
        super().client_lost()
        self._abandon()

    def held(self, *, exactly: bool) -> int:
        return self._waiting

    def _read_all(self) -> bool:
        return self._complete or not self.request.has_body

    def _opened(self, receiver: Receiver) -> None:
        self._receiver = receiver
        if self.over:
            self._abandon()
            return
        early, self._early = self._early, []
        for data in early:
            self._write(receiver, data)
        if self._complete or not self.request.has_body:
            self._end(receiver)

    def _write(self, receiver: Receiver, data: bytes) -> None:
        self._files.surely(receiver.write, data).addCallbacks(lambda _: self._written(len(data)), self._broken)

    def _written(self, size: int) -> None:
        self._waiting -= size
        if self._paused and self._waiting < _WAITING_BYTES // 2 and not self.over:
            self._paused = False
            self.connection.resumeProducing()

    def _end(self, receiver: Receiver) -> None:
        self._files.surely(receiver.finish).addCallbacks(lambda _: self.tell((204, None)), self._broken)

    def _broken(self, failure: Failure) -> None:
        if not self.over:
            if self._paused:
                self.connection.resumeProducing()
            self.failed(failure)
            self._abandon()

    def _abandon(self) -> None:
        if self._receiver is not None:
            self._files.surely(self._receiver.abandon).addErrback(
                lambda failure: _log.failure("A broken upload could not be deleted", failure)
            )


@implementer(IPushProducer)
class FileDownload(_Answering):
    """Sends the file that `open_file` finds, at the pace of the hub."""

    def __init__(
        self,
        connection: Connection,
        request: RequestHead,
        files: FileWriter,
        open_file: Callable[[], tuple[BinaryIO, int]],
    ) -> None:
        super().__init__(connection, request)
        self._files = files
        self._open_file = open_file
        self._file: BinaryIO | None = None
        self._left = 0
        self._sent = False
        self._paused = False
        self._reading = False

    def start(self) -> None:
        self._files.surely(self._open_file).addCallbacks(self._opened, self.failed)

    def body(self, data: bytes) -> None: ...

    def body_done(self) -> None: ...

    def begun(self) -> bool:
        return self._sent

    def client_lost(self) -> None:
        super().client_lost()
        self._close()

    def _opened(self, found: tuple[BinaryIO, int]) -> None:
        self._file, self._left = found
        if self.over:
            self._close()
            return
        self._sent = True
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(self._left)}
        self.connection.put(rendered(200, None, headers, close=self._closes()))
        self.connection.transport.registerProducer(self, True)
        self._read()

    def _read(self) -> None:
        if self._file is None or self._reading or self._paused or self.over:
            return
        if not self._left:
            self._end()
            return
        self._reading = True
        self._files.surely(self._file.read, min(self._left, _PIECE_BYTES)).addCallbacks(self._got, self._cut)

    def _got(self, data: bytes) -> None:
        self._reading = False
        if self.over:
            self._close()
            return
        if not data:
            self._cut(Failure(EOFError("it became shorter")))
            return
        self._left -= len(data)
        self.connection.put(data)
        self._read()

    def _cut(self, failure: Failure) -> None:
        """A part of a file must not look like the whole."""
        _log.warn("A file could not be sent: {why}", why=failure.getErrorMessage())
        self._reading = False
        self.over = True
        self._close()
        self.connection.abort()

    def _end(self) -> None:
        self.over = True
        self._close()
        self.connection.transport.unregisterProducer()
        self.connection.finished()

    def _close(self) -> None:
        if self._file is not None and not self._reading:
            self._file.close()
            self._file = None

    # Producer of the response, for the hub's transport.

    def pauseProducing(self) -> None:
        self._paused = True
        self.connection.stalled()

    def resumeProducing(self) -> None:
        self._paused = False
        self.connection.reading_again()
        self._read()

    def stopProducing(self) -> None: ...
