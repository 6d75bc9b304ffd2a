"""The disk is full at any write of an operation: it fails with words that help, or succeeds, and nothing is torn (F11).

Each write of the hub to the home fails in turn: once, with all that follow it, as on a disk that stays full, and once
as on a disk with a bad spot (F21). Then there is room again, and the hub mends it, or somebody tries again, or the hub
boots. CI tries some points of each operation; `python -m tests.live.test_modules_full --full` tries all of them.
"""

import errno
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from parachute_hub.jobs.model import Job
from parachute_hub.modules.state.records import RecordsRefused
from parachute_hub.modules.state.services_file import RegistryRefused
from parachute_hub.modules.state.store import BadPackage
from parachute_hub.site.errors import Refused
from parachute_hub.supervise.model import ModuleState
from parachute_hub.system.storage_trouble import MAKE_ROOM
from tests.live.fulldisk import FullDisk
from tests.live.modules_rig import CLOCK, Rig, by_hand, module, run
from tests.live.modules_victim import at_once, begin
from tests.live.powercut import Tree, put, seen
from tests.live.test_modules_kill import state
from tests.live.test_modules_power import OPERATIONS, VERSIONS, whole
from tests.support.npm import NpmRegistry

SMOKE = 4
FULL = 1_000_000
WAYS = {"full once": (False, errno.ENOSPC), "full from then on": (True, errno.ENOSPC), "broken": (False, errno.EIO)}
HELPS = {errno.ENOSPC: MAKE_ROOM, errno.EIO: "Input/output error"}


class Wrong(Exception):
    """A state or response that must not be; the text says which."""


@frozen
class Before:
    """A home before an operation, what a person sees then and afterwards, and every write in between."""

    operation: str
    home: Tree
    state: tuple[Any, ...]
    after: tuple[Any, ...]
    calls: tuple[str, ...]


@define
class Sweep:
    """One module's operations in one home, with the disk full at each write in turn."""

    home: Path
    registry: NpmRegistry
    packages: dict[str, dict[str, str]]
    points: int = 0
    failed: int = 0
    succeeded: int = 0
    wrong: list[str] = field(factory=list)

    async def in_peace(self, operation: str) -> Before:
        """The operation on a working disk."""
        tree, before = seen(self.home), state(self.home)
        disk = FullDisk(self.home)
        rig = await self._begin(operation)
        try:
            job = await self._run(rig, operation, disk)
        finally:
            await rig.stop(registry=False)
        if not _succeeded(job):
            raise Wrong(f"{operation} did not succeed in peace: {job}")
        return Before(operation, tree, before, state(self.home), tuple(disk.calls))

    async def full(self, before: Before, at: int, how: str) -> None:
        """One point: the write `at` fails in one of the WAYS."""
        put(before.home, self.home)
        self.points += 1
        lasting, error = WAYS[how]
        try:
            await self._full(before, FullDisk(self.home, at, lasting, error), at)
        except Exception as wrong:
            self.wrong.append(f"{before.operation}, {how} at write {at} ({before.calls[at - 1]}): {wrong!r}")

    async def _full(self, before: Before, disk: FullDisk, at: int) -> None:
        # With room again, in turn: the hub mends it by itself; somebody tries it again; the hub is restarted.
        rig = await self._begin(before.operation)
        try:
            job = await self._run(rig, before.operation, disk)
            done = _succeeded(job)
            self.succeeded += done
            self.failed += not done
            if not done and HELPS[disk.error] not in _words(job):
                raise Wrong(f"these words do not help: {_words(job)}")
            if not disk.lasting:
                await self._look(before, done, "at once", rig)
            elif at % 3 == 1:
                await rig.modules.jobs.undo_left()
                await self._look(before, done, "when there was room", rig)
            elif at % 3 == 2 and not done:
                done = await self._again(before, rig)
        finally:
            await rig.stop(registry=False)
        rig = await self._boot()
        await rig.stop(registry=False)
        await self._look(before, done, "after a boot")
        if not done:
            rig = await self._begin(before.operation)
            try:
                await self._again(before, rig)
            finally:
                await rig.stop(registry=False)

    async def _again(self, before: Before, rig: Rig) -> bool:
        """The same with enough space, which works."""
        job = await self._run(rig, before.operation, FullDisk(self.home))
        if not _succeeded(job):
            raise Wrong(f"with room again it failed: {_words(job)}")
        await self._look(before, True, "with room again", rig)
        return True

    async def _look(self, before: Before, succeeded: bool, when: str, rig: Rig | None = None) -> None:
        """Old or new, nothing left over; where a hub runs, so does its module."""
        found, expected = state(self.home), before.after if succeeded else before.state
        if found != expected:
            raise Wrong(f"{when} there is {found}, not {expected}")
        whole(self.home, self.packages)
        left = [path for path in self.home.rglob("*.tmp") if "install/cache" not in str(path)]
        if left:
            raise Wrong(f"{when} this was left: {left}")
        if rig is not None and before.operation != ("uninstall" if succeeded else "install"):
            for _ in range(200):
                status = rig.supervisor.status("toy")
                if status is not None and status.state is ModuleState.READY:
                    return
                await deferLater(CLOCK, 0.02)
            raise Wrong(f"{when} the module does not run: {status}")

    async def _run(self, rig: Rig, operation: str, disk: FullDisk) -> Job | Refused:
        """Run it on this disk."""
        with disk.at_work():
            try:
                job = await rig.done(begin(rig, operation))
            except Refused as refused:
                return refused
            finally:
                if rig.files.directory.services.read().problems:
                    raise Wrong(f"services.json: {rig.files.directory.services.read().problems}")
        return job

    async def _begin(self, operation: str) -> Rig:
        """A hub with the module running, if installed."""
        rig = await self._boot()
        if operation != "install":
            await rig.supervisor.start("toy")
        return rig

    async def _boot(self) -> Rig:
        rig = Rig.start(home=self.home, registry=self.registry, in_thread=at_once, settle_seconds=0.05)
        await rig.modules.recover()
        return rig


