"""What somebody probably meant who typed a name that is not there."""

from argparse import Namespace
from collections.abc import Iterable
from typing import Final

from parachute_hub.cli.client import CommandError, HubDown
from parachute_hub.cli.which_hub import client_of

_WITH_HUB: Final = frozenset({"logs", "restart"})
"""Words that take `hub` in place of a module."""

_ELSEWHERE: Final = {
    **dict.fromkeys(("ls", "list", "ps"), "status"),
    **dict.fromkeys(("users", "user", "accounts", "members"), "people"),
    **dict.fromkeys(("add", "get"), "install"),
    **dict.fromkeys(("remove", "rm", "delete"), "uninstall"),
    **dict.fromkeys(("run", "up"), "serve"),
    "down": "stop",
    "restore": "backup",
}
"""What other commands call a word."""

# Below that, what is found is rarely what was meant.
_ALIKE: Final = 0.7


def meant(wanted: str, names: Iterable[str]) -> str:
    """A question after the name that is meant: the only one that begins so, or is spelled most alike; empty if none is.

    >>> meant("helo", ["vault", "hello"]), meant("xyzzy", ["vault"])
    ('Did you mean hello?', '')
    >>> meant("ls", ["logs", "status"]), meant("nope", ["notes"])
    ('Did you mean status?', '')
    >>> meant("stat", ["start", "status"]), meant("st", ["start", "status", "stop"])
    ('Did you mean status?', '')
    """
    from difflib import get_close_matches

    known = list(names)
    close = [word for word in (_ELSEWHERE.get(wanted),) if word in known]
    begun = [word for word in known if len(wanted) > 1 and word.startswith(wanted)]
    close = close or (begun if len(begun) == 1 else [])
    close = close or get_close_matches(wanted, known, n=1, cutoff=_ALIKE)
    return f"Did you mean {close[0]}?" if close else ""


def with_a_module_meant(error: CommandError, arguments: Namespace) -> str:
    """The error's text: with a suggestion if the command names a module that the hub does not know.

    The hub is only asked after a failure, so that a right name costs nothing.
    """
    name, word = vars(arguments).get("module"), str(arguments.word)
    if not name or isinstance(error, HubDown) or error.code != 1 or word.startswith("module "):
        return str(error)
    try:
        listed = client_of(arguments, quick=True).call("GET", "/api/modules")["modules"]
    except (CommandError, OSError, KeyError):
        return str(error)
    names = [str(one["short"]) for one in listed] + (["hub"] if word in _WITH_HUB else [])
    return str(error) if name in names else f"{error} {meant(name, names)}".rstrip()
