"""One request over one connection."""

import doctest

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise import model
from parachute_hub.supervise.process import probe
from parachute_hub.supervise.process.probe import NoAnswer, Reply, ask, whole_answer
from tests.support.processes import FakeReactor


class WholeAnswerTests(SynchronousTestCase):
    def test_docstring_examples_hold(self) -> None:
        self.assertEqual(doctest.testmod(probe).failed + doctest.testmod(model).failed, 0)

    def test_a_complete_response_is_recognised(self) -> None:
        """(bytes, connection closed, status)"""
        head = b"HTTP/1.1 200 OK\r\n"
        for data, ended, status in (
            (head + b"Content-Length: 2\r\n\r\nok", False, 200),
            (head + b"Content-Length: 5\r\n\r\nok", False, None),
            (head + b"Content-Length: 5\r\n\r\nok", True, 200),
            (head + b"\r\nuntil closed", False, None),
            (head + b"\r\nuntil closed", True, 200),
            (head + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n", False, None),
            (head + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", False, 200),
            (b"HTTP/1.1 204 No Content\r\n\r\n", False, 204),
            (b"HTTP/1.0 404 Not Found\r\n\r\n", True, 404),
            (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", False, 401),
            (head + b"\r\n" + b"x" * 70_000, False, 200),
            (b"SSH-2.0-OpenSSH\r\n", True, None),
            (b"", True, None),
            (head, True, None),
        ):
            self.assertEqual(whole_answer(data, ended), status, data[:60])


class AskTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()

    def ask(self) -> "Deferred[Reply]":
        asked = Deferred.fromCoroutine(ask(self.reactor, 80, "/health", 3.0))
        self.reactor.advance(0)
        return asked

    def test_the_status_of_the_response_is_returned(self) -> None:
        self.reactor.listening[80] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self.assertEqual(self.successResultOf(self.ask()), Reply(200))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_the_body_is_read_unless_it_is_chunked(self) -> None:
        chunked = (b"Transfer-Encoding: chunked", b"0\r\n\r\n", b"")
        for head, body, read in ((b"Content-Length: 2", b"{}", b"{}"), chunked):
            self.reactor.listening[80] = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body
            self.assertEqual(self.successResultOf(self.ask()), Reply(200, read), head)

    def test_each_failure_has_its_own_reason(self) -> None:
        """Each way of not answering has its own words, which stand in the module's reason."""
        for answer, why in (
            (None, "accepts connections but does not answer"),
            (b"HTTP/1.1 200 OK\r\n\r\nsome", "begins an answer but does not end it"),
        ):
            self.reactor.listening[80] = answer
            self.reactor.closes = False
            asked = self.ask()
            self.assertNoResult(asked)
            self.reactor.advance(3)
            self.assertEqual(str(self.failureResultOf(asked, NoAnswer).value), why)
        self.reactor.listening.clear()
        self.assertEqual(str(self.failureResultOf(self.ask(), NoAnswer).value), "refuses connections")

    def test_garbage_is_no_answer(self) -> None:
        self.reactor.listening[80] = b"hello"
        failure = self.failureResultOf(self.ask(), NoAnswer)
        self.assertEqual(str(failure.value), "closes the connection without an answer")

    def test_a_cancelled_request_leaves_no_timer(self) -> None:
        """The watch ended: it must not be told of a failure, and no timer stays behind."""
        asked = Deferred.fromCoroutine(ask(self.reactor, 80, "/health", 3.0))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
