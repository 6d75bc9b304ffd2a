"""`parachute backup ...`: everything that the Backups page does, for a terminal."""

import getpass
import os
import sys
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from parachute_hub.cli.client import CommandError, HubClient, HubDown, HubRefused
from parachute_hub.cli.commands import backup_line, progress_of, show
from parachute_hub.cli.grammar import Words, agreed, may_ask, path_of, secret
from parachute_hub.cli.kinds import PLACES
from parachute_hub.cli.progress import ProgressPrinter, run_job
from parachute_hub.cli.restore_plan import connect_again, part_plan, when, whole_plan
from parachute_hub.cli.tables import size, table
from parachute_hub.cli.terminal import terminal
from parachute_hub.cli.which_hub import client_of
from parachute_hub.system.log_lines import visible

SECRET = "PARACHUTE_BACKUP_SECRET"
_RESTORE = "/admin/setup/restore"
_PATIENCE = 120.0


def add_words(words: Words) -> None:
    """Add `backup` and its subcommands to the grammar."""
    word = words.group("backup", "Make, check and restore backups.").add
    word("list", listing, "Show destinations and their backups.")
    now = word("now", back_up, "Back up now.")
    now.add_argument("destination", nargs="?", help="its number, label or id; all of them by default")
    verify_word = word("verify", verify, "Read a backup again and check every file in it.")
    verify_word.add_argument("name", nargs="?", help="the backup's name; the newest by default")
    verify_word.add_argument("--whole", action="store_true", help="unpack it completely, too, if there is room")
    sheet_word = word("sheet", sheet, "Make the recovery sheet: the key without which no backup can be read.")
    instead = sheet_word.add_mutually_exclusive_group()
    instead.add_argument("--new", action="store_true", help="make a new key although there is one")
    instead.add_argument("--confirm", metavar="XXXX", help="you have the sheet: the last four characters of its key")
    instead.add_argument("--only", action="store_true", help="delete the key on the hub: it is on the sheet only")
    may_ask(sheet_word)
    destination = word("destination", destinations, "Add, test or remove a destination.")
    destination.add_argument("what", choices=("add-folder", "add-s3", "test", "remove"))
    destination.add_argument("target", help="the folder, the bucket, or the number or id of a destination")
    for flag, text in {
        "--endpoint": "the address of the S3-compatible service",
        "--region": "its region",
        "--prefix": "a folder in the bucket",
        "--key-id": f"the access key; its secret is asked for, or taken from {SECRET}",
        "--label": "what to call it",
    }.items():
        destination.add_argument(flag, default="", help=text)
    may_ask(destination)
    destination.add_argument("--private", action="store_true", help="the address is in a private network")
    schedule_word = word("schedule", schedule, "Show or change when backups are made.")
    schedule_word.add_argument("--hour", type=_hour, help="from 0 to 23, in UTC")
    schedule_word.add_argument("--daily", choices=("on", "off"))
    schedule_word.add_argument("--programs", choices=("on", "off"), help="whether modules' programs go along")
    download_word = word("download", download, "Make a backup and write it to a file.")
    download_word.add_argument("file", type=path_of)
    restore_word = word("restore", restore, "Restore a backup, or one module or vault of it.")
    restore_word.add_argument("file", nargs="?", type=path_of, help="a backup file on this machine")
    restore_word.add_argument("--from", dest="source", metavar="DESTINATION", help="number or id of a destination")
    restore_word.add_argument("--name", help="which backup there; the newest by default")
    restore_word.add_argument(
        "--key-file", type=path_of, help="a file with the recovery key; it is asked for by default"
    )
    part = restore_word.add_mutually_exclusive_group()
    part.add_argument("--module", metavar="MODULE", help="only the data of this module")
    part.add_argument("--vault", metavar="NAME", help="only this vault")
    restore_word.add_argument("--as", dest="alias", metavar="NAME", help="put the vault beside the others, named so")
    restore_word.add_argument("--copy", action="store_true", help="the old hub lives on: use new keys here")
    may_ask(restore_word)


