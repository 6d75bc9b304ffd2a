"""Words that are one request to the hub's API. Each is a row of a table; the hub decides what is allowed."""

import re
import secrets
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

from attrs import field

from parachute_hub.cli.client import CommandError, HubClient, module_part
from parachute_hub.cli.commands import progress_of, show
from parachute_hub.cli.grammar import Words, agreed
from parachute_hub.cli.kinds import Item, Kind
from parachute_hub.cli.progress import run_job
from parachute_hub.cli.which_hub import client_of
from parachute_hub.system.records import frozen

Found: TypeAlias = Mapping[str, Item]
Members: TypeAlias = Callable[[Namespace, Found], Mapping[str, Any]]
Option: TypeAlias = tuple[tuple[str, ...], Mapping[str, Any]]

_PLACEHOLDER: Final = re.compile(r"<[^>]+>")


def option(*flags: str, **settings: Any) -> Option:
    """An argument as `ArgumentParser.add_argument` takes it, with a `completer` of its values."""
    return flags, settings


YES: Final = option("--yes", action="store_true", help="do not ask")


def _nothing(_arguments: Namespace, _found: Found) -> Mapping[str, Any]:
    return {}


@frozen(kw_only=True)
class Request:
    """One word and its request.

    `route` is a row of `site.route_table`; its placeholder is filled by the argument `fills`, which is one of `chooses`
    or the name of a module. `chooses` are arguments that name an item of a list, after those in `first`. `body` and
    `query` make what is sent; `password` is the member of the body that gets a new temporary password. `asks` is a
    question before, and `warns` what is said with it.
    `shows` lists the answer, else `done` is what is said, or says it of the answer; both texts are formats with the
    arguments and the `answer`.
    `job` follows the operation that it starts. `act` does something else instead, and returns what to print as JSON and
    as text, or None if it has printed.
    """

    word: str
    text: str
    route: str
    fills: str = ""
    chooses: Mapping[str, Kind] = field(factory=dict)
    first: tuple[Option, ...] = ()
    options: tuple[Option, ...] = ()
    body: Members | None = None
    query: Members = _nothing
    password: str = ""
    asks: str = ""
    warns: "Callable[[Given], str] | None" = None
    done: str | Callable[[dict[str, Any]], str] = "Done."
    shows: Kind | None = None
    job: bool = False
    act: "Act | None" = None


@frozen(kw_only=True)
class Given:
    """What a word was called with: its arguments, and the items that they name."""

    arguments: Namespace
    client: HubClient
    found: Found


Act: TypeAlias = Callable[[Given], tuple[dict[str, Any], str | None]]


def add(words: Words, requests: Iterable[Request]) -> None:
    """Add words to the grammar; `words` is the level of the last part of their names."""
    for request in requests:
        sub = words.add(request.word.rpartition(" ")[2], _action(request), request.text)
        chosen = (
            option(name, help=f"the {kind.called}'s name or id", completer=kind.offered)
            for name, kind in request.chooses.items()
        )
        asking = (YES,) if request.asks else ()
        for flags, settings in (*request.first, *chosen, *request.options, *asking):
            kept = {name: value for name, value in settings.items() if name != "completer"}
            argument = sub.add_argument(*flags, **kept)
            if "completer" in settings:
                argument.completer = settings["completer"]  # type: ignore[attr-defined]


def _action(request: Request) -> Callable[[Namespace], int]:
    return lambda arguments: _run(request, arguments)


def _run(request: Request, arguments: Namespace) -> int:
    client = client_of(arguments)
    found = {name: kind.choose(kind.all(client), vars(arguments)[name]) for name, kind in request.chooses.items()}
    given = Given(arguments=arguments, client=client, found=found)
    method, path = _address(request, arguments, found)
    if request.asks:
        warning = request.warns(given) if request.warns is not None and not arguments.yes else ""
        if not agreed(arguments, warning + request.asks.format(**vars(arguments))):
            raise CommandError("Nothing was changed.")
    if request.act is not None:
        answer, text = request.act(given)
        if text is not None:
            show(arguments, answer, text)
        return 0
    body = None if request.body is None else dict(request.body(arguments, found))
    if request.password:
        body = {**(body or {}), request.password: temporary_password()}
    if request.job:
        answer = run_job(client, path, body or {}, progress_of(arguments))
    else:
        answer = client.call(method, path, body) or {"ok": True}
    if request.password and body is not None:
        answer = {**answer, "password": body[request.password]}
    if request.shows:
        text = request.shows.table(answer[request.shows.key])
    elif isinstance(request.done, str):
        text = request.done.format(**vars(arguments) | {"answer": answer})
    else:
        text = request.done(answer)
    show(arguments, answer, text)
    return 0


def _address(request: Request, arguments: Namespace, found: Found) -> tuple[str, str]:
    method, _, path = request.route.partition(" ")
    name = request.fills or next(iter(request.chooses), "")
    if name in found:
        path = _PLACEHOLDER.sub(quote(str(found[name][request.chooses[name].id]), safe=""), path)
    elif name:
        path = _PLACEHOLDER.sub(module_part(vars(arguments)[name]), path)
    return method, with_query(path, request.query(arguments, found))


def with_query(path: str, members: Mapping[str, Any]) -> str:
    """The path with those members that are given."""
    asked = {key: value for key, value in members.items() if value not in (None, "", [])}
    return f"{path}?{urlencode(asked, doseq=True)}" if asked else path


def temporary_password() -> str:
    """Eighty bits in groups that can be read aloud."""
    return "-".join(secrets.token_hex(2) for _ in range(5))
