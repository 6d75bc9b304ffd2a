"""On whose behalf the hub is acting right now, for the audit log.

A context variable (PEP 567): set for each request, it follows coroutines and the operations that they start. Where
nothing set it, in timers and reactions to processes, the hub acts by itself.
"""

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Literal, ParamSpec, Protocol, TypeAlias, TypeVar

from parachute_hub.system.records import frozen

P = ParamSpec("P")
T = TypeVar("T")
Means: TypeAlias = Literal["hub", "session", "token", "command", "page"]
"""`session`: a signed-in browser; `token`: an access token; `command`: the operator token on the machine; `page`: a
request without credentials, such as a sign-in; `hub`: the hub by itself.
"""


@frozen
class Doer:
    """Who acts: a user's name, empty for nobody in particular; by what; and from which address."""

    name: str = ""
    means: Means = "hub"
    address: str = ""


class Done(Protocol):
    """`store.trail.Trail.done`, for what changes files, processes or memory, and so has no transaction."""

    async def __call__(self, action: str, subject: str = "") -> None:
        """Record what has just happened, on behalf of whoever acts now. Never raises."""


_doer: ContextVar[Doer] = ContextVar("doer")
_HUB = Doer()


def doer() -> Doer:
    """Who acts now."""
    return _doer.get(_HUB)


def acting(who: Doer, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the function on behalf of `who`."""
    context = copy_context()
    context.run(_doer.set, who)
    return context.run(function, *args, **kwargs)
