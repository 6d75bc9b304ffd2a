"""Where writes happen: in one thread beside the reactor, or at once in programs that serve nobody meanwhile."""

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.threadpool import ThreadPool

from parachute_hub.system.storage_trouble import StorageBusy

P = ParamSpec("P")
T = TypeVar("T")
# A disk that does not answer must not hold requests for ever.
LONGEST_SECONDS = 15.0


class Write(Protocol):
    """`Database.write`: runs a function as one transaction, and gives its result once the disk has it."""

    def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Deferred[T]":
        """Like `deferToThread`; the work calls the stores as it likes."""


class Executor(Protocol):
    """Runs the database's writes, one after the other."""

    def run(self, work: Callable[[], None]) -> None:
        """Call `work` where writes happen, after everything that was given before."""

    def answer(self, work: Callable[[], None]) -> None:
        """Call `work` on the thread of those who wait. Called where writes happen."""

    def bound(self, waiting: Deferred[T]) -> Deferred[T]:
        """The same Deferred, with a limit on how long it waits: it fails with StorageBusy then."""

    def stop(self) -> None:
        """Finish what was given, then run nothing more. Blocks."""


class Immediate:
    """Does everything at once in the calling thread: for commands and tests."""

    def run(self, work: Callable[[], None]) -> None:
        """Call it."""
        work()

    def answer(self, work: Callable[[], None]) -> None:
        """Call it."""
        work()

    def bound(self, waiting: Deferred[T]) -> Deferred[T]:
        """Nothing waits here."""
        return waiting

    def stop(self) -> None:
        """Nothing runs."""


class WriterThread:
    """One thread for all writes. It starts with the first of them."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, 1, "database")

    def run(self, work: Callable[[], None]) -> None:
        """Queue it for the thread."""
        if not self._pool.started:
            self._pool.start()
        self._pool.callInThread(work)

    def answer(self, work: Callable[[], None]) -> None:
        """Call it on the reactor's thread."""
        self._reactor.callFromThread(work)

    def bound(self, waiting: Deferred[T]) -> Deferred[T]:
        """Wait for LONGEST_SECONDS at most."""

        def late(_result: object, seconds: float) -> Any:
            raise StorageBusy(f"the disk did not confirm a write within {seconds:.0f} s")

        return waiting.addTimeout(LONGEST_SECONDS, self._reactor, onTimeoutCancel=late)

    def stop(self) -> None:
        """Wait for the thread."""
        if self._pool.started:
            self._pool.stop()
