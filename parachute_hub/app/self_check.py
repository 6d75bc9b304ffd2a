"""Whether the hub answers at an address, asked by itself."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import TimeoutError
from twisted.internet.threads import deferToThreadPool

from parachute_hub.system.loading import lazily

with lazily():
    from parachute_hub.problems import address_probe

SELF_CHECK_SECONDS = 5


def self_check(instance: str, reactor: Any) -> Callable[[str], Awaitable[str | None]]:
    """Creates a check that requests /health at an origin. It returns None if this very hub answers, else what
    is wrong.
    """

    async def check(origin: str) -> str | None:
        threads = reactor.getThreadPool()
        asking = deferToThreadPool(reactor, threads, address_probe.probe, origin, instance, time.time())
        try:
            found = await asking.addTimeout(SELF_CHECK_SECONDS, reactor)
        except TimeoutError:
            found = None
        if found is None or found.fault is not None:
            return (
                f"This hub could not reach itself at {origin}. That is fine when the address only works from outside; "
                "otherwise check the name and the certificate."
            )
        if not found.ours:
            return f"{origin} is answered by a different server. Check the address."
        return None

    return check
