"""The addresses the hub may connect to when a stranger chooses the host.

Excludes everything in IANA's special-purpose registries, and every IPv6 form that embeds an IPv4 address, because a
translator on the path could unpack it.
"""

import ipaddress

_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
# The only IPv6 block assigned for global unicast.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_REFUSED_6 = tuple(
    ipaddress.ip_network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# RFC 1918, RFC 4193, and RFC 6598, which overlay networks such as Tailscale use.
_NEARBY = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)


def is_nearby(address: str) -> bool:
    """True if the (numeric) address is of a private network; this machine and link-local addresses are not.

    >>> is_nearby("192.168.1.5"), is_nearby("127.0.0.1"), is_nearby("169.254.169.254"), is_nearby("fd00::1")
    (True, False, False, True)
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in _NEARBY)


def is_public(address: str) -> bool:
    """True if the (numeric) address is public.

    >>> is_public("93.184.216.34"), is_public("::ffff:93.184.216.34"), is_public("fd00::1"), is_public("0x7f000001")
    (True, False, False, False)
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in network for network in _REFUSED)
    return found.scope_id is None and found in _GLOBAL_UNICAST and not any(found in network for network in _REFUSED_6)
