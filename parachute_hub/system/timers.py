"""Periodic tasks, and the one place where failures are caught and logged instead of propagating."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()
T = TypeVar("T")
_Cause: TypeAlias = tuple[str, str, int]


class FailureLog:
    """Logs a persistent failure once, by task name and place of failure.

    A task may alternate between several failures; each is logged once until the task succeeds.
    """

    def __init__(self) -> None:
        self._lasting: dict[str, set[_Cause]] = {}

    def failed(self, task: str, failure: Failure | None = None) -> None:
        """Report a failure; defaults to the exception being handled."""
        failure = failure or Failure()
        cause = _cause(failure)
        known = self._lasting.setdefault(task, set())
        if cause not in known:
            known.add(cause)
            _log.failure("{task} failed. The same failure is not logged again while it lasts", failure, task=task)

    def worked(self, task: str) -> None:
        """Report a success."""
        if self._lasting and self._lasting.pop(task, None) is not None:
            _log.info("{task} works again", task=task)

    def attempt(self, task: str, function: Callable[..., object], *args: Any) -> bool:
        """Call the function, logging any exception. Returns True on success."""
        try:
            function(*args)
        except Exception:
            self.failed(task)
            return False
        self.worked(task)
        return True

    async def wait(self, task: str, function: Callable[..., Awaitable[object]], *args: Any) -> bool:
        """Like `attempt`, for a coroutine function."""
        try:
            await function(*args)
        except Exception:
            self.failed(task)
            return False
        self.worked(task)
        return True

    def each(self, task: str, function: Callable[[T], object], items: Iterable[T]) -> None:
        """Call the function for each item. A failure is logged and does not affect the other items."""
        well = True
        for item in items:
            try:
                function(item)
            except Exception:
                well = False
                self.failed(task)
        if well:
            self.worked(task)


def every(clock: IReactorTime, seconds: float, function: Callable[[], object], task: str = "") -> LoopingCall:
    """Call `function` every `seconds` until the returned call is stopped. It may return a Deferred.

    A failure is logged once while it persists and never ends the loop. `task` names the task in the log. Tasks of
    one period, from a second on, have their turns together: each wake-up of an idle process costs.
    """
    failures, name = FailureLog(), task or getattr(function, "__qualname__", "A periodic task")

    def tick() -> Deferred[object]:
        done = maybeDeferred(function)
        done.addCallbacks(lambda _: failures.worked(name), lambda failure: failures.failed(name, failure))
        return done

    call = LoopingCall(tick)
    call.clock = clock
    call.start(seconds, now=False)
    if seconds >= 1:
        # The first turn comes after `seconds`, the others at multiples of it.
        call.starttime = clock.seconds() // seconds * seconds
    return call


def in_turn(*tasks: tuple[str, Callable[[], object]]) -> Callable[[], Deferred[None]]:
    """One periodic task that does these, each with its name in the log, one after the other: a timer each costs more
    than most of them take. Each may return an awaitable. A failure keeps none of the others from its turn.
    """
    failures = FailureLog()

    async def turn() -> None:
        for task, function in tasks:
            await failures.wait(task, _begun, function)

    return lambda: Deferred.fromCoroutine(turn())


async def _begun(function: Callable[[], object]) -> None:
    found = function()
    if isinstance(found, Awaitable):
        await found


class ClockSteps:
    """Keeps timers going when the clock of the machine is put back, as happens after a start with a wrong one. All of
    them would wait until it shows the old time again, for hours. `now` is a clock in seconds that nobody sets.
    """

    _WORTH = 1.0

    def __init__(self, reactor: Any, now: Callable[[], float]) -> None:
        self._reactor = reactor
        self._now = now
        self._ahead = self._difference()

    def _difference(self) -> float:
        return float(self._reactor.seconds() - self._now())

    @property
    def put_back(self) -> bool:
        """Whether it was put back since `look`. May be called in any thread."""
        return self._ahead - self._difference() >= self._WORTH

    def look(self) -> None:
        """Let every timer wait as long as it had to before the clock was put back."""
        if not self.put_back:
            return
        before, self._ahead = self._ahead, self._difference()
        back, here = before - self._ahead, self._reactor.seconds()
        for call in self._reactor.getDelayedCalls():
            call.reset(max(0.0, call.getTime() - back - here))
        _log.warn("The clock was put back by {seconds} s, and all timers with it", seconds=round(back))


class Rest:
    """Whether nobody has used the hub for `after` seconds. Then periodic tasks that can wait have their turns less
    often, because every wake-up keeps the processor from its own rest.
    """

    def __init__(self, clock: Any, after: float = 10.0) -> None:
        self._clock = clock
        self._after = after
        self._used_at = clock.seconds()
        self._tasks: list[tuple[LoopingCall, float, float]] = []
        self._is_resting = False

    @property
    def is_resting(self) -> bool:
        """Nobody uses the hub."""
        return bool(self._clock.seconds() - self._used_at >= self._after)

    def attend(self) -> None:
        """Something begins: a request, or a change of a module. Costs nothing while the hub is in use."""
        self._used_at = self._clock.seconds()
        if self._is_resting:
            self._pace(False)

    def every(self, seconds: float, resting: float, function: Callable[[], object], task: str) -> LoopingCall:
        """Like `every`, with turns every `resting` seconds while nobody uses the hub."""

        def turn() -> object:
            if not self._is_resting and self.is_resting:
                self._pace(True)
            return function()

        call = every(self._clock, seconds, turn, task)
        if self._is_resting:
            _set_pace(call, resting, self._clock)
        self._tasks = [each for each in self._tasks if each[0].running]
        self._tasks.append((call, seconds, resting))
        return call

    def _pace(self, is_resting: bool) -> None:
        self._is_resting = is_resting
        for call, seconds, resting in self._tasks:
            _set_pace(call, resting if is_resting else seconds, self._clock)


def _set_pace(call: LoopingCall, seconds: float, clock: IReactorTime) -> None:
    """From now on. The next turn of a call that has its turn just now follows when that has ended."""
    call.interval = seconds
    if call.running:
        call.reset()
        call.starttime = clock.seconds() // seconds * seconds


def _cause(failure: Failure) -> _Cause:
    """What failed and where. Error texts may vary between attempts, so they are not part of the key."""
    kind = failure.type.__qualname__ if failure.type is not None else ""
    name, file, line = failure.frames[-1][:3] if failure.frames else ("", "", 0)
    return (kind, f"{file}:{name}", line)
