"""Runs the checks and keeps the current problems: since when, and which of them were dismissed."""

from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from attrs import evolve, field
from twisted.internet.defer import Deferred, DeferredList, DeferredLock, ensureDeferred, succeed
from twisted.python.failure import Failure

from parachute_hub.events import (
    Bus,
    Event,
    JobChanged,
    ModuleChanged,
    Notice,
    NumberedEvent,
    ProblemChanged,
    RegistryChanged,
)
from parachute_hub.problems.check import Check, Wake
from parachute_hub.problems.memory import Known, ProblemsFile
from parachute_hub.problems.model import Problem, Standing, ordered, words
from parachute_hub.system.records import define
from parachute_hub.system.timers import FailureLog

TICK_SECONDS = 1.0
# While nobody uses the hub.
RESTING_SECONDS = 30.0
# A check that does not answer must not silence the others, nor hold up a page that waits for all of them.
LONGEST_SECONDS = 30.0
_WAKES: Mapping[type[Event], Wake] = {
    ModuleChanged: "modules",
    RegistryChanged: "modules",
    JobChanged: "jobs",
    Notice: "reports",
}


@define(kw_only=True, eq=False)
class Problems:
    """The list of problems that every page, command and notice shows.

    `clock` measures periods, `now` is in epoch seconds, `in_thread` runs blocking calls. Changes are told on `bus` as
    ProblemChanged: `appeared`, `changed` (its severity or essence), `dismissed` or `cleared`.
    """

    checks: Sequence[Check]
    file: ProblemsFile
    bus: Bus
    clock: Any
    now: Callable[[], float]
    in_thread: Callable[..., Awaitable[Any]]
    _standing: dict[str, Standing] = field(factory=dict, init=False)
    _found_by: dict[str, set[str]] = field(factory=dict, init=False)
    _due: dict[str, float] = field(factory=dict, init=False)
    _looking: dict[str, "Deferred[None]"] = field(factory=dict, init=False)
    _known: dict[str, Known] = field(init=False)
    _failures: FailureLog = field(factory=FailureLog, init=False)
    _writing: DeferredLock = field(factory=DeferredLock, init=False)

    def __attrs_post_init__(self) -> None:
        self._known = dict(self.file.read())
        self.bus.subscribe(self._heard)

    # --- what there is

    def all(self) -> list[Standing]:
        """Every problem, the dismissed ones too; the most serious first."""
        return ordered(list(self._standing.values()))

    def open(self) -> list[Standing]:
        """The problems that nobody dismissed."""
        return [one for one in self.all() if not one.dismissed]

    async def dismiss(self, key: str, dismissed: bool = True) -> str | None:
        """Hide a problem until it changes, or show it again. Returns its title, None if there is no such problem."""
        found = self._standing.get(key)
        if found is None:
            return None
        if found.dismissed != dismissed:
            self._standing[key] = evolve(found, dismissed=dismissed)
            self._tell("dismissed" if dismissed else "appeared", self._standing[key])
            await self._keep()
        return found.problem.title

    @property
    def complete(self) -> bool:
        """Whether every check has looked since the hub started, so that an empty list means that all is well."""
        return all(check.name in self._found_by for check in self.checks)

    # --- looking

    def tick(self) -> None:
        """Start the checks that are due, and those whose turn is so far that the clock was put back. Called every
        TICK_SECONDS; ticks that come a little late move none on.
        """
        now = self.clock.seconds()
        for check in self.checks:
            if not now + TICK_SECONDS / 2 < self._due.get(check.name, now) <= now + check.period:
                self._start(check)

    def look(self) -> "Deferred[Any]":
        """Run every check now; fires when all have ended, or have taken too long.

        One that is running may have looked before what the caller wants to know, so it runs once more.
        """
        return DeferredList([self._start_anew(check) for check in self.checks])

    def acted(self, action: str, outcome: str) -> None:
        """An entry of the audit log. A problem may be over by what succeeded."""
        if outcome == "ok":
            self._wake(action)

    def _heard(self, numbered: NumberedEvent) -> None:
        wake = _WAKES.get(type(numbered.event))
        if wake is not None:
            self._wake(wake)

    def _wake(self, wake: Wake) -> None:
        """A check looks at the next tick once what it looks at has changed."""
        for check in self.checks:
            if wake in check.wakes:
                self._due[check.name] = 0.0

    def _start_anew(self, check: Check) -> "Deferred[None]":
        if check.name not in self._looking:
            return self._start(check)
        return self._start(check).addCallback(lambda _: self._start(check))

    def _start(self, check: Check) -> "Deferred[None]":
        """Run one check, unless it is running."""
        self._due[check.name] = self.clock.seconds() + check.period
        running = self._looking.get(check.name)
        if running is None:
            try:
                found = check.look()
                if isinstance(found, Sequence):
                    self._found(check, found)
                    return succeed(None)
            except Exception:
                self._failed(check, Failure())
                return succeed(None)
            running = self._looking[check.name] = Deferred()
            looked = Deferred.fromCoroutine(_result(found))
            looked.addTimeout(LONGEST_SECONDS, self.clock)
            looked.addCallbacks(partial(self._found, check), lambda failure: self._failed(check, failure))
            looked.addBoth(lambda _: self._ended(check))
        ended: Deferred[None] = Deferred()
        running.addBoth(lambda _: ended.callback(None))
        return ended

    def _ended(self, check: Check) -> None:
        self._looking.pop(check.name).callback(None)

    def _failed(self, check: Check, failure: Any) -> None:
        """What it found before stays: nothing says that it is over."""
        self._failures.failed(f"The check {check.name}", failure)
        before = [self._standing[key].problem for key in self._found_by.get(check.name, ()) if key in self._standing]
        self._found(check, [*(one for one in before if one.key != _own_key(check)), _unchecked(check)])

    def _found(self, check: Check, problems: Sequence[Problem]) -> None:
        found = {problem.key: problem for problem in problems}
        # A check that found something may want to look again sooner.
        self._due[check.name] = min(self._due[check.name], self.clock.seconds() + check.period)
        if _own_key(check) not in found:
            self._failures.worked(f"The check {check.name}")
        noted = any([self._stands(problem) for problem in found.values()])
        gone = self._gone(check, found)
        self._found_by[check.name] = set(found)
        for standing in gone:
            self._tell("cleared", standing)
        if noted or gone:
            ensureDeferred(self._keep())

    def _stands(self, problem: Problem) -> bool:
        """Note one problem. True if that is news, for people or for the file."""
        before = self._standing.get(problem.key)
        if before is not None:
            after = self._standing[problem.key] = before.followed_by(problem)
            if not problem.same_as(before.problem):
                self._tell("changed", after)
                return True
            return False
        known = self._known.pop(problem.key, None)
        standing = Standing(problem=problem, since=self.now()) if known is None else known.standing(problem)
        self._standing[problem.key] = standing
        # After a restart of the hub nobody needs to hear of what they know.
        if known is None or not known.holds_for(problem):
            self._tell("appeared" if known is None else "changed", standing)
        return True

    def _gone(self, check: Check, found: Container[str]) -> list[Standing]:
        """What it found before, in this run of the hub or an earlier one, and no longer finds."""
        gone = [self._standing.pop(key) for key in self._found_by.get(check.name, set()) if key not in found]
        over = [known for known in self._known.values() if known.check == check.name]
        return gone + [self._known.pop(known.key).over() for known in over]

    def _tell(self, change: Literal["appeared", "changed", "dismissed", "cleared"], standing: Standing) -> None:
        self.bus.emit(ProblemChanged(change, standing.to_json()))

    async def _keep(self) -> None:
        """Write down what stands. A full disk is a problem of its own, and the list goes on without the file."""
        await self._writing.acquire()
        try:
            await self.in_thread(self.file.write, self._to_keep())
        except OSError:
            self._failures.failed("Writing down the problems")
        else:
            self._failures.worked("Writing down the problems")
        finally:
            self._writing.release()

    def _to_keep(self) -> list[Known]:
        """What stands, and what an earlier run knew and no check has looked at yet."""
        stands = [Known.of(name, self._standing[key]) for name, keys in self._found_by.items() for key in keys]
        return [*stands, *self._known.values()]


async def _result(found: Awaitable[Sequence[Problem]]) -> Sequence[Problem]:
    return await found


def _own_key(check: Check) -> str:
    return f"check-failed:{check.name}"


def _unchecked(check: Check) -> Problem:
    return Problem(
        key=_own_key(check),
        severity="warning",
        title="Something could not be checked",
        text=f"The hub could not check this: {check.name}. Its log says why.",
        clears="It goes away once the check works again.",
        fixes=(words("If it stays, restart the hub."),),
    )
