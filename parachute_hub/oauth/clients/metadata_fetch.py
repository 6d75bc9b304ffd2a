"""Fetches a document from a host chosen by a stranger: one connection, to an address that was checked."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from parachute_hub.system import strict_json
from parachute_hub.system.pinned import TIMEOUT, Pinned, verified
from parachute_hub.system.public_addresses import is_public
from parachute_hub.system.records import frozen

LIMIT = 64 * 1024
FRESH_AT_LEAST = 300.0
FRESH_AT_MOST = 86400.0
PORT = 443


class DocumentUnreadable(Exception):
    """The document could not be fetched. The text is always the same, so that it reveals nothing about internal
    addresses.
    """

    def __init__(self) -> None:
        super().__init__("The app's metadata document could not be read.")


@frozen
class FetchedDocument:
    """A JSON object, and the seconds for which it may be cached."""

    body: dict[str, Any]
    fresh_for: float


class DocumentFetcher:
    """Fetches JSON documents over https (draft-ietf-oauth-client-id-metadata-document, section 6).

    `resolve` returns all addresses of a host. All must be `admitted` before one is connected to, so DNS rebinding has
    no effect. `admitted`, `port` and `tls` are for tests.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        reactor: IReactorTCP,
        clock: IReactorTime,
        resolve: Callable[[str], Awaitable[Sequence[str]]],
        admitted: Callable[[str], bool] = is_public,
        port: int = PORT,
        tls: Callable[[str], Any] = verified,
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._resolve = resolve
        self._admitted = admitted
        self._port = port
        self._tls = tls

    async def fetch(self, url: str, host: str) -> FetchedDocument:
        """The document at an https URL on `host`. Raises Unreadable within five seconds."""
        fetching = Deferred.fromCoroutine(self._fetch(url, host))
        fetching.addTimeout(TIMEOUT, self._clock)
        try:
            return await fetching
        except Exception as error:
            self._log.info("No client metadata from {host}: {error}", host=host, error=type(error).__name__)
            raise DocumentUnreadable() from None

    async def _fetch(self, url: str, host: str) -> FetchedDocument:
        addresses = await self._resolve(host)
        if not addresses or not all(self._admitted(address) for address in addresses):
            raise PermissionError("not a public address")
        pinned = Pinned(self._reactor, addresses[0], self._port, self._tls)
        # No redirects: a bare Agent follows none. No pool: the connection ends with the response.
        agent = Agent.usingEndpointFactory(self._reactor, pinned)
        headers = Headers({"Accept": ["application/json"], "User-Agent": ["parachute-hub"]})
        response = await agent.request(b"GET", url.encode("ascii"), headers)
        kind = (response.headers.getRawHeaders("Content-Type") or [""])[0].partition(";")[0].strip().lower()
        if response.code != 200 or not re.fullmatch(r"application/(?:[a-z0-9.+-]+\+)?json", kind):
            _drop(response)
            raise ValueError("not a JSON document")
        body = strict_json.read_strictly(await _read(response), limit=LIMIT)
        if not isinstance(body, dict):
            raise ValueError("not a JSON object")
        return FetchedDocument(body, fresh_for(response.headers.getRawHeaders("Cache-Control") or []))


def fresh_for(cache_control: Sequence[str]) -> float:
    """Cache lifetime in seconds: from the header, limited to between five minutes and a day.

    >>> fresh_for(["public, max-age=3600"]), fresh_for([]), fresh_for(["no-store"]), fresh_for(["max-age=99999999"])
    (3600.0, 300.0, 300.0, 86400.0)
    """
    found = re.search(r"(?:^|[,\s])max-age=(\d{1,9})", ",".join(cache_control).lower())
    return min(FRESH_AT_MOST, max(FRESH_AT_LEAST, float(found[1]))) if found else FRESH_AT_LEAST


def _read(response: IResponse) -> Deferred[bytes]:
    done: Deferred[bytes] = Deferred(lambda _: body.stop())
    body = _Body(done)
    response.deliverBody(body)
    return done


def _drop(response: IResponse) -> None:
    """Close the connection without reading further."""
    body = _Body(Deferred())
    response.deliverBody(body)
    body.stop()


class _Body(Protocol):
    """Collects up to 64 KiB, then closes the connection."""

    def __init__(self, done: Deferred[bytes]) -> None:
        self._done = done
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > LIMIT:
            self.stop()

    def stop(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def connectionLost(self, reason: Failure = Failure(ConnectionLost())) -> None:  # noqa: B008
        if self._done.called:
            return
        if reason.check(ResponseDone) and self._size <= LIMIT:
            self._done.callback(b"".join(self._parts))
        else:
            self._done.errback(ConnectionLost("the document is too long or was cut off"))
