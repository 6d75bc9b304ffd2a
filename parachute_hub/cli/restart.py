"""`parachute restart hub`: the installed version takes over in the process of the hub that runs."""

import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any, Final

from parachute_hub.cli.client import CommandError, HubClient, HubDown
from parachute_hub.cli.commands import show, switch
from parachute_hub.cli.which_hub import client_of

PATH: Final = "/api/hub/restart"
HUB: Final = "hub"
_PATIENCE = 120.0
_POLL = 0.2


def restart(arguments: Namespace) -> int:
    """Restart a module, or the hub in place, and wait until it is up again."""
    if arguments.module != HUB:
        return switch(arguments)
    done = in_place(lambda: client_of(arguments))
    same = done["version"] == done["before"]
    text = "The hub restarted." if same else f"Version {done['version']} took over from {done['before']}."
    show(arguments, done, f"{text} Its modules kept running.")
    return 0


def in_place(client: Callable[[], HubClient]) -> dict[str, Any]:
    """The version before and the one after. `client` makes a new client of the same hub. Raises CommandError."""
    old = client().health().get("instance")
    begun = client().call("POST", PATH, {})
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        time.sleep(_POLL)
        try:
            health = client().health()
            if health.get("instance") != old:
                if health.get("phase") == "up":
                    return {"before": begun["before"], "version": health["version"]}
                if health.get("phase") == "failed":
                    raise CommandError("The new version could not start. `parachute logs hub` says why.")
                continue
            told = client().call("GET", PATH)
        except HubDown:
            continue
        if told["state"] == "idle" and told["problem"]:
            raise CommandError(told["problem"])
    raise CommandError("The new version does not answer yet. `parachute logs hub` says why.")
