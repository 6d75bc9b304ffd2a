"""Clients that stop moving, through a whole front: who is cut off, and who is not."""

import gc
import io
import re
import weakref

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy import stalls, transport
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.routes import Mount
from parachute_hub.proxy.shares import network
from parachute_hub.system.logs import LineObserver, Masker
from tests.proxy.test_tunnel import ACCEPTED, handshake
from tests.support.sockets import HOST, Rig, get, ok

# What a stalled reader is taken for until it is measured.
READER = 376 * 1024
MB = 1024 * 1024
LIMITS = Limits(stalled_bytes=4 * READER, stalled_share=0.6)
# A response that fills the module's buffers, and one that is nearly complete.
LARGE, SMALL = 8_000_000, 1_000


class StallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(limits=LIMITS)
        self.addCleanup(self.rig.stop)

    def stalled_reader(self, address: str, length: int = LARGE):  # type: ignore[no-untyped-def]
        """A client that has part of a long response and reads no more."""
        client = self.rig.ask(get("/notes/"), address)
        self.rig.modules.newest.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nsome" % length)
        client.producer.pauseProducing()
        return client

    def connected(self, clients) -> list[bool]:  # type: ignore[no-untyped-def]
        return [client.connected for client in clients]

    def test_an_address_that_holds_too_much_loses_its_longest(self) -> None:
        clients = [self.stalled_reader("192.0.2.1") for _ in range(3)]
        self.assertEqual(self.connected(clients), [False, True, True])

    def test_addresses_of_one_network_share(self) -> None:
        """A household or a rented server has a whole /64."""
        clients = [self.stalled_reader(f"2001:db8::{number}") for number in range(3)]
        self.assertEqual(self.connected(clients), [False, True, True])
        other = [self.stalled_reader(f"2001:db8:0:{number}::1", SMALL) for number in range(3)]
        self.assertEqual(self.connected(other), [True] * 3)

    def test_above_the_budget_the_heaviest_address_pays(self) -> None:
        """Somebody who stalled long before, from elsewhere, stays."""
        phone = self.stalled_reader("198.51.100.7")
        clients = [self.stalled_reader(f"192.0.2.{number}") for number in (1, 1, 2, 3)]
        self.assertEqual((self.connected(clients), phone.connected), ([False, True, True, True], True))

    def test_a_reader_is_expected_to_hold_what_others_hold(self) -> None:
        """A kernel may hold 1 MB for each reader, and a crowd comes faster than it is measured."""
        rig = self.rig = Rig(limits=Limits(stalled_bytes=4 * MB), buffered=lambda local, remote: MB)
        self.addCleanup(rig.stop)
        early = [self.stalled_reader(f"198.51.100.{number}") for number in range(2)]
        rig.pass_time(1)
        crowd = [self.stalled_reader(f"192.0.2.{number}") for number in range(9)]
        self.assertEqual((self.connected(early), sum(self.connected(crowd))), ([True, True], 1))

    def test_attackers_from_many_addresses_do_not_drive_out_a_phone(self) -> None:
        """Nor a download that is nearly complete, which costs little."""
        phone, small = self.stalled_reader("198.51.100.7"), self.stalled_reader("198.51.100.8", SMALL)
        for turn in range(5):
            for number in range(20):
                self.stalled_reader(f"192.0.2.{number}")
            self.rig.pass_time(5)
            self.assertTrue(phone.connected and small.connected, turn)
        late = self.stalled_reader("198.51.100.9")
        self.assertTrue(late.connected)

    def test_a_crowd_is_logged_once_a_minute(self) -> None:
        out = io.StringIO()
        observer = LineObserver(Masker(), out)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for _ in range(63):
            for _ in range(3):
                self.stalled_reader("192.0.2.1")
            self.rig.pass_time(1)
        told = [int(count) for count in re.findall(r"Disconnected (\d+) stalled", out.getvalue())]
        self.assertEqual(len(told), 2)
        self.assertLess(told[0], 4)
        self.assertGreater(told[1], 120)

    def test_who_reads_again_is_not_counted(self) -> None:
        for _ in range(10):
            client = self.stalled_reader("192.0.2.1")
            client.producer.resumeProducing()
            self.assertTrue(client.connected)
        self.assertEqual(len(self.rig.front._stalls), 0)

    def test_whoever_leaves_is_not_counted(self) -> None:
        for _ in range(10):
            self.stalled_reader("192.0.2.1").hang_up()
        self.assertEqual((len(self.rig.front._stalls), self.rig.front._stalls.held), (0, 0))

    def many(self, request: bytes, more: bytes = b""):  # type: ignore[no-untyped-def]
        """So many clients that each address holds more than a share, and all of them more than the budget."""
        clients = []
        for number in range(120):
            client = self.rig.ask(request, f"192.0.2.{number % 4}")
            if more:
                client.deliver(more)
            clients.append(client)
        return clients

    def held_by(self, clients) -> int:  # type: ignore[no-untyped-def]
        living = sum(self.connected(clients))
        self.assertLess(living, 120)
        self.assertGreater(living, 15)
        self.assertLessEqual(self.rig.front._stalls.held, LIMITS.stalled_bytes)
        return living

    def test_long_heads_count_until_they_end(self) -> None:
        """A stranger cannot hold memory with heads that never end."""
        begun = f"GET /notes/ HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {'x' * 8000}".encode()
        clients = self.many(begun)
        living = self.held_by(clients)
        clients[-1].deliver(b"\r\n\r\n")
        self.assertEqual(len(self.rig.front._stalls), living - 1)

    def test_pipelined_requests_count_while_they_wait(self) -> None:
        self.held_by(self.many(get("/notes/"), get("/notes/") * (LIMITS.pipelined_bytes // len(get("/notes/")) + 2)))

    def test_uploads_count_until_they_are_complete(self) -> None:
        """Those for the hub's own pages too, whose bodies it holds."""
        for path in ("/notes/", "/api/nothing"):
            head = get(path, "Content-Length: 20000", method="POST")
            clients = self.many(head, b"x" * 19_999)
            living = self.held_by(clients)
            clients[-1].deliver(b"x")
            self.assertEqual(len(self.rig.front._stalls), living - 1, path)
            for client in clients:
                client.hang_up()

    def test_an_upload_that_moves_outlives_silent_ones(self) -> None:
        head = get("/notes/", "Content-Length: 1000000", method="POST")
        honest = self.rig.ask(head, "198.51.100.7")
        for _ in range(10):
            self.many(head, b"x" * 1000)
            honest.deliver(b"x" * 4000)
            self.rig.pass_time(1)
        self.assertTrue(honest.connected)


class FlowTests(SynchronousTestCase):
    """Clients that stop again and again, but take much in between."""

    def setUp(self) -> None:
        self.held = MB
        # Credit for four of them, and a budget for one more.
        limits = Limits(stalled_bytes=MB + 128 * 1024)
        self.rig = Rig(limits=limits, buffered=lambda local, remote: self.held)
        self.addCleanup(self.rig.stop)
        self.taken: dict[object, int] = {}
        self.patch(stalls, "progress", lambda transport, otherwise: self.taken.get(transport, 0))

    def reader(self, number: int):  # type: ignore[no-untyped-def]
        client = self.rig.ask(get("/notes/"), f"192.0.2.{number}")
        self.rig.modules.newest.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 80000000\r\n\r\n" + b"x" * 50_000)
        client.producer.pauseProducing()
        self.takes(client)
        return client

    def takes(self, client, count: int = 64 * 1024) -> None:  # type: ignore[no-untyped-def]
        if client.connected:
            client.producer.resumeProducing()
            self.taken[client] = self.taken.get(client, 0) + count
            client.producer.pauseProducing()

    def living(self, clients) -> int:  # type: ignore[no-untyped-def]
        return sum(client.connected for client in clients)

    def test_as_many_as_there_is_credit_for_go_on(self) -> None:
        clients = [self.reader(number) for number in range(4)]
        for _ in range(5):
            self.rig.pass_time(1)
            for client in clients:
                self.takes(client, 1024)
            self.assertLess(self.rig.front._stalls.held, MB // 4)
            for client in clients:
                self.takes(client)
        self.assertEqual(self.living(clients), 4)

    def test_a_crowd_is_bounded_before_it_is_measured(self) -> None:
        clients = [self.reader(number) for number in range(20)]
        self.assertLessEqual(self.living(clients), 6)
        self.rig.pass_time(2)
        self.assertLessEqual(self.living(clients), 2)

    def test_one_for_which_more_is_held_than_at_first_is_measured_again(self) -> None:
        self.held = MB // 8
        clients = [self.reader(number) for number in range(20)]
        self.assertEqual(self.living(clients), 20)
        self.held = MB
        for client in clients:
            self.takes(client, 128 * 1024)
        self.assertLessEqual(self.living(clients), 6)

    def test_whoever_leaves_gives_its_credit_back(self) -> None:
        for number in range(20):
            client = self.reader(number)
            self.takes(client)
            self.assertTrue(client.connected)
            client.hang_up()
        self.assertEqual(self.living([self.reader(number) for number in range(4)]), 4)


class MeasuringTests(SynchronousTestCase):
    """A crowd is measured bit by bit, so that nobody waits meanwhile."""

    COUNT = 44

    def setUp(self) -> None:
        self.asked: list[int] = []
        self.rig = Rig(buffered=self.buffered)
        self.addCleanup(self.rig.stop)
        self.clients = []
        for number in range(self.COUNT):
            self.clients.append(self.rig.ask(get("/notes/"), f"192.0.2.{number}"))
            self.rig.modules.newest.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\nsome")
            self.clients[-1].producer.pauseProducing()

    def buffered(self, local: int, remote: int) -> int:
        self.asked.append(remote)
        return 1000

    def seconds(self, count: float) -> list[int]:
        """How many are measured at once, when any are."""
        found = []
        for _ in range(round(count * 64)):
            before = len(self.asked)
            self.rig.clock.advance(1 / 64)
            found.append(len(self.asked) - before)
        return [count for count in found if count]

    def test_all_of_them_within_each_second(self) -> None:
        self.seconds(1)
        for _ in range(3):
            self.assertEqual(sorted(self.seconds(1)), [4, 8, 8, 8, 8, 8])

    def test_those_that_move_or_leave_meanwhile_are_left_out(self) -> None:
        self.seconds(1)
        for client in self.clients[10:20]:
            client.producer.resumeProducing()
        for client in self.clients[30:]:
            client.hang_up()
        self.assertEqual(sum(self.seconds(63 / 64)), 12)

    def test_the_rest_in_the_next_second_if_the_hub_was_busy(self) -> None:
        self.seconds(1)
        self.asked.clear()
        self.rig.clock.advance(1.0)
        self.assertEqual(len(self.asked), self.COUNT)

    def test_a_failure_is_logged_once_and_the_others_are_measured(self) -> None:
        failing = self.buffered

        def fails_once_in_a_round(local: int, remote: int) -> int:
            if len(self.asked) % self.COUNT == 20:
                self.asked.append(remote)
                raise RuntimeError("no such socket")
            return failing(local, remote)

        self.rig.front._pools[next(iter(self.rig.front._pools))]._buffered = fails_once_in_a_round
        self.assertEqual(sum(self.seconds(3 + 63 / 64)), 3 * self.COUNT)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_nobody_is_measured_once_the_front_stops(self) -> None:
        self.seconds(1)
        self.rig.front.drain(0.1)
        self.rig.clock.advance(0.2)
        self.asked.clear()
        self.assertEqual((self.seconds(2), self.rig.clock.getDelayedCalls()), ([], []))


class RemainsTests(SynchronousTestCase):
    def test_what_is_closed_is_freed_at_once(self) -> None:
        """Not when the collector of cycles comes by, which after a crowd takes minutes."""
        rig = Rig((Mount("notes", b"/notes", 2001, websocket=True),))
        self.addCleanup(rig.stop)
        gc.disable()
        self.addCleanup(gc.enable)
        for request, response in (
            (get("/notes/"), ok()),
            (get("/notes/"), b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome"),
            (get("/notes/", "Content-Length: 10", method="POST") + b"half", b""),
            (handshake("/notes/ws"), ACCEPTED + b"\r\n"),
            (b"GET /notes/ HT", b""),
        ):
            client = rig.ask(request, "192.0.2.1")
            sockets = [client]
            if rig.modules.sockets:
                sockets.append(rig.modules.newest)
                rig.modules.newest.deliver(response)
            protocols = [weakref.ref(socket.protocol) for socket in sockets]
            client.hang_up()
            rig.pass_time(6)
            for socket in sockets:
                self.assertFalse(socket.connected, request)
                # As a real transport does.
                socket.protocol = socket.producer = None  # type: ignore[assignment]
            rig.modules.sockets.clear()
            del client, socket, sockets
            self.assertEqual([protocol() for protocol in protocols], [None] * len(protocols), request)

    def test_a_crowd_that_left_is_forgotten(self) -> None:
        """What is kept of each that came holds on to memory around it."""
        rig = Rig(limits=Limits(stalled_bytes=6 * MB), buffered=lambda local, remote: 9 * MB)
        self.addCleanup(rig.stop)
        crowd = []
        for number in range(100):
            crowd.append(rig.ask(get("/notes/", f"X-Number: {number}"), f"192.0.2.{number}"))
            rig.modules.newest.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\nsome")
            crowd[-1].producer.pauseProducing()
        rig.pass_time(1)
        self.assertLess(sum(client.connected for client in crowd), 50)
        for client in crowd:
            client.hang_up()
        rig.pass_time(1)
        self.assertEqual((rig.front._stalls._backlog._blamed, network.cache_info().currsize), ({}, 0))


class LingerTests(SynchronousTestCase):
    def test_a_client_that_took_all_late_is_not_kept(self) -> None:
        """A kernel may wait for the acknowledgement of the end alone, while the front looks."""
        rig = Rig(limits=Limits(linger_seconds=2.0))
        self.addCleanup(rig.stop)
        left = 1
        self.patch(transport, "unsent", lambda socket: left)
        client = rig.ask(get("/notes/", "Connection: close", "Content-Length: 4", method="POST") + b"form")
        rig.modules.newest.deliver(ok())
        rig.pass_time(5)
        self.assertTrue(client.connected)
        left = 0
        rig.pass_time(4)
        self.assertFalse(client.connected)


class HalfClosedTests(SynchronousTestCase):
    """Clients that send no more, but may still read."""

    def setUp(self) -> None:
        self.rig = Rig((Mount("notes", b"/notes", 2001, websocket=True),))
        self.addCleanup(self.rig.stop)

    def test_the_response_comes_and_then_the_end(self) -> None:
        client = self.rig.ask(get("/notes/"))
        client.send_no_more()
        self.assertEqual(client.take(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.rig.pass_time(20)
        self.rig.modules.newest.deliver(ok(b"late"))
        self.assertTrue(client.take().endswith(b"late"))
        self.assertFalse(client.connected)

    def test_a_response_that_began_gets_no_interim_one(self) -> None:
        client = self.rig.ask(get("/notes/"))
        self.rig.modules.newest.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsome")
        client.send_no_more()
        self.rig.modules.newest.deliver(b"more")
        self.assertTrue(client.take().endswith(b"\r\n\r\nsomemore"))
        self.assertFalse(client.connected)

    def test_pipelined_requests_are_all_answered(self) -> None:
        client = self.rig.ask(get("/notes/") * 2)
        client.send_no_more()
        for body in (b"first", b"second"):
            self.assertTrue(client.connected)
            self.rig.modules.newest.deliver(ok(body))
            self.assertTrue(client.take().endswith(body))
        self.assertFalse(client.connected)

    def test_an_empty_line_behind_a_request_keeps_nothing_open(self) -> None:
        for lines in (b"\r\n", b"\r\n" * 3):
            client = self.rig.ask(get("/notes/") + lines)
            client.send_no_more()
            self.rig.modules.newest.deliver(ok(b"whole"))
            self.assertTrue(client.take().endswith(b"whole"))
            self.assertFalse(client.connected, lines)

    def test_what_is_incomplete_ends(self) -> None:
        """Between requests, in a head, in a body, behind a complete request, and in a WebSocket."""
        for request, answer in (
            (b"", b""),
            (b"GET /notes/ HT", b""),
            (get("/notes/", "Content-Length: 10", method="POST") + b"half", b""),
            (get("/notes/") + b"GET /not", ok()),
            (handshake("/notes/ws"), ACCEPTED + b"\r\n"),
        ):
            client = self.rig.ask(request) if request else self.rig.client()
            client.send_no_more()
            if answer:
                self.rig.modules.newest.deliver(answer)
            self.assertFalse(client.connected, request)


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

    def test_near_the_limit_those_that_say_nothing_make_room(self) -> None:
        """Of the address that has the most connections; others, who may be about to ask, stay."""
        rig = Rig(limits=Limits(connections=80))
        self.addCleanup(rig.stop)
        rig.front.listening(FakePort())
        other = rig.client("198.51.100.7")
        crowd = [rig.client("192.0.2.1") for _ in range(20)]
        self.assertGreater(self.cut(crowd), 0)
        self.assertTrue(other.connected)
        self.assertIn(b"404", rig.ask(get("/nothing"), "198.51.100.8").take())

    def cut(self, clients) -> int:  # type: ignore[no-untyped-def]
        return sum(not client.connected for client in clients)

    def test_at_the_limit_the_longest_stalled_makes_room(self) -> None:
        rig = Rig(limits=Limits(connections=70))
        self.addCleanup(rig.stop)
        rig.front.listening(FakePort())
        head = get("/notes/", "Content-Length: 1000", method="POST")
        clients = [rig.ask(head, f"192.0.2.{number}") for number in range(75)]
        self.assertFalse(clients[0].connected)
        self.assertTrue(clients[-1].connected)
        self.assertIn(b"404", rig.ask(get("/nothing"), "198.51.100.8").take())


class LimitTests(SynchronousTestCase):
    """At the limit of connections, a phone that pauses is not to blame."""

    LIMIT = 400
    UPLOAD = get("/notes/", "Content-Length: 1000", method="POST")

    def at_the_limit(self) -> Rig:
        rig = Rig((Mount("notes", b"/notes", 2001, websocket=True),), limits=Limits(connections=self.LIMIT))
        self.addCleanup(rig.stop)
        rig.front.listening(FakePort())
        return rig

    def paused(self, rig: Rig):  # type: ignore[no-untyped-def]
        phone = rig.ask(get("/notes/"), "198.51.100.7")
        rig.modules.newest.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\nsome")
        phone.producer.pauseProducing()
        return phone

    def come(self, rig: Rig, count: int, address: str, what: bytes = b"", addresses: int = 200) -> list[bool]:
        """So many connect, one after the other, and say no more than this. Who is connected in the end."""
        clients = []
        for number in range(count):
            client = rig.client(address.format(number % addresses))
            client.take_turn()
            if what:
                client.deliver(what)
            if what.startswith(b"GET /notes/ws ") and rig.modules.sockets:
                rig.modules.sockets.pop().deliver(ACCEPTED + b"\r\n")
            clients.append(client)
        return [client.connected for client in clients]

    def test_it_outlives_thousands_that_say_nothing(self) -> None:
        """Whatever they said before, and however they are spread over addresses and networks."""
        upgrade = handshake("/notes/ws")
        for what, address in (
            (b"", "192.0.2.{}"),
            (b"GET /notes/ HT", "192.0.2.{}"),
            (self.UPLOAD, "192.0.2.{}"),
            (upgrade, "192.0.2.{}"),
            (self.UPLOAD, "2001:db8:0:{}::1"),
        ):
            rig = self.at_the_limit()
            phone = self.paused(rig)
            self.come(rig, 5000, address, what)
            self.assertLessEqual(rig.front.connections, self.LIMIT + 64, what)
            self.assertTrue(phone.connected, what)
            self.assertIn(b"404", rig.ask(get("/nothing"), "198.51.100.8").take(), what)

    def test_the_addresses_of_a_network_count_together(self) -> None:
        rig = self.at_the_limit()
        phone, honest = self.paused(rig), rig.client("198.51.100.8")
        self.come(rig, 500, "2001:db8::{}", addresses=500)
        self.assertTrue(phone.connected and honest.connected)

    def test_it_outlives_them_while_others_are_busy(self) -> None:
        """Somebody's requests are under way, more than any of the crowd has connections."""
        rig = self.at_the_limit()
        phone = self.paused(rig)
        busy = [rig.ask(get("/notes/"), "198.51.100.9") for _ in range(60)]
        crowd = self.come(rig, 1000, "192.0.2.{}")
        self.assertTrue(phone.connected)
        self.assertEqual(sum(client.connected for client in busy), 60)
        self.assertLess(sum(crowd), self.LIMIT)

    def test_who_is_about_to_ask_outlives_uploads_that_stall(self) -> None:
        rig = self.at_the_limit()
        phone = self.paused(rig)
        self.come(rig, self.LIMIT, "192.0.2.{}", self.UPLOAD)
        late = rig.client("198.51.100.8")
        self.come(rig, 100, "192.0.2.{}", self.UPLOAD)
        self.assertTrue(phone.connected and late.connected)
        late.deliver(get("/nothing"))
        self.assertIn(b"404", late.take())


class FakePort:
    """A listening port that accepts whatever comes."""

    numberAccepts = 1

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass
