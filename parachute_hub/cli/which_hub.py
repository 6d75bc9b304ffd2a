"""Which hub a command means: the one on this machine, or one that somebody signed in to."""

import os
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parachute_hub.cli.client import CommandError, HubClient
from parachute_hub.settings import from_process

if TYPE_CHECKING:
    from parachute_hub.cli.profiles import Profile

_ONLY_HERE: Final = frozenset({"serve", "service", "migrate", "auth", "update", "module"})
"""Words for this machine, whatever hub somebody signed in to."""


def home_of(arguments: Namespace) -> Path:
    """The home folder: option, environment, or default."""
    return from_process({"home": vars(arguments).get("home")}).home


def catalog_of(chosen: str) -> str:
    """What --catalog means in any folder. Raises CommandError if there is no such file."""
    file = from_process({"catalog": chosen}).catalog
    if file is None or chosen == "reference":
        return chosen
    if not file.is_file():
        raise CommandError(f"There is no catalog {file}. Say published, reference, or the name of a file.", code=2)
    return str(file)


def check(arguments: Namespace) -> None:
    """Refuse options that contradict each other or the word. Raises CommandError."""
    hub = arguments.hub
    if hub in (None, "", "local"):
        return
    if arguments.home:
        raise CommandError("--home is a folder of this machine and --hub is a hub elsewhere. Use one of them.", code=2)
    first = arguments.word.partition(" ")[0]
    if first in _ONLY_HERE:
        raise CommandError(f"`parachute {first}` is only for this machine. Run it there, without --hub.", code=2)


def named(arguments: Namespace) -> str:
    """The hub that was named. A --home counts for more than PARACHUTE_HUB, as any option does."""
    return vars(arguments).get("hub") or ("" if vars(arguments).get("home") else os.environ.get("PARACHUTE_HUB", ""))


def remote_of(arguments: Namespace) -> "Profile | None":
    """The hub on another machine: by name, or the last one signed in to if there is none here. None for one here.

    Raises CommandError for a name that nobody signed in to.
    """
    name = named(arguments)
    only_here = vars(arguments).get("word", "").partition(" ")[0] in _ONLY_HERE
    if only_here or name == "local" or (not name and _is_here(arguments)):
        return None
    from parachute_hub.cli.profiles import profiles

    store = profiles()
    profile = store.get(name) if name else next(iter(store.all()), None)
    if profile is None and name:
        raise CommandError(f"You are not signed in to a hub called {name}. See: parachute hubs", code=2)
    return profile


def client_of(arguments: Namespace, *, quick: bool = False) -> HubClient:
    """The client for the hub that the arguments mean. A `quick` one gives up early on a hub elsewhere."""
    profile = remote_of(arguments)
    if profile is None:
        return HubClient(home_of(arguments))
    from parachute_hub.cli.profiles import profiles
    from parachute_hub.cli.remote import RemoteHub

    return HubClient(RemoteHub(profile, profiles(), quick=quick))


def _is_here(arguments: Namespace) -> bool:
    told = vars(arguments).get("home") or os.environ.get("PARACHUTE_HOME")
    return bool(told) or (home_of(arguments) / "operator.token").exists()
