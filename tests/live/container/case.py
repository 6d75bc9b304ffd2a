"""What the container tests share: one image, and disks, networks and containers that end with the test."""

import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.container.box import Box
from tests.live.container.disk import Disk
from tests.live.container.image import REPOSITORY, Image, build
from tests.live.container.network import Network

image = cache(build)


class ContainerTestCase(SynchronousTestCase):
    """Fails, and says why, where containers cannot be made (no root, a missing tool): it never skips."""

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

    def registry(self, network: Network, packs: Path) -> Mapping[str, str]:
        """A package registry in `network` that serves `packs`; the variable that tells bun of it."""
        process = subprocess.Popen(
            [*network.entering, sys.executable, "-m", "tests.live.registry", str(packs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
        )
        self.addCleanup(process.communicate)
        assert process.stdout is not None
        return {"BUN_CONFIG_REGISTRY": process.stdout.readline().decode().strip()}
