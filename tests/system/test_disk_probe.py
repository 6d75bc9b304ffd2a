import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.disk_probe import PATIENCE, DiskProbe
from tests.live.fulldisk import FullDisk
from tests.support.at_once import at_once


class ProbeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()
        self.home.mkdir()
        self.clock = Clock()
        self.probe = DiskProbe(self.home / "probe", in_thread=self.here, clock=self.clock)

    async def here(self, work: Callable[..., Any]) -> Any:
        return work()

    def test_a_disk_that_works(self) -> None:
        """Nothing stays behind."""
        at_once(self.probe.look())
        self.assertEqual((self.probe.state(), list(self.home.iterdir())), ("ok", []))

    def test_what_is_wrong_and_that_it_is_over(self) -> None:
        for error, word in ((errno.ENOSPC, "disk_full"), (errno.EROFS, "disk_read_only"), (errno.EIO, "disk_failing")):
            with self.subTest(word):
                with FullDisk(self.home, at=1, lasting=True, error=error).at_work():
                    at_once(self.probe.look())
                self.assertEqual(self.probe.state(), f"error: {word}")
                at_once(self.probe.look())
                self.assertEqual(self.probe.state(), "ok")

    def test_a_disk_that_hangs(self) -> None:
        """Is reported after a while, uses one thread, and may recover."""
        waiting: Deferred[None] = Deferred()
        asked: list[object] = []

        async def hangs(work: Callable[..., Any]) -> None:
            asked.append(work)
            await waiting

        probe = DiskProbe(self.home / "probe", in_thread=hangs, clock=self.clock)
        for _ in range(3):
            Deferred.fromCoroutine(probe.look())
        self.assertEqual((len(asked), probe.state()), (1, "ok"))
        self.clock.advance(PATIENCE + 1)
        self.assertEqual(probe.state(), "error: not_answering")
        waiting.callback(None)
        self.assertEqual(probe.state(), "ok")
