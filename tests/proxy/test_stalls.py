"""Clients that stop moving, through a whole front: who is cut off, and who is not."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.limits import Limits
from tests.support.sockets import HOST, Rig, get

LIMITS = Limits(stalled=4, stalled_share=0.5)


class StallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(limits=LIMITS)
        self.addCleanup(self.rig.stop)

    def stalled_reader(self, address: str):  # type: ignore[no-untyped-def]
        """A client that has part of a long response and reads no more."""
        client = self.rig.ask(get("/notes/"), address)
        self.rig.modules.newest.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
        client.producer.pauseProducing()
        return client

    def test_an_address_that_holds_too_many_loses_its_longest(self) -> None:
        clients = [self.stalled_reader("192.0.2.1") for _ in range(3)]
        self.assertEqual([client.connected for client in clients], [False, True, True])

    def test_at_the_limit_the_heaviest_address_pays(self) -> None:
        """Somebody who stalled long before, from elsewhere, stays."""
        phone = self.stalled_reader("198.51.100.7")
        clients = [self.stalled_reader(f"192.0.2.{number}") for number in (1, 1, 2, 3)]
        self.assertEqual(([client.connected for client in clients], phone.connected), ([False, True, True, True], True))

    def test_who_reads_again_is_not_counted(self) -> None:
        for _ in range(10):
            client = self.stalled_reader("192.0.2.1")
            client.producer.resumeProducing()
            self.assertTrue(client.connected)
        self.assertEqual(len(self.rig.front._stalls), 0)

    def test_whoever_leaves_is_not_counted(self) -> None:
        for _ in range(10):
            self.stalled_reader("192.0.2.1").hang_up()
        self.assertEqual(len(self.rig.front._stalls), 0)

    def test_long_heads_count_until_they_end(self) -> None:
        """A stranger cannot hold memory with heads that never end."""
        begun = f"GET /notes/ HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {'x' * 8000}".encode()
        clients = [self.rig.ask(begun, "192.0.2.1") for _ in range(3)]
        self.assertEqual([client.connected for client in clients], [False, True, True])
        clients[1].deliver(b"\r\n\r\n")
        self.assertEqual(len(self.rig.front._stalls), 1)

    def test_pipelined_requests_count_while_they_wait(self) -> None:
        waiting = get("/notes/") * (LIMITS.pipelined_bytes // len(get("/notes/")) + 2)
        clients = []
        for _ in range(3):
            client = self.rig.ask(get("/notes/"), "192.0.2.1")
            client.deliver(waiting)
            clients.append(client)
        self.assertEqual([client.connected for client in clients], [False, True, True])


class WaitTests(SynchronousTestCase):
    """Waits of the proxy that have an end (docs/waits.md)."""

    def test_a_response_head_that_does_not_end(self) -> None:
        """It may begin late, but once begun it ends within half a minute."""
        rig = Rig()
        self.addCleanup(rig.stop)
        client = rig.ask(get("/notes/"))
        rig.pass_time(200)
        self.assertTrue(client.connected)
        rig.modules.newest.deliver(b"HTTP/1.1 200 OK\r\nX-Never: en")
        rig.pass_time(29)
        self.assertEqual(client.take(), b"")
        rig.pass_time(4)
        self.assertTrue(client.take().startswith(b"HTTP/1.1 502 "))

    def test_near_the_limit_idle_clients_make_room(self) -> None:
        """Those between two requests; one that waits for its response stays."""
        rig = Rig(limits=Limits(connections=70))
        self.addCleanup(rig.stop)
        rig.front.listening(FakePort())
        busy = rig.ask(get("/notes/"))
        idle = [rig.ask(get("/nothing")) for _ in range(4)]
        self.assertEqual([client.connected for client in idle], [True] * 4)
        last = rig.ask(get("/nothing"))
        self.assertEqual([client.connected for client in idle], [False] * 4)
        self.assertTrue(busy.connected and last.connected)


class FakePort:
    """A listening port that accepts whatever comes."""

    numberAccepts = 1

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass
