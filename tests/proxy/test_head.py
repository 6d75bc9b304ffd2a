"""Heads are parsed strictly, and in one way only."""

from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.head import (
    BadMessage,
    RequestHead,
    parse_request_headers,
    parse_request_line,
    parse_response,
)
from tests.proxy.few import few


def parse_request(raw: bytes) -> RequestHead:
    """Parses a head in two steps."""
    method, target, minor, lines = parse_request_line(raw)
    return RequestHead(method, target, minor, *parse_request_headers(lines, minor))


def request(*lines: str, first: str = "GET / HTTP/1.1", host: bool = True) -> RequestHead:
    """The head of these lines, as parse_request reads it."""
    return parse_request("\r\n".join([first, *(["Host: h"] if host else []), *lines]).encode("latin-1"))


class RequestTests(SynchronousTestCase):
    def test_reads_what_framing_and_routing_need(self) -> None:
        head = request("Content-Length: 5", "Cookie: a=1", "X-Other: kept", first="POST /a?b HTTP/1.1")
        self.assertEqual((head.method, head.target, head.minor), (b"POST", b"/a?b", 1))
        self.assertEqual((head.host, head.length, head.chunked, head.has_body), (b"h", 5, False, True))
        self.assertEqual(head.fields[-1], (b"x-other", b" kept", b"X-Other: kept"))
        self.assertEqual(head.noted[b"cookie"], b" a=1")

    def test_connection_options_are_parsed(self) -> None:
        self.assertFalse(request().close)
        self.assertTrue(request("Connection: foo, Close").close)
        self.assertEqual(request("Connection: foo, Close").named, {b"foo"})
        self.assertTrue(request(first="GET / HTTP/1.0").close)
        self.assertFalse(request("Connection: keep-alive", first="GET / HTTP/1.0").close)
        self.assertTrue(request("Connection: keep-alive", "Connection: close").close)

    def test_websocket_handshakes_are_recognised(self) -> None:
        self.assertTrue(request("Connection: keep-alive, Upgrade", "Upgrade: WebSocket").upgrade)
        self.assertFalse(request("Upgrade: websocket").upgrade)
        self.assertFalse(request("Connection: Upgrade", "Upgrade: h2c").upgrade)
        self.assertFalse(request("Connection: Upgrade", "Upgrade: websocket", first="GET / HTTP/1.0").upgrade)

    def test_cookies_in_several_lines_are_one(self) -> None:
        self.assertEqual(request("Cookie: a=1", "Cookie: b=2").noted[b"cookie"], b" a=1; b=2")

    def test_expect_continue_is_recognised(self) -> None:
        self.assertTrue(request("Expect: 100-Continue").expects_continue)
        self.assertFalse(request("Expect: 100-continue", first="GET / HTTP/1.0").expects_continue)

    bad: ClassVar[dict[str, tuple[str, ...]]] = {
        "two lengths": ("Content-Length: 5", "Content-Length: 5"),
        "a list of lengths": ("Content-Length: 5, 5",),
        "a plus": ("Content-Length: +5",),
        "an underscore": ("Content-Length: 1_0",),
        "a minus": ("Content-Length: -1",),
        "no digits": ("Content-Length:",),
        "too many digits": ("Content-Length: 1234567890123456",),
        "length and coding": ("Content-Length: 5", "Transfer-Encoding: chunked"),
        "two codings": ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        "a coding list": ("Transfer-Encoding: gzip, chunked",),
        "another coding": ("Transfer-Encoding: xchunked",),
        "identity": ("Transfer-Encoding: identity",),
        "a vertical tab": ("Transfer-Encoding: \x0bchunked",),
        "space before the colon": ("Content-Length : 5",),
        "a folded line": ("X-A: b", " c"),
        "a line folded with a tab": ("X-A: b", "\tc"),
        "no colon": ("nonsense",),
        "no colon after a known name": ("Accept",),
        "an empty name": (": value",),
        "a NUL": ("X-A: a\x00b",),
        "a bare CR": ("X-A: a\rb",),
        "a bare LF": ("X-A: a\nContent-Length: 5",),
        "DEL": ("X-A: a\x7f",),
        "two hosts": ("Host: h",),
        "two credentials": ("Authorization: a", "Authorization: b"),
        "a tab in a length": ("Content-Length:\t5",),
    }

    def test_refuses_what_can_be_read_in_two_ways(self) -> None:
        for what, lines in self.bad.items():
            with self.assertRaises(BadMessage, msg=what) as caught:
                request(*lines)
            self.assertEqual(caught.exception.status, 400, what)
            self.assertTrue(caught.exception.why.endswith("."), what)

    def test_refuses_bad_hosts(self) -> None:
        for line in ("Host:", "Host: a b", "Host: a@b", "Host: a/b", "Host: a,b", "Host: [::1", "Host: a:port"):
            self.assertRaises(BadMessage, request, line, host=False)
        self.assertRaises(BadMessage, request, host=False)
        for line in ("Host: A.Example:80", "Host: [::1]:1939", "Host: 127.0.0.1"):
            self.assertTrue(request(line, host=False).host)

    def test_refuses_bad_request_lines(self) -> None:
        for first in (
            "GET  / HTTP/1.1",
            "GET /",
            " GET / HTTP/1.1",
            "GET /a b HTTP/1.1",
            "G(T / HTTP/1.1",
            "trace / HTTP/1.1",
            "GET\t/ HTTP/1.1",
        ):
            with self.assertRaises(BadMessage, msg=first) as caught:
                request(first=first)
            self.assertEqual(caught.exception.status, 400)
        for first in ("GET / HTTP/2.0", "GET / HTTP/0.9", "GET / HTTP/2"):
            with self.assertRaises(BadMessage, msg=first) as caught:
                request(first=first)
            self.assertEqual(caught.exception.status, 505)

    def test_no_coding_in_http_1_0(self) -> None:
        self.assertRaises(BadMessage, request, "Transfer-Encoding: chunked", first="POST / HTTP/1.0")

    @few(200)
    @given(st.binary(max_size=200))
    def test_anything_is_read_or_refused(self, raw: bytes) -> None:
        try:
            head = parse_request(raw)
        except BadMessage:
            return
        self.assertFalse(head.chunked and head.length is not None)
        self.assertEqual(raw.split(b"\r\n")[1:], [line for _, _, line in head.fields])

    @few(200)
    @given(
        st.lists(
            st.sampled_from(
                [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: h", b"Connection: close, x", b"X: \t y "]
            ),
            max_size=6,
        )
    )
    def test_framing_headers_count_once(self, lines: list[bytes]) -> None:
        single = [line for line in lines if not line.startswith((b"X", b"Conn"))]
        framed = [line for line in single if not line.startswith(b"Host")]
        good = len(single) == len(set(single)) and len(framed) <= 1 and b"Host: h" in lines
        try:
            parse_request(b"\r\n".join([b"GET / HTTP/1.1", *lines]))
        except BadMessage:
            self.assertFalse(good, lines)
        else:
            self.assertTrue(good, lines)


class ResponseTests(SynchronousTestCase):
    def test_reads_status_and_framing(self) -> None:
        head = parse_response(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3")
        self.assertEqual((head.status, head.line, head.length, head.keep), (404, b"HTTP/1.1 404 Not Found", 3, True))
        self.assertFalse(parse_response(b"HTTP/1.0 200 OK").keep)
        self.assertFalse(parse_response(b"HTTP/1.1 200\r\nConnection: close").keep)

    def test_refuses_doubtful_answers(self) -> None:
        for raw in (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
            b"HTTP/1.1 20 OK",
            b"HTTP/2 200 OK",
            b"ICY 200 OK",
            b"HTTP/1.1 200 O\rK",
            b"",
        ):
            self.assertRaises(BadMessage, parse_response, raw)
