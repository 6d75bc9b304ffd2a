"""HTTP/1.1 message heads, read strictly (RFC 9112): a head with two readings is refused, never repaired.

Lines are kept as they came, so that what is passed on is what was sent. Only what framing and routing need is read.
"""

import re
from typing import NamedTuple, TypeAlias

from attrs import define

LINE_END = b"\r\n"
HEAD_END = b"\r\n\r\n"
# The longest Content-Length: 15 digits are a petabyte, and no sum of two of them leaves the range of any reader.
MAX_LENGTH_DIGITS = 15

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_NAME = re.compile(_TOKEN + rb"\Z").match
# Case matters in methods (RFC 9110, 9.1), but not to every server: `trace` is refused so that none can read TRACE.
_METHOD = rb"[A-Z][A-Z_\-]*"
_REQUEST_LINE = re.compile(rb"(" + _METHOD + rb") ([!-~]+) HTTP/1\.([01])\Z").match
_OTHER_VERSION = re.compile(_METHOD + rb" [!-~]+ HTTP/\d(?:\.\d)?\Z").match
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: [\t -~\x80-\xff]*)?\Z").match
_HOST = re.compile(rb"(?:[0-9A-Za-z_](?:[0-9A-Za-z_.\-]*)|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z").match
# Everything below space but the tab, and DEL: none has a meaning in a head, several have two.
_CONTROLS = bytes(set(range(32)) - {9}) + b"\x7f"

# Names whose values someone asks for later; all others are only passed on.
_NOTED = frozenset(
    b"""accept access-control-request-headers access-control-request-method authorization cf-connecting-ip cf-ray
    connection content-length cookie
    expect forwarded host origin referer sec-websocket-key service-worker tailscale-funnel-request tailscale-user-login
    transfer-encoding upgrade user-agent x-api-key x-forwarded-for x-forwarded-host x-forwarded-proto""".split()
)
# Names that may stand once only: with two, one reader takes the first and another the last.
_SINGLE = frozenset((b"authorization", b"content-length", b"expect", b"host", b"transfer-encoding"))


# A header line: the name in lower case, the value with its white space, and the line as it came. A plain tuple, because
# a dozen are made for every request.
Field: TypeAlias = tuple[bytes, bytes, bytes]


class BadMessage(Exception):
    """A message that must not be passed on. `status` answers a client; `why` is a sentence for a person."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@define(eq=False)
class RequestHead:
    """One request's head. Not frozen only because one is made for every request.

    `noted` holds the values that routing asks for, joined when a name came twice. `length` is the Content-Length,
    None without one. `named` are the header names that `Connection` declares to be for this hop only.
    `has_body` says that bytes of a body follow. `upgrade` is true for a WebSocket handshake.
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
        """Whether the client waits for 100 Continue before it sends the body (RFC 9110, 10.1.1)."""
        return self.minor == 1 and self.noted.get(b"expect", b"").strip().lower() == b"100-continue"


class RequestHeaders(NamedTuple):
    """The part of a RequestHead that its header lines say, in its order: the same for many requests of one client."""

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
    """The head of a module's answer. `line` is its status line as HTTP/1.1 has it.

    `length` is None without a Content-Length; `keep` says that the connection stays.
    """

    status: int
    line: bytes
    fields: list[Field]
    length: int | None
    chunked: bool
    keep: bool
    named: frozenset[bytes]


class _Lines(dict[bytes, Field]):
    """Header lines that were read before: everyone sends the same few. Bounded, and without those that hold secrets."""

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


def parse_request_line(raw: bytes) -> tuple[bytes, bytes, int, bytes]:
    """(method, target, minor version, the header lines) of a request's head. Raises BadMessage."""
    first, separator, rest = raw.partition(LINE_END)
    line = _REQUEST_LINE(first)
    if line is None or (separator and not rest):
        if _OTHER_VERSION(first):
            raise BadMessage(505, "This server speaks HTTP/1.1 and HTTP/1.0.")
        raise BadMessage(400, "The request line is not: METHOD, one space, target, one space, HTTP/1.1.")
    method, target, minor = line.groups()
    return method, target, 1 if minor == b"1" else 0, rest


def parse_request_headers(raw: bytes, minor: int) -> RequestHeaders:
    """What the header lines of a request say. Raises BadMessage."""
    fields, noted = _fields(raw.split(LINE_END) if raw else [], _NOTED)
    length, chunked = _framing(noted)
    if chunked and not minor:
        raise BadMessage(400, "Transfer-Encoding does not exist in HTTP/1.0.")
    close, upgrades, named = _connection(noted.get(b"connection"), minor)
    upgrade = bool(upgrades and minor and noted.get(b"upgrade", b"").strip().lower() == b"websocket")
    host = _host(noted.get(b"host"), minor)
    return RequestHeaders(fields, noted, host, length, chunked, chunked or bool(length), close, upgrade, named)


def parse_response(raw: bytes) -> ResponseHead:
    """Read the head of a module's answer. Raises BadMessage, whose status is then of no use."""
    first, *lines = raw.split(LINE_END)
    fields, noted = _fields(lines, _FRAMING)
    line = _STATUS_LINE(first)
    if line is None:
        raise BadMessage(502, "The status line is not: HTTP/1.1, one space, three digits.")
    minor = 1 if first[7:8] == b"1" else 0
    length, chunked = _framing(noted)
    close, _, named = _connection(noted.get(b"connection"), minor)
    return ResponseHead(int(line[1]), b"HTTP/1.1" + first[8:], fields, length, chunked, not close, named)


_FRAMING = frozenset((b"connection", b"content-length", b"transfer-encoding"))


def _fields(lines: list[bytes], wanted: frozenset[bytes]) -> tuple[list[Field], dict[bytes, bytes]]:
    """(the header lines, the values of the wanted ones)."""
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
    """(Content-Length, whether the body is chunked), by RFC 9112, 6.3, without its permissions to guess."""
    length_text = noted.get(b"content-length")
    coding = noted.get(b"transfer-encoding")
    if coding is not None:
        if length_text is not None:
            raise BadMessage(400, "Both Content-Length and Transfer-Encoding: the length of the body is in doubt.")
        if coding.strip(b" ").lower() != b"chunked":
            raise BadMessage(400, "The only transfer coding understood here is chunked, named once.")
        return None, True
    if length_text is None:
        return _UNFRAMED
    # Spaces only: nginx does not take a tab here.
    digits = length_text.strip(b" ")
    if not digits.isdigit() or len(digits) > MAX_LENGTH_DIGITS:
        raise BadMessage(400, "Content-Length is not a plain decimal number.")
    return int(digits), False


_NO_NAMES: frozenset[bytes] = frozenset()


def _connection(value: bytes | None, minor: int) -> tuple[bool, bool, frozenset[bytes]]:
    """(close after this message, upgrade wanted, other names listed) of the Connection header."""
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
