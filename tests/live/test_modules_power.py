"""The power goes in the middle of an operation: afterwards there is the state before or the state after (F19).

Each operation is recorded once, with all that bun does in it, and then cut at many points, on a disk that keeps no
more than it must (`powercut`). The modules' engine boots on what is left. The boot after a cut is recorded and cut as
well. The same steps with nothing made sure are the control: they show that the test finds torn states.
CI cuts eighty times; `python -m tests.live.test_modules_power --full` a thousand times.
"""

import itertools
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.live.modules_rig import CLOCK, Rig, by_hand, module, run
from tests.live.modules_victim import at_once, begin
from tests.live.powercut import Disk, Loss, put
from tests.live.syscalls import record
from tests.live.test_modules_kill import state
from tests.requirements import program, requires, right
from tests.support.npm import NpmRegistry

OPERATIONS = ("install", "upgrade", "rollback", "uninstall")
VERSIONS = ("1.0.0", "2.0.0")
SEED = 20261123
STAMPS = """
const file = `${process.env.PARACHUTE_HOME}/services.json`
const document = JSON.parse(await Bun.file(file).text())
const row = document.services.find((row) => row.name === "toys-toy")
if (row && row.version !== version) {
  row.version = version
  await Bun.write(`${file}.mine`, JSON.stringify(document))
  require("node:fs").renameSync(`${file}.mine`, file)
}
"""
"""The module writes its version into its row, as modules do, and does not care whether that would survive."""
LOSSES = (*Loss, *(Loss.SOME for _ in range(6)))
AGAIN = 4
"""One cut in so many is followed by the same operation once more."""
# Cuts, and how many interrupted operations of which the recovery is cut as well.
SMOKE = (60, 2)
FULL = (1000, 16)
DEATHS = (15, 52)
"""At which of its writes the hub is killed: after it has begun to change something, before it is done."""


class Torn(Exception):
    """A state that must never be found; the text says which."""


@frozen
class Recorded:
    """Every step of an operation, or of the boot after it. A person must see `before` or `after`."""

    name: str
    operation: str
    disk: Disk
    before: tuple[Any, ...]
    after: tuple[Any, ...]

    def careless(self) -> "Recorded":
        """The same without any fsync."""
        return evolve(self, disk=self.disk.careless())


@define
class Counts:
    """Counts of runs and findings."""

    cuts: int = 0
    again: int = 0
    old: int = 0
    new: int = 0
    acknowledged: int = 0
    torn: list[str] = field(factory=list)


def stamping(version: str) -> dict[str, str]:
    """The module's files."""
    files = module(version=version)
    lines = files["server.ts"].partition("Bun.serve")
    return {**files, "server.ts": "".join((lines[0], STAMPS, *lines[1:]))}


def victim(home: Path, registry: str, *what: str) -> list[str]:
    """The command that runs it."""
    return [sys.executable, "-m", "tests.live.modules_victim", str(home), registry, *what]


def recorded(home: Path, registry: str) -> list[Recorded]:
    """The operations of a module, one after the other in one home, because files contain paths."""
    found = []
    for what in OPERATIONS:
        before = state(home)
        disk = record(home, victim(home, registry, what), b"succeeded")
        if disk.acknowledged is None:
            raise Torn(f"{what} did not succeed in peace")
        found.append(Recorded(what, what, disk, before, state(home)))
    return found