def _succeeded(job: Job | Refused) -> bool:
    return isinstance(job, Job) and job.outcome == "succeeded"


def _words(job: Job | Refused) -> str:
    return (job.error or "") if isinstance(job, Job) else str(job)


def spread(count: int, most: int) -> Iterator[int]:
    """At most this many numbers from 1 to `count`, evenly spaced."""
    most = min(most, count)
    return (1 + (2 * number + 1) * count // (2 * most) for number in range(most))


async def sweep(most: int) -> Sweep:
    """At most this many writes of each operation, each failing in both ways."""
    packages = {version: module(version=version) for version in VERSIONS}
    registry = NpmRegistry(CLOCK)
    for files in packages.values():
        registry.publish(files)
    registry.listen()
    folder = Path(tempfile.mkdtemp(prefix="parachute-full-"))
    sweeping = Sweep(folder / "home", registry, packages)
    sweeping.home.mkdir()
    try:
        operations = [await sweeping.in_peace(operation) for operation in OPERATIONS]
        for before in operations:
            for how in WAYS:
                for at in spread(len(before.calls), most):
                    await sweeping.full(before, at, how)
    finally:
        await registry.close()
        shutil.rmtree(folder)
    return sweeping


class FullAtAnyWrite(TestCase):
    timeout = 200

    @run
    async def test_old_or_new_and_words_that_help(self) -> None:
        done = await sweep(SMOKE)
        self.flushLoggedErrors(OSError, RecordsRefused, RegistryRefused, BadPackage)
        self.assertEqual(done.wrong, [], "\n".join(done.wrong))
        self.assertEqual(done.points, len(WAYS) * SMOKE * len(OPERATIONS))
        self.assertGreater(done.failed, done.points // 2)


def main(most: int) -> None:
    """The manual sweep; exits with 1 when it found something wrong."""
    began = time.monotonic()
    done = by_hand(lambda: Deferred.fromCoroutine(sweep(most)))
    print(f"full at {done.points} points: {done.failed} failed, {done.succeeded} succeeded, {len(done.wrong)} wrong")
    print(f"{time.monotonic() - began:.0f} s")
    if done.wrong:
        sys.exit("\n".join(done.wrong))


if __name__ == "__main__":
    main(FULL if "--full" in sys.argv[1:] else SMOKE)
