"""`parachute lock`: end all access at once, from the machine."""

from argparse import Namespace

from parachute_hub.cli.commands import show
from parachute_hub.cli.grammar import Words, agreed, may_ask
from parachute_hub.cli.which_hub import client_of


def add_word(words: Words) -> None:
    """Add `lock` to the grammar."""
    text = "End all sessions, tokens, app connections and invitations, and change the signing key."
    may_ask(words.add("lock", lock, text))


def lock(arguments: Namespace) -> int:
    """End everything, and print what to connect again."""
    if not agreed(arguments, "This signs everybody out and disconnects every app. Notes stay. Lock everything?"):
        return 1
    ended = client_of(arguments).call("POST", "/api/lock")["ended"]
    lines = ["Everything is locked. To do now:"]
    lines += [f"  sign in again: {name}" for name in ended["people"]]
    lines += [f"  connect again: {app['name']} of {app['user']}" for app in ended["apps"]]
    lines += [f"  invite again: {name}" for name in ended["invitations"]]
    lines += [f"  make again: the token for {scopes}" for scopes in ended["tokens"]]
    show(arguments, ended, "\n".join([*lines, "  change your password, if it may be known"]))
    return 0
