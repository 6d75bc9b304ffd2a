"""Strict parser for HTTP/1.1 message heads (RFC 9112): ambiguous heads are rejected, never repaired.

Lines are kept as received, so that they are forwarded unchanged. Only what framing and routing need is parsed.
"""

import re
from typing import NamedTuple, TypeAlias

from parachute_hub.system.records import define

LINE_END = b"\r\n"
HEAD_END = b"\r\n\r\n"
# Maximum digits of Content-Length: 15 digits are a petabyte, and sums of two stay within every parser's range.
MAX_LENGTH_DIGITS = 15

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_NAME = re.compile(_TOKEN + rb"\Z").match
# Methods are case-sensitive (RFC 9110, 9.1), but not in every server: `trace` is refused because one may treat it as
# TRACE.
_METHOD = rb"[A-Z][A-Z_\-]*"
_REQUEST_LINE = re.compile(rb"(" + _METHOD + rb") ([!-~]+) HTTP/1\.([01])\Z").match
_OTHER_VERSION = re.compile(_METHOD + rb" [!-~]+ HTTP/\d(?:\.\d)?\Z").match
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: [\t -~\x80-\xff]*)?\Z").match
_HOST = re.compile(rb"(?:[0-9A-Za-z_](?:[0-9A-Za-z_.\-]*)|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z").match
# All control characters except tab. None is meaningful in a head, and parsers disagree about several.
_CONTROLS = bytes(set(range(32)) - {9}) + b"\x7f"

# Headers whose values are used by the hub; all others are only forwarded.
_NOTED = frozenset(
    b"""accept access-control-request-headers access-control-request-method authorization cf-connecting-ip cf-ray
    connection content-length cookie
    expect forwarded host origin referer sec-websocket-key service-worker tailscale-funnel-request tailscale-user-login
    transfer-encoding upgrade user-agent x-api-key x-forwarded-for x-forwarded-host x-forwarded-proto""".split()
)
# Headers that may occur only once: with two, parsers disagree about which one counts.
_SINGLE = frozenset((b"authorization", b"content-length", b"expect", b"host", b"transfer-encoding"))


# A header line: the lower-case name, the value with its white space, and the line as received. A plain tuple, because a
# dozen are created per request.
Field: TypeAlias = tuple[bytes, bytes, bytes]


class BadMessage(Exception):
    """A message that must not be forwarded. `status` is the response to the client; `why` is a sentence for the
    user.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


def refuse_begun(head: bytes | bytearray, scanned: int, most: int) -> BadMessage | None:
    """Why a head that has not ended yet is refused already; its first `scanned` bytes were looked at before."""
    line_feed = head.find(b"\n", scanned)
    if line_feed >= 0 and head[line_feed - 1 : line_feed] != b"\r":
        return BadMessage(400, "A line of the head does not end in CR LF.")
    if len(head) <= most:
        return None
    if head.find(LINE_END) < 0:
        return BadMessage(414, "The address is too long.")
    return BadMessage(431, "The request's head is too large.")


@define(eq=False)
class RequestHead:
    """One request head. Not frozen, because freezing is slow and one is created per request.

    `noted` holds the values used for routing, joined for repeated headers. `length` is the Content-Length, or None.
    `named` are the hop-by-hop headers listed in `Connection`. `has_body` means that body bytes follow. `upgrade` is
    true for a WebSocket handshake.
    """

    method: bytes
    target: bytes
    minor: int
    fields: list[Field]
    noted: dict[bytes, bytes]
    host: bytes
    length: int | None
    chunked: bool
    has_body: bool
    close: bool
    upgrade: bool
    named: frozenset[bytes]

    @property
    def expects_continue(self) -> bool:
        """True if the client waits for 100 Continue before sending the body (RFC 9110, 10.1.1)."""
        return self.minor == 1 and self.noted.get(b"expect", b"").strip().lower() == b"100-continue"


class RequestHeaders(NamedTuple):
    """The part of a RequestHead that comes from its header lines, in the same order. Cached, since a client repeats
    them.
    """

    fields: list[Field]
    noted: dict[bytes, bytes]
    host: bytes
    length: int | None
    chunked: bool
    has_body: bool
    close: bool
    upgrade: bool
    named: frozenset[bytes]


@define(eq=False)
class ResponseHead:
    """The head of a module's response. `line` is its HTTP/1.1 status line.

    `length` is None without a Content-Length; `keep` means that the connection stays open. `shown` is for whoever
    writes it to clients: what was written before, and under which rules.
    """

    status: int
    line: bytes
    fields: list[Field]
    length: int | None
    chunked: bool
    keep: bool
    named: frozenset[bytes]
    shown: tuple[object, object, bytes] | None = None


class _Lines(dict[bytes, Field]):
    """A bounded cache of parsed header lines, since clients repeat the same few. Lines with secrets are not cached."""

    def __missing__(self, line: bytes) -> Field:
        if len(line.translate(None, _CONTROLS)) != len(line):
            raise BadMessage(400, "The head holds a control character, or a line that does not end in CR LF.")
        name, colon, value = line.partition(b":")
        if name[:1] in (b" ", b"\t"):
            raise BadMessage(400, "A header is folded over two lines.")
        if not _NAME(name):
            raise BadMessage(400, "A header name is empty or holds a character that a name cannot have.")
        if not colon:
            raise BadMessage(400, "A header line has no colon.")
        lower = name.lower()
        field = (lower, value, line)
        if len(line) <= _LONGEST_KEPT and lower not in _SECRET:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[line] = field
        return field


_LONGEST_KEPT = 256
_MOST_KEPT = 2048
_SECRET = frozenset(b"authorization cookie mcp-session-id proxy-authorization referer set-cookie x-api-key".split())
_lines = _Lines()


def forget_lines() -> None:
    """Clear the cache of header lines. Dates never come again, and secrets may be in headers of any name."""
    _lines.clear()


def parse_request_line(raw: bytes) -> tuple[bytes, bytes, int, bytes]:
    """(method, target, minor version, header lines) of a request head. Raises BadMessage."""
    first, separator, rest = raw.partition(LINE_END)
    line = _REQUEST_LINE(first)
    if line is None or (separator and not rest):
        if _OTHER_VERSION(first):
            raise BadMessage(505, "This server speaks HTTP/1.1 and HTTP/1.0.")
        raise BadMessage(400, "The request line must be: METHOD, one space, target, one space, HTTP/1.1.")
    method, target, minor = line.groups()
    return method, target, 1 if minor == b"1" else 0, rest


def parse_request_headers(raw: bytes, minor: int) -> RequestHeaders:
    """Parse the header lines of a request. Raises BadMessage."""
    fields, noted = _fields(raw.split(LINE_END) if raw else [], _NOTED)
    length, chunked = _framing(noted)
    if chunked and not minor:
        raise BadMessage(400, "Transfer-Encoding does not exist in HTTP/1.0.")
    close, upgrades, named = _connection(noted.get(b"connection"), minor)
    upgrade = bool(upgrades and minor and noted.get(b"upgrade", b"").strip().lower() == b"websocket")
    host = _host(noted.get(b"host"), minor)
    return RequestHeaders(fields, noted, host, length, chunked, chunked or bool(length), close, upgrade, named)


def parse_response(raw: bytes) -> ResponseHead:
    """Parse the head of a module's response. Raises BadMessage, whose status does not apply here."""
    first, *lines = raw.split(LINE_END)
    fields, noted = _fields(lines, _FRAMING)
    line = _STATUS_LINE(first)
    if line is None:
        raise BadMessage(502, "The status line must be: HTTP/1.1, one space, three digits.")
    minor = 1 if first[7:8] == b"1" else 0
    length, chunked = _framing(noted)
    close, _, named = _connection(noted.get(b"connection"), minor)
    return ResponseHead(int(line[1]), b"HTTP/1.1" + first[8:], fields, length, chunked, not close, named)


