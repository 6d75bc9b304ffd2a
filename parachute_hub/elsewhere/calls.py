"""Requests of the hub itself to another machine: bounded, in time, without redirects."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import Factory, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers

from parachute_hub.elsewhere.dial import DialedEndpoint, Dialer, as_unreached
from parachute_hub.supervise.far import Unreached
from parachute_hub.system import strict_json
from parachute_hub.system.records import define
from parachute_hub.system.request_body import Body
from parachute_hub.system.strict_json import BadJson

ASK_SECONDS: Final = 10.0
_MOST: Final = 256 * 1024
_CONNECTIONS: Final = 4
_KEEP_SECONDS: Final = 30
_CANNOT_READ: Final = "It answers, but not as a host for modules does."


class CallRefused(Exception):
    """The other machine answered with an error. `word` is its name for it, the text a sentence from there."""

    def __init__(self, status: int, word: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.word = word


class _Body(Protocol):
    """Passes on a body to `take` up to `limit` bytes. If that returns a Deferred, more waits for it."""

    def __init__(self, limit: int, take: Callable[[bytes], object]) -> None:
        self._left = limit
        self._take = take
        self._ended: Deferred[None] = Deferred(self._cancelled)

    @property
    def ended(self) -> "Deferred[None]":
        """Fires with the end of the body. Cancel it to end the connection."""
        return self._ended

    def _cancelled(self, _: object) -> None:
        self.transport.stopProducing()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._fail(Unreached("refused", "It answered with more than was asked for."))
            return
        try:
            later = self._take(data)
        except Exception as error:
            self._fail(error)
            return
        if isinstance(later, Deferred):
            self.transport.pauseProducing()  # type: ignore[union-attr]
            later.addCallback(lambda _: self._resume())

    def _resume(self) -> None:
        if not self._ended.called:
            self.transport.resumeProducing()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._ended.called:
            return
        if reason.check(ResponseDone):
            self._ended.callback(None)
        else:
            self._ended.errback(Failure(Unreached("not answering", "The connection broke off.")))

    def _fail(self, error: Exception) -> None:
        self.transport.stopProducing()  # type: ignore[union-attr]
        if not self._ended.called:
            self._ended.errback(Failure(error))


def _connections(self: "Caller") -> HTTPConnectionPool:
    pool = HTTPConnectionPool(self.dialer.reactor, persistent=self.known)
    pool.maxPersistentPerHost = _CONNECTIONS
    pool.cachedConnectionTimeout = _KEEP_SECONDS
    return pool


@define(kw_only=True)
class Caller:
    """Asks one machine. `headers` are added to each request, such as what authenticates the hub.

    A `known` machine is one's own; any other may send no more than `pinned.MOST_RECEIVED` bytes, heads included.
    """

    dialer: Dialer
    headers: Callable[[], Mapping[str, str]] = field(default=dict)
    known: bool = False
    _pool: HTTPConnectionPool = field(default=Factory(_connections, takes_self=True), init=False)

    async def json(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content: Any = None,
        seconds: float = ASK_SECONDS,
        most: int = _MOST,
    ) -> Any:
        """The answer to a JSON request, or one with another `content` (an IBodyProducer); None for an empty one.

        Raises Unreached and CallRefused.
        """
        sent = content if body is None else Body(json.dumps(body).encode())
        kind = {} if body is None else {"Content-Type": "application/json"}
        told = bytearray()
        status = await self.stream(method, path, told.extend, body=sent, headers=kind, seconds=seconds, most=most)
        try:
            answer = strict_json.read(bytes(told), limit=most).value if told else None
        except BadJson:
            raise Unreached("refused", _CANNOT_READ) from None
        if status // 100 != 2:
            given = answer if isinstance(answer, dict) else {}
            text = given.get("error_description") or given.get("message") or f"It answered with status {status}."
            raise CallRefused(status, str(given.get("error", ""))[:80], str(text)[:400])
        return answer

    async def stream(
        self,
        method: str,
        path: str,
        take: Callable[[bytes], object],
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = ASK_SECONDS,
        most: int = _MOST,
    ) -> int:
        """The status of the answer, whose body goes to `take` piece by piece. Raises Unreached."""
        asking = Deferred.fromCoroutine(self._asked(method, path, take, body, headers or {}, most))
        asking.addTimeout(seconds, self.dialer.reactor, lambda failure, _: _late(failure))
        return await asking

    async def status(self, path: str, *, seconds: float = ASK_SECONDS) -> int:
        """The status of a GET, whose body does not count. Raises Unreached."""
        return await self.stream("GET", path, lambda data: None, seconds=seconds)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.closeCachedConnections()

    async def _asked(
        self, method: str, path: str, take: Callable[[bytes], object], body: Any, headers: Mapping[str, str], most: int
    ) -> int:
        endpoints = DialedEndpoint(self.dialer, bounded=not self.known)
        agent = Agent.usingEndpointFactory(self.dialer.reactor, endpoints, pool=self._pool)
        sent = {"User-Agent": "parachute-hub", **self.headers(), **headers}
        fields = Headers({name: [value] for name, value in sent.items()})
        try:
            url = f"{self.dialer.address.origin}{path}".encode("ascii")
            response = await agent.request(method.encode(), url, fields, body)
        except Unreached:
            raise
        except (RequestGenerationFailed, RequestTransmissionFailed, ResponseNeverReceived, ResponseFailed) as error:
            first = next(iter(error.reasons), Failure(error))
            raise as_unreached(first) from None
        except ConnectionClosed as error:
            raise as_unreached(Failure(error)) from None
        if response.length == 0 or response.code in (204, 304):
            return int(response.code)
        reading = _Body(most, take)
        response.deliverBody(reading)
        await reading.ended
        return int(response.code)


def _late(failure: Any) -> Any:
    raise Unreached("not answering", "It did not answer in time.")
