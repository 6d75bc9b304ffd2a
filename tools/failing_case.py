"""Names the turn of a loop in which a test failed, so that a table test need not put it into each message."""

import ast
from pathlib import Path
from types import TracebackType

_LONGEST = 200


def failing_case(traceback: TracebackType | None, below: Path) -> str:
    """The variables of the `for` loops in which the code of files below a folder was, such as `name = 'x'`.

    Empty when it was in none. Comprehensions are not looked at: they are part of what a test compares.
    """
    found: dict[str, str] = {}
    while traceback is not None:
        frame, line = traceback.tb_frame, traceback.tb_lineno
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(below) and path.exists():
            for name in _loop_names(ast.parse(path.read_text()), line):
                if name in frame.f_locals:
                    found[name] = repr(frame.f_locals[name])[:_LONGEST]
        traceback = traceback.tb_next
    return ", ".join(f"{name} = {value}" for name, value in found.items())


def _loop_names(tree: ast.AST, line: int) -> list[str]:
    """Targets of the loops around a line, in the order of the text."""
    found = [
        name
        for loop in ast.walk(tree)
        if isinstance(loop, ast.For | ast.AsyncFor) and loop.body[0].lineno <= line <= (loop.body[-1].end_lineno or 0)
        for name in ast.walk(loop.target)
        if isinstance(name, ast.Name)
    ]
    return [name.id for name in sorted(found, key=lambda name: (name.lineno, name.col_offset))]
