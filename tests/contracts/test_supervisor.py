from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.model import ModuleState, Status
from tests.supervise.fixture import OK, SupervisorCase, problem
from tests.support.supervising import FakeSupervisor


class Contract:
    """What callers may expect of a supervisor. `given` makes the next start fail, `says` is output."""

    supervisor: Any
    wishes: dict[str, bool]
    given: Callable[[str], None]
    says: Callable[[str, str], None]
    run: Callable[[Any], Any]
    test: SynchronousTestCase

    def walk(self) -> list[object]:
        """The results, without process ids and times."""
        ask, told = self.supervisor, list[object]()
        told += [ask.status("vault"), ask.log("vault"), ask.all(), self.run(ask.listens("vault"))]
        told += [self.run(ask.remove("vault")), ask.all()]
        first = self.run(ask.start("vault"))
        told += [self.of(first), first.pid is not None, ask.status("vault") == first, dict(self.wishes)]
        self.says("vault", "hello")
        told.append([line.text for line in ask.log("vault").since(0) if line.mark is None])
        again = self.run(ask.restart("vault"))
        told += [self.of(again), again.pid != first.pid, dict(self.wishes)]
        told += [self.of(self.run(ask.stop("vault"))), ask.log("vault") is None, dict(self.wishes)]
        told += [[status.short for status in ask.all()], self.run(ask.listens("vault"))]
        told += [self.run(ask.remove("vault")), ask.status("vault"), ask.log("vault"), ask.all()]
        told += [self.of(self.run(ask.stop("never"))), ask.log("never") is None, dict(self.wishes)]
        self.given("broken")
        failed = self.run(ask.start("broken"))
        told += [self.of(failed), failed.pid, failed.start_error is not None, dict(self.wishes)]
        told += [self.of(ask.status("broken")), sorted(status.short for status in ask.all())]
        return told

    @staticmethod
    def of(status: Status) -> tuple[str, ModuleState]:
        return status.short, status.state


class RealSupervisor(SupervisorCase, Contract):
    """The real supervisor with fake processes (compared with real ones in tests/live)."""

    def runTest(self) -> None: ...

    def stage(self) -> "RealSupervisor":
        self.setUp()
        self.wishes = self.plan.on
        self.plan.ports["vault"] = 2000
        self.reactor.listening[2000] = OK
        self.given = lambda short: self.plan.cannot.update({short: problem()})
        self.says = lambda short, text: self.reactor.spawned[-1].say(text.encode() + b"\n")
        self.run = self._drive  # type: ignore[method-assign]
        return self

    def _drive(self, asked: Any) -> Any:
        done = Deferred.fromCoroutine(asked)
        for _ in range(100):
            self.turn()
            self.pass_time(0.1)
            if done.called:
                break
        return self.successResultOf(done)


class PretendedSupervisor(Contract):
    def __init__(self) -> None:
        self.wishes = {}
        self.supervisor = FakeSupervisor(want=self.wish)
        self.says = self.supervisor.say
        self.run = self._drive
        self.given = self._given

    async def wish(self, short: str, on: bool) -> None:
        self.wishes[short] = on

    def _given(self, short: str) -> None:
        error = problem()
        detail = {"error_type": error.error_type, "error_description": error.description}
        state = Status(short=short, state=ModuleState.BACKOFF, reason="x", since=0.0, start_error=detail)
        self.supervisor.outcome[short] = evolve(state)

    def _drive(self, asked: Any) -> Any:
        found: list[Any] = []
        Deferred.fromCoroutine(asked).addCallback(found.append)
        return found[0]


class SupervisorContract(SynchronousTestCase):
    def test_both_answer_alike(self) -> None:
        real, fake = RealSupervisor().stage().walk(), PretendedSupervisor().walk()
        for number, (one, other) in enumerate(zip(real, fake, strict=True)):
            self.assertEqual(one, other, f"answer {number}")
