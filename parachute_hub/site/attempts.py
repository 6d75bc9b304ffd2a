"""Tells whoever audits a request how its handler ended, even if the client has left by then."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeAlias

Ended: TypeAlias = Callable[[BaseException | None], None]
"""Called once with the handler's error, or None if it returned."""


def _nobody(_error: BaseException | None) -> None:
    return


ended: ContextVar[Ended] = ContextVar("ended", default=_nobody)
"""Set for the time in which a request is rendered (PEP 567); the area calls it."""
