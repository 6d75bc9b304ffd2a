"""The words of the command: their examples, what they reach, what they load, and how names are found."""

import os
import shlex
import subprocess
import sys
from argparse import Namespace
from contextlib import redirect_stderr
from io import StringIO
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli import hub_words
from parachute_hub.cli.client import CommandError
from parachute_hub.cli.examples import EXAMPLES
from parachute_hub.cli.grammar import agreed
from parachute_hub.cli.kinds import INVITATIONS, PLACES
from parachute_hub.cli.parser import first_word, parser
from parachute_hub.cli.request_words import Given
from parachute_hub.cli.tables import table
from parachute_hub.cli.terminal import PLAIN, Terminal, terminal
from parachute_hub.site.route_table import ROWS
from tests.cli.routes import BY_HAND, NONE, REQUESTS, reason_for, word_of
from tools import command_docs

ROUTES = [f"{row.method} {row.rule}" for row in ROWS]
NAMES = [word.name for word in command_docs.words()]


class Screen(StringIO):
    def isatty(self) -> bool:
        return True


class RouteTests(SynchronousTestCase):
    def test_a_word_reaches_each_route_or_there_is_a_reason(self) -> None:
        """A new route needs a word in one of the tables, or a line in tests/cli/routes.py."""
        for route in ROUTES:
            self.assertTrue(word_of(route) or reason_for(route), route)

    def test_no_line_is_left_of_a_route_that_is_gone(self) -> None:
        changing = [one.route for one in REQUESTS if not one.route.startswith(("GET ", "the problem's own"))]
        for route in (*changing, *BY_HAND, *NONE):
            self.assertIn(route, ROUTES)
        self.assertLessEqual({*BY_HAND.values(), *(request.word for request in REQUESTS)}, {*NAMES})


class ExampleTests(SynchronousTestCase):
    def test_every_word_has_examples_that_it_understands(self) -> None:
        self.assertEqual(set(EXAMPLES), set(NAMES))
        for name, examples in EXAMPLES.items():
            for example in examples:
                line = example.removeprefix('eval "$(').removesuffix(')"').partition(" > ")[0]
                program, *words = shlex.split(line)
                self.assertEqual(program, "parachute")
                self.assertEqual(parser(first_word(words)).parse_args(words).word, name, example)

    def test_help_shows_them(self) -> None:
        self.assertIn("parachute vaults share family ada --read", _help("vaults", "share"))

    def test_a_hub_is_named_anywhere_in_the_line(self) -> None:
        """Before the word, between two words, and after them; the last one counts."""
        for line in (
            "--home /x people list",
            "people --home /x list",
            "people list --home /x",
            "--home /y people --home /x list",
        ):
            words = line.split()
            self.assertEqual(parser(first_word(words)).parse_args(words).home, "/x", line)

    def test_the_pages_are_written_from_the_grammar(self) -> None:
        """`python -m tools.command_docs` writes them again."""
        before = command_docs.PAGE.read_text()
        introduction = before.partition(command_docs.MARK)[0]
        self.assertEqual(command_docs.page(introduction, command_docs.shapes(before)), before)
        self.assertEqual(command_docs.manual(introduction), command_docs.MANUAL.read_text())

    def test_an_object_of_several_words_is_written_once(self) -> None:
        """Also one inside another, and a whole answer."""
        room = {f"member {number}": "string" for number in range(12)}
        person = {"room": room, "rooms": [room], **{f"field {number}": "number" for number in range(12)}}
        known = {"people list": {"people": [person]}, "people add": person, "space": {"room": room, "free": "number"}}
        page = command_docs.page("# Command\n", known)
        self.assertEqual(command_docs.shapes(page), known)
        self.assertEqual(page.count('"member 0"'), 1)
        self.assertEqual(page.count('"field 0"'), 1)


