from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.packages.facts import FRESH_SECONDS, Facts, PackageFacts, Release, read
from tests.modules.homes import TOY
from tests.modules.homes import at_once as immediately
from tests.support.npm import LONG_AGO, pack

TOLD = {
    "download": 1_000,
    "unpacked": 4_000,
    "dependencies": 2,
    "releases": [{"version": "1.0.0", "at": LONG_AGO}],
    "repository": "git+https://github.com/toys/toy.git",
    "homepage": "https://toys.test",
}


@define
class Registry:
    tarball: str = "https://npm.test/all/@toys/toy/-/toy-1.0.0.tgz"
    asked: list[str] = field(factory=list)

    async def info(self, package: str, about: str, folder: Path, seconds: float) -> Any:
        self.asked.append(package)
        return {"tarball": self.tarball}

    async def told(self, script: Path, words: Any, folder: Path, seconds: float) -> Any:
        self.asked.append(" ".join(words))
        return TOLD


class FactsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = 0.0
        self.registry = Registry()

    def facts(self, catalog: Catalog) -> PackageFacts:
        return PackageFacts(
            bun=self.registry, folder=Path(), catalog=catalog, in_thread=immediately, now=lambda: self.time
        )

    def test_the_registry_is_asked_at_most_every_five_minutes(self) -> None:
        facts = self.facts(Catalog((TOY,)))
        for passed, asked in ((0.0, 2), (FRESH_SECONDS - 1, 2), (2.0, 4)):
            self.time += passed
            told = self.successResultOf(Deferred.fromCoroutine(facts.of("@toys/toy", "1.0.0")))
            self.assertEqual((told.unpacked, len(self.registry.asked)), (4_000, asked))
        self.assertEqual(self.registry.asked[:2], ["@toys/toy@1.0.0", "https://npm.test/all @toys/toy 1.0.0"])
        self.registry.tarball = "elsewhere"
        told = self.successResultOf(Deferred.fromCoroutine(facts.of("@toys/toy", "2.0.0")))
        self.assertEqual(told, Facts(version="2.0.0"))

    def test_a_package_that_came_with_the_hub_is_read_here(self) -> None:
        tarball = Path(self.mktemp())
        tarball.write_bytes(pack({"package.json": "{}", "x": "y" * 98}))
        facts = self.facts(Catalog((evolve(TOY, source=tarball),)))
        told = self.successResultOf(Deferred.fromCoroutine(facts.of("@toys/toy", "1.0.0")))
        self.assertEqual((told.included, told.download, told.unpacked, self.registry.asked), (True, 0, 100, []))
        tarball.write_bytes(b"no tarball")
        self.time += FRESH_SECONDS
        told = self.successResultOf(Deferred.fromCoroutine(facts.of("@toys/toy", "1.0.0")))
        self.assertEqual(told, Facts(version="1.0.0"))

    def test_what_a_registry_says_may_be_anything(self) -> None:
        fine = read(TOLD, "1.0.0")
        self.assertEqual(
            (fine.download, fine.dependencies, fine.releases, fine.changes_url),
            (1_000, 2, (Release(version="1.0.0", at=LONG_AGO),), "https://github.com/toys/toy/releases"),
        )
        for name, value in (
            ("download", -1),
            ("download", True),
            ("download", "1"),
            ("unpacked", None),
            ("releases", "x"),
            (
                "releases",
                [1, {"version": "1.0.0"}, {"version": "<b>", "at": LONG_AGO}, {"version": "1.0.0", "at": "x"}],
            ),
        ):
            told = read({name: value}, "1.0.0")
            self.assertEqual(told, Facts(version="1.0.0"), (name, value))
        self.assertEqual(len(read({"releases": TOLD["releases"] * 9}, "1.0.0").releases), 5)  # type: ignore[operator]

    def test_only_pages_of_the_web_tell_of_changes(self) -> None:
        for repository, homepage, url in (
            ("git+https://github.com/a/b.git", None, "https://github.com/a/b/releases"),
            ("git@github.com:a/b", "https://b.test/", "https://b.test/"),
            ("https://github.com/a/b/tree/main", None, None),
            ("javascript:alert(1)//github.com/a/b", "javascript:alert(1)", None),
            (5, "http://b.test", None),
            (None, 'https://b.test/" onclick', None),
        ):
            self.assertEqual(read({"repository": repository, "homepage": homepage}, "1").changes_url, url, repository)
