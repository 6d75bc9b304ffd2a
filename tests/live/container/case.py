"""What the container tests share: one image, and disks, networks and containers that end with the test."""

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.container.box import Box
from tests.live.container.disk import Disk
from tests.live.container.image import Image, build
from tests.live.container.journey import Registry
from tests.live.container.network import Network
from tests.requirements import program, requires, right

image = cache(build)


@requires(
    *map(program, ("debootstrap", "ip", "losetup", "mkfs.ext4", "nsenter", "setpriv")),
    *map(right, ("to mount", "to make namespaces", "to make cgroups")),
)
class ContainerTestCase(SynchronousTestCase):
    """Skipped where containers cannot be made."""

    image: Image

    def setUp(self) -> None:
        self.image = image()

    def disk(self, **options: Any) -> Disk:
        """A fresh disk."""
        disk = Disk(**options)
        self.addCleanup(disk.remove)
        return disk

    def network(self) -> Network:
        """A fresh network."""
        network = Network()
        self.addCleanup(network.close)
        return network

    def box(self, disk: Disk, network: Network | None = None, **options: Any) -> Box:
        """A running container."""
        box = Box(self.image, disk, network or self.network(), **options)
        self.addCleanup(box.close)
        return box

    def registry(self, network: Network, packs: Path) -> dict[str, str]:
        """A package registry in `network`; the variables that tell the hub of it."""
        registry = Registry(network, packs)
        self.addCleanup(registry.close)
        return registry.variables

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Look again and again until `condition` holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it never came to that")
            time.sleep(0.02)
