"""A short request body, and an answer of limited size. For requests to modules; treq would load 1.5 MB for them."""

from typing import Any

from attrs import field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from parachute_hub.system.records import define


@implementer(IBodyProducer)
@define
class Body:
    """A request body, sent at once."""

    _content: bytes
    length: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.length = len(self._content)

    def startProducing(self, consumer: Any) -> "Deferred[None]":
        consumer.write(self._content)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is short."""

    def resumeProducing(self) -> None:
        """It is short."""

    def stopProducing(self) -> None:
        """It is short."""


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
