"""Writes docs/command.md and the manual page docs/parachute.1 from the command's own grammar.

python -m tools.command_docs                # after a change of words, options or examples
python -m tools.command_docs shapes.json    # also with the shapes of JSON that a failed test wrote there
"""

import json
import re
import sys
from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from parachute_hub.cli.examples import EXAMPLES
from parachute_hub.cli.parser import parser

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "command.md"
MANUAL = ROOT / "docs" / "parachute.1"
MARK = "<!-- From here on written by `python -m tools.command_docs`. -->"
_EVERYWHERE = ("--help", "--home", "--hub", "--json")
_WIDTH = 110
# Marks the name of an object that several shapes have, and how long it is at least.
_NAMED = "= "
_LONG = 160


@frozen
class Word:
    """A word that does something: its whole name, what it does, its arguments and examples."""

    name: str
    text: str
    usage: str
    arguments: tuple[tuple[str, str], ...]
    examples: tuple[str, ...]


def words(top: ArgumentParser | None = None, prefix: str = "") -> Iterator[Word]:
    """Every word, in the order of the help."""
    for action in (top or parser())._actions:
        if isinstance(action, _SubParsersAction):
            for listed in action._choices_actions:
                below = action.choices[listed.dest]
                name = f"{prefix}{listed.dest}"
                if below.get_default("action") is not None:
                    yield _word(name, listed.help or "", below)
                yield from words(below, f"{name} ")


def _word(name: str, text: str, sub: ArgumentParser) -> Word:
    shown = [
        one
        for one in sub._actions
        if not set(_EVERYWHERE) & set(one.option_strings) and not isinstance(one, _SubParsersAction)
    ]
    usage = " ".join(["parachute", name, *map(_used, shown)])
    arguments = tuple((_called(one), _help(one)) for one in shown)
    return Word(name, text, usage, arguments, EXAMPLES.get(name, ()))


def _value(action: Action) -> str:
    if action.metavar is not None:
        return str(action.metavar)
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def _called(action: Action) -> str:
    value = _value(action)
    if not action.option_strings:
        return value
    return ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {value}")


def _used(action: Action) -> str:
    text = _called(action).rpartition(", ")[2] if action.option_strings else _value(action)
    if action.nargs in ("*", "+"):
        text += " ..."
    optional = action.nargs in ("*", "?") if not action.option_strings else not action.required
    return f"[{text}]" if optional else text


def _help(action: Action) -> str:
    return "" if action.help in (None, SUPPRESS) else str(action.help)


# --- docs/command.md


def shapes(page: str) -> dict[str, Any]:
    """The shapes of JSON that the page documents, by word."""
    blocks = re.findall(r"^### (.+?)\n(?:(?!^### ).*\n)*?```json\n((?:.*\n)+?)```", page, re.MULTILINE)
    found = {name: json.loads(text) for name, text in blocks}
    return {name: _whole(shape, found) for name, shape in found.items() if not name.startswith(_NAMED)}


def _whole(shape: Any, found: Mapping[str, Any]) -> Any:
    """A shape with what its names stand for."""
    if isinstance(shape, dict):
        return {name: _whole(value, found) for name, value in shape.items()}
    if isinstance(shape, list):
        return [_whole(value, found) for value in shape]
    named = isinstance(shape, str) and shape.startswith(_NAMED)
    return _whole(found[shape], found) if named else shape


def repeated(known: Mapping[str, Any]) -> dict[str, str]:
    """Names for long objects that several shapes have: the object as JSON, and its name, after where most have it."""
    keys: dict[str, Counter[str]] = {}

    def look(shape: Any, key: str) -> None:
        if isinstance(shape, dict):
            text = json.dumps(shape)
            if len(text) >= _LONG:
                keys.setdefault(text, Counter())[key.replace(" ", "-")] += 1
        for name, value in shape.items() if isinstance(shape, dict) else ():
            look(value, name)
        for value in shape if isinstance(shape, list) else ():
            look(value, key)

    for word, shape in known.items():
        look(shape, word)
    names: dict[str, str] = {}
    for text, found in keys.items():
        if found.total() > 1:
            name = f"{_NAMED}{found.most_common(1)[0][0]}"
            while name in names.values():
                name += "-2"
            names[text] = name
    return names


