"""Grouping client addresses by network for rate limits."""

import ipaddress


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
