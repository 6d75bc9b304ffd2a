"""Clients while a newer hub is about to take over: what is held, what ends, what is handed over."""

import socket

from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from parachute_hub.proxy import holding
from parachute_hub.proxy.access_log import AccessLog
from parachute_hub.proxy.holding import KeptClient
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.tunnel import SERVICE_RESTART, close_frame
from parachute_hub.system.logs import Masker
from tests.proxy.test_connection import FakePort
from tests.proxy.test_tunnel import ACCEPTED, MOUNTS, handshake
from tests.support.sockets import FakeSocket, Rig, get, ok

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Events(Resource):
    """A stream of the hub's own."""

    isLeaf = True

    def render(self, request: IRequest) -> int:
        request.setHeader("X-Accel-Buffering", "no")
        request.write(b"data: {}\n\n")
        return NOT_DONE_YET


class RealSocket(FakeSocket):
    """A transport with a descriptor."""

    def __init__(self, protocol: Protocol, clock: Clock) -> None:
        self.socket, self.other = socket.socketpair()
        super().__init__(protocol, clock=clock)

    def close(self) -> None:
        self.socket.close()
        self.other.close()


class HoldingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(MOUNTS, resource=Events())
        self.front = self.rig.front

    def real_client(self) -> RealSocket:
        connection = self.front.buildProtocol(self.rig.client().getPeer())
        assert connection is not None
        client = RealSocket(connection, self.rig.clock)
        self.addCleanup(client.close)
        return client

    def test_a_held_client_waits_and_goes_on(self) -> None:
        """Nothing that it sends meanwhile is lost or answered."""
        idle, fresh = self.rig.ask(get("/notes/1")), self.rig.client()
        self.rig.modules.newest.deliver(ok(b"one"))
        idle.take()
        self.front.hold(True)
        for client in (idle, fresh):
            client.deliver(get("/notes/2"))
            self.assertEqual((client.take(), self.front.busy), (b"", 0))
        self.front.hold(False)
        for module in self.rig.modules.sockets[-2:]:
            module.deliver(ok(b"two"))
        self.assertEqual([client.take()[-3:] for client in (idle, fresh)], [b"two", b"two"])

    def test_an_error_with_one_request_keeps_no_other_waiting(self) -> None:
        self.front.keep(True)
        clients = [self.rig.ask(get("/notes/1")) for _ in range(3)]
        connect, wrong = self.rig.modules.connectTCP, [RuntimeError("as the test says")]

        def fails_once(*given: object, **more: object) -> object:
            if wrong:
                raise wrong.pop()
            return connect(*given, **more)  # type: ignore[arg-type]

        self.patch(self.rig.modules, "connectTCP", fails_once)
        self.front.keep(False)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        for module in self.rig.modules.sockets:
            module.deliver(ok(b"one"))
        found = sorted((client.take()[-3:], client.aborted) for client in clients)
        self.assertEqual(found, [(b"", True), (b"one", False), (b"one", False)])

    def test_a_request_under_way_is_finished_and_the_next_one_waits(self) -> None:
        """Also one that was sent ahead."""
        client = self.rig.ask(get("/notes/1") + get("/notes/2"))
        self.front.hold(True)
        self.assertEqual(self.front.busy, 1)
        module = self.rig.modules.newest
        module.deliver(ok(b"one"))
        self.assertEqual((client.take()[-3:], client.connected, self.front.busy), (b"one", True, 0))
        self.assertNotIn(b"/notes/2", module.take())
        self.front.hold(False)
        module.deliver(ok(b"two"))
        self.assertEqual(client.take()[-3:], b"two")

    def test_while_the_hub_starts_all_but_health_waits(self) -> None:
        """And goes to whom it is meant for once the hub is up."""
        rig = Rig(MOUNTS)
        rig.front.keep(True)
        clients = [rig.ask(get(path)) for path in ("/notes/1", "/api/modules", "/healthy")]
        posting = rig.ask(get("/notes/1", "Content-Length: 3", method="POST") + b"ada")
        asking = rig.ask(get("/health?full") + get("/health") + get("/notes/1"))
        self.assertEqual(asking.take().count(b"HTTP/1.1 404"), 2)
        rig.ask(get("/notes/1")).hang_up()
        rig.pass_time(60)
        self.assertEqual([client.take() for client in (*clients, posting, asking)], [b""] * 5)
        self.assertEqual(rig.modules.sockets, [])
        rig.front.keep(False)
        self.assertEqual([client.take()[:9] for client in clients[1:]], [b"HTTP/1.1 "] * 2)
        self.assertEqual(len(rig.modules.sockets), 3)
        self.assertEqual([module.take().endswith(b"ada") for module in rig.modules.sockets].count(True), 1)
        for module in rig.modules.sockets:
            module.deliver(ok(b"one"))
        self.assertEqual([client.take()[-3:] for client in (clients[0], posting, asking)], [b"one"] * 3)

    def test_how_much_may_wait_for_the_hub(self) -> None:
        """The rest is told to come back, and who waits is served. Whoever leaves makes room."""
        rig = Rig(MOUNTS, limits=Limits(waiting_bytes=400_000, waiting_bytes_per_address=200_000))
        rig.front.keep(True)
        asked = get("/notes/1", f"X-Long: {'x' * 30_000}")
        clients = [rig.ask(asked, f"192.0.2.{number // 6}") for number in range(18)]
        answers = [client.take() for client in clients]
        waiting = [number for number, answer in enumerate(answers) if not answer]
        self.assertEqual(waiting, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10])
        for answer in filter(None, answers):
            self.assertTrue(answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 2\r\n" in answer)
        self.assertIn(b" 404 ", rig.ask(get("/health"), "192.0.2.0").take())
        clients[0].hang_up()
        self.assertEqual(rig.ask(asked, "192.0.2.9").take(), b"")
        rig.front.keep(False)
        self.assertEqual((rig.front.waiting.taken, len(rig.modules.sockets)), (0, 10))
        self.assertEqual(len(rig.front._stalls), 0)

    def test_new_clients_stay_in_the_kernels_queue(self) -> None:
        """Also once there is room again at the limit of connections."""
        port = FakePort()
        self.front.listening(port)
        self.front.hold(True)
        self.rig.client().hang_up()
        self.rig.pass_time(2)
        self.assertTrue(port.paused)
        self.front.hold(False)
        self.assertFalse(port.paused)

    def test_streams_are_not_waited_for_and_end_at_the_last_moment(self) -> None:
        """A WebSocket is closed with 1012, events are cut off. An answer to a POST is waited for."""
        web_socket = self.rig.ask(handshake())
        self.rig.modules.newest.deliver(ACCEPTED + b"\r\n")
        events = self.rig.ask(get("/notes/events"))
        self.rig.modules.newest.deliver(EVENTS)
        own = self.rig.ask(get("/api/events"))
        posted = self.rig.ask(get("/notes/mcp", method="POST"))
        self.rig.modules.newest.deliver(EVENTS)
        web_socket.take()
        self.front.hold(True)
        self.assertEqual(self.front.busy, 1)
        self.assertTrue(all(client.connected for client in (web_socket, events, own)))
        self.front.end_streams()
        self.assertEqual(web_socket.take(), close_frame(SERVICE_RESTART))
        self.assertEqual([client.aborted for client in (events, own, posted)], [True, True, False])
        self.rig.modules.newest.deliver(b"0\r\n\r\n")
        self.assertEqual(self.front.busy, 0)

    def test_clients_between_two_requests_are_kept_with_what_they_sent(self) -> None:
        whole, part, asking, leaving = (self.real_client() for _ in range(4))
        whole.deliver(get("/notes/1"))
        module = self.rig.modules.newest
        module.deliver(ok())
        part.deliver(b"GET /no")
        asking.deliver(get("/notes/3"))
        leaving.deliver(b"GET /no")
        self.front.hold(True)
        leaving.send_no_more()
        kept = sorted(self.front.kept(), key=lambda one: one.descriptor)
        wanted = [
            KeptClient(one.socket.fileno(), socket.AF_UNIX, sent) for one, sent in ((whole, b""), (part, b"GET /no"))
        ]
        self.assertEqual(kept, sorted(wanted, key=lambda one: one.descriptor))

    def test_an_access_log_that_cannot_be_written_keeps_nothing_from_going_on(self) -> None:
        def full(text: str) -> None:
            raise OSError(28, "No space left on device")

        self.rig = Rig(MOUNTS, access_log=AccessLog("combined", Masker(), full))
        self.front = self.rig.front
        self.real_client()
        asked = self.real_client()
        asked.deliver(get("/nowhere"))
        self.front.hold(True)
        self.assertEqual(len(self.front.kept()), 2)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_those_that_sent_the_most_are_not_kept_if_it_is_too_much(self) -> None:
        self.patch(holding, "_MOST_BYTES", 30)
        clients = [self.real_client() for _ in range(3)]
        for client, size in zip(clients, (20, 5, 10), strict=True):
            client.deliver(b"GET /" + b"x" * (size - 5))
        self.front.hold(True)
        self.assertEqual([len(kept.sent) for kept in self.front.kept()], [5, 10])

    def test_a_client_that_was_taken_over_goes_on(self) -> None:
        """Its deadline is that of a client between two requests."""
        client = self.rig.client()
        client.protocol.taken_over(get("/notes/1")[:9])  # type: ignore[attr-defined]
        client.deliver(get("/notes/1")[9:])
        self.rig.modules.newest.deliver(ok(b"one"))
        self.assertEqual(client.take()[-3:], b"one")
        quiet = self.rig.client()
        quiet.protocol.taken_over(b"")  # type: ignore[attr-defined]
        self.rig.pass_time(int(self.front.limits.idle_seconds) - 2)
        self.assertTrue(quiet.connected)
        self.rig.pass_time(4)
        self.assertFalse(quiet.connected)
