"""Disk space, copies of data, linked folders."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.reconcile.linked_folders import LinkedFolders, newest_change
from parachute_hub.modules.state.disk_space import (
    LAST_BYTES,
    OPEN_BELOW,
    RESERVE_BYTES,
    SLICE_BYTES,
    Disk,
    Reserve,
    size_of,
)
from parachute_hub.modules.state.snapshots import Snapshots
from parachute_hub.supervise.model import ModuleState, Status
from tests.live.fulldisk import FullDisk
from tests.modules.homes import Home, write
from tests.support.supervising import FakeSupervisor


class NarrowDisk(Disk):
    """A disk with the free space that the test sets."""

    free = 1 << 40

    def free_bytes(self) -> int:
        return NarrowDisk.free


class Sizes(SynchronousTestCase):
    def test_hard_links_count_once(self) -> None:
        folder = write(Path(self.mktemp()), {"a/x": "x" * 50_000, "b/y": ""})
        os.link(folder / "a" / "x", folder / "b" / "linked")
        os.symlink("/", folder / "b" / "root")
        self.assertLess(size_of(folder), 80_000)
        seen: set[int] = set()
        first = size_of(folder / "a", seen)
        self.assertGreaterEqual(first, 50_000)
        self.assertLess(size_of(folder / "b", seen), 20_000)
        self.assertEqual(size_of(folder / "missing"), 0)


class Reserves(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        (self.home / "hub").mkdir(parents=True)
        self.told: list[str] = []
        self.reserve = Reserve(NarrowDisk(self.home), self.told.append)
        NarrowDisk.free = 1 << 40

    def test_made_opened_and_made_again(self) -> None:
        self.reserve.check()
        self.assertEqual(self.reserve.path.stat().st_size, RESERVE_BYTES)
        self.reserve.check()
        NarrowDisk.free = OPEN_BELOW - 1
        self.reserve.check()
        self.reserve.check()
        self.assertFalse(self.reserve.path.exists())
        self.assertEqual(len(self.told), 1)
        NarrowDisk.free = 1 << 40
        self.reserve.check()
        self.assertTrue(self.reserve.path.exists())

    def test_the_first_goes_as_a_whole_and_the_last_in_slices(self) -> None:
        """Each time a write finds the disk full, until nothing is left; with space both are created again."""
        self.reserve.check()
        self.assertEqual(self.reserve.last.stat().st_size, LAST_BYTES)
        NarrowDisk.free = 0
        self.assertTrue(self.reserve.make_room())
        self.assertEqual((self.reserve.path.exists(), self.reserve.last.stat().st_size), (False, LAST_BYTES))
        self.assertEqual(len(self.told), 1)
        given = 0
        while self.reserve.make_room():
            given += 1
        self.assertEqual((given, self.reserve.last.stat().st_size), (LAST_BYTES // SLICE_BYTES, 0))
        self.reserve.check()
        self.assertEqual(self.reserve.last.stat().st_size, 0)
        NarrowDisk.free = 1 << 40
        self.reserve.check()
        self.reserve.check()
        self.assertEqual(
            [path.stat().st_size for path in (self.reserve.path, self.reserve.last)], [RESERVE_BYTES, LAST_BYTES]
        )

    def test_a_write_of_the_hub_uses_it(self) -> None:
        """A write that finds the disk full is retried; one that fails for another reason is not."""
        self.reserve.check()
        target = self.home / "hub" / "state"
        for error, written, opened in ((errno.ENOSPC, True, True), (errno.EIO, False, False)):
            with self.subTest(errno.errorcode[error]):
                self.reserve.check()
                target.unlink(missing_ok=True)
                with FullDisk(target.parent.absolute(), at=1, error=error).at_work(), contextlib.suppress(OSError):
                    self.reserve.write(target, b"new")
                self.assertEqual((target.exists(), self.reserve.path.exists()), (written, not opened))

    def test_it_never_fails(self) -> None:
        (self.home / "hub").rmdir()
        self.reserve.check()
        self.assertEqual(self.told, [])


class Copies(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        write(self.home / "toy", {"note": "mine", "deep/er": "x"})
        self.free = 1 << 40
        self.copies = Snapshots(home=self.home, folder=self.home / "hub" / "snapshots", free_bytes=lambda: self.free)

    def note(self) -> str:
        return (self.home / "toy" / "note").read_text()

    def test_there_and_back_and_out_again(self) -> None:
        self.assertGreater(self.copies.take("toy", "one") or 0, 0)
        write(self.home / "toy", {"note": "newer"})
        self.copies.restore("toy", "one")
        self.assertEqual(self.note(), "mine")
        self.copies.back_out("toy", "one")
        self.copies.back_out("toy", "one")
        self.assertEqual(self.note(), "newer")

    def test_settled_for_good(self) -> None:
        self.copies.take("toy", "one")
        write(self.home / "toy", {"note": "newer"})
        self.copies.restore("toy", "one")
        self.copies.settle("toy", "one")
        self.copies.back_out("toy", "one")
        self.assertEqual((self.note(), self.copies.latest("toy")), ("mine", "one"))

    def test_the_latest_is_the_one_that_was_made_last(self) -> None:
        self.copies.take("toy", "one")
        os.utime(self.home / "toy", ns=(1, 1))
        self.copies.take("toy", "two")
        self.assertEqual((self.copies.latest("toy"), self.copies.latest("toy", "on")), ("two", "one"))
        self.copies.take("toy", "three")
        self.copies.keep_only("toy", "three", "t")
        self.assertEqual((self.copies.latest("toy"), self.copies.latest("toy", "on")), ("three", "one"))

    def test_a_copy_that_is_being_removed_is_no_copy_any_more(self) -> None:
        """Otherwise a kill half-way would leave a torn copy, and the newest one at that."""
        self.copies.take("toy", "one")
        self.copies.take("toy", "two")
        with self.patched_rmtree():
            self.copies.keep_only("toy", "two")
        self.assertEqual((self.copies.latest("toy"), self.copies.latest("toy", "one")), ("two", None))
        self.copies.sweep()
        self.assertEqual(os.listdir(self.copies.folder / "toy"), ["two"])

    @contextmanager
    def patched_rmtree(self) -> Iterator[None]:
        """A kill before anything is removed."""
        patch = self.patch(shutil, "rmtree", lambda *args, **options: None)
        try:
            yield
        finally:
            patch.restore()

    def test_only_when_it_fits(self) -> None:
        self.free = 10_000
        self.assertIsNone(self.copies.take("toy", "one"))
        self.assertIsNone(self.copies.latest("toy"))
        self.assertIsNone(self.copies.take("nothing", "one"))

    def test_the_newest_is_kept_and_halves_are_swept(self) -> None:
        self.copies.take("toy", "one")
        self.copies.take("toy", "two")
        os.utime(self.copies.folder / "toy" / "two", ns=(1 << 62, 1 << 62))
        self.assertEqual(self.copies.latest("toy"), "two")
        self.copies.keep_only("toy", "two")
        write(self.copies.folder / "toy" / ".three", {"half": ""})
        self.copies.sweep()
        self.assertEqual(os.listdir(self.copies.folder / "toy"), ["two"])


class Linked(SynchronousTestCase):
    def test_a_change_restarts_a_module_that_runs(self) -> None:
        home = Home(self.mktemp())
        folder = write(Path(self.mktemp()).absolute(), {"server.ts": "1", "node_modules/x/y": ""})
        home.register()
        home.records.change("toy", linked=str(folder), package="@toys/toy", row="toys-toy")
        supervisor = FakeSupervisor()
        self.started(supervisor)
        linked = LinkedFolders(directory=home.directory, supervisor=supervisor)
        linked.look()
        linked.look()
        self.assertEqual(supervisor.calls, [("start", "toy")])
        later = newest_change(folder) + 10**9
        os.utime(folder / "node_modules" / "x" / "y", ns=(later, later))
        linked.look()
        for still_writing in range(3):
            later += still_writing
            os.utime(folder / "server.ts", ns=(later, later))
            linked.look()
        self.assertEqual(supervisor.calls, [("start", "toy")])
        linked.look()
        linked.look()
        self.assertEqual(supervisor.calls, [("start", "toy"), ("restart", "toy")])
        # One that is just being stopped stays off.
        supervisor.outcome["toy"] = Status(short="toy", state=ModuleState.STOPPING, reason="", since=0.0)
        self.started(supervisor)
        os.utime(folder / "server.ts", ns=(later + 10**9, later + 10**9))
        linked.look()
        linked.look()
        self.assertEqual(len(supervisor.calls), 3)

    def test_a_change_right_after_the_start_counts(self) -> None:
        home = Home(self.mktemp())
        folder = write(Path(self.mktemp()).absolute(), {"server.ts": "1"})
        home.register()
        home.records.change("toy", linked=str(folder), package="@toys/toy", row="toys-toy")
        changed = newest_change(folder) / 1e9
        for started, calls in ((changed + 1, 1), (changed - 1, 2)):
            supervisor = FakeSupervisor()
            supervisor.outcome["toy"] = Status(
                short="toy", state=ModuleState.READY, reason="", since=0.0, started_at=started
            )
            self.started(supervisor)
            linked = LinkedFolders(directory=home.directory, supervisor=supervisor)
            linked.look()
            linked.look()
            self.assertEqual(len(supervisor.calls), calls)

    def started(self, supervisor: FakeSupervisor) -> None:
        """Start it: a fake answers immediately."""
        try:
            supervisor.start("toy").send(None)
        except StopIteration:
            return
        raise AssertionError("the fake waits for something")
