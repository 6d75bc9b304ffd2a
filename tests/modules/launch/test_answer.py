"""The answers of modules: whole, too long, broken off, given up."""

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from parachute_hub.modules.launch.answer import Answer
from parachute_hub.system.request_body import Body


class AnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.transport = StringTransport()
        self.answer = Answer(8)
        self.answer.makeConnection(self.transport)

    def test_a_whole_one(self) -> None:
        """With a length, or until the module closes the connection."""
        for how in (ResponseDone(), PotentialDataLoss()):
            self.setUp()
            self.answer.dataReceived(b"1234")
            self.answer.dataReceived(b"5678")
            self.answer.connectionLost(Failure(how))
            self.assertEqual(self.successResultOf(self.answer.whole), b"12345678")

    def test_one_that_is_too_long_ends_the_connection(self) -> None:
        self.answer.dataReceived(b"123456789")
        self.failureResultOf(self.answer.whole, ValueError)
        self.assertTrue(self.transport.disconnecting)
        self.answer.dataReceived(b"more of it")
        self.answer.connectionLost(connectionDone)

    def test_one_that_breaks_off(self) -> None:
        self.answer.dataReceived(b"1234")
        self.answer.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(self.answer.whole, ConnectionLost)

    def test_one_that_takes_too_long_ends_the_connection(self) -> None:
        self.answer.whole.cancel()
        self.failureResultOf(self.answer.whole, CancelledError)
        self.assertTrue(self.transport.disconnecting)
        self.answer.connectionLost(connectionDone)

    def test_a_request_body_is_sent_at_once(self) -> None:
        body = Body(b"{}")
        self.successResultOf(body.startProducing(self.transport))
        self.assertEqual((body.length, self.transport.value()), (2, b"{}"))