class LoadTests(SynchronousTestCase):
    """What a word loads, since that is most of the time it takes. Counts, not milliseconds."""

    def test_status_stays_lean(self) -> None:
        asked = "import sys, parachute_hub.cli.main as it; it.parser('status'); print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
        bare = subprocess.run(
            [sys.executable, "-c", "import sys; print(*sys.modules)"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        loaded = set(done.stdout.split()) - set(bare.stdout.split())
        ours = {name for name in loaded if name.startswith("parachute_hub.")}
        # 162 when this was written.
        self.assertLessEqual(len(loaded), 170)
        self.assertFalse(
            ours & {f"parachute_hub.cli.{name}" for name in ("backup", "notices", "export", "request_words")}
        )
        heavy = {name.partition(".")[0] for name in loaded}
        self.assertFalse(heavy & {"twisted", "klein", "argcomplete", "cryptography", "asyncio"})

    def test_a_word_loads_its_own_file(self) -> None:
        for name in NAMES:
            first = name.partition(" ")[0]
            found = [word.name for word in command_docs.words(parser(first))]
            self.assertIn(name, found)


class NamingTests(SynchronousTestCase):
    def test_an_item_is_found_by_what_people_call_it(self) -> None:
        invites: list[Any] = [
            {"id": "aaaaaa11", "name": "Ada", "username": None},
            {"id": "bbbbbb22", "name": "Grace", "username": "grace"},
            {"id": "cccccc33", "name": "Grace", "username": "hopper"},
        ]
        for wanted, found in (("Ada", 0), ("grace", 1), ("hopper", 2), ("cccccc33", 2), ("cccccc", 2)):
            self.assertIs(INVITATIONS.choose(invites, wanted), invites[found], wanted)
        for wanted, said in (
            ("Grace", "2 go by Grace. Name one by its id: parachute invitations list"),
            ("Aada", "There is no invitation Aada. Did you mean Ada?"),
            ("ccc", "There is no invitation ccc. See: parachute invitations list"),
            ("1", "There is no invitation 1. See: parachute invitations list"),
        ):
            error = self.assertRaises(CommandError, INVITATIONS.choose, invites, wanted)
            self.assertEqual(str(error), said)
        places = [{"id": "x", "label": "Disk"}, {"id": "y", "label": "Bucket"}]
        self.assertIs(PLACES.choose(places, "2"), places[1])

    def test_a_question_that_nobody_hears_is_an_error(self) -> None:
        self.patch(sys, "stdin", StringIO("y\n"))
        self.assertTrue(agreed(Namespace(yes=True, hub="local"), "Sure?"))
        asked = Namespace(yes=False, hub="local")
        self.assertEqual(self.assertRaises(CommandError, agreed, asked, "Sure?").code, 2)
        for typed, answer in (("y\n", True), ("\n", False), ("", False), ("no\n", False)):
            self.patch(sys, "stdin", Screen(typed))
            with redirect_stderr(StringIO()):
                self.assertEqual(agreed(asked, "Sure?"), answer, typed)


class AddressTests(SynchronousTestCase):
    def test_what_a_change_takes_away_is_said_before_the_question(self) -> None:
        asked: list[str] = []

        class Hub:
            def call(self, method: str, path: str) -> dict[str, Any]:
                asked.append(f"{method} {path}")
                loss = {"person": {"name": "Ada"}, "passkeys": ["Laptop", "Phone"], "all": True, "locked_out": False}
                renew = {"apps": ["Claude"], "invitations": 1}
                stuck = {**loss, "person": {"name": "Grace"}, "all": False, "locked_out": True}
                return {"unreachable": "No answer.", "renew": renew, "passkeys": [loss, stuck]}

        words = {one.word: one for one in hub_words.ADDRESS_WORDS}
        for word, told in (("address set", {"address": "https://a.test"}), ("address reset", {})):
            warns, hub = words[word].warns, cast(Any, Hub())
            assert warns is not None
            self.assertEqual(
                warns(Given(arguments=Namespace(**told), client=hub, found={})),
                "No answer.\nConnect these apps again: Claude.\nSend the links of open invitations again.\n"
                "Ada loses all passkeys (Laptop, Phone), and signs in by password then.\n"
                "Grace loses some passkeys (Laptop, Phone), and has no way in then: new recovery codes come first.\n",
            )
        path = "GET /api/settings/hub-origin/plan?hub_origin="
        self.assertEqual(asked, [f"{path}https%3A%2F%2Fa.test", path])


class InvitationTests(SynchronousTestCase):
    def test_a_link_that_opens_nowhere_else_is_not_to_be_sent(self) -> None:
        words = {request.word: request for request in REQUESTS}
        for origin, here in (("http://127.0.0.1:1939", True), ("https://hub.example.com", False)):
            answer = {"url": f"{origin}/account/setup/x", "invite": {"expires_at": "2026-12-07"}}
            for word in ("people invite", "invitations new", "invitations show"):
                done = words[word].done
                assert not isinstance(done, str)
                told = done(answer)
                self.assertIn(answer["url"], told)
                self.assertEqual("only on this hub's own computer" in told, here, (word, origin))
                self.assertEqual("Send this link." in told, not here, (word, origin))


class TerminalTests(SynchronousTestCase):
    def test_colours_are_for_terminals_alone(self) -> None:
        for stream, variables, colour in (
            (StringIO(), {}, False),
            (Screen(), {"TERM": "xterm"}, True),
            (Screen(), {"TERM": "xterm", "NO_COLOR": ""}, True),
            (Screen(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
            (Screen(), {"TERM": "dumb"}, False),
        ):
            self.patch(os, "environ", {"COLUMNS": "70", **variables})
            self.assertEqual(terminal(stream).colour, colour, variables)
        self.assertEqual(terminal(StringIO()), PLAIN)

    def test_tables_fit(self) -> None:
        """States have their colour, and no cell can send an escape of its own."""
        rows = [
            ("vault", "ready", "-"),
            ("日本語のメモ", "parked", "Port 1940 is used by process 4711 \x1b[31m(nginx)"),
        ]
        for width in (40, 60, 200):
            drawn = table(("MODULE", "STATE", ""), rows, Terminal(width))
            self.assertLessEqual(max(map(len, drawn.splitlines())), width)
            self.assertNotIn("\x1b", drawn)
        self.assertEqual(len(table(("MODULE", "STATE", ""), rows).splitlines()), 3)
        # Words stay whole as long as those of another cell can be folded.
        drawn = table(("TIME", "WHY"), [("2026-11-29 22:47", "It was folded between its words")], Terminal(24))
        self.assertIn("2026-11-29", drawn)
        coloured = table(("MODULE", "STATE", ""), rows, Terminal(200, colour=True))
        self.assertIn("\x1b[32mready\x1b[0m ", coloured)
        self.assertIn("\x1b[31mparked\x1b[0m", coloured)


def _help(*words: str) -> str:
    sub = subprocess.run(
        [sys.executable, "-m", "parachute_hub.cli.main", *words, "-h"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    return sub.stdout
