"""Determines the client address, scheme and host of a request behind trusted proxies."""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Literal, TypeAlias

from parachute_hub.system.records import frozen

Layer: TypeAlias = Literal["loopback", "tailnet", "public"]

# Headers set by an earlier proxy. Without them, only the connection itself is known.
FORWARDING = frozenset(
    b"""cf-connecting-ip cf-ray forwarded tailscale-funnel-request tailscale-user-login
    x-forwarded-for x-forwarded-host x-forwarded-proto""".split()
)
_HIDES_THE_CLIENT = (b"x-forwarded-for", b"x-forwarded-host", b"forwarded")
# Traefik sends ws or wss for a WebSocket.
_OVER_TLS = frozenset((b"https", b"wss"))
_HOST = re.compile(rb"[0-9A-Za-z_.\-\[\]:]{1,255}\Z").match


@frozen
class ClientInfo:
    """The client of a request: its address, its network layer, and the origin it asked for."""

    address: str
    layer: Layer
    host: bytes
    scheme: Literal["http", "https"]

    @property
    def secure(self) -> bool:
        """True if the browser uses https to a trusted proxy."""
        return self.scheme == "https"


def identify(peer: str, host: bytes, noted: Mapping[bytes, bytes], *, hops: int, tls: bool = False) -> ClientInfo:
    """The client behind the connection's `peer` address.

    `hops` is the number of the operator's proxies in front of the hub. With 0, no forwarding header affects address or
    origin. With N, the address is the Nth from the right, since only those were appended by trusted proxies; scheme and
    host are as reported by the last of them. `tls`: the client itself came to the hub by https, past all proxies.
    """
    host = without_default_port(host)
    if tls:
        return ClientInfo(peer, "public", host, "https")
    if FORWARDING.isdisjoint(noted):
        return ClientInfo(peer, "loopback" if is_loopback(peer) else "public", host, "http")
    layer = _layer(peer, noted)
    if not hops:
        return ClientInfo(peer, layer, host, "http")
    scheme: Literal["http", "https"] = "https" if _last(noted, b"x-forwarded-proto") in _OVER_TLS else "http"
    claimed = without_default_port(_last(noted, b"x-forwarded-host"))
    return ClientInfo(_nth_address(noted, hops) or peer, layer, claimed if _HOST(claimed) else host, scheme)


def without_default_port(host: bytes) -> bytes:
    """A Host value without the default port of http or https: both forms name the same host (RFC 9110, 4.2.3).

    The client's scheme is not always known here, so either default port is removed.

    >>> without_default_port(b"hub.test:443"), without_default_port(b"[::1]:80"), without_default_port(b"hub.test:8080")
    (b'hub.test', b'[::1]', b'hub.test:8080')
    """
    name, _, port = host.rpartition(b":")
    return name if port in (b"80", b"443") else host


def is_loopback(address: str) -> bool:
    """True for an address of this machine.

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
    """The network layer, from the first sign that matches. A client can only make itself less trusted."""
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
