"""An epoll loop without the log context that Twisted sets for every event; see decision 042 for what it gives.

It replaces `doIteration` of one reactor. It relies on names private to Twisted, so it takes effect for one exact
version only, and the hub runs the same without it. What is lost: the `system` field of legacy log events.
"""

import errno
import select
import sys
from functools import partial
from typing import Any

from twisted.logger import Logger

import twisted

_VERSION = "26.10.0"
_log = Logger()


def install(reactor: Any) -> bool:
    """Speed this reactor up; false (and nothing is changed) when it is another kind or another version of Twisted."""
    kind = f"{type(reactor).__module__}.{type(reactor).__name__}"
    if twisted.__version__ != _VERSION or kind != "twisted.internet.epollreactor.EPollReactor":
        return False
    reactor.doIteration = partial(_iterate, reactor)
    return True


def _iterate(reactor: Any, timeout: float | None) -> None:
    """Wait for events and serve them, as EPollReactor.doPoll does."""
    selectables, readable = reactor._selectables, select.EPOLLIN
    try:
        events = reactor._poller.poll(-1 if timeout is None else timeout, len(selectables))
    except OSError as error:
        if error.errno == errno.EINTR:
            return
        raise
    for descriptor, event in events:
        selectable = selectables.get(descriptor)
        if selectable is None:
            continue
        if event == readable:
            _read(reactor, selectable)
        else:
            reactor._doReadOrWrite(selectable, descriptor, event)


def _read(reactor: Any, selectable: Any) -> None:
    """The common case: there is something to read, and nothing else."""
    try:
        why = selectable.doRead()
    except BaseException:
        why = sys.exc_info()[1]
        _log.failure("Reading failed")
    if why:
        reactor._disconnectSelectable(selectable, why, True)
