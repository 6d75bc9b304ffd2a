"""The paths below /.parachute/host/, with which the hub steers the module."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO, Final, Protocol
from urllib.parse import parse_qsl

from parachute_hub.host.answers import FileDownload, FileUpload, JsonCall, Receiver, Told
from parachute_hub.host.gate import Gate
from parachute_hub.link.files import FileEntry
from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.head import RequestHead
from parachute_hub.proxy.interfaces import Handler
from parachute_hub.proxy.routes import ErrorResponse
from parachute_hub.site.errors import Refused
from parachute_hub.system import strict_json
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.strict_json import BadJson

PREFIX: Final = b"/.parachute/host/"
MARK: Final = (b"x-parachute-link", b"control")
"""The header of every request for these paths. A visitor of the hub cannot send it: the hub drops such headers."""

_BODY_LIMIT: Final = 256 * 1024
_LIST_LIMIT: Final = 32 * 1024 * 1024
_MOST_LINES: Final = 2000
_BLOB = re.compile(r"data/([0-9a-f]{16})/blobs/([0-9a-f]{64})")
_OUT = re.compile(r"data/blobs/([0-9a-f]{64})")
_MOVE = re.compile(r"data/([0-9a-f]{16})/(commit|abort)")
_JOB = re.compile(r"jobs/([0-9A-Za-z-]{1,64})")
_NOT_FOUND = ErrorResponse(404, "not_found", "There is nothing here.")
_PAIR = "pair"
NOT_PAIRED: Final = ErrorResponse(
    403, "not_paired", "This module host does not belong to you. Pair it with the code that it shows.", close=True
)


class Hosted(Protocol):
    """The module, its process and its installation. Everything may raise Refused."""

    short: str

    async def state(self) -> dict[str, Any]:
        """What the hub shows of the module."""

    def port(self) -> int | None:
        """Where it listens once it is awake; None before the first install."""

    def about(self) -> dict[str, Any]:
        """`module`, its package, and `version`; both None before the first install."""

    async def sizes(self) -> dict[str, Any]:
        """`folders`: of each folder in the module's data, such as a vault, its `bytes` and `files_bytes`."""

    async def switch(self, verb: str) -> dict[str, Any]:
        """`start`, `stop` or `restart` it: begun, not completed."""

    async def install(self, body: dict[str, Any]) -> dict[str, Any]:
        """Begin an install or an upgrade: `{"job": id}`."""

    def job(self, job_id: str) -> dict[str, Any]:
        """An operation."""

    def logs(self, after: int, limit: int) -> dict[str, Any]:
        """The module's latest output."""

    async def configure(self, body: dict[str, Any]) -> dict[str, Any]:
        """What the module needs to know of its hub."""

    async def at_rest(self, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Do something for which the module must not run, and which nobody may disturb by starting it."""


class Exchanges(Protocol):
    """The module's data on its way. The methods block."""

    def files(self) -> tuple[FileEntry, ...]: ...

    def open(self, sha256: str) -> tuple[BinaryIO, int]: ...

    def begin(self, listed: object) -> dict[str, Any]: ...

    def receive(self, move: str, sha256: str, length: int) -> Receiver: ...

    def commit(self, move: str, listed: object) -> dict[str, Any]: ...

    def abort(self, move: str) -> None: ...


class Control:
    """`files` runs what blocks, one after the other."""

    def __init__(self, *, gate: Gate, module: Hosted, moves: Exchanges, files: FileWriter) -> None:
        self._gate = gate
        self._module = module
        self._moves = moves
        self._files = files
        self._unpairing: set[Connection] = set()

    def port(self) -> int | None:
        """Where the module listens once it is awake."""
        return self._module.port()

    def unpairs(self, connection: Connection) -> bool:
        """Whether it asked to end the pairing, and closes once it has the answer."""
        return connection in self._unpairing

    def gone(self, connection: Connection) -> None:
        """It is closed."""
        self._unpairing.discard(connection)

    def handler(self, connection: Connection, request: RequestHead, key: bytes | None) -> Handler | ErrorResponse:
        """What handles a request below PREFIX; `key` is that of the peer's certificate."""
        if not any(name == MARK[0] and value.strip() == MARK[1] for name, value, _ in request.fields):
            return _NOT_FOUND
        path, _, query = request.target[len(PREFIX) :].decode("ascii").partition("?")
        method = request.method.decode("ascii")
        if (method, path) == ("POST", _PAIR):
            return JsonCall(connection, request, _BODY_LIMIT, lambda body: self._pair(body, key))
        if not self._gate.is_hub(key):
            return NOT_PAIRED
        streamed = self._streamed(connection, request, method, path)
        if streamed is not None:
            return streamed
        call = self._get(path, query) if method == "GET" else self._post(path, connection) if method == "POST" else None
        limit = _LIST_LIMIT if path.startswith("data/") else _BODY_LIMIT
        return _NOT_FOUND if call is None else JsonCall(connection, request, limit, call)

    def _streamed(self, connection: Connection, request: RequestHead, method: str, path: str) -> Handler | None:
        into, out = _BLOB.fullmatch(path), _OUT.fullmatch(path)
        if method == "PUT" and into is not None:
            move, sha256, length = into[1], into[2], request.length
            if request.chunked or length is None:
                length = -1  # Without a length it is refused as being of another.
            return FileUpload(connection, request, self._files, lambda: self._moves.receive(move, sha256, length))
        if method == "GET" and out is not None:
            return FileDownload(connection, request, self._files, lambda: self._moves.open(out[1]))
        return None

    def _get(self, path: str, query: str) -> Callable[[bytes], Awaitable[Told]] | None:
        job = _JOB.fullmatch(path)
        if job is not None:
            return lambda body: _told(self._module.job(job[1]))
        match path:
            case "state":
                return lambda body: self._state()
            case "sizes":
                return lambda body: self._done(self._module.sizes())
            case "logs":
                return lambda body: _told(self._logs(query))
            case "data/files":
                return lambda body: self._listed()
        return None

    def _post(self, path: str, connection: Connection) -> Callable[[bytes], Awaitable[Told]] | None:
        move = _MOVE.fullmatch(path)
        if move is not None:
            return lambda body: self._moved(move[1], move[2], body)
        match path:
            case "start" | "stop" | "restart":
                return lambda body: self._accepted(self._module.switch(path))
            case "install":
                return lambda body: self._accepted(self._module.install(_object(body)))
            case "configure":
                return lambda body: self._done(self._module.configure(_object(body)))
            case "certificate":
                return lambda body: self._written(lambda: self._gate.renew(_object(body)))
            case "unpair":
                return lambda body: self._unpair(connection)
            case "data/begin":
                return self._begin
        return None

    async def _pair(self, body: bytes, key: bytes | None) -> Told:
        proof = await self._files.surely(lambda: self._gate.pair(_object(body), key))
        return 200, {**proof, **self._module.about()}

    async def _state(self) -> Told:
        return 200, await self._module.state()

    async def _accepted(self, done: Awaitable[dict[str, Any]]) -> Told:
        return 202, await done

    async def _done(self, done: Awaitable[dict[str, Any]]) -> Told:
        return 200, await done

    async def _written(self, change: Callable[[], None]) -> Told:
        await self._files.surely(change)
        return 204, None

    async def _unpair(self, connection: Connection) -> Told:
        self._unpairing.add(connection)
        connection.close = True
        return await self._written(self._gate.unpair)

    def _logs(self, query: str) -> dict[str, Any]:
        given = dict(parse_qsl(query))
        try:
            after, limit = int(given.get("after", "0")), int(given.get("limit", "200"))
        except ValueError:
            raise Refused(400, "invalid_request", "after and limit must be numbers.") from None
        return self._module.logs(max(0, after), min(max(1, limit), _MOST_LINES))

    async def _listed(self) -> Told:
        return await self._files.surely(lambda: (200, {"files": [one.to_json() for one in self._moves.files()]}))

    async def _begin(self, body: bytes) -> Told:
        return 200, await self._files.surely(lambda: self._moves.begin(_object(body, _LIST_LIMIT).get("files")))

    async def _moved(self, move: str, verb: str, body: bytes) -> Told:
        if verb == "abort":
            return await self._written(lambda: self._moves.abort(move))

        async def commit() -> dict[str, Any]:
            return await self._files.surely(lambda: self._moves.commit(move, _object(body, _LIST_LIMIT).get("files")))

        return 200, await self._module.at_rest(commit)


async def _told(value: dict[str, Any]) -> Told:
    return 200, value


def _object(body: bytes, limit: int = _BODY_LIMIT) -> dict[str, Any]:
    """The JSON object of a body, an empty one if there is none. Raises Refused 400."""
    try:
        value = strict_json.read_strictly(body, limit=limit) if body else {}
    except BadJson as error:
        raise Refused(400, "invalid_request", f"The body {error}.") from None
    if not isinstance(value, dict):
        raise Refused(400, "invalid_request", "The body must be a JSON object.")
    return value
