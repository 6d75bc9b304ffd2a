"""The paths a module may claim: `/<short>` and below, never one of the hub's own."""

from collections.abc import Iterable

from parachute_hub.system import own_names

RESERVED = own_names.SEGMENTS | {"mcp"}
"""First path segments that no module can claim. `/mcp` leads to the vault."""


CARD = "/.parachute"
"""Published modules list it besides their own mount. At the root it belongs to the hub and is silently skipped."""


class BadMount(ValueError):
    """A path cannot be claimed. The text says which and why."""


def normal(path: str) -> str:
    """The mount without trailing slashes; the root is the empty string."""
    return path.rstrip("/")


def check(path: str, short: str, extra: Iterable[str] = ()) -> None:
    """Reject a mount that is neither `/<short>`, nor below it, nor in `extra`. Raises BadMount.

    >>> check("/vault/work", "vault")
    >>> check("/admin", "vault")
    Traceback (most recent call last):
    ...
    parachute_hub.modules.definition.mounts.BadMount: The path "/admin" belongs to the hub.
    """
    mount = normal(path)
    shown = path[:80]
    if not path.startswith("/") or not mount.isascii() or not mount.isprintable() or set(mount) & set('\\%?#" <>'):
        raise BadMount(f"The path {shown!r} must start with / and hold plain characters only.")
    segments = mount.split("/")[1:]
    if not segments or any(segment in ("", ".", "..") for segment in segments):
        raise BadMount(f'The path "{shown}" has an empty segment or dots.')
    if mount in {normal(other) for other in extra}:
        return
    if segments[0] in RESERVED:
        raise BadMount(f'The path "{shown}" belongs to the hub.')
    if segments[0] != short:
        raise BadMount(f'The path "{shown}" is not below /{short}, which is this module\'s place.')


def claims(paths: Iterable[str]) -> tuple[str, ...]:
    """The paths without the root and `/.parachute`, which published modules list although nothing of theirs is there.

    >>> claims(["/runner", "/.parachute", "/"])
    ('/runner',)
    """
    return tuple(path for path in paths if normal(path) not in ("", CARD))


def allowed(paths: Iterable[str], short: str, extra: Iterable[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The servable mounts, normalized, and the reasons for rejecting the others."""
    good: list[str] = []
    refused: list[str] = []
    for path in claims(paths):
        try:
            check(path, short, extra)
        except BadMount as error:
            refused.append(str(error))
        else:
            good.append(normal(path))
    return tuple(dict.fromkeys(good)), tuple(refused)
