"""A worker that reports nothing is given up, and its end is not awaited for ever."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.worker_process import ENDING_SECONDS, Workers, WorkFailed
from tests.modules.homes import at_once


class Process:
    """A process that records what it is told; on a lost disk (`stuck`) not even SIGKILL ends it."""

    def __init__(self, machine: Clock, protocol: Any, *, stuck: bool) -> None:
        self.machine, self.protocol, self.stuck = machine, protocol, stuck
        self.signals: list[str] = []
        self.pipes: dict[int, Any] = {}
        self.pid = 7

    def write(self, data: bytes) -> None: ...

    def closeStdin(self) -> None: ...

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)
        if not self.stuck:
            self.machine.callLater(0, self.protocol.processEnded, Failure(ProcessTerminated(signal=9)))


class Machine(Clock):
    """A reactor with one process."""

    stuck = False

    def spawnProcess(self, protocol: Any, *args: Any, **options: Any) -> Process:
        self.process = Process(self, protocol, stuck=self.stuck)
        return self.process


class SilenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.machine = Machine()
        self.scratch = Path(self.mktemp())
        for name in ("backup-7-left", "backup-77-of-another"):
            (self.scratch / name / "home").mkdir(parents=True)
        self.workers = Workers(self.machine, {}, list, scratch=self.scratch, in_thread=at_once)

    def start(self) -> "Deferred[Any]":
        return Deferred.fromCoroutine(self.workers.do({"do": "list"}, silence=60.0))

    def report(self, line: bytes) -> None:
        self.machine.process.protocol.childDataReceived(3, line + b"\n")

    def test_news_keep_it_going(self) -> None:
        done = self.start()
        for _ in range(5):
            self.machine.advance(50.0)
            self.report(b'{"event": "progress", "bytes": 1, "of": 2, "path": "x"}')
        self.assertNoResult(done)
        self.report(b'{"event": "done", "archives": []}')
        self.machine.process.protocol.processEnded(Failure(ProcessTerminated(signal=None)))
        self.assertEqual(self.successResultOf(done)["archives"], [])
        self.assertEqual(self.machine.getDelayedCalls(), [])

    def test_silence_ends_it_whether_or_not_the_process_can_be_ended(self) -> None:
        for stuck in (False, True):
            self.machine.stuck = stuck
            done = self.start()
            self.machine.advance(60.0)
            error = self.failureResultOf(done, WorkFailed).value
            self.assertEqual(self.machine.process.signals, ["KILL"], stuck)
            self.assertEqual(error.kind, "stalled", stuck)
            self.assertEqual(self.machine.getDelayedCalls(), [], stuck)
            self.flushLoggedErrors()

    def test_what_a_killed_one_left_is_removed(self) -> None:
        done = self.start()
        done.cancel()
        self.machine.advance(0)
        self.failureResultOf(done, CancelledError)
        self.assertEqual([path.name for path in self.scratch.iterdir()], ["backup-77-of-another"])

    def test_cancelling_waits_for_its_end_for_a_while(self) -> None:
        for stuck in (False, True):
            self.machine.stuck = stuck
            done = self.start()
            done.cancel()
            self.assertNoResult(done)
            self.machine.advance(ENDING_SECONDS if stuck else 0)
            self.failureResultOf(done, CancelledError)
            self.assertEqual(self.machine.getDelayedCalls(), [], stuck)