def recovery(home: Path, registry: str, operation: Recorded, random: Random) -> Recorded:
    """The boot after a cut in this operation, recorded so that it can be cut again during recovery."""
    disk = operation.disk
    at = random.randrange(len(disk.steps) // 3, len(disk.steps) * 9 // 10)
    put(disk.after_a_cut(at, Loss.SOME, random), home)
    boot = record(home, victim(home, registry, "look"), None)
    found = _old_or_new(home, operation, f"cut after step {at} of {len(disk.steps)}")
    return evolve(operation, name=f"the boot after {operation.name}", disk=boot, before=found, after=found)


def killed(home: Path, registry: str, operation: Recorded, random: Random) -> Recorded:
    """The operation, killed half-way, and the next boot, whose input is not all durable."""
    put(operation.disk.after_a_cut(0, Loss.NOTHING, random), home)
    at = random.randrange(*DEATHS)
    both = [shlex.join(victim(home, registry, *what)) for what in ((operation.operation, str(at)), ("look",))]
    disk = record(home, ["sh", "-c", "exec 2>/dev/null; " + "; ".join(both)], None)
    disk.acknowledged = len(disk.steps)
    found = _old_or_new(home, operation, f"killed at write {at}")
    return evolve(operation, name=f"{operation.name} killed at write {at} and the boot", disk=disk, after=found)


def _old_or_new(home: Path, operation: Recorded, how: str) -> tuple[Any, ...]:
    found = state(home)
    if found not in (operation.before, operation.after):
        raise Torn(f"{operation.name} {how} left {found}")
    return found


def whole(home: Path, packages: Mapping[str, Mapping[str, str]]) -> None:
    """Every version in the store equals what was published. Raises Torn."""
    for folder in (home / "modules" / "store").glob("*/[0-9]*"):
        version = folder.name.partition("~")[0]
        for name, content in packages[version].items():
            path = folder / "node_modules" / "@toys" / "toy" / name
            if not path.is_file() or path.read_bytes() != content.encode():
                raise Torn(f"{path.relative_to(home)} is not what was published")


@define
class Cutter:
    """Cuts, boots, checks."""

    home: Path
    registry: NpmRegistry
    packages: Mapping[str, Mapping[str, str]]
    ends: Mapping[str, tuple[Any, ...]]
    counts: Counts = field(factory=Counts)

    async def cut(self, operation: Recorded, at: int, loss: Loss, seed: str) -> None:
        """One cut and its result."""
        disk = operation.disk
        put(disk.after_a_cut(at, loss, Random(seed)), self.home)
        self.counts.cuts += 1
        try:
            await self._look(operation, at)
        except Exception as torn:
            self.counts.torn.append(
                f"{operation.name} cut after step {at} of {len(disk.steps)}, {loss.name}, seed {seed!r}:\n  {torn}"
            )

    async def _look(self, operation: Recorded, at: int) -> None:
        rig = await self._boot()
        await rig.stop(registry=False)
        found = state(self.home)
        if found not in (operation.before, operation.after):
            raise Torn(f"{found}\n  is neither {operation.before}\n  nor {operation.after}")
        whole(self.home, self.packages)
        self.counts.new += found == self.ends[operation.operation]
        self.counts.old += found != self.ends[operation.operation]
        if operation.disk.acknowledged is not None and at >= operation.disk.acknowledged:
            self.counts.acknowledged += 1
            if found != operation.after:
                raise Torn("it was acknowledged, and is lost")
        if found != self.ends[operation.operation] and self.counts.cuts % AGAIN == 0:
            self.counts.again += 1
            await self._again(operation)

    async def _again(self, operation: Recorded) -> None:
        """The operation now works, and its result is complete."""
        rig = await self._boot()
        try:
            job = await rig.done(begin(rig, operation.operation))
        finally:
            await rig.stop(registry=False)
        if job.outcome != "succeeded":
            raise Torn(f"asked for once more it failed: {job.error}")
        if state(self.home) != self.ends[operation.operation]:
            raise Torn(f"asked for once more it left {state(self.home)}")
        whole(self.home, self.packages)

    async def _boot(self) -> Rig:
        rig = Rig.start(home=self.home, registry=self.registry, in_thread=at_once)
        await rig.modules.recover()
        return rig


async def storm(count: int, recoveries: int) -> tuple[Counts, Counts]:
    """`count` cuts of the real operations, and as many of the same steps without any fsync."""
    packages = {version: stamping(version) for version in VERSIONS}
    registry = NpmRegistry(CLOCK)
    for files in packages.values():
        registry.publish(files)
    folder = Path(tempfile.mkdtemp(prefix="parachute-power-"))
    home = folder / "home"
    home.mkdir()
    random = Random(SEED)
    try:
        address = registry.listen()
        operations = await deferToThread(recorded, home, address)
        ends = {each.operation: each.after for each in operations}
        boots = [
            await deferToThread((recovery, killed)[number % 2], home, address, random.choice(operations), random)
            for number in range(recoveries)
        ]
        everything = [*operations, *boots]
        return (
            await cuts(Cutter(home, registry, packages, ends), everything, count),
            await cuts(Cutter(home, registry, packages, ends), [each.careless() for each in everything], count),
        )
    finally:
        await registry.close()
        shutil.rmtree(folder)


async def cuts(cutter: Cutter, operations: list[Recorded], count: int) -> Counts:
    """Cut them all in turn, at any step."""
    random = Random(SEED)
    for number, loss in zip(range(count), itertools.cycle(LOSSES), strict=False):
        # However many recoveries there are, half of the cuts are for the operations themselves.
        operation = random.choice(operations[: len(OPERATIONS)] if number % 2 else operations[len(OPERATIONS) :])
        # The end is a point like the others, and the one that matters most: all was done, and then the power went.
        at = len(operation.disk.steps) if random.random() < 0.2 else random.randrange(len(operation.disk.steps))
        await cutter.cut(operation, at, loss, f"{SEED}-{number}")
    return cutter.counts


def told(counts: Counts, name: str) -> str:
    """One line of the table."""
    return (
        f"{name}: {counts.cuts} cuts, {counts.old} old, {counts.new} new, {len(counts.torn)} torn or lost; "
        f"{counts.acknowledged} after the success was told; {counts.again} asked for once more"
    )


@requires(program("strace"), right("to trace processes"))
class PowerCuts(TestCase):
    timeout = 300

    @run
    async def test_old_or_new_and_new_once_acknowledged(self) -> None:
        careful, careless = await storm(*SMOKE)
        self.assertEqual(careful.torn, [], "\n".join(careful.torn))
        self.assertEqual(careful.old + careful.new, SMOKE[0])
        self.assertGreater(careful.old, 10)
        self.assertGreater(careful.new, 3)
        self.assertGreater(careful.acknowledged, 3)
        self.assertGreater(careful.again, 3)
        self.assertGreater(len(careless.torn), SMOKE[0] // 6, "The test no longer finds what it is there for.")


def main(sizes: tuple[int, int]) -> None:
    """The full run; exits with 1 when a state was found that is neither old nor new."""
    began = time.monotonic()
    careful, careless = by_hand(lambda: Deferred.fromCoroutine(storm(*sizes)))
    print(told(careful, "as it is"), told(careless, "nothing made sure"), sep="\n")
    print(f"{time.monotonic() - began:.0f} s, seed {SEED}")
    if careful.torn or not careless.torn:
        sys.exit("\n".join(careful.torn) or "the test no longer finds what it is there for")


if __name__ == "__main__":
    main(FULL if "--full" in sys.argv[1:] else SMOKE)