def listing(arguments: Namespace) -> int:
    """The state of backups."""
    state = client_of(arguments).call("GET", "/api/backups")
    show(arguments, state, _described(state))
    return 1 if state["problems"] else 0


def back_up(arguments: Namespace) -> int:
    """One destination, or all."""
    client = client_of(arguments)
    places = PLACES.all(client)
    chosen = [PLACES.choose(places, arguments.destination)] if arguments.destination else places
    if not chosen:
        raise CommandError("There is no destination yet. Add one: parachute backup destination add-folder /mnt/disk")
    progress = progress_of(arguments)
    jobs = [run_job(client, f"/api/backups/places/{place['id']}/run", {}, progress) for place in chosen]
    show(arguments, {"operations": jobs}, "The backup was made and checked.")
    return 0


def verify(arguments: Namespace) -> int:
    """One backup, by default the newest."""
    client = client_of(arguments)
    copies = [
        (place, one)
        for place in PLACES.all(client)
        for one in place["backups"]
        if arguments.name in (None, one["name"])
    ]
    if not copies:
        raise CommandError("There is no such backup. See: parachute backup list")
    place, copy = max(copies, key=lambda pair: float(pair[1]["madeAt"]))
    progress = progress_of(arguments)
    asked = {"name": copy["name"], "whole": arguments.whole}
    job = run_job(client, f"/api/backups/places/{place['id']}/verify", asked, progress)
    show(arguments, job, f"{copy['name']} can be restored.")
    return 0


def sheet(arguments: Namespace) -> int:
    """Make the key, print the sheet, and ask for four characters of it."""
    client = client_of(arguments)
    if arguments.confirm:
        state = client.call("POST", "/api/backups/key/confirm", {"characters": arguments.confirm})
        show(arguments, state["key"], SET_UP)
        return 0
    if arguments.only:
        question = "Delete the key on this hub? Backups can then be read with the sheet only."
        if not agreed(arguments, question):
            return 1
        state = client.call("DELETE", "/api/backups/key")
        show(arguments, state["key"], "The key is on the sheet only. The hub checks that backups arrived unchanged.")
        return 0
    if client.call("GET", "/api/backups")["key"] and not arguments.new:
        raise CommandError("There is a recovery sheet already. Make another one with --new; keep the old one as well.")
    identity = client.call("POST", "/api/backups/key")["identity"]
    if arguments.json:
        show(arguments, {"identity": identity}, "")
        return 0
    print(visible(SHEET.format(identity=identity)))
    if not sys.stdin.isatty():
        print("When you have it, confirm it: parachute backup sheet --confirm LAST-FOUR-CHARACTERS")
        return 0
    while True:
        typed = input("When you have it, type the last four characters of the key: ")
        try:
            client.call("POST", "/api/backups/key/confirm", {"characters": typed})
        except HubRefused as error:
            print(visible(str(error)))
        else:
            print(SET_UP)
            return 0


SET_UP = "Backups are set up. Add a destination next: parachute backup destination add-folder /mnt/disk"
SHEET = """Parachute recovery sheet

  {identity}

Print this, or keep it in a password manager: not on this machine. Whoever has it and a backup can read everything.
Without it, no backup can be read.

To restore: install Parachute, open it, and choose "I have a backup". Without a hub, on any machine with age and zstd:

  echo {identity} > key.txt
  age -d -i key.txt parachute-....tar.zst.age | tar --zstd -x
  rm key.txt
"""


