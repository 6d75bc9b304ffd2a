"""A minimal HTTP health request on its own connection."""

import re
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from parachute_hub.system import strict_json
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r\n]")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:[ \t]*chunked")
# A response longer than this counts as complete.
_ENOUGH = 64 * 1024
# How long a module may take to say whether it is busy.
BUSY_SECONDS = 3.0


class NoAnswer(Exception):
    """No response. The text continues a sentence: `refuses connections`. `refused` means that nothing listens."""

    def __init__(self, why: str, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


@frozen
class Reply:
    """A response: its status, and its body unless that is chunked."""

    status: int
    body: bytes = b""


class Connector(Protocol):
    """The part of a reactor that connects."""

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None) -> Any:
        """As in IReactorTCP."""

    def callLater(self, delay: float, callable: Any, *args: Any, **kwargs: Any) -> IDelayedCall:
        """As in IReactorTime."""


async def ask(reactor: Connector, port: int, path: str, timeout: float) -> Reply:
    """`GET path` on 127.0.0.1, once the response is complete within `timeout` seconds. Raises NoAnswer."""
    question = ProbeRequest(reactor, port, path, timeout)
    return await question.answer


async def ask_busy(reactor: Connector, port: int) -> bool:
    """Whether the module says at `/.parachute/busy` that it works on something (docs/protocol.md). Never raises."""
    try:
        reply = await ask(reactor, port, "/.parachute/busy", BUSY_SECONDS)
        told = strict_json.read(reply.body, limit=_ENOUGH).value if reply.status == 200 else None
    except (NoAnswer, BadJson):
        return False
    return isinstance(told, dict) and told.get("busy") is True


class ProbeRequest(ClientFactory):
    """One connection with one request."""

    noisy = False

    def __init__(self, reactor: Connector, port: int, path: str, timeout: float) -> None:
        self.answer: Deferred[Reply] = Deferred(self._cancelled)
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: parachute-hub\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n"
        ).encode("utf-8", "replace")
        self._why = "does not accept connections"
        self._timer = reactor.callLater(timeout, self._out_of_time)
        self._connector: Any = reactor.connectTCP("127.0.0.1", port, self, timeout=timeout + 1)

    def buildProtocol(self, addr: Any) -> "_Reply":
        """Twisted callback: connected."""
        self._why = "accepts connections but does not answer"
        return _Reply(self)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        """Twisted callback: connecting failed."""
        self._connector = None
        refused = isinstance(reason.value, ConnectError)
        self.done(NoAnswer("refuses connections" if refused else self._why, refused))

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:
        """Twisted callback: it is closed. All of these refer to each other."""
        connector.transport = self._connector = None

    def began(self) -> None:
        """The response has started but is incomplete."""
        self._why = "begins an answer but does not end it"

    def done(self, result: Reply | NoAnswer) -> None:
        """Resolve the result, once."""
        if self._timer.active():
            self._timer.cancel()
        if not self.answer.called:
            if isinstance(result, Reply):
                self.answer.callback(result)
            else:
                self.answer.errback(Failure(result))

    def _out_of_time(self) -> None:
        self.done(NoAnswer(self._why))
        self._connector.disconnect()

    def _cancelled(self, answer: Deferred[Reply]) -> None:
        if self._timer.active():
            self._timer.cancel()
        # Before the connector reports its failure, which would look like the response to a pending request.
        answer.errback(CancelledError())
        self._connector.disconnect()


class _Reply(TwistedProtocol):
    """Parses just enough HTTP/1.1 to tell when the response is complete."""

    def __init__(self, question: ProbeRequest) -> None:
        self._question = question
        self._bytes = b""

    def connectionMade(self) -> None:
        self._transport().write(self._question.request)

    def dataReceived(self, data: bytes) -> None:
        self._bytes += data
        status = whole_answer(self._bytes, ended=False)
        if status is not None:
            self._question.done(reply(status, self._bytes))
            self._transport().abortConnection()
        elif b"\r\n\r\n" in self._bytes:
            self._question.began()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        status = whole_answer(self._bytes, ended=True)
        missing = NoAnswer("closes the connection without an answer")
        self._question.done(missing if status is None else reply(status, self._bytes))

    def _transport(self) -> Any:
        return self.transport


def reply(status: int, data: bytes) -> Reply:
    """The complete response `data`."""
    head, _, body = data.partition(b"\r\n\r\n")
    return Reply(status, b"" if _CHUNKED.search(head) else body[:_ENOUGH])


def whole_answer(data: bytes, ended: bool) -> int | None:
    r"""The status if `data` is a complete response; `ended` means that the connection is closed.

    >>> whole_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ended=False)
    200
    >>> whole_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", ended=False)
    """
    found = _STATUS.match(data)
    head, divided, body = data.partition(b"\r\n\r\n")
    if not found or not divided:
        return None
    status = int(found[1])
    length = _LENGTH.search(head + b"\r\n")
    if ended or len(data) > _ENOUGH or status in (204, 304):
        return status
    if _CHUNKED.search(head):
        return status if body.endswith(b"0\r\n\r\n") else None
    if length and len(body) >= int(length[1]):
        return status
    return None
