"""Requests to addresses that an owner or a browser named: checked, pinned, bounded, without redirects."""

import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ConnectError
from twisted.web.client import Agent, FileBodyProducer, ResponseFailed, readBody
from twisted.web.http_headers import Headers

from parachute_hub.system.pinned import Pinned, verified
from parachute_hub.system.public_addresses import is_public
from parachute_hub.system.records import frozen

SEND_SECONDS: Final = 15.0
_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


class NotSent(Exception):
    """A notice could not be delivered. The text is a sentence for the owner and holds no address."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@frozen(kw_only=True)
class Outbound:
    """`resolve` returns all addresses of a host. All must be public, unless the owner confirmed a private one."""

    reactor: Any
    resolve: Callable[[str], Awaitable[Sequence[str]]]
    tls: Callable[[str], Any] = verified

    async def address(self, host: str, *, private: bool) -> str:
        """An address to connect to. Raises NotSent; its kind is `private_address` if the owner has to confirm."""
        try:
            addresses = await self.resolve(host)
        except OSError:
            addresses = []
        if not addresses:
            raise NotSent("unreachable", f"The name {host} is not known. Check the address.")
        if not private and not all(is_public(one) for one in addresses):
            raise NotSent("private_address", f"{host} is in a private network. Confirm that notices may go there.")
        return addresses[0]

    async def request(
        self, method: str, url: str, *, private: bool, headers: Mapping[str, str], body: bytes = b""
    ) -> int:
        """One request; the status of its answer. Raises NotSent."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        pinned = Pinned(self.reactor, await self.address(host, private=private), port, self.tls)
        # No redirects: a bare Agent follows none. No pool: the connection ends with the answer.
        agent = Agent.usingEndpointFactory(self.reactor, pinned)
        sent = Headers({"User-Agent": ["parachute-hub"], **{name: [value] for name, value in headers.items()}})
        asking = Deferred.fromCoroutine(_asked(agent, method, url, sent, body))
        asking.addTimeout(SEND_SECONDS, self.reactor)
        try:
            return await asking
        except (TimeoutError, ConnectError, ResponseFailed) as error:
            why = "did not answer in time" if isinstance(error, TimeoutError) else "could not be reached"
            raise NotSent("unreachable", f"{host} {why}.") from None
        except Exception as error:
            raise NotSent("unreachable", f"{host} could not be reached ({type(error).__name__}).") from None


async def _asked(agent: Agent, method: str, url: str, headers: Headers, body: bytes) -> int:
    producer = FileBodyProducer(io.BytesIO(body)) if body else None
    response = await agent.request(method.encode(), url.encode("ascii"), headers, producer)
    await readBody(response)
    return int(response.code)


def check_url(url: str, *, private: bool) -> str:
    """A URL to send to: https, or http if the owner confirmed a private address. Raises NotSent."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
        url.encode("ascii")
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.username or parts.password or parts.scheme not in _PORTS:
        raise NotSent("invalid_address", "Give an address that begins with https://, without a user name in it.")
    if parts.scheme == "http" and not private:
        raise NotSent("private_address", "Over http others could read along. That is fine in your own network only.")
    return url.strip()