def destinations(arguments: Namespace) -> int:
    """Add, test or remove."""
    client, target = client_of(arguments), arguments.target
    if arguments.what in ("test", "remove"):
        place = PLACES.choose(PLACES.all(client), target)
        path = f"/api/backups/places/{place['id']}"
        if arguments.what == "remove":
            if not agreed(arguments, f"Remove {place['label']}? The backups there stay, its settings are deleted."):
                return 1
            client.call("DELETE", path)
            show(arguments, {"removed": place["id"]}, f"{place['label']} was removed. The backups there stay.")
        else:
            client.call("POST", f"{path}/test", {})
            show(arguments, {"works": True}, f"{place['label']} works.")
        return 0
    told: dict[str, Any] = {"label": arguments.label, "private": arguments.private}
    if arguments.what == "add-folder":
        if client.is_elsewhere and not Path(target).is_absolute():
            raise CommandError("Write the whole path of the folder, as it is on the hub's machine.", code=2)
        told |= {"kind": "folder", "path": str(Path(target).absolute())}
    else:
        told |= {"kind": "s3", "bucket": target, "secret": secret(SECRET, "Secret key")}
        told |= {name: getattr(arguments, name) for name in ("endpoint", "region", "prefix", "key_id")}
    added = client.call("POST", "/api/backups/places", told)
    show(arguments, added, f"{added['label']} works and was added.")
    return 0


def schedule(arguments: Namespace) -> int:
    """Show or change it."""
    client = client_of(arguments)
    changes: dict[str, Any] = {} if arguments.hour is None else {"hour": arguments.hour}
    for name in ("daily", "programs"):
        if getattr(arguments, name) is not None:
            changes[name] = getattr(arguments, name) == "on"
    state = client.call("PUT", "/api/backups/schedule", changes) if changes else client.call("GET", "/api/backups")
    told = state["schedule"]
    when = f"Every day from {told['hour']:02}:00 UTC on." if told["daily"] else "Only by hand."
    show(arguments, told, when)
    return 0


def download(arguments: Namespace) -> int:
    """Write a fresh archive to a file: under another name until it is whole."""
    client, target = client_of(arguments), arguments.file
    if target.exists():
        raise CommandError(f"{target} exists. Choose another name.")
    partial = target.with_name(f"{target.name}.partial")
    url = client.call("POST", "/api/backups/download", {})["url"]
    progress, began = progress_of(arguments), time.time()
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        written = client.save(url, file, lambda done: progress.step("download", done, None, began))
    progress.leave()
    partial.rename(target)
    show(arguments, {"file": str(target), "bytes": written}, f"{target} holds the backup, {size(written)}.")
    return 0


def restore(arguments: Namespace) -> int:
    """Unpack, show the plan, and exchange it for what is here."""
    client = client_of(arguments)
    if (arguments.file is None) == (arguments.source is None):
        raise CommandError("Name a backup file, or a destination with --from.", code=2)
    if arguments.json and not arguments.yes:
        raise CommandError("With --json nothing is asked, so say --yes as well.", code=2)
    if arguments.file is not None and not arguments.file.is_file():
        raise CommandError(f"There is no file {arguments.file}.")
    part = _part(arguments)
    told: dict[str, Any] = {"identity": _key(arguments.key_file), "part": part}
    if arguments.source is not None:
        place = PLACES.choose(PLACES.all(client), arguments.source)
        archives = client.call("GET", f"/api/backups/places/{place['id']}/archives")["archives"]
        names = [one["name"] for one in archives]
        if not names or arguments.name not in (None, *names):
            raise CommandError(f"There is no such backup at {place['label']}.")
        told |= {"from": {"id": place["id"]}, "name": arguments.name or names[0]}
    begun = client.call("POST", _RESTORE, told)
    path, ticket = f"{_RESTORE}/{begun['id']}", str(begun["ticket"])
    try:
        if arguments.file is not None:
            _send(client, path, ticket, arguments.file, int(begun["chunk"]), progress_of(arguments))
        state = _read(client, path, ticket, progress_of(arguments))
        _agree(arguments, whole_plan(state) if part is None else part_plan(state, part))
        if part is not None:
            run_job(client, f"{path}/apply", {"part": part}, progress_of(arguments), bearer=ticket)
            show(arguments, state, "It was restored.")
            return 0
    except BaseException:
        with suppress(CommandError):
            client.call("DELETE", path, bearer=ticket)
        raise
    client.call("POST", f"{path}/apply", {"mode": "copy" if arguments.copy else "move"}, bearer=ticket)
    _wait_for_restart(client)
    done = "The backup was restored. Modules are fetched again now; see: parachute status"
    show(arguments, state, "\n".join([done, *connect_again(state)]))
    return 0


