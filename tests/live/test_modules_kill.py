"""The hub is killed in the middle of an operation: afterwards there is the state before or the state after (F14).

CI kills some thirty times. `python -m tests.live.test_modules_kill --full` is the whole storm: five hundred kills at
random moments, and one at every system call that has to do with files. It takes about half an hour.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from parachute_hub.modules.state.records import RecordsFile
from parachute_hub.modules.state.services_file import ServicesFile
from parachute_hub.modules.state.store import Store
from tests.live.modules_rig import CLOCK, by_hand, module, run
from tests.requirements import program, requires, right
from tests.support.npm import NpmRegistry

OPERATIONS = ("install", "upgrade", "uninstall")
CALLS = "rename,symlink,unlink,unlinkat,rmdir,mkdir,fsync,openat,sync,write,sendfile"
ROOT = Path(__file__).parents[2]
SMOKE = (20, 24)
FULL = (500, 1)


def victim(home: Path, registry: str, what: str, *before: str) -> "subprocess.Popen[str]":
    """Run the operation in its own process."""
    command = [*before, sys.executable, "-m", "tests.live.modules_victim", str(home), registry, what]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )


def look(home: Path, registry: str) -> None:
    """The next boot of the hub."""
    process = victim(home, registry, "look")
    process.communicate(timeout=30)
    assert process.returncode == 0, process.returncode


def state(home: Path) -> tuple[Any, ...]:
    """Everything a person could notice: row, record, active version, versions, leftovers."""
    rows = ServicesFile(home / "services.json").read()
    assert not rows.problems, rows.problems
    record = RecordsFile(home / "hub" / "modules.json").get("toy")
    store = Store(home / "modules")
    folder = store.locate("@toys/toy")
    whole = folder is None or (folder / "server.ts").is_file()
    hidden = sorted(
        path.name
        for path in (home / "modules").rglob(".*")
        if path.name not in (".bin", ".bun-tag", ".parachute") and home / "modules" / "install" not in path.parents
    )
    commands = sorted(os.listdir(home / "modules" / "bin")) if (home / "modules" / "bin").is_dir() else []
    return (
        tuple((row.name, row.version, row.port) for row in rows.rows),
        (record.package, record.wanted),
        store.active("toy", "@toys/toy"),
        tuple(sorted(store.versions("toy"))),
        (whole, hidden, commands),
    )


class Point(NamedTuple):
    """The nth call of this name since the process started."""

    name: str
    number: int


class Scene:
    """A home before each operation, and its state after success."""

    def __init__(self, registry: str) -> None:
        self.registry = registry
        self.folder = Path(tempfile.mkdtemp(prefix="parachute-kill-"))
        self.before: dict[str, Path] = {}
        self.states: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {}
        home = self.folder / "0"
        home.mkdir()
        for number, what in enumerate(OPERATIONS, 1):
            self.before[what] = home
            after = self.folder / str(number)
            copy(home, after)
            process = victim(after, registry, what)
            said = process.communicate(timeout=60)[0]
            assert "succeeded" in said, said
            self.states[what] = (state(home), state(after))
            home = after

    def killed(self, what: str, seconds: float | None, point: "Point | None") -> bool:
        """One run, killed after some seconds or at a system call; whether it was killed at all."""
        home = self.folder / "now"
        shutil.rmtree(home, ignore_errors=True)
        copy(self.before[what], home)
        if point is None:
            process = victim(home, self.registry, what)
            try:
                assert process.stdout is not None
                process.stdout.readline()
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
        else:
            inject = f"inject={point.name}:signal=KILL:when={point.number}"
            watch = ("strace", "-qq", "-o", "/dev/null", "-e", f"trace={point.name}", "-e", inject)
            process = victim(home, self.registry, what, *watch)
        process.communicate(timeout=60)
        look(home, self.registry)
        end_orphans(home)
        found, expected = state(home), self.states[what]
        assert found in expected, (
            f"{what} killed at {point or seconds}:\n{found}\nis neither\n{expected[0]}\nnor\n{expected[1]}"
        )
        return process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def end_orphans(home: Path) -> None:
    """A hub that dies between fork and exec leaves a module behind; a real boot cleans it up, `look` starts nothing."""
    mark = f"PARACHUTE_HOME={home}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


def copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True)


def calls(scene: Scene, what: str) -> list[Point]:
    """Every traced call of the operation, in order. strace counts each name separately, and so does this."""
    trace = scene.folder / "trace"
    home = scene.folder / "counted"
    shutil.rmtree(home, ignore_errors=True)
    copy(scene.before[what], home)
    process = victim(home, scene.registry, what, "strace", "-qq", "-o", str(trace), "-e", f"trace={CALLS}")
    process.communicate(timeout=60)
    counts: Counter[str] = Counter()
    found: list[Point] = []
    begun = False
    for line in trace.read_text().splitlines():
        name = line.partition("(")[0]
        counts[name] += 1
        begun = begun or '"begin' in line
        if begun and name in CALLS.split(","):
            found.append(Point(name, counts[name]))
    return found


def at_random(scene: Scene, count: int) -> int:
    """Kill the operations at random moments until `count` kills came before their end."""
    random, killed = Random(20261123), 0
    for number in range(3 * count + 1):
        if killed == count:
            break
        killed += scene.killed(OPERATIONS[number % len(OPERATIONS)], random.uniform(0.0, 0.25), None)
    return killed


def at_calls(scene: Scene, step: int) -> int:
    """Kill the operations at every `step`th system call. How often that worked."""
    return sum(scene.killed(what, None, point) for what in OPERATIONS for point in calls(scene, what)[::step])


async def storm(kill: Callable[[Scene, int], int], size: int) -> int:
    """Run `kill` with a registry that has two versions of the module."""
    registry = NpmRegistry(CLOCK)
    registry.publish(module())
    registry.publish(module(version="2.0.0"))

    def work(address: str) -> int:
        scene = Scene(address)
        try:
            return kill(scene, size)
        finally:
            scene.close()

    try:
        killed: int = await deferToThread(work, registry.listen())
    finally:
        await registry.close()
    return killed


class Kills(TestCase):
    timeout = 300

    @run
    async def test_before_or_after_a_kill_at_a_random_moment(self) -> None:
        self.assertEqual(await storm(at_random, SMOKE[0]), SMOKE[0])

    @requires(program("strace"), right("to trace processes"))
    @run
    async def test_before_or_after_a_kill_at_a_system_call(self) -> None:
        self.assertGreater(await storm(at_calls, SMOKE[1]), 9)


def main(sizes: tuple[int, int]) -> None:
    """The full run; exits with 1 when a state was found that is neither old nor new."""

    async def both() -> tuple[int, int]:
        return await storm(at_random, sizes[0]), await storm(at_calls, sizes[1])

    random, at_each_call = by_hand(lambda: Deferred.fromCoroutine(both()))
    print(f"killed {random} times at random, {at_each_call} times at system calls: 0 inconsistent")


if __name__ == "__main__":
    main(FULL if "--full" in sys.argv[1:] else SMOKE)
