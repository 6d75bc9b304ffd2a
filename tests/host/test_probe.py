from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.host.probe import Probe
from tests.support.sockets import FakeSocket


class ProbeTests(SynchronousTestCase):
    def connect(self) -> tuple[Clock, FakeSocket]:
        clock = Clock()
        protocol = Probe(clock).buildProtocol(None)
        assert protocol is not None
        return clock, FakeSocket(protocol, clock=clock)

    def test_whatever_is_asked_the_answer_is_the_same(self) -> None:
        for asked in (b"GET /health HTTP/1.1\r\n\r\n", b"\0", b"x" * 100_000):
            clock, client = self.connect()
            client.deliver(asked)
            self.assertEqual(client.written.split(b"\r\n")[:2], [b"HTTP/1.1 200 OK", b"Content-Length: 0"])
            self.assertFalse(client.connected)
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_who_asks_nothing_is_let_go(self) -> None:
        clock, client = self.connect()
        clock.advance(6)
        self.assertFalse(client.connected)

    def test_a_crowd_is_turned_away_and_forgotten(self) -> None:
        clock = Clock()
        probe = Probe(clock)
        for protocol in iter(lambda: probe.buildProtocol(None), None):
            FakeSocket(protocol, clock=clock)
        self.assertEqual(probe.open, 64)
        clock.advance(6)
        clock.advance(0)
        self.assertEqual(probe.open, 0)
