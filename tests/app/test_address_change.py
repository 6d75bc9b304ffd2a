"""A change of the hub's address."""

from types import SimpleNamespace
from typing import Any

from parachute_hub.app.address_change import AddressChange
from parachute_hub.supervise.model import ModuleState
from tests.supervise.fixture import SupervisorCase
from tests.support.at_once import at_once


class MoveTests(SupervisorCase):
    def setUp(self) -> None:
        super().setUp()
        self.moves: list[tuple[object, ...]] = []

    def move(self) -> None:
        """The hub's address changes."""

        async def ensured() -> None:
            pass

        issuer = SimpleNamespace(move=lambda *told: self.moves.append(told))
        oauth: Any = SimpleNamespace(issuer=issuer, operator=SimpleNamespace(ensure=ensured))
        hosts: Any = SimpleNamespace(refresh=lambda: None)
        origins: Any = SimpleNamespace(
            issuer=lambda: "https://hub.example.com", bound=lambda: ("bound",), answering=lambda: ("bound", "former")
        )
        at_once(AddressChange(self.supervisor, oauth, hosts, origins).apply("https://hub.example.com"))

    def test_every_running_module_restarts(self) -> None:
        """All at once; a module that is off stays off."""
        for short in ("vault", "notes", "scribe"):
            self.ready(short)
        self.begin(self.supervisor.stop("scribe"))
        self.turn()
        self.move()
        self.assertEqual(self.moves, [("https://hub.example.com", ("bound",), ("bound", "former"))])
        self.pass_time(1)
        self.assertEqual(self.plan.launches[3:], ["vault", "notes"])
        self.assertEqual([self.state(short) for short in ("vault", "notes")], [ModuleState.READY] * 2)

    def test_a_module_stopped_or_removed_meanwhile_is_not_restarted(self) -> None:
        """The first may take long to answer; the others may have changed by then."""
        for short in ("vault", "notes", "scribe"):
            self.ready(short)
        self.reactor.listening.clear()
        self.move()
        self.turn()
        self.begin(self.supervisor.stop("notes"))
        self.begin(self.supervisor.remove("scribe"))
        self.pass_time(60)
        self.assertEqual(self.state("notes"), ModuleState.STOPPED)
        self.assertFalse(self.plan.wanted("notes"))
        self.assertIsNone(self.supervisor.status("scribe"))
