from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.packages.bun import BunFailed
from parachute_hub.modules.packages.bun_errors import Complaint
from parachute_hub.modules.packages.updates import Availability
from tests.modules.homes import TOY
from tests.modules.homes import at_once as immediately
from tests.support.npm import pack


@define
class Registry:
    """Answers when the test says so."""

    asked: dict[str, "Deferred[Any]"] = field(factory=dict)

    async def add(self, folder: Path, spec: str, on_line: Any, min_age: int = 0, *options: str) -> None:
        raise AssertionError

    async def info(self, package: str, about: str, folder: Path, seconds: float) -> Any:
        self.asked[package] = Deferred()
        return await self.asked[package]


class AvailabilityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry = Registry()
        self.availability = self.offering(Catalog())

    def offering(self, catalog: Catalog) -> Availability:
        return Availability(bun=self.registry, folder=Path(), now=lambda: 0.0, in_thread=immediately, catalog=catalog)

    def test_a_withdrawn_version_is_not_offered(self) -> None:
        catalog = Catalog((evolve(TOY, withdrawn={"1.1.0": "It loses notes."}),))
        self.availability = self.offering(catalog)
        renewing = Deferred.fromCoroutine(self.availability.renew(["@toys/toy"]))
        self.registry.asked["@toys/toy"].callback({"latest": "1.1.0"})
        self.successResultOf(renewing)
        self.assertIsNone(self.availability.known("@toys/toy", "latest"))
        self.assertEqual(catalog.withdrawn("@toys/toy", "1.1.0"), "It loses notes.")
        self.assertIsNone(catalog.withdrawn("@toys/toy", "1.0.0"))

    def test_a_tarball_of_the_catalog_tells_its_version(self) -> None:
        """The registry is not asked; one that cannot be read offers nothing."""
        tarball = Path(self.mktemp())
        self.availability = self.offering(Catalog((evolve(TOY, source=tarball),)))
        for files, version in (
            ({"package.json": '{"version": "2.0.0"}'}, "2.0.0"),
            ({"package.json": "{"}, None),
            ({"other.json": "{}"}, None),
        ):
            tarball.write_bytes(pack(files))
            self.successResultOf(Deferred.fromCoroutine(self.availability.renew(["@toys/toy"])))
            self.assertEqual(self.availability.known("@toys/toy", "latest"), version, files)
        self.assertEqual(self.registry.asked, {})

    def test_who_must_know_waits_for_the_registry(self) -> None:
        """For all packages at once; one without an answer keeps its last known version."""
        renewing = Deferred.fromCoroutine(self.availability.renew(["a", "b"]))
        self.registry.asked["a"].callback({"latest": "1.1.0"})
        self.assertNoResult(renewing)
        self.registry.asked["b"].errback(BunFailed(Complaint("offline", "Nobody answers.")))
        self.successResultOf(renewing)
        self.assertEqual([self.availability.latest(name, "latest") for name in ("a", "b")], ["1.1.0", None])

    def test_a_page_does_not_wait(self) -> None:
        """It gets the last known version, and the registry is asked once."""
        self.assertEqual([self.availability.latest("a", "latest") for _ in range(2)], [None, None])
        self.registry.asked["a"].callback({"latest": "1.1.0"})
        self.assertEqual(self.availability.latest("a", "latest"), "1.1.0")
