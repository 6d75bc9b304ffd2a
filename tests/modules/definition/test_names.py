"""Names that are passed to bun."""

import doctest
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition import names
from parachute_hub.modules.definition.names import (
    BadName,
    PackageSpec,
    is_package,
    is_short,
    is_variable,
    is_version,
    parse_spec,
)

HOSTILE = (
    "",
    "--trust",
    "-g",
    "--cwd=/",
    "--registry=http://evil.test",
    "--config=x",
    "x@file:../..",
    "x@git+ssh://evil.test/x",
    "x@http://evil.test/x.tgz",
    "x@npm:other",
    "x@workspace:*",
    "x@*",
    "x@^1.0.0",
    "x@>=1",
    "x@-1",
    "x@",
    "@",
    "@x",
    "@x/",
    "@/x",
    "@x/y/z",
    "../x",
    "x/../y",
    "x..y",
    ".x",
    "node_modules",
    "@a/node_modules",
    "favicon.ico",
    "x\0y",
    "x\ny",
    "x ",
    " x",
    "X",
    "ｖault",
    "x" * 215,
    "http://evil.test/x.tgz",
    "file:///etc/passwd",
    "git@github.com:x/y",
    "x@1.0.0 --trust",
    "x@1\n2",
)


class Specs(SynchronousTestCase):
    def test_what_people_type(self) -> None:
        for text, name, version in (
            ("lodash", "lodash", None),
            ("@openparachute/vault", "@openparachute/vault", None),
            ("@openparachute/vault@0.4.0-rc.1", "@openparachute/vault", "0.4.0-rc.1"),
            ("x@next", "x", "next"),
            ("a.b_c-d@1.2.3+build", "a.b_c-d", "1.2.3+build"),
        ):
            self.assertEqual(parse_spec(text), PackageSpec(name, version))
            self.assertEqual(str(parse_spec(text)), text)

    def test_what_bun_would_read_in_another_way(self) -> None:
        for text in HOSTILE:
            with self.assertRaises(BadName, msg=repr(text)) as caught:
                parse_spec(text)
            self.assertTrue(str(caught.exception).isascii())

    @settings(deadline=None, max_examples=300, derandomize=True)
    @given(st.text(max_size=40))
    def test_nothing_strange_gets_through(self, text: str) -> None:
        try:
            spec = parse_spec(text)
        except BadName:
            return
        self.assertIsNotNone(re.fullmatch(r"[a-z0-9@/._-]+", spec.name))
        self.assertNotIn(spec.name[0], "-./_")
        self.assertNotIn("..", spec.name)
        self.assertTrue(spec.version is None or re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.+-]*", spec.version))

    def test_examples_in_the_text(self) -> None:
        flags = doctest.ELLIPSIS
        self.assertEqual(doctest.testmod(names, optionflags=flags).failed, 0)


class Others(SynchronousTestCase):
    def test_shorts_versions_variables(self) -> None:
        self.assertTrue(is_short("my-module2"))
        self.assertFalse(is_short("2nd") or is_short("a_b") or is_short("../x") or is_short("A"))
        self.assertTrue(is_version("1.2.3") and is_version("rc"))
        self.assertFalse(is_version("1..2") or is_version("a/b") or is_version(""))
        self.assertTrue(is_variable("API_KEY"))
        self.assertFalse(is_variable("1A") or is_variable("A=B") or is_variable(""))
        self.assertFalse(is_package("@a/../b"))
