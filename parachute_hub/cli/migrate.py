"""`parachute migrate`: move in from the older hub, look what would come, or go back to it."""

import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from parachute_hub.cli.client import CommandError, HubClient, HubDown
from parachute_hub.cli.commands import show
from parachute_hub.cli.grammar import Words, agreed
from parachute_hub.cli.which_hub import home_of

_BASE = "/admin/setup/move-in"
_PATIENCE = 120.0


def add_words(words: Words) -> None:
    """Add `migrate` to the grammar."""
    text = "Move in from the older hub of this home, or go back to it."
    word = words.add("migrate", migrate, text)
    which = word.add_mutually_exclusive_group()
    which.add_argument("--dry-run", action="store_true", help="only list what would come; changes nothing")
    which.add_argument("--undo", action="store_true", help="put back the older hub's files; this hub must be stopped")
    word.add_argument("--yes", action="store_true", help="do not ask")


def migrate(arguments: Namespace) -> int:
    """Exit code 1 if the older hub's data cannot be used."""
    if arguments.undo:
        return _undo(arguments)
    if arguments.dry_run:
        found = _look(home_of(arguments))
        show(arguments, found, _listed(found))
        return 0
    # Always this machine's hub: the older one is in its folder.
    client = HubClient(home_of(arguments))
    begun = client.call("POST", f"{_BASE}/plan", {})
    if not arguments.json:
        print(_listed(begun["plan"]))
    if not agreed(arguments, "Move in?"):
        return 1
    before = client.health().get("instance")
    client.call("POST", _BASE, {"ticket": begun["ticket"]})
    _wait_for_restart(home_of(arguments), before)
    show(arguments, begun["plan"], "\nYou have moved in. Sign in with your name and password of before.")
    return 0


def _look(home: Path) -> dict[str, Any]:
    from parachute_hub.migration.service import look
    from parachute_hub.oauth.tokens.keys import is_private_pem
    from parachute_hub.settings import is_origin
    from parachute_hub.store.older_hub import OlderHubUnreadable
    from parachute_hub.system.home import HomeTaken

    try:
        move = look(home, now=time.time(), is_origin=is_origin, is_key=is_private_pem)
    except (OlderHubUnreadable, HomeTaken) as error:
        raise CommandError(str(error)) from None
    return move.to_json()


def _listed(found: Mapping[str, Any]) -> str:
    """The plan for people."""
    lines = ["This comes along:"]
    for person in found["people"]:
        more = ["owner" if person["role"] == "admin" else ", ".join(person["vaults"]) or "no vault"]
        if person["second_factor"]:
            more.append("second factor")
        lines.append(f"  account  {person['username']} ({', '.join(more)})")
    for app in found["apps"]:
        state = "stays connected" if app["connected"] else "known"
        lines.append(f"  app      {app['name'] or app['client_id']} ({state})")
    lines.append(f"  tokens   {found['tokens']} issued, {len(found['signing_keys'])} signing keys")
    lines += [f"  setting  {name}: {value}" for name, value in found["settings"].items()]
    lines += ["", "Notes, vaults and settings of modules stay where they lie."]
    if found["remarks"]:
        lines += ["", "This does not:", *(f"  {remark}" for remark in found["remarks"])]
    return "\n".join(lines)


def _undo(arguments: Namespace) -> int:
    from parachute_hub.migration import home as older_home
    from parachute_hub.system.home import Home, HomeError

    path = home_of(arguments)
    if not older_home.is_older(path):
        raise CommandError(f"There is no older hub in {path}.")
    text = (
        "Accounts, apps and settings of this hub are moved aside. Notes written here stay. Apps that renewed their "
        "access here must be connected to the older hub again, and a vault that was upgraded here may not start there."
    )
    if not arguments.yes:
        print(text, file=sys.stderr)
    if not agreed(arguments, "Go back to the older hub?"):
        return 1
    home = Home(path)
    try:
        home.lock("parachute migrate --undo")
    except HomeError as error:
        raise CommandError(f"{error} `parachute migrate --undo` needs it to be stopped.") from None
    try:
        older_home.check_not_running(path)
        changed = older_home.undo(path, time.time())
    except (HomeError, older_home.CannotUndo) as error:
        raise CommandError(str(error)) from None
    finally:
        home.release()
    said = f"Put back: {', '.join(changed)}." if changed else "No file had changed."
    show(arguments, {"put_back": changed}, f"{said} You can start the older hub now.")
    return 0


def _wait_for_restart(home: Path, before: object) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.2)
        with suppress(HubDown):
            health = HubClient(home).health()
            if health.get("phase") == "up" and health.get("instance") != before:
                return
    raise CommandError("The hub does not come back. Look at its log; the move itself is done.")
