"""The command-line grammar of `parachute`. A word loads its own file only; help and completion load all."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from parachute_hub import __version__
from parachute_hub.cli.completion import WORD, Parser
from parachute_hub.cli.grammar import Words, everywhere

_EXAMPLES = """\
examples:
  parachute serve            run the hub; its log shows the link to set it up
  parachute service install  keep it running in the background
  parachute install vault    install a module
  parachute logs vault -f    follow its log
  parachute people invite    a link with which a friend joins
  parachute status --json    the same facts for programs
  parachute doctor           what is wrong, and what to do

exit codes:
  0    done
  1    failed, or something is wrong
  2    wrong words or options
  3    no hub is running
  130  interrupted
"""
_MODULES: Final = (
    "serve status install upgrade updates rollback uninstall cancel adopt start stop restart logs config doctor"
)
_FILES: Final = {
    "module_words": f"{_MODULES} init setup hub",
    "people_words": "people invitations vaults tokens apps",
    "hub_words": "restore-data delete-data address settings problems audit",
    "backup": "backup",
    "notices": "notices",
    "migrate": "migrate",
    "export": "export import",
    "service": "service",
    "update": "update",
    "login": "login logout hubs",
    "space": "space",
    "expose": "expose",
    "links": "link",
    "own_words": "lock module auth completion",
}
"""The words that each file adds."""


def parser(word: str | None = None) -> ArgumentParser:
    """The parser; each word carries its function. With a word that exists, only what that word needs."""
    top = Parser(
        prog="parachute",
        description="Run and manage a Parachute hub on this machine.",
        epilog=_EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"parachute {__version__}")
    everywhere(top, home=None, json=False, hub=None)
    words = Words(top.add_subparsers(title="words", metavar=WORD, required=True))
    needed = [file for file, names in _FILES.items() if word in names.split()]
    for file in needed or _FILES:
        import_module(f"parachute_hub.cli.{file}").add_words(words)
    return top


def first_word(words: Sequence[str]) -> str | None:
    """The word that a command line begins with, after options.

    >>> first_word(["--home", "/x", "--json", "status"]), first_word(["--help"])
    ('status', None)
    """
    value = False
    for word in words:
        if not value and not word.startswith("-"):
            return word
        value = word in ("--home", "--hub")
    return None
