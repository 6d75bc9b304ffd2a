"""`parachute space`: what takes room, clearing it, and limits for people and vaults."""

import re
from argparse import ArgumentTypeError, Namespace
from typing import Any

from parachute_hub.cli.client import vault_part
from parachute_hub.cli.commands import show
from parachute_hub.cli.grammar import Words, agreed, may_ask
from parachute_hub.cli.kinds import PEOPLE, VAULTS
from parachute_hub.cli.tables import size, table
from parachute_hub.cli.terminal import terminal
from parachute_hub.cli.which_hub import client_of

LEFTOVERS = ("downloads", "copies", "logs")
_QUESTIONS = {
    "copies": "Delete the copies from before updates? `restore-data` needs them.",
    "logs": "Delete the older logs?",
}
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:I?B)?", re.IGNORECASE)


def add_words(words: Words) -> None:
    """Add `space` and its words to the grammar."""
    text = "Show what takes room on the disk, clear it, and limit people and vaults."
    word = words.group("space", text, shown).add
    clear = word("clear", cleared, "Clear downloads, copies from before updates, or older logs.")
    clear.add_argument("what", choices=LEFTOVERS)
    may_ask(clear)
    trash = word("empty-trash", emptied, "Delete for good what is in the trash of a vault.")
    trash.add_argument("vault", help="its name").completer = VAULTS.offered  # type: ignore[attr-defined]
    may_ask(trash)
    for name, action, whom, kind in (
        ("vault", vault_limited, "a vault", VAULTS),
        ("person", person_limited, "a person's own vaults", PEOPLE),
    ):
        limit = word(f"limit-{name}", action, f"Limit the room of {whom}; 0 for no limit.")
        named = limit.add_argument("name", help=f"the {kind.called}'s name or id")
        named.completer = kind.offered  # type: ignore[attr-defined]
        limit.add_argument("size", type=_size, metavar="SIZE", help="such as 500M or 2G; 0 for no limit")


def shown(arguments: Namespace) -> int:
    """Print what is large."""
    space = client_of(arguments).call("GET", "/api/space")
    rows = [
        *((f"vault {one['name']}", size(one["bytes"]), _limit(one)) for one in space["vaults"]),
        *((f"all vaults of {one['username']}", size(one["bytes"]), _limit(one)) for one in space["people"]),
        *((one["what"], size(one["bytes"]), f"parachute space clear {one['what']}") for one in space["leftovers"]),
    ]
    free = f"{size(space['free'])} of {size(space['total'])} are free."
    if not space["vaults_counted"]:
        free += " The vaults are on another machine, and what they store there is not counted."
    show(arguments, space, f"{free}\n\n{table(('WHAT', 'ROOM', 'LIMIT'), rows, terminal())}")
    return 0


def cleared(arguments: Namespace) -> int:
    """Clear one of the leftovers. Downloads can be fetched again, so that they need no question."""
    question = _QUESTIONS.get(arguments.what)
    if question and not agreed(arguments, question):
        return 1
    answer = client_of(arguments).call("POST", "/api/space/clear", {"what": arguments.what})
    show(arguments, answer, f"{size(answer['freed'])} freed.")
    return 0


def emptied(arguments: Namespace) -> int:
    """Empty the trash of a vault."""
    path = f"/api/space/trash/{vault_part(arguments.vault)}"
    if not agreed(arguments, f"Delete for good what is in the trash of {arguments.vault}?"):
        return 1
    answer = client_of(arguments).call("POST", path)
    show(arguments, answer, f"The trash of {arguments.vault} is empty.")
    return 0


def vault_limited(arguments: Namespace) -> int:
    """Limit a vault."""
    path = f"/vaults/{vault_part(arguments.name)}/quota"
    return _set(arguments, client_of(arguments).call("PUT", path, {"bytes": arguments.size}))


def person_limited(arguments: Namespace) -> int:
    """Limit a person's own vaults together."""
    client = client_of(arguments)
    person = PEOPLE.choose(PEOPLE.all(client), arguments.name)
    return _set(arguments, client.call("PUT", f"/api/users/{person['id']}/quota", {"bytes": arguments.size}))


def _set(arguments: Namespace, answer: Any) -> int:
    limit = f"may take {size(arguments.size)}" if arguments.size else "has no limit"
    show(arguments, answer, f"{arguments.name} {limit}.")
    return 0


def _limit(one: dict[str, Any]) -> str:
    return f"of {size(one['quota'])}" if one["quota"] else "no limit"


def _size(text: str) -> int:
    """Bytes. Raises ArgumentTypeError.

    >>> _size("0"), _size("500M"), _size("2 GB")
    (0, 524288000, 2147483648)
    """
    found = _SIZE.fullmatch(text.strip())
    # Somebody who types 500 means megabytes, and would get a vault that takes no note.
    if found is None or (found[1].strip("0") and found[0].isdecimal()):
        raise ArgumentTypeError(f"{text!r} is not a size such as 500M or 2G, with its unit.")
    return int(found[1]) * _UNITS[found[2].upper()]
