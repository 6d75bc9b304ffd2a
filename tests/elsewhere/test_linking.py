"""What the owner does with links, beside what else happens to them."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.elsewhere.calls import CallRefused
from parachute_hub.elsewhere.keys import Identity, KeyFolder
from parachute_hub.elsewhere.linking import Linking
from parachute_hub.link import code as codes
from parachute_hub.link.certificates import key_of_pem
from parachute_hub.modules.state.link import Link
from parachute_hub.site.errors import Refused

CODE = "012-345-678-9AB-CDE-FGH-JKM-NPQ"
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


@define
class FakeHost:
    """A host of `short`, which accepts whoever asks it while it belongs to nobody."""

    short: str
    seen: bytes = b"h" * 32
    hub: str | None = None

    @property
    def caller(self) -> "FakeHost":
        return self

    def close(self) -> None: ...

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        if path == "/unpair":
            self.hub = None
            return None
        if path != "/pair":
            raise CallRefused(403, "not_paired", "This module host does not belong to you.")
        if self.hub is not None:
            raise CallRefused(403, "paired", "This host already belongs to a hub.")
        self.hub = body["hub"]
        key = key_of_pem(body["certificate"].encode())
        return {"short": self.short, "proof": codes.proof(CODE, "host", self.seen, key)}


@define
class FreeLinks:
    """The links of a hub that has none, and finds this host at every address."""

    host: FakeHost
    keys: KeyFolder
    reactor: Any = None

    async def resolve(self, host: str) -> list[str]:
        return [host]

    def link(self, short: str) -> None:
        return None

    def made(self, short: str, link: Link, dialer: object) -> FakeHost:
        return self.host

    def dialer(self, link: Link, trust: object) -> FakeHost:
        return self.host

    @staticmethod
    def origin() -> str:
        return "https://hub.test"

    @staticmethod
    def now() -> float:
        return 1.0

    async def store(self, short: str, link: Link | None) -> None: ...

    async def in_thread(self, work: Callable[..., Any], *given: Any) -> Any:
        return work(*given)


class PairTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.keys = KeyFolder(Path(folder.name))

    def pair(self, host: FakeHost, short: str) -> Deferred[Link]:
        links: Any = FreeLinks(host, self.keys)
        linking = Linking(links=links, new_id=lambda: "f" * 16)
        return Deferred.fromCoroutine(linking.pair(short, "10.0.0.5", CODE, near=True))

    def test_a_host_of_another_module_stays_free(self) -> None:
        """Otherwise nobody could pair with it, since nobody kept the key that it accepted."""
        host = FakeHost("scribe")
        refused = self.failureResultOf(self.pair(host, "vault"), Refused).value
        self.assertEqual((refused.error, host.hub), ("wrong_module", None))
        self.assertEqual(self.successResultOf(self.pair(host, "scribe")).pin, host.seen.hex())
        refused = self.failureResultOf(self.pair(host, "scribe"), Refused).value
        self.assertEqual(refused.error, "paired_already")
        self.assertIn("parachute module host --unpair", refused.description)


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
