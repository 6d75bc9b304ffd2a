"""`parachute expose ...`: everything that the page "Reach your hub" does, for a terminal."""

import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any, Final

from parachute_hub.cli.client import CommandError, HubClient, HubRefused
from parachute_hub.cli.commands import address_of, show
from parachute_hub.cli.grammar import Words, agreed, may_ask
from parachute_hub.cli.request_words import with_query
from parachute_hub.cli.tables import table
from parachute_hub.cli.terminal import terminal
from parachute_hub.cli.which_hub import client_of
from parachute_hub.reach.ways import WAYS

_PATH: Final = "/api/reach"
_POLL: Final = 0.5
PATIENCE = 180.0


def add_words(words: Words) -> None:
    """Add `expose` and its subcommands to the grammar."""
    group = words.group("expose", "Reach this hub from a phone: Tailscale, Cloudflare, Caddy, a local name.", listing)
    group.add("list", listing, "Show the ways, what is installed for them, and what is missing.")
    group.add("status", status, "Show the open way, and whether it leads here.")
    start = group.add("start", begin, "Open a way. It shows what would run and who gets to see what, and asks.")
    start.add_argument("way", choices=[way.id for way in WAYS], help="one that `parachute expose` lists")
    start.add_argument("--host", default="", help="your own name for the hub: caddy, cloudflare-named")
    start.add_argument("--name", default="", help="the name in your network, without .local: lan [parachute]")
    may_ask(start)
    undo = group.add("undo", end, "Close the open way. The previous address comes back.")
    undo.add_argument("--force", action="store_true", help="even if its program cannot be told; it may go on")
    may_ask(undo)


def listing(arguments: Namespace) -> int:
    """The ways, with the reason against each that cannot begin."""
    client = client_of(arguments)
    answer = client.call("GET", f"{_PATH}/ways")
    address = address_of(client)
    rows = [(way["id"], _AUDIENCES[way["audience"]], _missing(way, address) or "ready") for way in answer["ways"]]
    head = table(("WAY", "REACHED BY", ""), rows, terminal())
    show(arguments, answer, f"{head}\n\n{_told(answer)}\nOpen one: parachute expose start WAY")
    return 0


def status(arguments: Namespace) -> int:
    """The open way. Exit code 1 if it does not lead here."""
    client = client_of(arguments)
    answer = client.call("GET", _PATH)
    if answer["open"] is not None and answer["open"]["stage"] == "open" and not answer["busy"]:
        answer = client.call("POST", f"{_PATH}/check", {})
    show(arguments, answer, _told(answer))
    return 1 if answer["reachable"] is False or answer["problem"] else 0


def begin(arguments: Namespace) -> int:
    """Open a way, after asking."""
    client = client_of(arguments)
    given = {"host": arguments.host, "name": arguments.name}
    plans = client.call("GET", with_query(f"{_PATH}/ways", given))["ways"]
    plan = next(one for one in plans if one["id"] == arguments.way)
    if plan["refused"]:
        raise CommandError(_missing(plan, address_of(client)))
    if plan["wrong"]:
        raise CommandError(plan["wrong"], code=2)
    print(_planned(plan), file=sys.stderr)
    if not agreed(arguments, f"Open {plan['title']}?"):
        raise CommandError("Nothing was changed.")
    client.call("POST", _PATH, {"way": arguments.way, **given})
    answer = _wait(client, arguments)
    if answer["problem"] or answer["open"] is None:
        raise CommandError(f"{answer['problem'] or 'It was not opened.'} {answer['remedy']}".strip())
    show(arguments, answer, _told(answer))
    return 0


def end(arguments: Namespace) -> int:
    """Close the open way, after asking."""
    client = client_of(arguments)
    if not agreed(arguments, "Close the way? Phones and apps that use its address will not reach the hub any more."):
        raise CommandError("Nothing was changed.")
    client.call("DELETE", with_query(_PATH, {"force": "1" if arguments.force else ""}))
    answer = _wait(client, arguments)
    if answer["problem"]:
        raise CommandError(f"{answer['problem']} {answer['remedy']}".strip())
    show(arguments, answer, _told(answer))
    return 0


_AUDIENCES: Final = {
    "tailnet": "your own devices",
    "network": "devices in your network",
    "internet": "anybody on the internet",
}


def _wait(client: HubClient, arguments: Namespace) -> dict[str, Any]:
    """Until the hub is done; what it does meanwhile goes to standard error."""
    deadline, said = time.monotonic() + PATIENCE, ""
    while True:
        try:
            answer = client.call("GET", _PATH)
        except HubRefused as refused:
            # With a new address the hub makes a new operator token, which this process may read too early.
            if refused.status != 401 or time.monotonic() > deadline:
                raise
            time.sleep(_POLL)
            continue
        if answer["doing"] not in ("", said) and not arguments.json:
            said = answer["doing"]
            print(f"{said} ...", file=sys.stderr)
        if not answer["busy"]:
            return answer
        if time.monotonic() > deadline:
            raise CommandError("It is still not done. `parachute expose status` tells how it ends.")
        time.sleep(_POLL)


def _missing(way: Mapping[str, Any], address: str) -> str:
    remedy = way["remedy"]
    if remedy.startswith("/"):
        remedy = f"Open {address}{remedy} in the browser."
    return f"{way['refused']} {remedy}".strip()


def _planned(plan: Mapping[str, Any]) -> str:
    lines = [plan["text"], "", "Who can reach it:", *(f"  {line}" for line in plan["public"])]
    if plan["runs_already"]:
        lines += ["", "It is switched on already: only the address of the hub changes."]
    elif plan["commands"]:
        lines += ["", "Run this yourself:" if plan["by_hand"] else "The hub runs:"]
        lines += [f"  {command}" for command in plan["commands"]]
    if plan["config"]:
        lines += ["", "With this configuration:", *(f"  {line}" for line in plan["config"].splitlines())]
    if plan["origin"]:
        lines += ["", f"The address becomes {plan['origin']}. Apps have to be connected again there."]
    return "\n".join(lines)


def _told(answer: Mapping[str, Any]) -> str:
    way = answer["open"]
    trouble = f"{answer['problem']} {answer['remedy']}".strip()
    if way is None:
        return "\n".join(line for line in (trouble, "No way is open.") if line)
    reached = {True: "The hub answers there.", False: answer["finding"], None: "It has not been checked yet."}
    lines = [f"{way['title']}: {way['origin']}", trouble or reached[answer["reachable"]]]
    if way["fingerprint"]:
        lines += [f"Its certificate: {way['origin']}/api/reach/certificate", f"SHA-256 {way['fingerprint']}"]
    return "\n".join(lines)
