"""Whether a registry answers at all. bun waits minutes for one that drops what it is sent."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import TimeoutError as ConnectTimedOut
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from parachute_hub.modules.packages.bun import BunFailed
from parachute_hub.modules.packages.bun_errors import Complaint
from parachute_hub.system.records import frozen

CONNECT_SECONDS = 10.0


@frozen(kw_only=True)
class Reach:
    """Connects to the registry at `address`, or to the proxy that `variables` name."""

    reactor: Any
    address: Callable[[], str]
    variables: Mapping[str, str]
    seconds: float = CONNECT_SECONDS

    async def check(self) -> None:
        """Raises BunFailed if nothing answers in time. Any other error is left to bun, which explains it."""
        url = urlsplit(self.address())
        named = {name.lower(): value for name, value in self.variables.items()}
        proxy = named.get(f"{url.scheme}_proxy")
        if proxy:
            url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if url.hostname is None:
            return
        port = url.port or (443 if url.scheme == "https" else 80)
        endpoint = HostnameEndpoint(self.reactor, url.hostname, port, timeout=self.seconds)
        try:
            protocol: Any = await endpoint.connect(Factory.forProtocol(Protocol))
        except ConnectTimedOut:
            what = "proxy to the registry" if proxy else "registry"
            text = (
                f"The {what} at {url.hostname} did not answer within {self.seconds:.0f} s. "
                "Check the network and the registry's address, then try again."
            )
            raise BunFailed(Complaint("no_answer", text)) from None
        except Exception:
            return
        protocol.transport.loseConnection()


async def while_reachable(reaching: Coroutine[Any, Any, None], doing: Coroutine[Any, Any, None]) -> None:
    """Do something with the registry, and stop that when `reaching` it fails. Raises BunFailed then."""
    done, unreached = Deferred.fromCoroutine(doing), list[BunFailed]()

    def stop(failure: Failure) -> None:
        if isinstance(failure.value, BunFailed):
            unreached.append(failure.value)
            done.cancel()

    reached = Deferred.fromCoroutine(reaching).addErrback(stop)
    try:
        await done
    except CancelledError:
        if unreached:
            raise unreached[0] from None
        raise
    finally:
        reached.cancel()
