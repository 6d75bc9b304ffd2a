"""Who sent a request, as far as the connection and its trusted hops can tell."""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Literal, TypeAlias

from attrs import frozen

Layer: TypeAlias = Literal["loopback", "tailnet", "public"]

# Headers that say something about an earlier hop. Absent, the connection itself is all there is to know.
FORWARDING = frozenset(
    b"""cf-connecting-ip cf-ray forwarded tailscale-funnel-request tailscale-user-login
    x-forwarded-for x-forwarded-host x-forwarded-proto""".split()
)
_HIDES_THE_CLIENT = (b"x-forwarded-for", b"x-forwarded-host", b"forwarded")
# Traefik says ws or wss for a WebSocket.
_OVER_TLS = frozenset((b"https", b"wss"))
_HOST = re.compile(rb"[0-9A-Za-z_.\-\[\]:]{1,255}\Z").match


@frozen
class Caller:
    """The other side of a request: its address, the layer it came through, and the origin it asked for."""

    address: str
    layer: Layer
    host: bytes
    scheme: Literal["http", "https"]

    @property
    def secure(self) -> bool:
        """Whether the browser speaks https to a trusted hop."""
        return self.scheme == "https"


def identify(peer: str, host: bytes, noted: Mapping[bytes, bytes], *, hops: int) -> Caller:
    """The caller behind the connection's `peer` address.

    `hops` is how many proxies of the operator's stand before the hub. With 0 nothing that a client claims counts for
    its address or its origin. With N the address is the Nth from the right, because only those were written by the
    trusted hops; scheme and host are what the last of them says.
    """
    host = without_default_port(host)
    if FORWARDING.isdisjoint(noted):
        return Caller(peer, "loopback" if is_loopback(peer) else "public", host, "http")
    layer = _layer(peer, noted)
    if not hops:
        return Caller(peer, layer, host, "http")
    scheme: Literal["http", "https"] = "https" if _last(noted, b"x-forwarded-proto") in _OVER_TLS else "http"
    claimed = without_default_port(_last(noted, b"x-forwarded-host"))
    return Caller(_nth_address(noted, hops) or peer, layer, claimed if _HOST(claimed) else host, scheme)


def without_default_port(host: bytes) -> bytes:
    """A Host value without the port that http or https implies: both forms are one name (RFC 9110, 4.2.3).

    Which of the two the client speaks is not always known here, so both ports are left out.

    >>> without_default_port(b"hub.test:443"), without_default_port(b"[::1]:80"), without_default_port(b"hub.test:8080")
    (b'hub.test', b'[::1]', b'hub.test:8080')
    """
    name, _, port = host.rpartition(b":")
    return name if port in (b"80", b"443") else host


def is_loopback(address: str) -> bool:
    """Whether the address is this machine's own.

    >>> is_loopback("127.0.0.1"), is_loopback("::ffff:127.0.0.1"), is_loopback("10.0.0.1"), is_loopback("?")
    (True, True, False, False)
    """
    if address == "127.0.0.1":
        return True
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback


def _layer(peer: str, noted: Mapping[bytes, bytes]) -> Layer:
    """The layer, judged by the first sign that fits. A stranger can make himself public, never more trusted."""
    if b"cf-ray" in noted or b"cf-connecting-ip" in noted:
        return "public"
    if noted.get(b"tailscale-funnel-request", b"").strip() == b"?1" or not is_loopback(peer):
        return "public"
    if b"tailscale-user-login" in noted:
        return "tailnet"
    return "public" if any(name in noted for name in _HIDES_THE_CLIENT) else "loopback"


def _last(noted: Mapping[bytes, bytes], name: bytes) -> bytes:
    return noted.get(name, b"").rpartition(b",")[2].strip().lower()


def _nth_address(noted: Mapping[bytes, bytes], hops: int) -> str | None:
    listed = [item.strip() for item in noted.get(b"x-forwarded-for", b"").split(b",")]
    if len(listed) < hops:
        return None
    try:
        return str(ip_address(listed[-hops].decode("latin-1")))
    except ValueError:
        return None
