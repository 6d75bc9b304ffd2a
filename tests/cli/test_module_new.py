"""New modules from templates: complete, correct, and never over something that exists."""

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.main import main
from parachute_hub.modules.definition.lint import check


def run(*words: str) -> tuple[int, str]:
    with redirect_stdout(StringIO()) as out, redirect_stderr(out):
        code = main(["module", "new", *words])
    return code, out.getvalue()


class NewTests(SynchronousTestCase):
    def test_both_templates_have_nothing_to_find(self) -> None:
        for options, entry in (([], "server.ts"), (["--static"], "dist/index.html")):
            folder = Path(self.mktemp())
            code, said = run("my-clock", "--folder", str(folder), "--json", *options)
            told = {"folder": str(folder), "name": "my-clock", "findings": []}
            self.assertEqual((code, json.loads(said)), (0, told), options)
            self.assertEqual(check(folder), [])
            self.assertTrue((folder / entry).is_file())
            self.assertNotIn("{", (folder / "dist/index.html").read_text() if options else "")
            manifest = json.loads((folder / ".parachute/module.json").read_text())
            self.assertEqual((manifest["paths"], manifest["displayName"]), (["/my-clock"], "My clock"))

    def test_refusals(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "mine").write_text("")
        for words, code, text in (
            (["Clock"], 2, "cannot be a module's name"),
            (["clock", "--folder", str(folder)], 1, "exists already"),
            (["clock", "--folder", str(folder / "mine")], 1, "exists already"),
        ):
            found, said = run(*words)
            self.assertEqual(found, code, words)
            self.assertIn(text, said)
        self.assertEqual([path.name for path in folder.iterdir()], ["mine"])
