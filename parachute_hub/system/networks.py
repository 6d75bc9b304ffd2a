"""Grouping client addresses by network for rate limits."""

import ipaddress


def network_of(address: str) -> str:
    """The address itself for IPv4, its /64 for IPv6, since one household or rented server usually has a whole /64.

    >>> network_of("203.0.113.7"), network_of("2001:db8::1"), network_of("::ffff:203.0.113.7"), network_of("?")
    ('203.0.113.7', '2001:db8::/64', '203.0.113.7', 'unknown')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
