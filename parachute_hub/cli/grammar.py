"""Adds words to the grammar: with the options that all of them take, and examples."""

import getpass
import os
import sys
from argparse import (
    SUPPRESS,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
    _SubParsersAction,
)
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.completion import WORD
from parachute_hub.cli.examples import EXAMPLES
from parachute_hub.cli.which_hub import named, remote_of
from parachute_hub.system.log_lines import visible
from parachute_hub.system.records import frozen

Action = Callable[[Namespace], int]


@frozen
class Words:
    """A level of the grammar: the words after `parachute`, or after `parachute backup` (`prefix` is `backup `)."""

    under: "_SubParsersAction[Any]"
    prefix: str = ""

    def add(self, name: str, action: Action, text: str) -> ArgumentParser:
        """A word that does something. Its parsed arguments hold the whole `word`, such as `backup list`."""
        word = self.prefix + name
        sub: ArgumentParser = self.under.add_parser(
            name, help=text, description=text, epilog=_epilog(word), formatter_class=RawDescriptionHelpFormatter
        )
        everywhere(sub)
        sub.set_defaults(action=action, word=word)
        return sub

    def group(self, name: str, text: str, action: Action | None = None) -> "Words":
        """A word with words of its own. With an `action`, it does something without one of them."""
        if action is None:
            sub: ArgumentParser = self.under.add_parser(name, help=text, description=text)
            everywhere(sub)
        else:
            sub = self.add(name, action, text)
        return Words(sub.add_subparsers(title="words", metavar=WORD, required=action is None), f"{self.prefix}{name} ")


def everywhere(
    sub: ArgumentParser, home: str | None = SUPPRESS, json: bool | str = SUPPRESS, hub: str | None = SUPPRESS
) -> None:
    """Options accepted before or after the word. After it, a missing option keeps the earlier value."""
    sub.add_argument("--home", default=home, help="the hub's folder [PARACHUTE_HOME; ~/.parachute]")
    sub.add_argument("--hub", default=hub, help="a hub that you signed in to, or local [PARACHUTE_HUB]")
    sub.add_argument("--json", action="store_true", default=json, help="print JSON for programs")


def may_ask(sub: ArgumentParser) -> None:
    """Give a word that asks first an option for scripts."""
    sub.add_argument("--yes", action="store_true", help="do not ask")


def agreed(arguments: Namespace, question: str) -> bool:
    """Ask, unless --yes was given: about which hub, if it is elsewhere.

    Raises CommandError where nobody can answer, and for --yes to a hub elsewhere that was not named.
    """
    remote = remote_of(arguments)
    if arguments.yes:
        if remote is not None and not named(arguments):
            raise CommandError(
                f"There is no hub here, so this would go to {remote.name}, where you signed in. Say so with "
                f"--hub {remote.name}",
                code=2,
            )
        return True
    if not sys.stdin.isatty():
        raise CommandError("Nobody can be asked here. Use --yes to go on without a question.", code=2)
    where = "" if remote is None else f"On {remote.origin}: "
    print(visible(where + question), end=" [y/N] ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def path_of(text: str) -> Path:
    """A file or folder as people type it, also with `~`. Raises ArgumentTypeError."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ArgumentTypeError(f"{text} begins with the name of a user who is not known here.") from None


def secret(variable: str, question: str) -> str:
    """From the environment or typed; never an argument, which other users of the machine could read."""
    given = os.environ.get(variable)
    if given:
        return given
    if not sys.stdin.isatty():
        raise CommandError(f"Set {variable}, or run this in a terminal.", code=2)
    return getpass.getpass(f"{question}: ")


def _epilog(word: str) -> str:
    lines = EXAMPLES.get(word, ())
    return "\n".join((f"example{'s' if len(lines) > 1 else ''}:", *(f"  {line}" for line in lines))) if lines else ""
