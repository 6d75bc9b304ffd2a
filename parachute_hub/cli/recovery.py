"""Account recovery for whoever controls the machine."""

import secrets
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.commands import show
from parachute_hub.cli.which_hub import home_of
from parachute_hub.system.storage_trouble import storage_trouble


def reset_owner(arguments: Namespace) -> int:
    """Give the owner a one-time password. Works whether or not the hub is running."""
    from parachute_hub.accounts.people import owner_reset
    from parachute_hub.site.errors import Refused
    from parachute_hub.store.database import DatabaseUnusable

    path = home_of(arguments) / "parachute.db"
    if not path.exists():
        raise CommandError(f"There is no account in {path.parent} yet. Open the hub in a browser to make the first.")
    try:
        username, password = owner_reset.reset_owner(
            path,
            watch=lambda database: _connections(database, path.parent),
            clock=time.time,
            random=secrets.token_bytes,
        )
    except (Refused, DatabaseUnusable) as error:
        raise CommandError(str(error)) from None
    except Exception as error:
        if (trouble := storage_trouble(error)) is None:
            raise
        raise CommandError(trouble.text) from None
    text = (
        f"{username} can sign in once with this password and must choose another one then:\n\n    {password}\n\n"
        "Second factors are off, and every session and connected app of theirs has ended."
    )
    show(arguments, {"username": username, "password": password}, text)
    return 0


class _Clock:
    def seconds(self) -> float:
        return time.time()


def _connections(database: Any, home: Path) -> Any:
    """Revokes the owner's tokens."""
    from parachute_hub.oauth import assemble

    nothing: Any = None
    issuer = assemble.build(
        database,
        home=home,
        issuer="http://127.0.0.1",
        origins=(),
        resources=nothing,
        documents=nothing,
        clock=_Clock(),
        random=secrets.token_bytes,
        off_thread=nothing,
    )
    return issuer.connections
