from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.admin.overview_api import KEPT_SECONDS, Memory, OverviewApi
from parachute_hub.site.auth import Authenticator
from tests.support.asking import Answer, ask
from tests.support.operators import owner
from tests.support.sockets import Rig, get


@frozen
class User:
    name: str

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": "data", "bytes": 10}


@define
class FakeDisk:
    walks: int = 0

    def total_bytes(self) -> int:
        return 1000

    def free_bytes(self) -> int:
        return 400

    def owners(self, shorts: Iterable[str]) -> list[User]:
        self.walks += 1
        return [User(short) for short in shorts]


@frozen
class Past:
    recent: tuple[int, ...]
    minutes: tuple[int, ...]


class OverviewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.disk = FakeDisk()
        self.installed = ["vault"]
        self.memory = Memory(limit=512, used=300, hub=60, modules={"vault": 70, "notes": 30}, shares={"vault": 0.25})
        api = OverviewApi(
            who=Authenticator([owner()]),
            memory=lambda: succeed(self.memory),
            disk=self.disk,
            installed=lambda: self.installed,
            in_thread=lambda call: self.in_thread(call),
            clock=self.clock.seconds,
            past={"vault": Past((70, 71), (90,))}.get,
        )
        self.resource = api.app.resource()

    def in_thread(self, call: Callable[[], list[dict[str, Any]]]) -> "Deferred[list[dict[str, Any]]]":
        return succeed(call())

    def ask(self, path: str = "/api/overview") -> Answer:
        return ask(self.resource, path, headers={"Authorization": "Bearer owner"})

    def test_memory_and_disk_by_owner(self) -> None:
        """In a stable order, so that nothing moves on the page."""
        self.assertEqual(
            self.ask().json(),
            {
                "memory": {
                    "limit": 512,
                    "used": 300,
                    "hub": 60,
                    "modules": [{"short": "notes", "bytes": 30}, {"short": "vault", "bytes": 70}],
                },
                "processor": {"modules": [{"short": "vault", "share": 0.25}]},
                "disk": {"total": 1000, "free": 400, "owners": [{"name": "vault", "kind": "data", "bytes": 10}]},
            },
        )

    def test_unknown_values_are_null(self) -> None:
        """Rather than zero: the page must not claim that nothing is used."""
        self.memory = Memory()
        told = self.ask().json()["memory"]
        self.assertEqual(told, {"limit": None, "used": None, "hub": None, "modules": []})

    def test_the_disk_is_walked_once_a_minute_at_most(self) -> None:
        """No matter how many pages ask."""
        for _ in range(3):
            self.ask()
        self.assertEqual(self.disk.walks, 1)
        self.clock.advance(KEPT_SECONDS)
        self.ask()
        self.assertEqual(self.disk.walks, 2)

    def test_the_disk_is_walked_again_when_a_module_came(self) -> None:
        """So that a new module shows immediately."""
        self.ask()
        self.installed = ["vault", "notes"]
        self.assertEqual(len(self.ask().json()["disk"]["owners"]), 2)
        self.assertEqual(self.disk.walks, 2)

    def test_an_aborted_request_does_not_affect_the_next(self) -> None:
        """The next request after an aborted one measures again."""
        self.patch(self, "in_thread", lambda call: Deferred())
        Rig((), resource=self.resource).ask(get("/api/overview", "Authorization: Bearer owner")).hang_up()
        self.patch(self, "in_thread", lambda call: succeed(call()))
        self.assertEqual([owner["name"] for owner in self.ask().json()["disk"]["owners"]], ["vault"])

    def test_it_is_the_owners(self) -> None:
        """Strangers learn nothing about the machine."""
        self.assertEqual(ask(self.resource, "/api/overview").status, 401)
        self.assertEqual(self.disk.walks, 0)

    def test_a_modules_memory_history(self) -> None:
        """The hour as samples, the day as peaks; nothing for a module that never ran, nothing for strangers."""
        told = self.ask("/api/overview/memory/vault").json()
        self.assertEqual(told, {"short": "vault", "recent_kib": [70, 71], "minutes_kib": [90]})
        self.assertEqual(self.ask("/api/overview/memory/other").status, 404)
        self.assertEqual(ask(self.resource, "/api/overview/memory/vault").status, 401)
