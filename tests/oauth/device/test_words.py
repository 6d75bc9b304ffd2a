"""Each operation that asks for a proof has words on the page where the command's person confirms it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import parachute_hub
from parachute_hub.oauth.device.confirmation_pages import in_words

ASKING = ("prove", "prove_person", "_prove", "_confirmed")
OPERATION = re.compile(r"([a-z][a-z-]*(?:\.[a-z-]+)?)(:.*)?")


def texts(node: ast.expr, assigned: dict[str, ast.expr]) -> Iterator[str]:
    """The beginning of a text that an argument stands for."""
    match node:
        case ast.Name(id=name) if name in assigned:
            yield from texts(assigned[name], {})
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[first, *_]) | ast.BinOp(left=first):
            yield from texts(first, assigned)


def asked(node: ast.AST) -> list[ast.expr]:
    """The arguments of a call that asks for a proof, now or later."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=args) if name in ASKING:
            return args
        case ast.Call(func=ast.Name(id="partial"), args=[ast.Name(id="prove_person"), *args]):
            return args
    return []


def operations() -> Iterator[str]:
    """The verb of each operation in a call that asks for a proof."""
    for path in Path(parachute_hub.__file__).parent.rglob("*.py"):
        source = path.read_text("utf-8")
        if "tep_up" not in source or path.name == "confirmation_pages.py":
            continue
        nodes = list(ast.walk(ast.parse(source)))
        assigned = {
            target.id: node.value
            for node in nodes
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in nodes:
            for text in (text for argument in asked(node) for text in texts(argument, assigned)):
                found = OPERATION.fullmatch(text)
                if found is not None:
                    yield found[1]


class WordsTests(SynchronousTestCase):
    def test_each_operation_has_words(self) -> None:
        found = set(operations())
        for one in ("install", "uninstall", "token.mint", "token.revoke", "notice.destination", "user.role"):
            self.assertIn(one, found)
        self.assertEqual([one for one in sorted(found) if in_words(f"{one}:x") == "Confirm this?"], [])