def _short(shape: Any, names: Mapping[str, str], top: bool = True) -> Any:
    """A shape with names in place of what they stand for."""
    if isinstance(shape, dict):
        name = None if top else names.get(json.dumps(shape))
        return name or {key: _short(value, names, False) for key, value in shape.items()}
    return [_short(value, names, False) for value in shape] if isinstance(shape, list) else shape


def page(introduction: str, known: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [introduction.rstrip(), "", MARK, ""]
    for word in words():
        parts += [f"### {word.name}", "", word.text, "", f"    {word.usage}", ""]
        parts += [f"- `{called}`: {told}" for called, told in word.arguments]
        parts += [""] if word.arguments else []
        if word.examples:
            parts += ["```sh", *word.examples, "```", ""]
        if word.name in known:
            parts += ["```json", written(_short({"": known[word.name]}, repeated(known))[""]), "```", ""]
    names = repeated(known)
    for text, name in names.items():
        parts += [f"### {name}", "", "```json", written(_short(json.loads(text), names)), "```", ""]
    return "\n".join(parts)


def written(shape: Any, indent: str = "") -> str:
    """JSON, on one line where that is not long."""
    line = json.dumps(shape)
    deeper = indent + "  "
    if len(indent) + len(line) <= _WIDTH or not isinstance(shape, dict | list) or not shape:
        return line
    if isinstance(shape, list):
        return "[\n" + ",\n".join(deeper + written(one, deeper) for one in shape) + f"\n{indent}]"
    members = (f"{deeper}{json.dumps(name)}: {written(one, deeper)}" for name, one in shape.items())
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


# --- the manual page


def manual(introduction: str) -> str:
    """The page in roff (man(7)), with the sections of docs/command.md before the words."""
    lines = [
        ".TH PARACHUTE 1",
        ".SH NAME",
        "parachute \\- run and manage a Parachute hub",
        ".SH SYNOPSIS",
        ".B parachute",
        "[\\-\\-home FOLDER] [\\-\\-hub NAME] [\\-\\-json] WORD ...",
        *_prose(introduction),
        ".SH WORDS",
    ]
    for word in words():
        lines += [f".SS {roff(word.name)}", roff(word.text), ".PP", f".B {roff(word.usage)}"]
        for called, told in word.arguments:
            lines += [".TP", f".B {roff(called)}", roff(told)]
        if word.examples:
            lines += [".PP", ".nf", *(f"    {roff(example)}" for example in word.examples), ".fi"]
    return "\n".join(lines) + "\n"


def _prose(markdown: str) -> Iterator[str]:
    for block in markdown.split("\n\n")[1:]:
        first, _, rest = block.strip("\n").partition("\n")
        if first.startswith("## "):
            yield f".SH {roff(first[3:].upper())}"
        elif first.startswith("|"):
            for row in rest.splitlines()[1:]:
                cells = [plain(cell) for cell in row.strip("| ").split("|")]
                yield from (".TP", f".B {roff(cells[0])}", roff(", ".join(filter(None, cells[1:]))))
        elif first.startswith("    ") or first.startswith("```"):
            code = [line for line in block.splitlines() if not line.startswith("```")]
            yield from (".PP", ".nf", *(f"    {roff(line.strip())}" for line in code), ".fi")
        elif first:
            yield from (".PP", roff(plain(" ".join(block.split()))))


def plain(markdown: str) -> str:
    """Markdown as words alone.

    >>> plain("See [the page](page.md) for `--json`.")
    'See the page for --json.'
    """
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown).replace("`", "").replace("**", "").strip()


def roff(text: str) -> str:
    r"""Text in which nothing is a request or an escape.

    >>> roff(".a-b \\ c")
    '\\&.a\\-b \\e c'
    """
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main(arguments: list[str]) -> None:
    before = PAGE.read_text()
    introduction = before.partition(MARK)[0]
    known = shapes(before) | {k: v for name in arguments for k, v in json.loads(Path(name).read_text()).items()}
    PAGE.write_text(page(introduction, known))
    MANUAL.write_text(manual(introduction))


if __name__ == "__main__":
    main(sys.argv[1:])
