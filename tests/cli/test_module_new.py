"""New modules from templates: complete, correct, and never over something that exists."""

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.main import main
from parachute_hub.cli.module_new import KIT, content, kit_content
from parachute_hub.modules.definition.lint import check

ROOT = Path(__file__).parents[2]


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
            for name, text in kit_content().items():
                self.assertEqual((folder / "kit" / name).read_text(), text)

    def test_the_smallest_example_is_the_template(self) -> None:
        example = (ROOT / "examples/hello/server.ts").read_text()
        self.assertEqual(content("hello", static=False)["server.ts"], example)

    def test_the_reference_modules_share_the_kit(self) -> None:
        """Links, so that there is one kit; `testing.ts` is for authors."""
        place = ROOT / "parachute_hub/modules/definition/kit"
        self.assertEqual(sorted(path.name for path in place.iterdir()), [*KIT])
        for module in ("vault", "scribe"):
            linked = {path.name: path.resolve() for path in (ROOT / "examples" / module / "src/kit").iterdir()}
            self.assertEqual(linked, {name: place / name for name in KIT if name != "testing.ts"})

    def test_the_kit_is_renewed_where_it_is(self) -> None:
        for place in ("kit", "src/kit"):
            folder = Path(self.mktemp())
            (folder / place).mkdir(parents=True)
            (folder / "package.json").write_text("{}")
            (folder / place / "files.ts").write_text("// of an earlier hub")
            with redirect_stdout(StringIO()):
                self.assertEqual(main(["module", "kit", str(folder)]), 0)
            self.assertEqual((folder / place / "files.ts").read_text(), kit_content()["files.ts"])
        with redirect_stderr(StringIO()) as told:
            self.assertEqual(main(["module", "kit", self.mktemp()]), 2)
        self.assertIn("is not a module", told.getvalue())

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
