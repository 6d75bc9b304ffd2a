"""Completion in bash, zsh and fish, down to the names of modules."""

import sys
from argparse import PARSER, Action, ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.meant import meant
from parachute_hub.cli.which_hub import client_of, home_of, remote_of
from parachute_hub.settings import BadSetting
from parachute_hub.system import strict_json
from parachute_hub.system.log_lines import visible
from parachute_hub.system.strict_json import BadJson

SHELLS = ("bash", "zsh", "fish")
WORD = "WORD"
"""What a word after another is called in the help."""

_FEW = 8
_LIMIT = 1024 * 1024


class Parser(ArgumentParser):
    """A parser that says what is wrong as people do. Its subparsers are of the same class."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._positionals.title = "arguments"

    def _check_value(self, action: Action, value: Any) -> None:
        choices = [str(choice) for choice in action.choices or ()]
        if not choices or str(value) in choices:
            return
        hint = meant(str(value), choices)
        if not hint and len(choices) <= _FEW:
            hint = f"Choose from: {', '.join(choices)}."
        raise ArgumentError(None, f"there is no {str(value)!r}. {hint}".rstrip())

    def _get_value(self, action: Action, arg_string: str) -> Any:
        if not arg_string and action.default != "" and action.nargs != PARSER:
            # Such as an unset variable of a script, which must not mean this folder, or all in place of one.
            raise ArgumentError(action, "it is empty.")
        try:
            value = super()._get_value(action, arg_string)
        except ArgumentError:
            if action.type is int:
                raise ArgumentError(action, f"{arg_string!r} is not a whole number.") from None
            raise
        if action.type is int and value < 1:
            raise ArgumentError(action, f"{arg_string!r} is not a number from 1 on.")
        return value

    def error(self, message: str) -> NoReturn:
        """One line and where to read on, rather than the whole usage; the help where a word is missing."""
        if message.endswith(f": {WORD}"):
            self.print_help(sys.stderr)
            self.exit(2)
        message = message.removeprefix("argument ")
        self.exit(2, f"parachute: {message}\n`{self.prog} --help` shows what there is.\n")


def script(shell: str) -> str:
    """What the shell evaluates at its start."""
    from argcomplete.shell_integration import shellcode

    return str(shellcode(["parachute"], shell=shell))


def complete(parser: ArgumentParser) -> None:
    """Answer the shell, which asks through the environment, and exit."""
    import argcomplete

    argcomplete.autocomplete(parser)


def installed_modules(prefix: str, parsed_args: Namespace, **_: object) -> list[str]:
    """Short names of the modules in services.json, which needs no running hub; for a hub elsewhere, what it says."""
    from parachute_hub.modules.definition.catalog import Catalog

    given = Namespace(**{name: vars(parsed_args).get(name) for name in ("home", "hub")})
    try:
        if remote_of(given) is not None:
            listed = client_of(given, quick=True).call("GET", "/api/modules")["modules"]
            return [visible(module["short"]) for module in listed if module["installed_version"]]
        home = home_of(given)
    except (CommandError, BadSetting):
        return []
    catalog = Catalog()
    return sorted({catalog.short_of(name) for name in _rows(home)})


def offered_modules(prefix: str, parsed_args: Namespace, **_: object) -> list[str]:
    """Short names that can be installed."""
    from parachute_hub.modules.definition.catalog import BUILT_IN

    return [entry.short for entry in BUILT_IN]


def _rows(home: Path) -> Sequence[str]:
    try:
        document = strict_json.read_strictly((home / "services.json").read_bytes(), limit=_LIMIT)
    except (OSError, BadJson):
        return ()
    rows = document.get("services") if isinstance(document, dict) else None
    return [row["name"] for row in rows or () if isinstance(row, dict) and isinstance(row.get("name"), str)]
