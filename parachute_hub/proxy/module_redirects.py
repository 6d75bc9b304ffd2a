"""Restricts where a module may redirect a browser.

Browsers send a host's cookies to all its ports (RFC 6265, section 8.5), so a redirect to another port would give the
user's session to whatever program listens there.
"""

import re
import unicodedata
from collections.abc import Collection
from urllib.parse import unquote

# What browsers treat as an absolute URL: they drop tabs and newlines, and read `\\` as `/`.
_ABSOLUTE = re.compile(
    r"(?i)(?:(?P<scheme>https?|wss?|ftp):[/\\]*|[/\\]{2,})(?P<authority>[^/\\?#]*)(?P<rest>.*)", re.S
)
_IGNORED = str.maketrans("", "", "\t\r\n")
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443, "ftp": 21}
_LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_REFRESH = re.compile(r"(?is)[^;,]*[;,]\s*(?:url\s*=\s*)?['\"]?(?P<url>.*)")


def target(value: bytes, port: int, prefix: bytes, strip: bool, own_hosts: Collection[bytes]) -> bytes | None:
    """The Location to forward; None if it must not be followed.

    `port` is the module's own: a URL with it becomes a path on the hub (below `prefix` with `strip`). `own_hosts` are
    the hub's own Host values.
    """
    text = value.decode("utf-8", "surrogateescape").strip("".join(map(chr, range(33)))).translate(_IGNORED)
    found = _ABSOLUTE.match(text)
    if found is None:
        return value
    scheme = (found["scheme"] or "").lower()
    host, there = _host_and_port(found["authority"], scheme)
    own = [_host_and_port(one.decode("latin-1"), scheme) for one in own_hosts]
    if not _is_loopback(host) and host not in {name for name, _ in own}:
        return value
    if there == port:
        path = b"/" + found["rest"].replace("\\", "/").lstrip("/").encode("utf-8", "surrogateescape")
        return prefix + path if strip and not path.startswith(prefix + b"/") else path
    return value if there in {number for _, number in own} else None


def from_upstream(value: bytes, upstream: bytes) -> bytes:
    """A Location that names the module's own machine as one that names its own port here, so that `target` makes a path
    of it.

    >>> from_upstream(b"https://notes.test/a?b", b"notes.test"), from_upstream(b"https://other.test/", b"notes.test")
    (b'/a?b', b'https://other.test/')
    """
    scheme, separator, rest = value.strip().partition(b"://")
    authority, _, path = rest.partition(b"/")
    if not separator or scheme.lower() not in (b"https", b"http") or authority.lower() != upstream:
        return value
    return b"/" + path.lstrip(b"/\\")


def refresh(value: bytes, port: int, own_hosts: Collection[bytes]) -> bytes | None:
    """A Refresh header to forward; None if it leads where a redirect must not."""
    found = _REFRESH.match(value.decode("utf-8", "surrogateescape"))
    if found is None:
        return value
    url = found["url"].encode("utf-8", "surrogateescape")
    return value if target(url, port, b"", False, own_hosts) == url else None


def _host_and_port(authority: str, scheme: str) -> tuple[str, int | None]:
    """Host and port as a browser reads them; None for the default port."""
    place = authority.rpartition("@")[2]
    host, _, digits = place.rpartition(":") if re.search(r":\d*\Z", place) else (place, "", "")
    host = unicodedata.normalize("NFKC", unquote(host)).lower().replace("\u3002", ".").rstrip(".")
    number = int(digits) if digits and len(digits) < 9 else None
    return host, None if number == _DEFAULT_PORTS.get(scheme) else number


def _is_loopback(host: str) -> bool:
    """True for every spelling of a loopback address."""
    if host in _LOOPBACK_NAMES or host.endswith(".localhost"):
        return True
    if host.startswith("["):
        inner = host.strip("[]")
        tail = inner.rpartition(":")[2]
        return (
            not inner.strip("0:")
            or (not inner[:-1].strip("0:") and inner.endswith("1"))
            or ("ffff" in inner and _is_loopback(tail))
            or re.fullmatch(r"[0:]*:ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}", inner) is not None
        )
    address = _ipv4(host)
    return address is not None and (address >> 24 == 127 or address >> 24 == 0)


def _ipv4(host: str) -> int | None:
    """The IPv4 address from one to four decimal, octal or hexadecimal numbers (URL standard, IPv4 parser)."""
    parts = host.split(".")
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    if len(parts) > 4 or any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        return None
    return sum(number << 8 * (3 - index) for index, number in enumerate(numbers[:-1])) + numbers[-1]


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    if not part.isascii() or not part.isdigit():
        raise ValueError(part)
    return int(part, 8 if part.startswith("0") and len(part) > 1 else 10)
