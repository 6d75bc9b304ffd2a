"""Strategies for bytes on a connection and for the files of a module."""

from typing import Any

from hypothesis import strategies as st

from tests.system.test_strict_json import ANY_VALUE

GROWTH_BYTES = 96 * 1024 * 1024
"""By which this process may grow in a test, Hypothesis included."""

_ODD = st.sampled_from([
    b"", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\0", b"\x0b", b"\x7f", b"\xff", b"\xc3\xbf", b":", b",", b";", b"=",
    b'"', b"%", b"%2f", b"%00", b"..", b"/", b"//", b"\\", b"?", b"#", b"@", b"[", b"]", b"0x10", b"-1", b"+5", b"1_0",
    b"99999999999999999999", b"A" * 300,
])  # fmt: skip
_PIECE = st.binary(max_size=12) | _ODD
_METHOD = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"CONNECT", b"TRACE", b"get", b"PRI"]) | _PIECE
_TARGET = st.sampled_from([
    b"/", b"/notes/", b"/notes/x?y=%ff", b"/vault/default/mcp", b"/odd/", b"/admin", b"/login", b"/health", b"*",
    b"http://hub.test/notes", b"//notes/", b"/notes/%2e%2e/admin", b"/vault/../login", b"/mcp",
])  # fmt: skip
_VERSION = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.10", b"http/1.1", b""]) | _PIECE
_NAME = st.sampled_from([
    b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"Expect", b"Cookie", b"Authorization",
    b"X-Forwarded-For", b"X-Forwarded-Proto", b"Forwarded", b"Origin", b"Accept", b"Content-Type", b"TE", b"Trailer",
    b"Keep-Alive", b"Sec-WebSocket-Key", b"Service-Worker", b"Sec-Fetch-Site", b"X-API-Key", b"Proxy", b"Location",
    b"Set-Cookie", b"Refresh", b"WWW-Authenticate", b"Access-Control-Request-Method", b"Access-Control-Allow-Origin",
])  # fmt: skip
_VALUE = st.sampled_from([
    b"hub.test", b"5", b"0", b"chunked", b"gzip, chunked", b"close", b"keep-alive, Upgrade", b"websocket",
    b"100-continue", b"parachute_hub_session=x; a=1", b"Bearer eyJx.y.z", b"127.0.0.1, ::1", b"text/html",
    b"application/json", b"http://127.0.0.1:2002/", b"a=1; Path=/; Domain=hub.test", b"*",
])  # fmt: skip


def _joined(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.tuples(*parts).map(b"".join)


_LINE = _joined(_NAME | _PIECE, st.sampled_from([b": ", b":", b" :", b""]), _VALUE | _PIECE, st.just(b"\r\n"))
_BODY = (
    st.just(b"")
    | st.binary(max_size=40)
    | st.sampled_from([b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"0\r\nX: y\r\n\r\n"])
)
_HOST = st.sampled_from([b"Host: hub.test\r\n", b""])

REQUEST = _joined(
    _METHOD, st.sampled_from([b" ", b"  ", b"\t"]), _TARGET | _PIECE, st.just(b" "), _VERSION, st.just(b"\r\n"), _HOST,
    st.lists(_LINE, max_size=8).map(b"".join), st.sampled_from([b"\r\n", b"\n", b""]), _BODY,
)  # fmt: skip
RESPONSE = _joined(
    st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/2 ", b""]),
    st.sampled_from([b"200 OK", b"204 x", b"304 x", b"101 x", b"100 x", b"103 x", b"302 x", b"401 x", b"500 x", b"99"])
    | _PIECE,
    st.just(b"\r\n"),
    st.lists(_LINE, max_size=8).map(b"".join),
    st.sampled_from([b"\r\n", b"\n", b""]),
    _BODY,
)
CUTS = st.lists(st.integers(0, 60), max_size=4)

ROW: dict[str, Any] = {"name": "toys-toy", "port": 2711, "paths": ["/toy"], "health": "/toy/health", "version": "1.0.0"}
MANIFEST: dict[str, Any] = {
    "name": "toy",
    "manifestName": "toys-toy",
    "port": 2711,
    "paths": ["/toy"],
    "health": "/toy/health",
    "startCmd": ["toy-toy", "serve"],
}
PACKAGE: dict[str, Any] = {"name": "@toys/toy", "version": "1.0.0", "bin": {"toy-toy": "server.ts"}}


def nearly(right: dict[str, Any], *more: str) -> st.SearchStrategy[Any]:
    """The right object with a few fields that hold anything, or anything at all."""
    fields = st.sampled_from([*right, *more])
    return st.dictionaries(fields, ANY_VALUE, max_size=4).map(lambda changed: {**right, **changed}) | ANY_VALUE


ROWS = st.lists(nearly(ROW, "uis", "installDir", "publicExposure", "stripPrefix", "websocket", "tagline"), max_size=4)
DOTENV = st.text(st.characters(codec="utf-8") | st.sampled_from("=\"'\n\r\0#$ \\"), max_size=80) | st.lists(
    st.text(max_size=10), max_size=6
).map("\n".join)
