"""Shared by container tests: one image; machines and containers that end with the test."""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live import engine
from tests.live.container.journey import Registry
from tests.live.engine import ENGINE, Container, Machine
from tests.requirements import requires


@requires(*ENGINE)
class ContainerTestCase(SynchronousTestCase):
    """Skipped where podman cannot run."""

    def machine(self) -> Machine:
        """A machine without containers."""
        machine = Machine()
        self.addCleanup(machine.close)
        return machine

    def folder(self) -> Path:
        """An empty folder owned by root."""
        folder = TemporaryDirectory(prefix="parachute-home-")
        self.addCleanup(folder.cleanup)
        return Path(folder.name)

    def container(self, home: str | Path | None = None, machine: Machine | None = None, **options: Any) -> Container:
        """A running container of the image; a new machine and a new volume unless given."""
        machine = machine or self.machine()
        return machine.container(engine.image(), home or machine.volume(), **options)

    def registry(self, machine: Machine, packs: Path) -> dict[str, str]:
        """A package registry in `machine`; the variables that tell the hub of it."""
        registry = Registry(machine, packs)
        self.addCleanup(registry.close)
        return registry.variables

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Poll until `condition` holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it never came to that")
            time.sleep(0.02)
