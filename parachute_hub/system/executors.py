"""Where blocking writes run: in a thread beside the reactor, or inline in programs without a reactor."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.threadpool import ThreadPool

from parachute_hub.system.storage_trouble import StorageBusy

T = TypeVar("T")
# A hanging disk must not hold requests forever.
LONGEST_SECONDS = 15.0


class Executor(Protocol):
    """Runs writes one after the other."""

    def run(self, work: Callable[[], None]) -> None:
        """Run `work` after everything submitted before."""

    def answer(self, work: Callable[[], None]) -> None:
        """Run `work` on the callers' thread. Called on the writing thread."""

    def bound(self, waiting: Deferred[T]) -> Deferred[T]:
        """The same Deferred with a timeout, after which it fails with StorageBusy."""

    def stop(self) -> None:
        """Finish submitted work, then run nothing more. Blocks."""


class Immediate:
    """Runs everything inline: for commands and tests."""

    def run(self, work: Callable[[], None]) -> None:
        work()

    def answer(self, work: Callable[[], None]) -> None:
        work()

    def bound(self, waiting: Deferred[T]) -> Deferred[T]:
        """Nothing waits here."""
        return waiting

    def stop(self) -> None: ...


class WriterThread:
    """One thread, started with the first write. `name` is what it writes."""

    def __init__(self, reactor: Any, name: str) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, 1, name)

    def run(self, work: Callable[[], None]) -> None:
        if not self._pool.started:
            self._pool.start()
        self._pool.callInThread(work)

    def answer(self, work: Callable[[], None]) -> None:
        """Run it on the reactor's thread."""
        self._reactor.callFromThread(work)

    def bound(self, waiting: Deferred[T]) -> Deferred[T]:
        """Wait for at most LONGEST_SECONDS."""

        def late(_result: object, seconds: float) -> Any:
            raise StorageBusy(f"the disk did not confirm a write within {seconds:.0f} s")

        return waiting.addTimeout(LONGEST_SECONDS, self._reactor, onTimeoutCancel=late)

    def stop(self) -> None:
        """Wait for the thread to end."""
        if self._pool.started:
            self._pool.stop()
