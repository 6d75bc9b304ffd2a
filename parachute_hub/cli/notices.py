"""`parachute notices ...`: everything that the Notices page does but browsers, for a terminal."""

import os
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from parachute_hub.cli.client import CommandError, HubRefused
from parachute_hub.cli.commands import show
from parachute_hub.cli.grammar import Words, agreed, may_ask, secret
from parachute_hub.cli.kinds import DESTINATIONS
from parachute_hub.cli.tables import ago, table
from parachute_hub.cli.terminal import terminal
from parachute_hub.cli.which_hub import client_of

SECRET = "PARACHUTE_NOTICE_SECRET"
_PATH = "/api/notices"
_KINDS = ("ntfy", "webhook", "email", "ping", "apprise")
# What a kind calls its secret; the others have theirs in the address.
_SECRETS = {"ntfy": "token", "webhook": "secret", "email": "password"}


def add_words(words: Words) -> None:
    """Add `notices` and its subcommands to the grammar."""
    word = words.group("notices", "Hear of problems: ntfy, webhook, e-mail, a sign of life, apprise.").add
    word("list", listing, "Show where notices go.")
    added = word("add", add, "Add a destination. It gets a first notice, and is kept if that arrives.")
    added.add_argument("kind", choices=_KINDS)
    added.add_argument("address", help="its URL; for email the receiver")
    added.add_argument("--label", default="", help="what to call it")
    added.add_argument("--private", action="store_true", help="the address is in a private network")
    added.add_argument("--secret", action="store_true", help=f"ask for a token or password, or take it from {SECRET}")
    added.add_argument("--server", help="email: the mail server, as host or host:port")
    added.add_argument("--from", dest="sender", default="", help="email: the sender; the receiver by default")
    added.add_argument("--user", default="", help="email: the user name at the mail server")
    added.add_argument("--security", choices=("starttls", "tls", "none"), default="starttls", help="email: encryption")
    for name, action, text in (
        ("test", test, "Send a notice to a destination now."),
        ("remove", remove, "Remove a destination, which is told so."),
    ):
        sub = word(name, action, text)
        named = sub.add_argument("destination", help="its number, label or id")
        named.completer = DESTINATIONS.offered  # type: ignore[attr-defined]
        if action is remove:
            may_ask(sub)
    quieted = word("quiet", quiet, "Set quiet hours, or end them.")
    quieted.add_argument("span", help="22:00-07:00, or off")
    quieted.add_argument("--zone", default="UTC", help="the time zone, such as Europe/Berlin [UTC]")
    word("level", level, "Choose which problems are told.").add_argument(
        "least", choices=("error", "warning", "info"), help="this serious, or more"
    )


def listing(arguments: Namespace) -> int:
    """Destinations and settings. Exit code 1 if a notice did not arrive."""
    state = client_of(arguments).call("GET", _PATH)
    show(arguments, state, _described(state, time.time()))
    return 1 if any(one["error"] for one in state["destinations"]) else 0


def add(arguments: Namespace) -> int:
    """Add a destination."""
    body: dict[str, Any] = {"kind": arguments.kind, "label": arguments.label, "private": arguments.private}
    if arguments.kind == "email":
        if not arguments.server:
            raise CommandError("Name the mail server with --server.", code=2)
        host, _, port = arguments.server.partition(":")
        body |= {"host": host, **({"port": int(port)} if port.isdigit() else {})}
        body |= {"to": arguments.address, "sender": arguments.sender or arguments.address}
        body |= {"username": arguments.user, "security": arguments.security}
    else:
        body["url"] = arguments.address
    given = secret(SECRET, "Token or password") if arguments.secret else os.environ.get(SECRET, "")
    if given:
        if arguments.kind not in _SECRETS:
            raise CommandError(f"A destination of the kind {arguments.kind} has no secret of its own.", code=2)
        body[_SECRETS[arguments.kind]] = given
    try:
        added = client_of(arguments).call("POST", f"{_PATH}/destinations", body)
    except HubRefused as refused:
        if refused.body.get("error") == "private_address":
            raise CommandError(f"{refused} Use --private for that.") from None
        raise
    show(arguments, added, f"A first notice arrived at {added['label']}, which was added.")
    return 0


def test(arguments: Namespace) -> int:
    """A notice now."""
    client = client_of(arguments)
    one = DESTINATIONS.choose(DESTINATIONS.all(client), arguments.destination)
    state = client.call("POST", f"{_PATH}/destinations/{one['id']}/test", {})
    show(arguments, state, f"The notice arrived at {one['label']}.")
    return 0


def remove(arguments: Namespace) -> int:
    """Remove a destination."""
    client = client_of(arguments)
    one = DESTINATIONS.choose(DESTINATIONS.all(client), arguments.destination)
    if not agreed(arguments, f"Remove {one['label']}? Its address and its secret are deleted."):
        return 1
    state = client.call("DELETE", f"{_PATH}/destinations/{one['id']}")
    show(arguments, state, f"{one['label']} was removed.")
    return 0


def quiet(arguments: Namespace) -> int:
    """Quiet hours."""
    begin, _, end = arguments.span.partition("-")
    told = None if arguments.span == "off" else {"from": begin, "to": end, "zone": arguments.zone}
    state = client_of(arguments).call("PUT", f"{_PATH}/settings", {"quiet": told})
    show(arguments, state, _described(state, time.time()))
    return 0


def level(arguments: Namespace) -> int:
    """Which problems are told."""
    state = client_of(arguments).call("PUT", f"{_PATH}/settings", {"least": arguments.least})
    show(arguments, state, _described(state, time.time()))
    return 0


def _described(state: Mapping[str, Any], now: float) -> str:
    rows = [
        (
            str(number),
            one["kind"],
            one["label"],
            ago(now - one["sentAt"]) if one["sentAt"] else "never",
            one["error"] or "",
        )
        for number, one in enumerate(state["destinations"], 1)
    ]
    told = {"error": "errors only", "warning": "errors and warnings", "info": "everything"}[state["least"]]
    hours = state["quiet"]
    quiet_hours = f"{hours['from']} to {hours['to']} ({hours['zone']})" if hours else "none"
    head = table(("", "KIND", "WHERE", "LAST", ""), rows, terminal()) if rows else "Notices go nowhere yet."
    return f"{head}\n\nTold: {told}. Quiet hours: {quiet_hours}."
