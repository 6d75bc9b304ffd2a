"""An answer of limited size. For requests to modules; treq would load 1.5 MB for them."""

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss


class Answer(Protocol):
    """Collects a response body of at most `limit` bytes. `whole` raises ValueError for a longer one, and what broke the
    connection off. Cancel it to end the connection.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._content = bytearray()
        self.whole: Deferred[bytes] = Deferred(lambda _: self._close())

    def dataReceived(self, data: bytes) -> None:
        self._content += data
        if len(self._content) > self._limit and not self.whole.called:
            self.whole.errback(ValueError("the answer is too large"))
            self._close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(bytes(self._content))
        else:
            self.whole.errback(reason)

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()
