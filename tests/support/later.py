"""An executor of writes that the test drives."""

from collections.abc import Callable

from parachute_hub.system.executors import Immediate


class Later(Immediate):
    """Runs work when told to."""

    def __init__(self) -> None:
        self.queue: list[Callable[[], None]] = []

    def run(self, work: Callable[[], None]) -> None:
        self.queue.append(work)

    def go(self) -> None:
        """Run everything submitted so far."""
        queue, self.queue = self.queue, []
        for work in queue:
            work()
