from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.machine import (
    GB,
    MB,
    ClockWrong,
    DiskSpace,
    DiskWrites,
    GrowingMemory,
    MemoryTight,
    NoRoomToWake,
    growth,
)
from parachute_hub.problems.model import Problem
from tests.problems.checks.test_modules import VAULT
from tests.support.always import always


class DiskTests(SynchronousTestCase):
    def test_how_full_is_too_full(self) -> None:
        """A large disk has room at 3 %, a small one does not at 30 MB."""
        for free, total, severity in (
            (300 * GB, 10_000 * GB, None),
            (3 * GB, 100 * GB, None),
            (1.5 * GB, 100 * GB, "warning"),
            (400 * MB, 100 * GB, "error"),
            (600 * MB, 1 * GB, None),
            (200 * MB, 1 * GB, "warning"),
            (1.9 * GB, 9 * GB, None),
            (1.9 * GB, 10 * GB, "warning"),
            (90 * MB, 1 * GB, "error"),
            (60 * MB, 256 * MB, None),
            (40 * MB, 256 * MB, "error"),
        ):
            found = self.look(int(free), int(total))
            self.assertEqual([one.severity for one in found], [severity] if severity else [], (free, total))

    def test_the_sentence_names_what_is_left(self) -> None:
        (found,) = self.look(40 * MB, 10 * GB)
        self.assertEqual(
            found.text,
            "40 MB of 10.0 GB are left. Once it is full, nothing can be saved. The most room is taken by the data of "
            "Vault (8.0 GB), downloads (300 MB).",
        )
        self.assertEqual([fix.path for fix in found.fixes if fix.safe], ["/api/modules/disk/clear"])

    def look(self, free: int, total: int) -> list[Problem]:
        largest = [("the data of Vault", 8 * GB), ("downloads", 300 * MB)]
        return DiskSpace(space=always((free, total)), largest=always(largest)).look()

    def test_a_disk_that_refuses_writes(self) -> None:
        for state, text in (
            ("error: disk_full", "The disk is full."),
            ("error: disk_read_only", "The disk has become read-only"),
            ("error: not_answering", "The disk does not answer."),
            ("error: Permission denied", "The disk refuses writes (Permission denied)."),
        ):
            (found,) = DiskWrites(state=always(state)).look()
            self.assertEqual((found.severity, found.text[: len(text)]), ("error", text))
        for state in ("ok", "unconfigured"):
            self.assertEqual(DiskWrites(state=always(state)).look(), [], state)


class MemoryTests(SynchronousTestCase):
    def test_memory_that_stays_almost_full(self) -> None:
        used = [950]
        check = MemoryTight(memory=lambda: (used[0] * MB, 1000 * MB))
        self.assertEqual([len(check.look()) for _ in range(3)], [0, 0, 1])
        used[0] = 500
        self.assertEqual(check.look(), [])
        used[0] = 950
        self.assertEqual(check.look(), [], "a short peak is none")

    def test_no_limit_is_no_problem(self) -> None:
        for memory in ((None, None), (5, None), (None, 5)):
            check = MemoryTight(memory=always(memory))
            self.assertEqual([len(check.look()) for _ in range(4)], [0, 0, 0, 0], memory)

    def test_a_module_that_could_not_be_woken(self) -> None:
        refused = {"vault", "gone"}
        check = NoRoomToWake(modules=lambda: [VAULT], refused=lambda: refused)
        (found,) = check.look()
        self.assertEqual((found.key, found.severity), ("no-room-to-wake:vault", "error"))
        refused.clear()
        self.assertEqual(check.look(), [])

    def test_a_module_that_leaks(self) -> None:
        """100 MB more in six hours, whatever the peaks do."""
        leak = [100 * 1024 + minute * 300 + (minute % 7) * 1000 for minute in range(400)]
        (found,) = GrowingMemory(modules=lambda: [VAULT], minutes=lambda short: leak).look()
        self.assertEqual((found.key, found.severity), ("module-memory:vault", "warning"))
        self.assertIn("never gave any back", found.text)

    def test_modules_that_do_not_leak(self) -> None:
        steady = [100 * 1024] * 400
        for name, minutes in (
            ("steady", steady),
            ("young", list(range(100 * 1024, 100 * 1024 + 359))),
            ("gives back", [100 * 1024 + (minute % 120) * 2000 for minute in range(400)]),
            ("restarted", [*range(100 * 1024, 300 * 1024, 600), *steady[:100]]),
            ("small", [1024 + minute * 10 for minute in range(400)]),
        ):
            self.assertIsNone(growth(minutes), name)


class ClockTests(SynchronousTestCase):
    def test_a_clock_that_is_off(self) -> None:
        for seconds, words in (
            (300.0, "5 minutes ahead of the package registry"),
            (-3 * 3600.0, "3 hours behind the package registry"),
            (40 * 86400.0, "40 days ahead of the package registry"),
        ):
            (found,) = ClockWrong(offsets=always({"the package registry": seconds})).look()
            self.assertIn(words, found.text)

    def test_a_clock_that_is_right_or_unknown(self) -> None:
        for offsets in ({}, {"the package registry": 3.0}, {"the package registry": -60.0}):
            self.assertEqual(ClockWrong(offsets=always(offsets)).look(), [], offsets)
