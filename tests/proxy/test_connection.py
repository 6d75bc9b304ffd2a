"""What a client may do with its connection, and the result."""

import resource
from typing import ClassVar

from attrs import evolve
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from parachute_hub.proxy.connection_limits import descriptor_budget
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.routes import Table
from tests.support.sockets import HOST, FakeSocket, Rig, get, ok


class Page(Resource):
    """A page of the hub."""

    isLeaf = True

    def render(self, request: IRequest) -> bytes:
        return b"own " + bytes(request.uri)


class FakePort:
    """The listening port, as far as the front knows it."""

    paused = False
    pauses = 0
    numberAccepts = 100

    def pauseProducing(self) -> None:
        self.paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        self.paused = False


class ConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(resource=Page())

    def refused(self, raw: bytes, status: int) -> FakeSocket:
        """The client gets this error, and the connection closes."""
        client = self.rig.ask(raw)
        taken = client.take()
        self.assertTrue(taken.startswith(b"HTTP/1.1 %d " % status), (raw[:60], taken[:60]))
        self.assertIn(b"Connection: close", taken)
        self.assertIn(b'"error_description": "', taken, "it says why")
        self.assertTrue(client.half_closed or not client.connected)
        self.assertEqual(self.rig.modules.sockets, [])
        client.deliver(get("/notes/"))
        self.assertEqual(client.take(), b"", "nothing behind it is read as a request")
        return client

    smuggled: ClassVar[tuple[bytes, ...]] = (
        b"POST /notes/ HTTP/1.1\r\nHost: hub.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /notes/ HTTP/1.1\r\nHost: hub.test\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"GET /notes/ HTTP/1.1\nHost: hub.test\n\n",
        b"GET /notes/ HTTP/1.1\r\nHost: hub.test\r\nX: a\nContent-Length: 3\r\n\r\nabc",
        b"GET /notes/ HTTP/1.1\r\nHost: hub.test\r\n X: folded\r\n\r\n",
        b"GET /notes/ HTTP/1.1\r\n X: y\r\nHost: hub.test\r\n\r\n",
        b"GET /notes/ HTTP/1.1\r\nHost: hub.test\r\nHost: hub.test\r\n\r\n",
        b"GET /notes/ HTTP/1.1\r\n\r\n",
        b"GET /notes/\x00 HTTP/1.1\r\nHost: hub.test\r\n\r\n",
        b"GET http://evil.example/notes/ HTTP/1.1\r\nHost: hub.test\r\n\r\n",
        b"GET http://evil.example/notes/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /notes/%2e%2e/admin HTTP/1.1\r\nHost: hub.test\r\n\r\n",
        b"GET /notes/../admin HTTP/1.1\r\nHost: hub.test\r\n\r\n",
        b"GET notes HTTP/1.1\r\nHost: hub.test\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: hub.test\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    )

    def test_doubtful_requests_are_refused_with_a_reason(self) -> None:
        for raw in self.smuggled:
            self.refused(raw, 400)

    def test_methods_that_a_proxy_must_not_take(self) -> None:
        self.refused(get("/notes/", method="TRACE"), 405)
        self.refused(get("hub.test:443", method="CONNECT"), 405)

    def test_oversized_heads_are_refused(self) -> None:
        self.refused(get("/notes/", "X: " + "x" * 40_000), 431)
        self.refused(get("/notes/", *[f"X-{n}: y" for n in range(5000)]), 431)
        self.refused(get("/notes/" + "x" * 9_000), 414)
        self.refused(b"GET /" + b"x" * 40_000, 414)

    def test_a_version_we_do_not_speak(self) -> None:
        self.refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)

    def test_a_bare_line_feed_is_refused_before_the_deadline(self) -> None:
        self.refused(b"GET /notes/ HTTP/1.1\nHost: hub.test\n", 400)

    def test_requests_may_arrive_byte_by_byte(self) -> None:
        client = self.rig.client()
        for byte in get("/notes/", "X: " + "y" * 3000):
            client.deliver(bytes([byte]))
        self.assertIn(b"GET /notes/", self.rig.modules.newest.take())

    def test_empty_lines_before_a_request(self) -> None:
        self.assertIn(b"own /api/x", self.rig.ask(b"\r\n\r\n" + get("/api/x")).take())

    def test_pipelined_requests_are_answered_in_order_10(self) -> None:
        client = self.rig.ask(get("/notes/1") + get("/api/own") + get("/notes/2"))
        module = self.rig.modules.newest
        self.assertNotIn(b"/notes/2", module.take())
        module.deliver(ok(b"first"))
        module.deliver(ok(b"third"))
        taken = client.take()
        self.assertLess(taken.index(b"first"), taken.index(b"own /api/own"))
        self.assertLess(taken.index(b"own /api/own"), taken.index(b"third"))

    def test_a_thousand_pipelined_requests(self) -> None:
        self.assertEqual(self.rig.ask(get("/api/x") * 1000).take().count(b"own /api/x"), 1000)

    def test_pipelined_bytes_are_bounded_10(self) -> None:
        client = self.rig.ask(get("/notes/"))
        for _ in range(70):
            client.deliver(b"x" * 1024)
        self.assertTrue(client.paused)
        self.rig.modules.newest.deliver(ok())
        self.assertFalse(client.paused)

    def test_a_head_has_ten_seconds_19(self) -> None:
        client = self.rig.client()
        for letter in b"GET /notes/":
            client.deliver(bytes([letter]))
            self.rig.pass_time(1)
        self.assertIn(b" 408 ", client.take())
        silent = self.rig.client()
        self.rig.pass_time(11)
        self.assertFalse(silent.connected)

    def test_a_connection_may_be_idle_for_long(self) -> None:
        client = self.rig.ask(get("/api/x"))
        self.rig.pass_time(250)
        self.assertTrue(client.connected)
        self.rig.pass_time(10)
        self.assertFalse(client.connected)

    def test_a_client_that_rests_keeps_nobody_awake(self) -> None:
        """Nothing is due until its connection ends. A head that then begins has its ten seconds."""
        client = self.rig.ask(get("/api/x"))
        self.rig.pass_time(35)
        self.assertEqual(len(self.rig.clock.getDelayedCalls()), 1)
        self.rig.pass_time(100)
        client.take()
        client.deliver(b"GET /api/")
        self.rig.pass_time(9)
        self.assertEqual(client.take(), b"")
        client.deliver(b"x HTTP/1.1\r\nHost: hub.test\r\n\r\n")
        self.assertIn(b" 200 ", client.take())
        self.rig.pass_time(250)
        self.assertTrue(client.connected)
        self.rig.pass_time(10)
        self.assertFalse(client.connected)
        self.rig.pass_time(35)
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_a_body_must_keep_coming_19(self) -> None:
        client = self.rig.ask(get("/notes/", "Content-Length: 100000", method="POST"))
        for _ in range(25):
            client.deliver(b"x")
            self.rig.pass_time(1)
        self.assertIn(b" 408 ", client.take())
        self.assertTrue(self.rig.modules.newest.aborted)

    def test_a_slow_module_is_not_the_clients_fault(self) -> None:
        client = self.rig.ask(get("/notes/", "Content-Length: 100000", method="POST") + b"x")
        self.rig.modules.newest.producer.pauseProducing()
        self.rig.pass_time(300)
        self.assertTrue(client.connected)

    def test_a_body_at_a_fair_pace(self) -> None:
        client = self.rig.ask(get("/notes/", "Content-Length: 100000", method="POST"))
        for _ in range(60):
            client.deliver(b"x" * 500)
            self.rig.pass_time(1)
        self.assertTrue(client.connected)

    def test_connections_are_counted_and_capped(self) -> None:
        rig = Rig(resource=Page(), limits=Limits(connections=3, connections_per_address=2))
        first = rig.client("10.0.0.1")
        rig.client("10.0.0.1")
        self.assertRaises(ConnectionRefusedError, rig.client, "10.0.0.1")
        first.hang_up()
        rig.client("10.0.0.1")
        self.assertEqual(rig.front.connections, 2)

    def test_this_machines_address_may_stand_for_many(self) -> None:
        """A proxy or tunnel next to the hub; the total limit still holds."""
        rig = Rig(resource=Page(), limits=Limits(connections=200, connections_per_address=2))
        for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            for _ in range(5):
                rig.client(address)
        self.assertEqual(rig.front.connections, 15)

    def test_what_was_accepted_in_one_go_is_served_within_bounds(self) -> None:
        rig = Rig(resource=Page(), limits=Limits(connections=3))
        port = FakePort()
        rig.front.listening(port)
        clients = [rig.client() for _ in range(60)]
        self.assertEqual(port.pauses, 1)
        self.assertLessEqual(port.numberAccepts, 20)
        with self.assertRaises(ConnectionRefusedError):
            for _ in range(60):
                rig.client()
        for client in clients:
            client.hang_up()

    def test_accepting_pauses_while_there_are_too_many(self) -> None:
        for limits in (Limits(connections=2), Limits(descriptors=3)):
            rig = Rig(limits=limits)
            port = FakePort()
            rig.front.listening(port)
            rig.ask(get("/notes/"))
            self.assertFalse(port.paused)
            second = rig.client()
            self.assertTrue(port.paused)
            second.hang_up()
            self.assertFalse(port.paused)

    def test_the_budget_of_descriptors_leaves_some_for_others(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
        budget = descriptor_budget()
        raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertGreaterEqual(raised, soft)
        self.assertLess(budget, raised)

    def test_a_fault_of_ours_is_told(self) -> None:
        def broken() -> Table:
            raise ValueError("on purpose")

        self.rig.front.backend = evolve(self.rig.front.backend, table=broken)
        self.assertIn(b" 500 ", self.rig.ask(get("/notes/", "Accept: application/json")).take())
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_an_unknown_host_learns_the_right_one(self) -> None:
        taken = self.rig.ask(b"GET /notes/ HTTP/1.1\r\nHost: other.example\r\n\r\n").take()
        self.assertIn(b" 421 ", taken)
        self.assertIn(f"https://{HOST}".encode(), taken)
        self.assertIn(b"own /health", self.rig.ask(b"GET /health HTTP/1.1\r\nHost: 10.0.0.7:1939\r\n\r\n").take())

    def test_absolute_form_of_our_own(self) -> None:
        self.rig.ask(f"GET http://{HOST}/notes/a?b HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        self.assertIn(b"GET /notes/a?b HTTP/1.1", self.rig.modules.newest.take())


class DrainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(resource=Page())

    def test_idle_connections_close_at_once_and_answers_are_finished(self) -> None:
        idle = self.rig.ask(get("/api/x"))
        busy = self.rig.ask(get("/notes/"))
        drained = self.rig.front.drain(5)
        self.assertFalse(idle.connected)
        self.assertNoResult(drained)
        self.rig.modules.newest.deliver(ok())
        self.assertIn(b"Connection: close", busy.take())
        self.assertIsNone(self.successResultOf(drained))
        self.assertFalse(self.rig.modules.newest.connected)

    def test_what_comes_too_late_is_sent_to_no_module(self) -> None:
        """Neither a partly received request nor a WebSocket handshake."""
        late = self.rig.ask(b"GET /notes/ HTTP/1.1\r\n")
        self.rig.front.drain(5)
        late.deliver(f"Host: {HOST}\r\nAccept: application/json\r\n\r\n".encode())
        taken = late.take()
        self.assertIn(b" 503 ", taken)
        self.assertIn(b'"error": "service_unavailable"', taken)
        self.assertFalse(late.connected)
        self.assertEqual(self.rig.modules.sockets, [])

    def test_what_does_not_end_is_cut_off(self) -> None:
        busy = self.rig.ask(get("/notes/"))
        drained = self.rig.front.drain(5)
        self.rig.pass_time(6)
        self.successResultOf(drained)
        self.assertTrue(busy.aborted)
        self.rig.stop()
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_nobody_is_let_in_meanwhile(self) -> None:
        self.rig.ask(get("/notes/"))
        self.rig.front.drain(5)
        self.assertRaises(ConnectionRefusedError, self.rig.client)

    def test_an_empty_front_is_drained_at_once(self) -> None:
        self.successResultOf(self.rig.front.drain(5))
        self.rig.stop()
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])
