"""A module is healthy when it answers, keeps answering, and is still the same process."""

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.runner import JobFailed
from parachute_hub.modules.operations.health_gate import HealthGate
from parachute_hub.supervise.model import ModuleState, Status
from tests.support.supervising import FakeSupervisor

STARTING = Status(short="toy", state=ModuleState.STARTING, reason="It starts.", since=0.0)


class Lines:
    """A job that only records lines."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def line(self, text: str) -> None:
        self.said.append(text)


class Proofs(SynchronousTestCase):
    def setUp(self) -> None:
        self.supervisor, self.clock, self.work = FakeSupervisor(), Clock(), Lines()

    def prove(self, seconds: float = 10.0, settle: float = 2.0) -> "Deferred[None]":
        prover = HealthGate(supervisor=self.supervisor, clock=self.clock)
        return Deferred.fromCoroutine(prover.prove(self.work, "toy", seconds, settle))  # type: ignore[arg-type]

    def becomes(self, state: ModuleState, **fields: Any) -> None:
        self.supervisor.outcome["toy"] = evolve(STARTING, state=state, reason="It says why.", **fields)
        try:
            self.supervisor.restart("toy").send(None)
        except StopIteration:
            return

    def test_one_that_answers_at_once(self) -> None:
        proof = self.prove()
        self.assertNoResult(proof)
        self.clock.advance(2.0)
        self.successResultOf(proof)
        self.assertEqual(self.work.said, ["toy answers."])

    def test_one_that_needs_time(self) -> None:
        self.supervisor.outcome["toy"] = STARTING
        proof = self.prove(settle=0.0)
        self.clock.pump([0.25] * 8)
        self.assertNoResult(proof)
        self.becomes(ModuleState.READY)
        self.clock.advance(0.25)
        self.successResultOf(proof)

    def test_one_that_never_answers(self) -> None:
        self.supervisor.outcome["toy"] = STARTING
        proof = self.prove()
        self.supervisor.say("toy", "I am thinking")
        self.clock.pump([0.25] * 41)
        self.assertIn("It did not answer within 10 s.", str(self.failureResultOf(proof, JobFailed).value))
        self.assertEqual(self.work.said, ["The last lines of toy:", "  I am thinking"])

    def test_one_that_crashes_parks_or_is_held(self) -> None:
        for state in (ModuleState.BACKOFF, ModuleState.PARKED, ModuleState.STOPPED, ModuleState.HELD):
            error = {"error_type": "x"}
            self.supervisor.outcome["toy"] = evolve(STARTING, state=state, reason="It says why.", start_error=error)
            failure = self.failureResultOf(self.prove(), JobFailed).value
            self.assertEqual((str(failure), failure.detail), ("toy does not work. It says why.", error))

    def test_one_that_answers_once(self) -> None:
        proof = self.prove()
        self.becomes(ModuleState.BACKOFF)
        self.clock.advance(2.0)
        self.assertIn("then stopped answering. It says why.", str(self.failureResultOf(proof, JobFailed).value))

    def test_a_module_that_died_and_came_back(self) -> None:
        proof = self.prove()
        self.becomes(ModuleState.READY, pid=9999, restarts=1)
        self.clock.advance(2.0)
        self.failureResultOf(proof, JobFailed)

    def test_a_module_restarted_on_purpose(self) -> None:
        """For example a vault that learns of a new scribe: the new process must answer, and keep answering."""
        for state, pid in ((ModuleState.READY, 9999), (ModuleState.STARTING, None)):
            proof = self.prove()
            self.becomes(state, pid=pid)
            self.clock.advance(2.0)
            self.assertNoResult(proof)
            self.becomes(ModuleState.READY, pid=9999)
            self.clock.pump([0.25] * 9)
            self.successResultOf(proof)
        proof = self.prove()
        self.becomes(ModuleState.STOPPING, pid=4711, start_follows=True)
        self.clock.advance(2.0)
        self.becomes(ModuleState.BACKOFF)
        self.clock.advance(0.25)
        self.failureResultOf(proof, JobFailed)

    def test_a_module_removed_during_the_check(self) -> None:
        proof = self.prove()
        try:
            self.supervisor.remove("toy").send(None)
        except StopIteration:
            self.clock.advance(2.0)
        self.assertIn("was removed", str(self.failureResultOf(proof, JobFailed).value))
