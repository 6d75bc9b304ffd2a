from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.packages.bun import BunFailed
from parachute_hub.modules.packages.bun_errors import Complaint
from parachute_hub.modules.packages.updates import Availability


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
        self.availability = Availability(bun=self.registry, folder=Path(), now=lambda: 0.0)

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
