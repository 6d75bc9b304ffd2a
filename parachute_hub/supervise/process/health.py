"""Asks one running child whether it answers: first until it does, then every few seconds. Tells the machine."""

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from parachute_hub.supervise.lifecycle import Lifecycle
from parachute_hub.supervise.limits import Timing
from parachute_hub.supervise.process.probe import NoAnswer
from parachute_hub.supervise.process.processes import Holder
from parachute_hub.system.timers import Failures

# Below this a status means that the module is well; 401 and 404 are ordinary answers.
_UNWELL = 500
# How long a young child is asked often.
_EAGER = 3.0


class Subject(Protocol):
    """The health checker's view of a child."""

    @property
    def port(self) -> int:
        """The port it was given."""

    async def ask(self, timeout: float) -> int:
        """The HTTP status of its health path. Raises NoAnswer."""

    async def owner(self) -> Holder | None:
        """Who listens on its port."""

    async def other_ports(self) -> list[int]:
        """The ports on which it listens."""

    def unbound(self, why: str | None, listens: Sequence[int] = ()) -> None:
        """It should listen on its port by now and does not, and why; None when it does after all.

        `listens` are the ports on which it does.
        """

    def squatted(self, why: str) -> None:
        """Somebody else listens on its port."""


@frozen
class _Problem:
    """Why the first answer has not come; `unbound` says that nobody listens."""

    text: str
    unbound: bool = False


@frozen
class Watch:
    """Watches one spawn; `run` is over when the child must be ended."""

    subject: Subject
    machine: Lifecycle
    timing: Timing
    clock: IReactorTime
    now: Callable[[], float]

    async def run(self) -> None:
        """Readiness, then liveness. A child that was never ready is never ended for not answering."""
        if await self._until_ready():
            await self._while_alive()

    async def _until_ready(self) -> bool:
        began, late, given_up = self.now(), False, False
        while True:
            problem = await self._first_answer()
            passed = self.now() - began
            if problem is None:
                owner = await self.subject.owner()
                if owner is not None:
                    break
                problem = _Problem("it answered and then closed its port")
            if late and not problem.unbound:
                self.subject.unbound(None)
            if not late and passed >= self.timing.late:
                late = True
                self.machine.late(await self._lateness(passed, problem))
            if not given_up and passed >= self.timing.unanswered:
                given_up = True
                why = self._explained(problem, await self._elsewhere())
                self.machine.unanswered(f"It runs but does not answer: {why}")
            await self._sleep(self.timing.poll if passed < _EAGER else self.timing.slow_poll)
        self.subject.unbound(None)
        if not owner.ours:
            why = (
                f"Port {self.subject.port} is answered by {owner}, not by this module. "
                "End that program, then start the module again."
            )
            self.subject.squatted(why)
            self.machine.hold(why)
        elif late and not given_up:
            self.machine.answered_late(f"It answers, but only after {passed:.0f} s.")
        else:
            self.machine.answered()
        return owner.ours

    async def _lateness(self, passed: float, problem: _Problem) -> str:
        others = await self._elsewhere()
        why = f"It has not answered for {passed:.0f} s: {self._explained(problem, others)}"
        if problem.unbound:
            self.subject.unbound(why, others)
        return why

    async def _first_answer(self) -> _Problem | None:
        try:
            status = await self.subject.ask(self.timing.probe_timeout)
        except NoAnswer as problem:
            return _Problem(f"port {self.subject.port} {problem}", problem.refused)
        return None if status < _UNWELL else _Problem(f"its health answer is {status}")

    async def _elsewhere(self) -> list[int]:
        """The ports on which it listens, when the one that it was given is not among them."""
        ports = await self.subject.other_ports()
        return [] if self.subject.port in ports else ports

    def _explained(self, problem: _Problem, others: Sequence[int]) -> str:
        if others:
            return f"{problem.text}. It listens on {', '.join(map(str, others))} instead of the port it was given."
        return f"{problem.text}. Look at its log."

    async def _while_alive(self) -> None:
        misses = 0
        due = self.now() + self.timing.liveness_period
        while True:
            await self._sleep(max(0.0, due - self.now()))
            due = self.now() + self.timing.liveness_period
            try:
                status = await self.subject.ask(self.timing.probe_timeout)
            except NoAnswer as problem:
                misses += 1
                if misses >= self.timing.misses:
                    self.machine.hung(f"It was ended because it hung: port {self.subject.port} {problem}.")
                    return
                self.machine.missed(f"Port {self.subject.port} {problem} ({misses} of {self.timing.misses}).")
            else:
                misses = 0
                if status < _UNWELL:
                    self.machine.answered()
                else:
                    self.machine.missed(f"It answers its health question with {status}.")

    async def rest(self) -> None:
        """The pause after something went wrong."""
        await self._sleep(self.timing.liveness_period)

    async def _sleep(self, seconds: float) -> None:
        await deferLater(self.clock, seconds)


class Watching:
    """A watch that is going on and can be ended."""

    def __init__(self, watch: Watch) -> None:
        self._failures = Failures()
        self._going = Deferred.fromCoroutine(self._run(watch))
        self._going.addErrback(lambda failure: failure.trap(CancelledError))

    def end(self) -> None:
        """Ask no more."""
        self._going.cancel()

    async def _run(self, watch: Watch) -> None:
        """A watch that fails begins again: a child that nobody asks would be neither ready nor ended."""
        while True:
            try:
                await watch.run()
                return
            except CancelledError:
                raise
            except Exception:
                self._failures.failed("Asking a module for its health")
            await watch.rest()
