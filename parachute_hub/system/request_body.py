"""A short body of a request that the hub makes."""

from typing import Any

from attrs import field
from twisted.internet.defer import Deferred, succeed
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
