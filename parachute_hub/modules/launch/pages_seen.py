"""Finds out which of a module's links lead to a page, by requesting them like a browser without credentials."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from urllib.parse import quote, urljoin

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from parachute_hub.modules.definition.links import ICON, INFO
from parachute_hub.system.records import frozen

SECONDS = 5.0
FRESH = 30.0
"""Seconds after which a link is checked again on demand."""

MOST = 1000
_HOPS = 4
_PLAIN = "/%:@!$&'()*+,;=-._~"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PAGE = Headers({"Accept": ["text/html,application/xhtml+xml;q=0.9,*/*;q=0.1"], "Sec-Fetch-Mode": ["navigate"]})
_DOCUMENT = Headers({"Accept": ["application/json"]})
_PICTURE = Headers({"Accept": ["image/svg+xml,image/*"]})


@frozen(kw_only=True)
class ModuleAddress:
    """Where to reach a running module: loopback port, mounts, and whether the mount is stripped."""

    port: int
    mounts: tuple[str, ...]
    strip: bool

    def target(self, path: str) -> str | None:
        """The request target on the module for a path of the hub; None for a path of another module.

        >>> ModuleAddress(port=1943, mounts=("/scribe",), strip=True).target("/scribe/admin")
        '/admin'
        """
        found = [mount for mount in self.mounts if path == mount or path.startswith(f"{mount}/")]
        if not found:
            return None
        return (path[len(max(found, key=len)) :] or "/") if self.strip else path


class PageChecks:
    """Caches what each link returned last; `changed` is called when that changes.

    `where` returns running modules. Requests never wait for a module: unknown links are not offered.
    """

    def __init__(
        self,
        *,
        agent: IAgent,
        clock: IReactorTime,
        where: Callable[[str], ModuleAddress | None],
        changed: Callable[[], None],
    ) -> None:
        self._agent = agent
        self._clock = clock
        self._where = where
        self._changed = changed
        self._seen: dict[tuple[str, str], bool] = {}
        self._asked_at: dict[tuple[str, str], float] = {}

    def offered(self, short: str, link: str | None) -> str | None:
        """The link, if it is known to lead to a page. Links elsewhere are not checked."""
        if link is None or not link.startswith("/"):
            return link
        asked_at = self._asked_at.get((short, link))
        if asked_at is None or self._clock.seconds() >= asked_at + FRESH:
            self.look(short, [link])
        return link if self._seen.get((short, link)) else None

    def look(self, short: str, links: Iterable[str]) -> None:
        """Check these links now."""
        where = self._where(short)
        if where is None:
            return
        for link in links:
            if len(self._asked_at) >= MOST:
                self._seen.clear()
                self._asked_at.clear()
            self._asked_at[short, link] = self._clock.seconds()
            Deferred.fromCoroutine(self._find_out(short, where, link))

    async def _find_out(self, short: str, where: ModuleAddress, link: str) -> None:
        answers = False
        # A module that does not answer has no page, for whatever reason.
        with suppress(Exception):
            answers = await self._answers(where, link)
        if self._seen.get((short, link)) != answers:
            self._seen[short, link] = answers
            self._changed()

    async def _answers(self, where: ModuleAddress, link: str) -> bool:
        wanted, headers = _expected(link)
        for _ in range(_HOPS):
            target = where.target(link.partition("?")[0].partition("#")[0])
            if target is None:
                return False
            url = f"http://127.0.0.1:{where.port}{quote(target, safe=_PLAIN)}"
            answer = await self._agent.request(b"GET", url.encode("ascii"), headers).addTimeout(SECONDS, self._clock)
            answer.deliverBody(_NotRead())
            if answer.code not in _REDIRECTS:
                (kind, *_) = answer.headers.getRawHeaders(b"content-type") or [b""]
                return bool(answer.code == 200 and kind.lower().startswith(wanted))
            (location, *_) = answer.headers.getRawHeaders(b"location") or [b""]
            link = urljoin(link, location.decode("latin-1"))
        return False


def _expected(link: str) -> tuple[bytes, Headers]:
    """The media type that an answer must begin with, and the request's headers."""
    if link.endswith(ICON):
        return b"image/", _PICTURE
    return (b"application/json", _DOCUMENT) if link.endswith(INFO) else (b"text/html", _PAGE)


class _NotRead(Protocol):
    """Closes a connection after the response head."""

    def connectionMade(self) -> None:
        """Twisted callback: the body begins."""
        if self.transport is not None:
            self.transport.loseConnection()
