"""The hub's own pages behind the front: what twisted.web sees, and how its responses are sent."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from parachute_hub.proxy.headers import request_lines
from parachute_hub.proxy.limits import Limits
from tests.support.sockets import HOST, FakeSocket, Rig, get


class Mirror(Resource):
    """Returns what it saw; `/api/hold` waits, `/api/stream` sends chunks, `/api/close` reads no more."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.held: list[Any] = []
        self.ended: list[Deferred[None]] = []

    def render(self, request: Any) -> bytes | int:
        if request.path in (b"/api/hold", b"/api/stream"):
            self.held.append(request)
            self.ended.append(request.notifyFinish())
            if request.path == b"/api/stream":
                request.write(b"")
            return NOT_DONE_YET
        if request.path == b"/api/close":
            request.channel.loseConnection()
        return json.dumps(seen(request)).encode()


def seen(request: Any) -> dict[str, Any]:
    """A request as plain values."""
    return {
        "method": request.method.decode(),
        "uri": request.uri.decode("latin-1"),
        "version": request.clientproto.decode(),
        "body": request.content.read().decode("latin-1"),
        "headers": {name.decode(): values[-1].decode() for name, values in request.requestHeaders.getAllRawHeaders()},
        "cookies": {name.decode(): value.decode() for name, value in request.received_cookies.items()},
        "address": request.getClientAddress().host,
        "secure": request.isSecure(),
    }


