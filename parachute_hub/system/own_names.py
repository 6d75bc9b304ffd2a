"""Names that the hub keeps for itself on an origin that it shares with modules."""

SEGMENTS = frozenset(
    ".parachute .well-known account admin api git health hub hub.html login logout metrics oauth signup static "
    "vaults".split()
) | {""}
"""First path segments of the hub. No mount can have them."""

COOKIE_PREFIX = "parachute_hub_"
"""The prefix of all cookie names of a hub. Modules can neither read nor set such cookies."""
