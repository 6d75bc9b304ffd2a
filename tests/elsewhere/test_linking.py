"""What the owner does with links, beside what else happens to them."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.elsewhere.keys import Identity, KeyFolder
from parachute_hub.elsewhere.linking import Linking
from parachute_hub.modules.state.link import Link
from parachute_hub.site.errors import Refused

PAIRED = Link(id="0123456789abcdef", kind="host", host="10.0.0.5", port=1940, near="private", pin="0" * 64)


@define
class FakeMachine:
    """Answers as a host does. `meanwhile` happens while it takes the coming certificate."""

    link: Link
    meanwhile: Callable[[], object]
    asked: list[str] = field(factory=list)

    async def call(self, method: str, path: str, body: object = None) -> None:
        self.asked.append(f"{method} {path}")
        self.meanwhile()

    async def state(self) -> dict[str, Any]:
        self.asked.append("GET /state")
        return {}

    def use(self, link: Link, dialer: object) -> None:
        self.link = link


@define
class FakeLinks:
    """Keeps the link of one module."""

    keys: KeyFolder
    kept: Link | None = PAIRED
    _machine: FakeMachine = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._machine = FakeMachine(PAIRED, lambda: None)

    def meanwhile(self, happens: Callable[[], object]) -> None:
        self._machine.meanwhile = happens

    def link(self, short: str) -> Link | None:
        return self.kept

    def paired(self, short: str) -> FakeMachine | None:
        return self._machine

    def dialer(self, link: Link, trust: object) -> object:
        return object()

    async def store(self, short: str, link: Link | None) -> None:
        self.kept = link

    async def in_thread(self, work: Callable[..., Any], *given: Any) -> Any:
        return work(*given)

    @staticmethod
    def now() -> float:
        return 2_000_000.0


class RenewTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.links = FakeLinks(KeyFolder(Path(folder.name)))
        self.links.keys.write(PAIRED.id, Identity.new())
        given: Any = self.links
        self.linking = Linking(links=given, new_id=lambda: "f" * 16)

    def renew(self) -> Link:
        return self.successResultOf(Deferred.fromCoroutine(self.linking.renew("vault")))

    def test_a_move_that_ends_meanwhile_is_not_undone(self) -> None:
        """Otherwise the module would start here, without the data that has moved."""
        for active in (True, False):
            self.links.kept = evolve(PAIRED, active=not active)

            def moved(active: bool = active) -> None:
                self.links.kept = evolve(PAIRED, active=active)

            self.links.meanwhile(moved)
            self.assertEqual(self.renew(), evolve(PAIRED, active=active, renewed_at=2_000_000.0))
            self.assertEqual(self.links.kept, evolve(PAIRED, active=active, renewed_at=2_000_000.0))

    def test_a_link_that_ends_meanwhile_stays_ended(self) -> None:
        def ended() -> None:
            self.links.kept = None

        self.links.meanwhile(ended)
        refused = self.failureResultOf(Deferred.fromCoroutine(self.linking.renew("vault")), Refused)
        self.assertEqual((refused.value.status, self.links.kept), (409, None))
