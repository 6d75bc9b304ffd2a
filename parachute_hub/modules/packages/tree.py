"""The packages that an install resolved to, and how much room they take unpacked, with and without optional ones."""

from collections.abc import Iterator, Mapping

from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class TreeNode:
    """A package in bun.lock. `needs` and `may_need` are the names that it imports; the latter may be missing."""

    name: str
    version: str
    needs: tuple[str, ...] = ()
    may_need: tuple[str, ...] = ()


def bytes_of(tree: Mapping[str, TreeNode], root: str, sizes: Mapping[str, int], *, optional: bool) -> int:
    """Bytes of everything that `root` leads to. `sizes` are by `name@version`; an unknown one counts nothing.

    The keys of `tree` are places as bun.lock writes them: `a/b` is the b that only a sees.
    """
    seen: set[str] = set()
    waiting = [root]
    while waiting:
        place = waiting.pop()
        if place in seen or place not in tree:
            continue
        seen.add(place)
        node = tree[place]
        for name in (*node.needs, *(node.may_need if optional else ())):
            waiting.append(next((found for found in _places(place, name) if found in tree), name))
    return sum(sizes.get(f"{node.name}@{node.version}", 0) for place, node in tree.items() if place in seen)


def _places(place: str, name: str) -> Iterator[str]:
    """Where a package at `place` finds `name`: below itself, then below each of those above it."""
    parts = place.split("/")
    for count in range(len(parts), -1, -1):
        yield "/".join((*parts[:count], name))
