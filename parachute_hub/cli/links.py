"""`parachute link`: modules that run on another machine."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from parachute_hub.cli.client import CommandError, HubRefused, module_part
from parachute_hub.cli.commands import progress_of, show
from parachute_hub.cli.completion import installed_modules
from parachute_hub.cli.grammar import Words, agreed, may_ask, path_of, secret
from parachute_hub.cli.progress import run_job
from parachute_hub.cli.tables import table
from parachute_hub.cli.terminal import terminal
from parachute_hub.cli.which_hub import client_of

CODE: Final = "PARACHUTE_PAIRING_CODE"


def add_words(words: Words) -> None:
    """Add `link` and its words to the grammar."""
    word = words.group("link", "Show and change which modules run on another machine.", shown).add
    for name, action, text, address in (
        ("set", set_up, "Use a server that runs a module by itself, in place of the module here.", True),
        ("pair", paired, f"Pair with `parachute module host` on another machine, by its code (or {CODE}).", True),
        ("move", moved, "Move a module with its data to the paired machine, or back here.", False),
        ("renew", renewed, "Renew the certificate of a link; the hub does so every 30 days.", False),
        ("end", ended, "End a link: the module runs here again.", False),
    ):
        sub = word(name, action, text)
        module = sub.add_argument("module", help="the module's short name, such as vault")
        module.completer = installed_modules  # type: ignore[attr-defined]
        if address:
            sub.add_argument("address", help="where it is, such as https://notes.example.com")
            sub.add_argument(
                "--private", action="store_true", help="it may be in a private network, or on this machine"
            )
        if name == "set":
            sub.add_argument("--ca", type=path_of, metavar="FILE", help="the certificate of your own authority, as PEM")
            sub.add_argument("--pin", metavar="SHA256", help="of its public key, which then counts alone")
        if name == "move":
            sub.add_argument("to", choices=("there", "here"), help="to the other machine, or back")
            sub.add_argument(
                "--keep-data", action="store_true", help="use the data that is on the other machine already"
            )
        if name == "end":
            sub.add_argument("--leave-data", action="store_true", help="leave what it has stored on the other machine")
            may_ask(sub)


def shown(arguments: Namespace) -> int:
    """Print all links."""
    listing = client_of(arguments).call("GET", "/api/links")
    rows = [
        (
            one["short"],
            one["link"]["address"],
            "paired" if one["link"]["kind"] == "host" else "upstream",
            "there" if one["link"]["active"] else "here",
            (one["elsewhere"] or {}).get("reach") or "-",
        )
        for one in listing["links"]
    ]
    none = "Every module runs on this machine."
    show(arguments, listing, table(("MODULE", "ADDRESS", "KIND", "RUNS", "STATE"), rows, terminal()) if rows else none)
    return 0


def set_up(arguments: Namespace) -> int:
    """Link a module to an upstream."""
    try:
        ca = Path(arguments.ca).read_text(encoding="ascii") if arguments.ca else None
    except OSError as error:
        raise CommandError(f"{arguments.ca} cannot be read: {error.strerror}.", code=2) from None
    except ValueError:
        raise CommandError(f"{arguments.ca} is not a certificate in PEM form.", code=2) from None
    body = {"address": arguments.address, "ca": ca, "pin": arguments.pin}
    answer = _approved(arguments, "PUT", "", body)
    show(arguments, answer, f"{arguments.module} runs on {answer['link']['address']} now.")
    return 0


def paired(arguments: Namespace) -> int:
    """Pair a module's host."""
    code = secret(CODE, "The code that the host shows")
    answer = _approved(arguments, "POST", "/pair", {"address": arguments.address, "code": code})
    more = f"`parachute link move {arguments.module} there` moves the module."
    show(arguments, answer, f"Paired with {answer['link']['address']}. {more}")
    return 0


def moved(arguments: Namespace) -> int:
    """Move a module with its data, and follow the job."""
    if not arguments.json:
        print(f"move {arguments.module} ...", file=sys.stderr)
    job = run_job(
        client_of(arguments),
        _path(arguments, "/move"),
        {"to": arguments.to, "keep_data": arguments.keep_data},
        progress_of(arguments),
    )
    show(arguments, job, f"{arguments.module} runs {arguments.to} now.")
    return 0


def renewed(arguments: Namespace) -> int:
    """Renew a certificate."""
    answer = client_of(arguments).call("POST", _path(arguments, "/renew"))
    show(arguments, answer, f"The certificate of the link of {arguments.module} is new.")
    return 0


def ended(arguments: Namespace) -> int:
    """End a link."""
    path = _path(arguments, "?leave_data=1" if arguments.leave_data else "")
    if not agreed(arguments, f"End the link of {arguments.module}? It then runs here again."):
        return 1
    answer = client_of(arguments).call("DELETE", path)
    show(arguments, answer, f"{arguments.module} runs here again.")
    return 0


def _approved(arguments: Namespace, method: str, more: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer; an address nearby has to be approved by the option."""
    try:
        answer: dict[str, Any] = client_of(arguments).call(
            method, _path(arguments, more), {**body, "private": arguments.private}
        )
    except HubRefused as refused:
        if refused.body.get("error") != "private_address":
            raise
        raise CommandError(f"{refused.body['error_description']} Add --private for that.") from None
    return answer


def _path(arguments: Namespace, more: str) -> str:
    return f"/api/links/{module_part(arguments.module)}{more}"
