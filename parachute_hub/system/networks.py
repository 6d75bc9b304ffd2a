"""Grouping client addresses by network for rate limits."""

import ipaddress
import re
from urllib.parse import urlsplit

_HERE = re.compile(r"localhost|.*\.localhost|127\.[0-9.]+|::1")


def opens_only_here(url: str) -> bool:
    """Whether its host is, for each computer, that computer itself, so that no other one can open it.

    >>> [opens_only_here(f"http://{host}/x") for host in ("localhost:1939", "127.0.0.1", "[::1]:80", "Hub.localhost")]
    [True, True, True, True]
    >>> [opens_only_here(f"http://{host}/x") for host in ("127.example.com", "localhost.example.com", "192.168.1.5")]
    [False, False, False]
    """
    return _HERE.fullmatch(urlsplit(url).hostname or "") is not None


def network_of(address: str, prefix: int = 64) -> str:
    """The address itself for IPv4, its /64 for IPv6, since one household or rented server usually has a whole /64.

    A site may have a whole /48: `prefix` is for limits that must hold for all of it.

    >>> network_of("203.0.113.7"), network_of("2001:db8::1"), network_of("::ffff:203.0.113.7"), network_of("?")
    ('203.0.113.7', '2001:db8::/64', '203.0.113.7', 'unknown')
    >>> network_of("203.0.113.7", 48), network_of("2001:db8:0:7::1", 48)
    ('203.0.113.7', '2001:db8::/48')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, prefix), strict=False))
    return str(parsed)