_FRAMING = frozenset((b"connection", b"content-length", b"transfer-encoding"))


def _fields(lines: list[bytes], wanted: frozenset[bytes]) -> tuple[list[Field], dict[bytes, bytes]]:
    """(header lines, values of the wanted ones)."""
    fields = [_lines[line] for line in lines]
    noted: dict[bytes, bytes] = {}
    for name, value, _ in fields:
        if name in wanted:
            noted[name] = _joined(name, noted[name], value) if name in noted else value
    return fields, noted


def _joined(name: bytes, before: bytes, value: bytes) -> bytes:
    if name in _SINGLE:
        raise BadMessage(400, f"Two {name.decode()} headers.")
    return before + (b";" if name == b"cookie" else b",") + value


_UNFRAMED = (None, False)


def _framing(noted: dict[bytes, bytes]) -> tuple[int | None, bool]:
    """(Content-Length, whether the body is chunked), by RFC 9112, section 6.3, without its lenient options."""
    length_text = noted.get(b"content-length")
    coding = noted.get(b"transfer-encoding")
    if coding is not None:
        if length_text is not None:
            raise BadMessage(
                400, "Both Content-Length and Transfer-Encoding are present, so the length of the body is ambiguous."
            )
        if coding.strip(b" ").lower() != b"chunked":
            raise BadMessage(400, "The only supported transfer coding is chunked, listed once.")
        return None, True
    if length_text is None:
        return _UNFRAMED
    # Spaces only: nginx does not accept a tab here.
    digits = length_text.strip(b" ")
    if not digits.isdigit() or len(digits) > MAX_LENGTH_DIGITS:
        raise BadMessage(400, "Content-Length is not a plain decimal number.")
    return int(digits), False


_NO_NAMES: frozenset[bytes] = frozenset()


def _connection(value: bytes | None, minor: int) -> tuple[bool, bool, frozenset[bytes]]:
    """(close after this message, upgrade requested, other names listed) of the Connection header."""
    if value is None:
        return not minor, False, _NO_NAMES
    options = {option.strip(b" \t") for option in value.lower().split(b",")}
    close = b"close" in options or not (minor or b"keep-alive" in options)
    return close, b"upgrade" in options, frozenset(options - {b"close", b"keep-alive", b"upgrade", b""})


def _host(value: bytes | None, minor: int) -> bytes:
    if value is None:
        if minor:
            raise BadMessage(400, "HTTP/1.1 requires a Host header.")
        return b""
    host = value.strip(b" ").lower()
    if not _HOST(host):
        raise BadMessage(400, "The Host header is not a host name with an optional port.")
    return host