class HeaderTextTests(SynchronousTestCase):
    NAMES = (
        b"accept", b"accept-encoding", b"authorization", b"content-type", b"cookie", b"host", b"last-event-id",
        b"origin",
        b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"service-worker", b"user-agent", b"x-parachute-csrf",
        b"x-parachute-proof",
    )  # fmt: skip

    def test_bytes_that_are_not_utf_8_in_any_header_read_as_text(self) -> None:
        """twisted.web decodes headers requested by a text name as UTF-8, and raises otherwise."""

        class Reader(Resource):
            isLeaf = True

            def render(self, request: Any) -> bytes:
                return repr([request.getHeader(name.decode()) for name in HeaderTextTests.NAMES]).encode()

        for name in self.NAMES:
            with self.subTest(name.decode()):
                rig = Rig(resource=Reader())
                lines = b"" if name == b"host" else b"Host: hub.test\r\n"
                client = rig.ask(b"GET /api/x HTTP/1.1\r\n" + lines + name + b": a\xffb\r\n\r\n")
                status = client.take().partition(b"\r\n")[0]
                self.assertIn(status, (b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request"))


class ServerHeaderTests(SynchronousTestCase):
    def test_no_answer_names_the_server_or_its_version(self) -> None:
        head = Rig(resource=Mirror()).ask(get("/api/x")).take().partition(b"\r\n\r\n")[0]
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
        self.assertNotIn(b"server:", head.lower())


class SiteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.page = Mirror()
        self.rig = Rig(resource=self.page, hops=1, limits=Limits(site_body=((b"/", 1000), (b"/login", 10))))

    def told(self, client: FakeSocket) -> dict[str, Any]:
        """What the page saw."""
        told: dict[str, Any] = json.loads(client.take().partition(b"\r\n\r\n")[2])
        return told

    def test_an_absolute_target_is_the_same_page(self) -> None:
        """A server must accept that form (RFC 9112, 3.2.2); the body limit follows the path too."""
        for target, uri in ((f"http://{HOST}/api/x?y=1", "/api/x?y=1"), (f"http://{HOST}", "/")):
            self.assertEqual(self.told(self.rig.ask(get(target)))["uri"], uri)
        posted = get(f"http://{HOST}/api/x", "Content-Length: 3", method="POST")
        self.assertEqual(self.told(self.rig.ask(posted + b"abc"))["body"], "abc")
        taken = self.rig.ask(get(f"http://{HOST}/login", "Content-Length: 11", method="POST")).take()
        self.assertIn(b" 413 ", taken)

    def test_a_request_as_the_page_sees_it(self) -> None:
        told = self.told(
            self.rig.ask(get("/api/a%2Fb?x=1", "Cookie: parachute_hub_session=s; a=1", "X-Own: v"), "10.0.0.1")
        )
        self.assertEqual((told["method"], told["uri"], told["version"]), ("GET", "/api/a%2Fb?x=1", "HTTP/1.1"))
        self.assertEqual(told["cookies"], {"parachute_hub_session": "s", "a": "1"})
        self.assertEqual(told["headers"]["X-Own"], "v")
        self.assertEqual((told["address"], told["secure"]), ("10.0.0.1", False))

    def test_the_page_may_trust_what_it_is_told_about_the_caller(self) -> None:
        forged = ("X-Forwarded-For: 6.6.6.6, 198.51.100.7", "X-Forwarded-Proto: https", "X-Parachute-Layer: loopback")
        told = self.told(self.rig.ask(get("/api/x", *forged, "CF-Connecting-IP: 6.6.6.6"), "10.0.0.1"))
        self.assertEqual((told["address"], told["secure"]), ("198.51.100.7", True))
        self.assertEqual(told["headers"]["X-Parachute-Layer"], "public")
        self.assertNotIn("6.6.6.6", json.dumps(told))

    def test_what_our_own_pages_say_reaches_the_site_alone(self) -> None:
        """The CSRF token and the proof; a module must see neither."""
        told = self.told(self.rig.ask(get("/api/x", "X-Parachute-CSRF: c", "X-Parachute-Proof: p")))
        self.assertEqual((told["headers"]["X-Parachute-Csrf"], told["headers"]["X-Parachute-Proof"]), ("c", "p"))
        for name in (b"x-parachute-csrf", b"x-parachute-proof", b"x_parachute_csrf"):
            self.assertEqual(request_lines([(name, b"v", name + b": v")], None, frozenset()), [], name)

    def test_bodies_of_either_framing(self) -> None:
        plain = self.rig.ask(get("/api/x", "Content-Length: 5", method="POST") + b"he")
        plain.deliver(b"llo")
        self.assertEqual(self.told(plain)["body"], "hello")
        chunked = self.rig.ask(get("/api/x", "Transfer-Encoding: chunked", method="POST") + b"2\r\nhe\r\n")
        chunked.deliver(b"3\r\nllo\r\n0\r\n\r\n")
        self.assertEqual(self.told(chunked)["body"], "hello")
        self.assertTrue(plain.connected and chunked.connected)

    def test_body_limits_depend_on_the_path(self) -> None:
        for path, size, lines in (
            ("/login", 11, ("Content-Length: 11",)),
            ("/api/x", 1001, ("Content-Length: 1001",)),
            ("/api/x", 1001, ("Transfer-Encoding: chunked",)),
        ):
            client = self.rig.ask(get(path, "Accept: application/json", *lines, method="POST"))
            client.deliver(b"%x\r\n" % size + b"x" * size if "chunked" in lines[0] else b"x" * size)
            taken = client.take()
            self.assertIn(b" 413 ", taken)
            self.assertIn(b"too_large", taken)
            self.assertTrue(client.half_closed)
        self.assertEqual(
            len(self.told(self.rig.ask(get("/login", "Content-Length: 10", method="POST") + b"x" * 10))["body"]), 10
        )

    def test_a_declared_size_is_refused_before_the_body(self) -> None:
        client = self.rig.ask(get("/api/x", "Content-Length: 1001", "Expect: 100-continue", method="POST"))
        self.assertTrue(client.take().startswith(b"HTTP/1.1 413"))

    def test_head_and_keep_alive(self) -> None:
        client = self.rig.ask(get("/api/x", method="HEAD"))
        taken = client.take()
        self.assertIn(b"Content-Length: ", taken)
        self.assertTrue(taken.endswith(b"\r\n\r\n"))
        client.deliver(get("/api/x"))
        self.assertEqual(self.told(client)["method"], "GET")

    def test_http_1_0_clients_are_served(self) -> None:
        client = self.rig.ask(f"GET /api/x HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
        self.assertEqual(self.told(client)["version"], "HTTP/1.0")
        self.assertFalse(client.connected)
        client = self.rig.ask(f"GET /api/stream HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\n\r\n".encode())
        self.assertIn(b"Connection: close", client.take())

    def test_answers_in_pieces_go_out_at_once(self) -> None:
        client = self.rig.ask(get("/api/stream"))
        self.assertIn(b"Transfer-Encoding: chunked", client.take())
        self.page.held[0].write(b"data: 1\n\n")
        self.assertEqual(client.take(), b"9\r\ndata: 1\n\n\r\n")
        self.rig.pass_time(1000)
        self.assertTrue(client.connected)
        self.page.held[0].finish()
        self.assertEqual(client.take(), b"0\r\n\r\n")

    def test_a_client_that_goes_is_noticed(self) -> None:
        client = self.rig.ask(get("/api/hold"))
        client.hang_up()
        self.failureResultOf(self.page.ended[0])
        self.assertEqual(self.rig.front.connections, 0)
        half = self.rig.ask(get("/api/x", "Content-Length: 5", method="POST") + b"he")
        half.hang_up()
        self.assertEqual(self.rig.front.connections, 0)

    def test_the_next_request_waits_for_the_answer(self) -> None:
        client = self.rig.ask(get("/api/hold") + get("/api/second"))
        self.assertEqual(client.take(), b"")
        self.page.held[0].finish()
        self.assertIn(b"/api/second", client.take())

    def test_a_page_that_closes(self) -> None:
        client = self.rig.ask(get("/api/close"))
        self.assertIn(b"Connection: close", client.take())
        self.assertFalse(client.connected)
