"""Completion, suggestions, and what the command loads at its start."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub import __version__
from parachute_hub.cli.main import main
from parachute_hub.tap import Options


def completions(line: str, home: Path) -> set[str]:
    """What the shell would offer for this line, asked as argcomplete's scripts ask."""
    with tempfile.NamedTemporaryFile() as answer:
        environment = {
            **os.environ,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": answer.name,
            "_ARGCOMPLETE_IFS": "\n",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
            "PARACHUTE_HOME": str(home),
        }
        words = [sys.executable, "-m", "parachute_hub.cli.main"]
        subprocess.run(words, env=environment, capture_output=True, timeout=60, check=False)
        return {word.strip() for word in Path(answer.name).read_text().split("\n") if word.strip()}


class CompletionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.home.mkdir()

    def test_words_options_and_modules(self) -> None:
        rows = [{"name": "parachute-vault"}, {"name": "parachute-hello"}, {"name": 3}, "x"]
        (self.home / "services.json").write_text(json.dumps({"services": rows}))
        for line, expected in (
            ("parachute upg", {"upgrade"}),
            ("parachute restart ", {"vault", "hello"}),
            ("parachute restart v", {"vault"}),
            ("parachute install sc", {"scribe"}),
            ("parachute completion ", {"bash", "zsh", "fish"}),
            ("parachute service ", {"install", "status", "uninstall"}),
        ):
            found = {word for word in completions(line, self.home) if not word.startswith("-")}
            self.assertEqual(found, expected, line)

    def test_an_unreadable_list_of_modules_completes_nothing(self) -> None:
        for content in ("", "[]", "{", '{"services": 1}'):
            (self.home / "services.json").write_text(content)
            self.assertEqual(completions("parachute restart x", self.home), set(), content)


class WordTests(SynchronousTestCase):
    def test_a_slip_is_answered_with_the_word_that_was_meant(self) -> None:
        for words, said in (
            (["stauts"], "there is no 'stauts'. Did you mean status?"),
            (["updates", "vault", "nihgt"], "Did you mean night?"),
            (["service", "instal"], "Did you mean install?"),
            (["xyzzy"], "there is no 'xyzzy'.\n"),
            (["ls"], "Did you mean status?"),
            (["stat"], "Did you mean status?"),
            (["users"], "Did you mean people?"),
            (["service", "xyzzy"], "Choose from: install, status, uninstall."),
            (["settings", "channel", "beta"], "Choose from: latest, rc."),
            (["logs", "-n", "few"], "parachute: -n/--lines: 'few' is not a whole number."),
            (["space", "limit-vault", "home", "big"], "SIZE: 'big' is not a size such as 500M or 2G"),
            (["space", "limit-person", "ada", "500"], "SIZE: '500' is not a size such as 500M or 2G, with its unit."),
            (["backup", "schedule", "--hour", "24"], "--hour: '24' is not an hour from 0 to 23."),
        ):
            with redirect_stderr(StringIO()) as out, self.assertRaises(SystemExit) as caught:
                main(words)
            self.assertEqual(caught.exception.code, 2, words)
            self.assertIn(said, out.getvalue())

    def test_the_version_is_told_however_it_is_asked_for(self) -> None:
        """Also by the program that the hub runs as, whose options come from Twisted."""
        for run in (partial(main, ["--version"]), partial(main, ["version"]), Options().opt_version):
            with redirect_stdout(StringIO()) as out, self.assertRaises(SystemExit) as caught:
                run()
            self.assertEqual((caught.exception.code, out.getvalue()), (0, f"parachute {__version__}\n"))

    def test_what_is_too_much_is_said_of_the_word(self) -> None:
        for words, said in (
            (["people", "add", "ada", "grace"], "`parachute people add` does not take grace."),
            (["status", "--al"], "`parachute status` does not take --al."),
        ):
            with redirect_stderr(StringIO()) as out:
                self.assertEqual(main(words), 2)
            self.assertIn(said, out.getvalue())
            self.assertIn(f"{said.split('`')[1]} --help` shows", out.getvalue())

    def test_help_is_a_word_as_well(self) -> None:
        for words, said in (
            (["help"], "Show every module and its state."),
            (["help", "logs"], "only the last N lines"),
        ):
            with redirect_stdout(StringIO()) as out, self.assertRaises(SystemExit) as caught:
                main(words)
            self.assertEqual((caught.exception.code, said in out.getvalue()), (0, True), words)

    def test_a_missing_word_is_answered_with_the_help(self) -> None:
        for words, said in (([], "Show every module and its state."), (["people"], "Show who has an account.")):
            with redirect_stderr(StringIO()) as out, self.assertRaises(SystemExit) as caught:
                main(words)
            self.assertEqual(caught.exception.code, 2, words)
            self.assertIn(said, out.getvalue())

    def test_the_parser_loads_no_twisted(self) -> None:
        """It is most of what a short command would take."""
        asked = (
            "import sys, parachute_hub.cli.parser as it; it.parser();"
            " print([name for name in sys.modules if name.partition('.')[0] in ('twisted', 'klein', 'argcomplete')])"
        )
        done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(done.stdout.strip(), "[]")
