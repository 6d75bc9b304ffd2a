"""`parachute module check DIR`."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.lint import check
from tests.modules.homes import package, write

EXAMPLES = Path(__file__).parents[3] / "examples"


class Check(SynchronousTestCase):
    def findings(self, files: dict[str, str]) -> list[str]:
        return [str(finding) for finding in check(write(Path(self.mktemp()), files))]

    def test_a_good_module_has_none(self) -> None:
        self.assertEqual(self.findings(package()), [])
        self.assertEqual(check(EXAMPLES / "hello"), [])

    def test_an_empty_folder_lacks_both(self) -> None:
        found = self.findings({"README": ""})
        self.assertEqual([text.partition(":")[0] for text in found], ["package.json", ".parachute/module.json"])

    def test_every_mistake_at_once(self) -> None:
        files = package("@toys/toy", "1.0", port=1940, paths=["/admin", "/toy"], startCmd=["nothing"])
        found = "\n".join(self.findings(files))
        for text in (
            "version: must be a semantic version",
            'paths: The path "/admin"',
            "port: 1940",
            'startCmd: toy is started by "nothing"',
        ):
            self.assertIn(text, found)

    def test_permissions_that_nothing_uses(self) -> None:
        asked = {"network": ["api.test", "*.used.test"], "programs": ["ffmpeg", "git"]}
        files = {**package(permissions=asked), "src/a.ts": 'fetch("https://a.used.test"); spawn("git")'}
        found = self.findings(files)
        self.assertEqual(len(found), 2, found)
        self.assertIn("requests api.test", found[0])
        self.assertIn("requests ffmpeg", found[1])
        self.assertIn('set "network": "none"', self.findings(package(permissions={"network": "any"}))[0])
        self.assertEqual(self.findings({**package(permissions={}), "src/a.ts": "fetch(url)"}), [])

    def test_names_of_the_hub(self) -> None:
        self.assertIn("is kept for the hub", "\n".join(self.findings(package("@toys/tmp"))))

    def test_an_app_that_was_not_built(self) -> None:
        files = package("@openparachute/notes", startCmd=None)
        self.assertIn("dist/index.html: is missing", "\n".join(self.findings(files)))
