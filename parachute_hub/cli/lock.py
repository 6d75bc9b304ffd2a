"""`parachute lock`: end all access at once, from the machine."""

import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Callable

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.commands import client_of, show


def add_word(words: "_SubParsersAction[ArgumentParser]", everywhere: Callable[[ArgumentParser], None]) -> None:
    """Add `lock` to the grammar."""
    text = "End all sessions, tokens, app connections and invitations, and change the signing key."
    sub = words.add_parser("lock", help=text, description=text)
    everywhere(sub)
    sub.add_argument("--yes", action="store_true", help="do not ask")
    sub.set_defaults(action=lock, word="lock")


def lock(arguments: Namespace) -> int:
    """End everything, and print what to connect again."""
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise CommandError("Use --yes to lock without a prompt.", code=2)
        question = "This signs everybody out and disconnects every app. Notes stay. Lock everything? [y/N] "
        if input(question).strip().lower() not in ("y", "yes"):
            return 1
    ended = client_of(arguments).call("POST", "/api/lock")["ended"]
    lines = ["Everything is locked. To do now:"]
    lines += [f"  sign in again: {name}" for name in ended["people"]]
    lines += [f"  connect again: {app['name']} of {app['user']}" for app in ended["apps"]]
    lines += [f"  invite again: {name}" for name in ended["invitations"]]
    lines += [f"  make again: the token for {scopes}" for scopes in ended["tokens"]]
    show(arguments, ended, "\n".join([*lines, "  change your password, if it may be known"]))
    return 0
