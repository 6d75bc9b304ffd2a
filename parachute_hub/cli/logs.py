"""`parachute logs`: a module's log or the hub's own, filtered, live, and without a running hub."""

import json
import re
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from parachute_hub.cli.client import CommandError, HubDown, module_path
from parachute_hub.cli.commands import show
from parachute_hub.cli.completion import installed_modules
from parachute_hub.cli.which_hub import client_of, home_of
from parachute_hub.modules.definition.names import is_short
from parachute_hub.system.log_lines import LEVELS, LogQuery, visible
from parachute_hub.system.timestamps import from_utc

HUB = "hub"
TIME_HELP = "from then on: 10m, 2h, 3d, or a time in UTC (2026-01-31T08:00)"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_options(logs: ArgumentParser) -> None:
    """The words that `parachute logs` takes."""
    named = logs.add_argument("module", nargs="?", default=HUB, help="the module's short name, or hub [hub]")
    named.completer = installed_modules  # type: ignore[attr-defined]
    logs.add_argument("-f", "--follow", action="store_true", help="go on as lines come")
    logs.add_argument("-n", "--lines", type=int, metavar="N", help="only the last N lines")
    logs.add_argument("--since", metavar="TIME", help=TIME_HELP)
    logs.add_argument("--until", metavar="TIME", help="up to then")
    logs.add_argument("--level", choices=LEVELS, default="debug", help="lines of this level and more serious ones")
    keep = "how much of each log is kept, in megabytes; without a number, what it is now"
    logs.add_argument("--keep", nargs="?", type=int, const=0, metavar="MB", help=keep)
    logs.add_argument("--grep", metavar="TEXT", default="", help="only lines with this text")


def logs(arguments: Namespace) -> int:
    """A log; -f follows it. --json prints an object for each line. --keep shows or changes how much is kept."""
    if arguments.keep is not None:
        body = {"megabytes": arguments.keep} if arguments.keep else None
        found = client_of(arguments).call("PUT" if body else "GET", "/api/hub/logs/size", body)
        text = f"The log of each module, and the hub's own, takes up to {found['megabytes']} MB."
        show(arguments, found, f"{text} Possible sizes: {', '.join(map(str, found['sizes']))} MB.")
        return 0
    query = _query(arguments, time.time())
    client = client_of(arguments)
    running = client.running
    wait = client.not_up()
    if running and wait is None:
        path = "/api/hub/logs" if arguments.module == HUB else module_path(arguments.module, "logs")
        asked = f"{path}?{_parameters(query)}"
        if arguments.follow:
            for line in client.lines(f"{asked}&follow=1&format=json"):
                _print(arguments, [json.loads(line)])
            return 0
        _print(arguments, client.call("GET", asked)["entries"])
        return 0
    if arguments.follow:
        raise HubDown(wait or "The hub is not running, so there is nothing to follow. Start it with `parachute serve`.")
    if client.is_elsewhere:
        raise HubDown(wait or "The hub does not tell its state.")
    if not is_short(arguments.module):
        raise CommandError(f"{arguments.module} is not the name of a module.", code=2)
    from parachute_hub.supervise.output.log_files import read_log

    lines = read_log(home_of(arguments) / "hub" / "logs", arguments.module, query)
    if lines is None:
        raise HubDown(
            f"No hub is running, and there is no log of {arguments.module} here. Start it with `parachute serve`."
        )
    _print(arguments, [line.to_json() for line in lines])
    return 0


def _print(arguments: Namespace, entries: Iterable[Mapping[str, Any]]) -> None:
    for entry in entries:
        if arguments.json:
            print(json.dumps(entry), flush=True)
            continue
        flag = f"[{entry['mark']}]" if entry["mark"] else entry["level"]
        print(visible(f"{entry['at']} {flag:<8} {entry['text']}"), flush=arguments.follow)


def _query(arguments: Namespace, now: float) -> LogQuery:
    return LogQuery(
        since=moment(arguments.since, now),
        until=moment(arguments.until, now),
        level=arguments.level,
        text=arguments.grep,
        count=arguments.lines,
    )


def _parameters(query: LogQuery) -> str:
    told = {"since": query.since, "until": query.until, "level": query.level, "q": query.text, "n": query.count}
    return urlencode({name: value for name, value in told.items() if value not in (None, "")})


def moment(text: str | None, now: float) -> float | None:
    """Epoch seconds from what people type.

    >>> moment("2h", 10_000.0), moment("1970-01-01T01:00", 0.0), moment(None, 0.0)
    (2800.0, 3600.0, None)
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if found:
        return now - int(found[1]) * _UNITS[found[2]]
    try:
        return from_utc(text)
    except ValueError:
        raise CommandError(f"{text} is not a time. Write 10m, 2h, 3d, or 2026-01-31T08:00.", code=2) from None
