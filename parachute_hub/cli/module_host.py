"""`parachute module host`: this machine runs one module for a hub elsewhere."""

import os
import re
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.commands import become_hub, show
from parachute_hub.cli.which_hub import home_of
from parachute_hub.modules.definition.names import FOLDERS_OF_THE_HUB, is_short
from parachute_hub.settings import fold
from parachute_hub.system.atomic_files import read_text

_LOCK_LIMIT = 4096


def add_options(parser: ArgumentParser) -> None:
    """The options of the word."""
    parser.add_argument("module", nargs="?", help="the module's short name, such as vault")
    parser.add_argument("--listen", help="a port, address:port or Twisted endpoint [PARACHUTE_LISTEN; 1940]")
    parser.add_argument("--catalog", help="modules to know: published, reference, or a file [PARACHUTE_CATALOG]")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--pair", action="store_true", help="show a new code for a hub, also while the host runs")
    choice.add_argument("--unpair", action="store_true", help="forget the hub; the module's data stays")


def host(arguments: Namespace) -> int:
    """Run the module for a hub, in the foreground; or pair and unpair the host in this home."""
    if arguments.pair or arguments.unpair:
        return _pair(arguments) if arguments.pair else _unpair(arguments)
    if not arguments.module:
        raise CommandError("Name the module that this machine shall run, such as: parachute module host vault", code=2)
    if not is_short(arguments.module) or arguments.module in FOLDERS_OF_THE_HUB:
        raise CommandError(f'"{arguments.module}" is not the short name of a module, such as vault.', code=2)
    os.environ |= _role(arguments.module)
    options = {name: vars(arguments).get(name) for name in ("home", "listen", "catalog")}
    fold(options, os.environ)
    become_hub([word for option, value in options.items() if value for word in (f"--{option}", value)])


def _role(short: str) -> dict[str, str]:
    return {"PARACHUTE_ROLE": "host", "PARACHUTE_MODULE": short}


def _port(folder: Path) -> str | None:
    """Where the host in this home listens, if it runs."""
    try:
        found = re.search(r" on port (\d+),", read_text(folder / "lock", _LOCK_LIMIT))
    except OSError:
        return None
    return found[1] if found else None


def _pair(arguments: Namespace) -> int:
    from parachute_hub.app.host import address_of, offer
    from parachute_hub.host.records import HostRecords, UnusableRecord

    folder = _folder(arguments)
    records = HostRecords(folder)
    try:
        record = records.current()
        if record.hub is not None:
            raise CommandError(f"This host belongs to {record.hub.origin}. Run it with --unpair first.")
        options = {"home": str(folder.parent), "listen": arguments.listen or _port(folder)}
        where = address_of(fold(options, {**os.environ, **_role(record.short)}))
        lines = offer(records, where, time.time())
    except (UnusableRecord, OSError) as error:
        raise CommandError(str(error)) from None
    show(arguments, {"module": record.short, "address": where, "code": lines[2].split()[1]}, "\n".join(lines))
    return 0


def _unpair(arguments: Namespace) -> int:
    from attrs import evolve

    from parachute_hub.host.records import HostRecords, UnusableRecord

    records = HostRecords(_folder(arguments))
    try:
        record = records.current()
        records.write(evolve(record, hub=None))
    except (UnusableRecord, OSError) as error:
        raise CommandError(str(error)) from None
    was = record.hub.origin if record.hub else None
    text = f"This host does not belong to {was} any more." if was else "This host belongs to no hub."
    show(arguments, {"module": record.short, "was": was}, f"{text} To pair it: parachute module host --pair")
    return 0


def _folder(arguments: Namespace) -> Path:
    """The host's own folder. Run by root, as in a container, what is written belongs to whoever runs the host."""
    folder = home_of(arguments) / "hub"
    try:
        found = folder.stat()
    except OSError:
        raise CommandError(f"There is no module host in {folder.parent}.") from None
    if os.geteuid() == 0 and found.st_uid:
        os.setegid(found.st_gid)
        os.seteuid(found.st_uid)
    return folder