def _send(client: HubClient, path: str, ticket: str, file: Path, chunk: int, progress: ProgressPrinter) -> None:
    began = time.time()
    with file.open("rb") as opened:
        total, sent = os.fstat(opened.fileno()).st_size, 0
        while part := opened.read(chunk):
            client.call("PUT", f"{path}/parts/{sent}", part, bearer=ticket)
            sent += len(part)
            progress.step("send", sent, total, began)
    progress.leave()
    client.call("POST", f"{path}/end", {}, bearer=ticket)


def _read(client: HubClient, path: str, ticket: str, progress: ProgressPrinter) -> dict[str, Any]:
    """Wait until the archive was read to its end."""
    began = time.time()
    try:
        while True:
            state = client.call("GET", path, bearer=ticket)
            if state["phase"] == "failed":
                raise CommandError(str(state["error"]))
            if state["phase"] == "ready":
                return state
            far = state["progress"]
            progress.step("check", far.get("bytes", 0), far.get("of"), began)
            time.sleep(0.3)
    finally:
        progress.leave()


def _agree(arguments: Namespace, plan: str) -> None:
    """Show the plan and ask. Raises CommandError unless the owner agrees."""
    if not arguments.json:
        print(visible(plan))
    if not agreed(arguments, "Go on?"):
        raise CommandError("Nothing was changed.")


def _part(arguments: Namespace) -> dict[str, str] | None:
    if arguments.alias and not arguments.vault:
        raise CommandError("--as gives a vault another name: say which one with --vault.", code=2)
    if (arguments.module or arguments.vault) and arguments.copy:
        raise CommandError("--copy is for a whole backup.", code=2)
    if arguments.module:
        return {"module": arguments.module}
    if arguments.vault:
        return {"vault": arguments.vault, **({"as": arguments.alias} if arguments.alias else {})}
    return None


def _wait_for_restart(client: HubClient) -> None:
    end = time.monotonic() + _PATIENCE
    time.sleep(0.5)
    while time.monotonic() < end:
        with suppress(HubDown):
            if client.health().get("phase") == "up":
                return
        time.sleep(0.3)
    raise CommandError("The hub has not come back yet. See its log; the restore goes on at its next start.")


def _key(file: Path | None) -> str:
    """Never an argument: those can be read by every process of the machine."""
    return (file.read_text() if file else getpass.getpass("Recovery key (AGE-SECRET-KEY-1...): ")).strip()


def _hour(text: str) -> int:
    """Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) > 23:
        raise ArgumentTypeError(f"{text!r} is not an hour from 0 to 23.")
    return int(text)


def _described(state: Mapping[str, Any]) -> str:
    lines = []
    if state["places"] or not state["key"]:
        lines.append(backup_line({**state, "problems": []}, time.time()))
    for number, place in enumerate(state["places"], 1):
        lines.append(f"{number}. {place['label']}")
        rows = [
            (one["name"], when(one["madeAt"]), size(one["stored"]), "checked" if one["verifiedAt"] else "not checked")
            for one in place["backups"]
        ]
        lines.append(table(("BACKUP", "MADE", "SIZE", "STATE"), rows, terminal()) if rows else "   no backup yet")
    lines += [f"! {problem['text']}" for problem in state["problems"]]
    return "\n".join(lines) or "There is no destination yet. Add one: parachute backup destination add-folder /mnt/disk"
