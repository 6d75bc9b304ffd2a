"""Counts the Python statements of the product, docstrings left out: `python -m tools.statements [FOLDER ...]`."""

import ast
import sys
from collections.abc import Sequence
from pathlib import Path

PRODUCT = "parachute_hub"


def statements(source: str) -> int:
    """The number of statements in a source text."""
    return sum(isinstance(node, ast.stmt) and not _is_text(node) for node in ast.walk(ast.parse(source)))


def _is_text(node: ast.stmt) -> bool:
    """A docstring, or the text that describes the constant above it."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def main(folders: Sequence[str]) -> None:
    """Print the count of each room of each folder, and the total."""
    for folder in folders:
        counts: dict[str, int] = {}
        for path in Path(folder).rglob("*.py"):
            room = path.relative_to(folder).parts[0]
            counts[room] = counts.get(room, 0) + statements(path.read_text())
        for room, count in sorted(counts.items(), key=lambda item: -item[1]):
            print(f"{count:7,} {folder}/{room}")
        print(f"{sum(counts.values()):7,} {folder}")


if __name__ == "__main__":
    main(sys.argv[1:] or [PRODUCT])
