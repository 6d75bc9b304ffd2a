"""Checks the structure that ARCHITECTURE.md describes. The tables are in `architecture.toml`.

`Sources` maps a path below `parachute_hub/` to its text, so that a test can plant a violation. Each check returns one
sentence per violation.
"""

import ast
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from attrs import frozen

Sources = Mapping[str, str]
MAX_LINES = 400
_PACKAGE = "parachute_hub."
# Method names that read files or the clock whatever object they are called on.
_IMPURE_CALLS = frozenset({"read_text", "write_text", "read_bytes", "write_bytes", "now", "utcnow", "today", "getenv"})
_IMPURE_NAMES = frozenset({"open", "input", "print", "__import__"})


@frozen
class Tables:
    """`kinds`: file patterns by kind. `rooms`: what each room may import. `data`: files every room may import."""

    kinds: Mapping[str, tuple[str, ...]]
    rooms: Mapping[str, tuple[str, ...]]
    data: tuple[str, ...]
    impure_imports: tuple[str, ...]
    pure_may_import: tuple[str, ...]
    entry_points: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> "Tables":
        found = tomllib.loads(path.read_text())
        return cls(
            kinds={kind: tuple(patterns) for kind, patterns in found["kinds"].items()},
            rooms={room: tuple(others) for room, others in found["rooms"].items()},
            data=tuple(found["data"]["everywhere"]),
            impure_imports=tuple(found["pure"]["forbidden_imports"]),
            pure_may_import=tuple(found["pure"]["may_import"]),
            entry_points=tuple(found["entry_points"]["rooms"]),
        )


def read_sources(package: Path) -> dict[str, str]:
    return {str(path.relative_to(package)): path.read_text() for path in sorted(package.rglob("*.py"))}


def room_of(path: str) -> str:
    """The top folder, or the file itself at the top level: `oauth`, `settings.py`."""
    return path.split("/", 1)[0]


def kinds_of(path: str, tables: Tables) -> list[str]:
    return [kind for kind, patterns in tables.kinds.items() if any(fnmatchcase(path, pattern) for pattern in patterns)]


@cache
def imports(text: str) -> tuple[str, ...]:
    """Every imported module and `module.name`."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


def imported_files(path: str, sources: Sources) -> set[str]:
    """The package's own files that this file imports."""
    found = set()
    for name in imports(sources[path]):
        if not name.startswith(_PACKAGE):
            continue
        stem = name.removeprefix(_PACKAGE).replace(".", "/")
        for candidate in (f"{stem}.py", f"{stem.rsplit('/', 1)[0]}.py", f"{stem}/__init__.py"):
            if candidate in sources and candidate != path:
                found.add(candidate)
                break
    return found


def long_files(sources: Sources) -> list[str]:
    counts = {path: len(text.splitlines()) for path, text in sources.items()}
    return [f"{path} has {count} lines, more than {MAX_LINES}" for path, count in counts.items() if count > MAX_LINES]


def files_of_no_single_kind(sources: Sources, tables: Tables) -> list[str]:
    wrong = []
    for path in sources:
        found = kinds_of(path, tables)
        if len(found) != 1:
            wrong.append(f"{path} is of {len(found)} kinds: {', '.join(found) or 'add it to tests/architecture.toml'}")
    return wrong


def stale_patterns(sources: Sources, tables: Tables) -> list[str]:
    return [
        f"{kind}: no file matches {pattern}"
        for kind, patterns in tables.kinds.items()
        for pattern in patterns
        if not any(fnmatchcase(path, pattern) for path in sources)
    ]


def forbidden_rooms(sources: Sources, tables: Tables) -> list[str]:
    """Imports that no row of `[rooms]` grants, and any import of an entry point."""
    wrong = []
    for path in sources:
        room = room_of(path)
        granted = (*tables.rooms.get(room, ()), *tables.data)
        for other in sorted(imported_files(path, sources)):
            target = room_of(other)
            if target == room:
                continue
            if target in tables.entry_points and room not in tables.entry_points:
                wrong.append(f"{path} imports {other}, an entry point")
            elif room not in tables.entry_points and target not in granted and other not in granted:
                wrong.append(f"{path} imports {other}, but {room} may not import {target}")
    return wrong


def impurities(sources: Sources, tables: Tables) -> list[str]:
    """What a pure file must not do: I/O, clocks, randomness, awaiting, or importing a file that may."""
    wrong = []
    for path, text in sources.items():
        if kinds_of(path, tables) != ["pure"]:
            continue
        for name in imports(text):
            if any(name == one or name.startswith(one + ".") for one in tables.impure_imports):
                wrong.append(f"{path} imports {name}")
        for other in sorted(imported_files(path, sources)):
            if kinds_of(other, tables) not in (["pure"], ["package"]) and other not in tables.pure_may_import:
                wrong.append(f"{path} is pure but imports {other}, which is not")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Await | ast.AsyncFunctionDef):
                wrong.append(f"{path} awaits in line {node.lineno}")
            if isinstance(node, ast.Call):
                wrong += [f"{path} calls {name} in line {node.lineno}" for name in _impure_call(node)]
    return wrong


def _impure_call(node: ast.Call) -> list[str]:
    match node.func:
        case ast.Attribute(attr=name) if name in _IMPURE_CALLS:
            return [name]
        case ast.Name(id=name) if name in _IMPURE_NAMES:
            return [name]
    return []


def cycles(sources: Sources) -> list[str]:
    """Groups of files that import each other (strongly connected components by Tarjan)."""
    graph = {path: imported_files(path, sources) for path in sources}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[str] = []

    def visit(path: str) -> None:
        index[path] = low[path] = len(index)
        stack.append(path)
        for other in graph[path]:
            if other not in index:
                visit(other)
                low[path] = min(low[path], low[other])
            elif other in stack:
                low[path] = min(low[path], index[other])
        if low[path] == index[path]:
            group = stack[stack.index(path) :]
            del stack[stack.index(path) :]
            if len(group) > 1:
                found.append(" <-> ".join(sorted(group)))

    for path in graph:
        if path not in index:
            visit(path)
    return found


def imports_outside(sources: Sources, module: str, allowed: tuple[str, ...]) -> list[str]:
    """Files that import `module` and match none of the `allowed` patterns."""
    return [
        f"{path} imports {module}"
        for path, text in sources.items()
        if not any(fnmatchcase(path, pattern) for pattern in allowed)
        and any(name == module or name.startswith(module + ".") for name in imports(text))
    ]


_FOREIGN = re.compile(
    r"\b(?:issue \d+|design \d+|(?<!docs/)(?:modules|identity|security|reliability|observed|proxy)\.md)\b"
)


def foreign_references(sources: Sources) -> list[str]:
    """References to planning documents that readers of the repository do not have."""
    return [
        f"{path} line {number} refers to {found[0]}"
        for path, text in sources.items()
        for number, line in enumerate(text.splitlines(), 1)
        for found in _FOREIGN.finditer(line)
    ]
