"""The pretended processes of the unit tests do what real ones do: the same story, told of both."""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from parachute_hub.supervise.marks import Whose
from parachute_hub.supervise.processes import Processes
from parachute_hub.testing.processes import FakeProcess, FakeReactor, FakeSystem
from tests.live.harness import free_port

CLOCK: Any = reactor


class Witness(ProcessProtocol):
    """Writes down what it is told."""

    transport: Any

    def __init__(self) -> None:
        self.story: list[Any] = []
        self.pid = 0
        self.over: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.pid = self.transport.pid
        self.story.append(("began", self.pid > 0, sorted(self.transport.pipes)))

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.story.append((childFD, data))

    def processExited(self, reason: Failure) -> None:
        self.story.append(("exited", how(reason), self.transport.pid))

    def processEnded(self, reason: Failure) -> None:
        self.story.append(("ended", how(reason), sorted(self.transport.pipes)))
        self.over.callback(None)

    def told(self) -> list[Any]:
        """The story. Between its beginning and its end the system gives no order."""
        first, *between, last = self.story
        return [first, *sorted(between, key=str), last]


def how(reason: Failure) -> tuple[str, int | None, int | None]:
    error: Any = reason.value
    assert isinstance(error, ProcessDone | ProcessTerminated), error
    return type(error).__name__, error.exitCode, error.signal


class ProcessTests(TestCase):
    timeout = 20

    async def both(self, script: str, story: Callable[[FakeProcess], None]) -> None:
        """A shell script as a real process, and the story of it as a pretended one."""
        real, fake = Witness(), Witness()
        argv = ("/bin/sh", "-c", script)
        CLOCK.spawnProcess(real, argv[0], argv, env={}, childFDs={1: "r"})
        await real.over
        story(FakeReactor().spawnProcess(fake, argv[0], argv, env={}, childFDs={1: "r"}))
        self.assertEqual(fake.told(), real.told())

    async def test_one_that_ends_well(self) -> None:
        def story(process: FakeProcess) -> None:
            process.say(b"hello\n")
            process.exit()

        await self.both("echo hello", story)

    async def test_one_that_fails(self) -> None:
        await self.both("exit 3", lambda process: process.exit(3))

    async def test_one_that_is_killed(self) -> None:
        await self.both("kill -KILL $$", lambda process: process.exit(by_signal=signal.SIGKILL))

    async def test_signals_to_a_group(self) -> None:
        """TERM ends it; afterwards there is no such group."""
        real, fake, pretended = Witness(), Witness(), FakeReactor()
        CLOCK.spawnProcess(real, "/usr/bin/setsid", ("setsid", "sleep", "30"), env={}, childFDs={1: "r"})
        self.addCleanup(self.end, real.pid)
        while os.getpgid(real.pid) != real.pid:
            await deferLater(CLOCK, 0.01)
        pretended.spawnProcess(fake, "sleep", ("sleep",), env={}, childFDs={1: "r"})
        for witness, tell in ((real, os.killpg), (fake, pretended.signal_group)):
            tell(witness.pid, 0)
            tell(witness.pid, signal.SIGTERM)
            await witness.over
            with self.assertRaises(ProcessLookupError):
                tell(witness.pid, signal.SIGTERM)
        self.assertEqual(fake.told(), real.told())

    def end(self, group: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


class SystemTests(TestCase):
    def test_nothing_runs(self) -> None:
        """What the pretended system says unless it is told otherwise."""
        nobody = Whose("no such home")
        answers = []
        for system in (Processes(), FakeSystem()):
            answers.append(
                (
                    system.signal(nobody, 0),
                    system.holder(free_port(), nobody),
                    system.ports(nobody),
                    system.footprints({"vault": 1 << 22}),
                    system.group_lives(1 << 22),
                )
            )
        self.assertEqual(answers[0], answers[1])
        self.assertGreater(Processes().own(), 1 << 20 if Path("/proc/self/smaps_rollup").exists() else 0)
