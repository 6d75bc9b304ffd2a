"""What is done again and again while the hub runs."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

_log = Logger()


def every(clock: IReactorTime, seconds: float, function: Callable[[], object]) -> LoopingCall:
    """Call `function` every so many seconds until the answer is stopped. It may give a Deferred.

    A failure is logged and the next call comes all the same: a full disk passes, and the hub must be tended after it.
    """

    def tend() -> Deferred[object]:
        return maybeDeferred(function).addErrback(lambda failure: _log.failure("Tending failed", failure))

    call = LoopingCall(tend)
    call.clock = clock
    call.start(seconds, now=False)
    return call
