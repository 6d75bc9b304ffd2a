"""Quotas against measured sizes: what counts, and when it is measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.vault_room import MEASURED_ANYWAY, RESERVED_AT_MOST, SETTLES, MeasuredRoom, Measures
from parachute_hub.modules.state.vault_sizes import VaultSize
from parachute_hub.store.rows import User, VaultRole
from tests.store.test_people import GRACE

KB = 1024


class RoomTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.clock = Clock()
        self.measured: list[tuple[str, ...]] = []
        self.quotas: dict[str, int] = {}
        self.people: list[User] = []
        self.far: Measures | None = None
        for name, size in (("kim", 100), ("kim-2", 50), ("work", 100)):
            self.write(name, size)
        self.room = MeasuredRoom(
            self.folder,
            self.clock,
            self.in_thread,
            lambda: ("kim", "kim-2", "work"),
            lambda: self.people,
            lambda: self.quotas,
            lambda: self.far,
        )

    def write(self, name: str, size: int) -> None:
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / name / "vault.db").write_bytes(b"x" * size * KB)

    def in_thread(self, function: Any, *args: Any) -> "Deferred[Any]":
        self.measured.append(args[1])
        return succeed(function(*args))

    def start(self) -> None:
        call = self.room.timer()
        self.addCleanup(call.stop)

    def fits(self, vault: str, adding: int) -> bool:
        return self.room.refusal(vault, adding * KB) is None

    def test_without_quotas_nothing_is_measured(self) -> None:
        self.start()
        self.room.reserve("kim", 10)(True)
        self.clock.advance(MEASURED_ANYWAY)
        self.assertEqual(self.measured, [])
        self.assertTrue(self.fits("kim", 1 << 40))

    def test_a_vault_has_its_quota(self) -> None:
        self.quotas["kim"] = 200 * KB
        self.start()
        self.assertEqual(self.measured, [("kim",)])
        self.assertTrue(self.fits("kim", 50))
        self.assertFalse(self.fits("kim", 150))
        self.assertTrue(self.fits("work", 1 << 30))
        refusal = self.room.refusal("kim", 150 * KB)
        assert refusal is not None
        self.assertEqual(refusal.status, 507)
        self.assertIn("Delete notes or files and empty the trash", refusal.text)

    def test_vaults_on_another_machine_have_one_if_it_tells_their_sizes(self) -> None:
        self.quotas["kim"] = 200 * KB
        told: dict[str, VaultSize] | None = {"kim": VaultSize(150 * KB, 0)}

        async def far(names: Sequence[str]) -> Mapping[str, VaultSize] | None:
            return told

        self.far = far
        self.start()
        self.assertEqual((self.measured, self.room.counts), ([], True))
        # Of the others nothing is known while it does not answer.
        told = {}
        self.successResultOf(Deferred.fromCoroutine(self.room.measure()))
        self.assertFalse(self.room.counts)
        told = {"kim": VaultSize(150 * KB, 0)}
        self.successResultOf(Deferred.fromCoroutine(self.room.measure(["kim"])))
        self.assertTrue(self.fits("kim", 50))
        self.assertFalse(self.fits("kim", 51))
        # It does not answer: what is known counts, and what was added since.
        told = {}
        self.room.reserve("kim", 20 * KB)(True)
        self.clock.advance(SETTLES)
        self.assertEqual((self.room.counts, self.fits("kim", 31), self.fits("kim", 30)), (True, False, True))
        # It tells nothing.
        told = None
        totals = self.successResultOf(Deferred.fromCoroutine(self.room.totals(["kim", "work"])))
        self.assertEqual((totals, self.room.counts), ({"kim": 0, "work": 0}, False))
        self.room.reserve("kim", 190 * KB)(True)
        self.clock.advance(SETTLES)
        self.assertTrue(self.fits("kim", 200))
        # The vaults are here again.
        self.far = None
        self.successResultOf(Deferred.fromCoroutine(self.room.measure()))
        self.assertEqual((self.room.counts, self.fits("kim", 101)), (True, False))

    def test_a_person_has_one_for_all_their_vaults(self) -> None:
        """Not for those that are shared with them."""
        vaults: dict[str, VaultRole] = {"kim": "write", "kim-2": "write", "work": "write"}
        self.people.append(evolve(GRACE, vaults=vaults, own=("kim", "kim-2"), quota=200 * KB))
        self.start()
        self.assertFalse(self.fits("kim", 60))
        self.assertFalse(self.fits("kim-2", 60))
        self.assertTrue(self.fits("kim", 20))
        self.assertTrue(self.fits("work", 1 << 30))
        (used,) = self.room.rooms()
        self.assertEqual((used.kind, used.quota), ("person", 200 * KB))
        self.assertEqual([name for name, _ in used.largest], ["the vault kim", "the vault kim-2"])

    def test_what_is_on_its_way_counts_until_it_is_measured(self) -> None:
        self.quotas["kim"] = 200 * KB
        self.start()
        ended = self.room.reserve("kim", 80 * KB)
        self.clock.advance(MEASURED_ANYWAY / 2)
        self.assertFalse(self.fits("kim", 50))
        ended(True)
        self.assertFalse(self.fits("kim", 50))
        self.measured.clear()
        # The request stored less than it announced.
        self.clock.advance(SETTLES)
        self.assertEqual(self.measured, [("kim",)])
        self.assertTrue(self.fits("kim", 50))

    def test_what_was_not_stored_is_given_back_at_once(self) -> None:
        self.quotas["kim"] = 200 * KB
        self.start()
        ended = self.room.reserve("kim", 1 << 40)
        self.assertFalse(self.fits("kim", 1))
        ended(False)
        self.assertTrue(self.fits("kim", 50))

    def test_one_request_holds_only_so_much(self) -> None:
        self.quotas["kim"] = 1 << 40
        self.start()
        self.room.reserve("kim", 1 << 39)
        (used,) = self.room.rooms()
        self.assertLess(used.used, RESERVED_AT_MOST + 1000 * KB)

    def test_slow_uploads_do_not_pass_the_limit(self) -> None:
        """Each goes on while vaults are measured; afterwards the figure is what is stored."""
        self.quotas["kim"] = 1000 * KB
        self.start()
        under_way = []
        for _ in range(20):
            if self.fits("kim", 800):
                under_way.append(self.room.reserve("kim", 800 * KB))
            self.clock.advance(SETTLES + 0.1)
        self.assertEqual(len(under_way), 1)
        self.write("kim", 900)
        under_way[0](True)
        self.clock.advance(SETTLES)
        (used,) = self.room.rooms()
        self.assertLess(used.used, 950 * KB)
        self.assertTrue(self.fits("kim", 50))

    def test_where_there_is_a_limit_a_size_must_be_known(self) -> None:
        self.quotas["kim"] = 1000 * KB
        self.start()
        refusal = self.room.refusal("kim", None)
        assert refusal is not None
        self.assertEqual(refusal.status, 411)
        self.assertIsNone(self.room.refusal("work", None))

    def test_the_owners_figures_are_for_nobody_else(self) -> None:
        self.people.append(evolve(GRACE, vaults={"kim": "write"}, own=("kim",), quota=50 * KB))
        self.start()
        refusal = self.room.refusal("kim", 1)
        assert refusal is not None
        self.assertIn("This vault has no room for this: its owner's limit is reached.", refusal.text)
        self.assertNotIn("KB", refusal.text)

    def test_room_that_was_made_is_seen_soon(self) -> None:
        self.quotas["kim"] = 50 * KB
        self.start()
        self.assertFalse(self.fits("kim", 0))
        self.write("kim", 4)
        self.room.reserve("kim", 0)(True)
        self.room.reserve("kim", 0)(False)
        self.clock.advance(SETTLES)
        self.assertTrue(self.fits("kim", 0))
        self.assertEqual(len(self.measured), 2)

    def test_a_new_quota_holds_within_a_second(self) -> None:
        self.start()
        self.assertTrue(self.fits("kim", 0))
        self.quotas["kim"] = 1
        self.clock.advance(1)
        self.room.refusal("kim", 0)
        self.clock.advance(SETTLES)
        self.assertFalse(self.fits("kim", 0))
