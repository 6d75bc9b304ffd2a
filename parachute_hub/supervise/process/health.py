"""Health checks for one child: until the first answer, then every few seconds. Reports to the state machine."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from parachute_hub.supervise.lifecycle import Lifecycle
from parachute_hub.supervise.limits import Timing
from parachute_hub.supervise.process.probe import NoAnswer, Reply
from parachute_hub.supervise.process.processes import Holder
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import FailureLog, Rest

# Below this, a status counts as healthy; 401 and 404 are normal responses.
_UNWELL = 500
_NEEDS_TOKEN = frozenset({401, 403})
# How long a new child is checked frequently.
_EAGER = 3.0


class HealthPath:
    """The path to check. One that requires a token is only tried once, since each refusal is a line in the module's
    log.

    After that, a path that modules usually leave open is checked, if one answers.
    """

    def __init__(self, health: str) -> None:
        self.path = health
        self._sought = False

    async def ask(self, get: Callable[[str], Awaitable[Reply]]) -> Reply:
        """The response. Raises NoAnswer as `get` does."""
        reply = await get(self.path)
        if reply.status in _NEEDS_TOKEN and not self._sought:
            self._sought = True
            for path in dict.fromkeys(("/health", self.path.removesuffix("/health") + "/.parachute/info")):
                with suppress(NoAnswer):
                    if path != self.path and (await get(path)).status == 200:
                        self.path = path
                        break
        return reply


class CheckedChild(Protocol):
    """The health checker's view of a child."""

    @property
    def port(self) -> int:
        """The port assigned to it."""

    async def ask(self, timeout: float) -> int:
        """The HTTP status of the health path. Raises NoAnswer."""

    async def owner(self) -> Holder | None:
        """Who listens on the port."""

    async def other_ports(self) -> list[int]:
        """The ports on which it listens."""

    def unbound(self, why: str | None, listens: Sequence[int] = ()) -> None:
        """Report that it should listen on its port by now but does not; None clears that.

        `listens` are the ports on which it does.
        """

    def squatted(self, why: str) -> None:
        """Report that another program listens on its port."""


@frozen
class _Problem:
    """Why the first answer is missing; `unbound` means that nothing listens."""

    text: str
    unbound: bool = False


@frozen
class HealthCheck:
    """Checks one spawn; `run` returns when the child must be ended. `answered`: the child was ready before."""

    subject: CheckedChild
    machine: Lifecycle
    timing: Timing
    clock: IReactorTime
    now: Callable[[], float]
    answered: bool = False
    rest: Rest | None = None

    async def run(self) -> None:
        """Readiness, then liveness. A child that was never ready is not ended for missing answers."""
        if self.answered or await self._until_ready():
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
                "Stop that program, then start the module again."
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
        return None if status < _UNWELL else _Problem(f"its health check returned {status}")

    async def _elsewhere(self) -> list[int]:
        """The ports on which it listens, if the assigned one is not among them."""
        ports = await self.subject.other_ports()
        return [] if self.subject.port in ports else ports

    def _explained(self, problem: _Problem, others: Sequence[int]) -> str:
        if others:
            return f"{problem.text}. It listens on {', '.join(map(str, others))} instead of the port it was given."
        return f"{problem.text}. Check its log."

    async def _while_alive(self) -> None:
        misses = spared = 0
        due = self._next()
        while True:
            await self._sleep(max(0.0, due - self.clock.seconds()))
            due = self._next()
            # Whether it hangs matters to those who use it.
            if self.rest is not None and self.rest.is_resting and not misses and spared < self.timing.spared:
                spared += 1
                continue
            spared = 0
            try:
                status = await self.subject.ask(self.timing.probe_timeout)
            except NoAnswer as problem:
                misses += 1
                if misses >= self.timing.misses:
                    self.machine.hung(f"It hung and was stopped: port {self.subject.port} {problem}.")
                    return
                self.machine.missed(f"Port {self.subject.port} {problem} ({misses} of {self.timing.misses}).")
            else:
                misses = 0
                if status < _UNWELL:
                    self.machine.answered()
                else:
                    self.machine.missed(f"Its health check returns {status}.")

    def _next(self) -> float:
        """The multiple of the period nearest to one from now, so that all modules are asked in one moment."""
        period = self.timing.liveness_period
        return round(self.clock.seconds() / period + 1) * period

    async def pause(self) -> None:
        """After an error."""
        await self._sleep(self.timing.liveness_period)

    async def _sleep(self, seconds: float) -> None:
        await deferLater(self.clock, seconds)


class RunningCheck:
    """A running check that can be stopped."""

    def __init__(self, watch: HealthCheck) -> None:
        self._failures = FailureLog()
        self._going = Deferred.fromCoroutine(self._run(watch))
        self._going.addErrback(lambda failure: failure.trap(CancelledError))

    def end(self) -> None:
        self._going.cancel()

    async def _run(self, watch: HealthCheck) -> None:
        """Restart a failed check: an unchecked child would never become ready or be ended."""
        while True:
            try:
                await watch.run()
                return
            except CancelledError:
                raise
            except Exception:
                self._failures.failed("Checking the health of a module")
            await watch.pause()
