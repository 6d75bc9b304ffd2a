"""A way back in for someone who controls the machine."""

import getpass
import sys
from argparse import Namespace

from parachute_hub.command.actions import home_of, show
from parachute_hub.command.client import CommandError


def reset_owner(arguments: Namespace) -> int:
    """Set a new password for the owner and end every session. Works while the hub runs and while it does not."""
    from parachute_hub.accounts.recovery import reset_owner_password

    home = home_of(arguments)
    database = home / "parachute.db"
    if not database.exists():
        raise CommandError(f"There is no account in {home} yet. Open the hub in a browser to create the first one.")
    password = getpass.getpass("New password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    username = reset_owner_password(database, password)
    show(
        arguments,
        {"username": username},
        f"The password of {username} is changed, second factors are off, and every session has ended. Sign in again.",
    )
    return 0
