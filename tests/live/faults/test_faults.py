"""Each fault at short size. Time and CPU limits are checked by `make proof NAME=faults`; here only what must never
happen.
"""

import shutil

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.live.faults.__main__ import FAULTS
from tests.live.faults.rig import Rig
from tests.requirements import requires, right


class FaultTests(TestCase):
    timeout = 120

    async def run_fault(self, name: str) -> None:
        fault = next(fault for fault in FAULTS if fault.name == name)
        rig = Rig(reactor)
        self.addCleanup(shutil.rmtree, rig.home, ignore_errors=True)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.end(rig)))
        outcome = await fault.run(rig, fault.smoke)
        self.assertEqual(outcome.wrong, (), outcome.figures)

    async def end(self, rig: Rig) -> None:
        self.assertEqual(await rig.end(), [], "processes were left behind")

    async def test_kill_one(self) -> None:
        await self.run_fault("F01")

    async def test_kill_all(self) -> None:
        await self.run_fault("F02")

    async def test_crash_loops(self) -> None:
        await self.run_fault("F03")

    async def test_grandchildren(self) -> None:
        await self.run_fault("F04")

    @requires(right("to make cgroups"))
    async def test_fork_bomb(self) -> None:
        await self.run_fault("F05")

    @requires(right("to make cgroups"))
    async def test_memory(self) -> None:
        await self.run_fault("F06")

    @requires(right("to make cgroups"))
    async def test_install(self) -> None:
        await self.run_fault("F07")

    async def test_hang(self) -> None:
        await self.run_fault("F08")

    async def test_unwell(self) -> None:
        await self.run_fault("F09")

    async def test_ports(self) -> None:
        await self.run_fault("F10")

    async def test_descriptors(self) -> None:
        await self.run_fault("F22")
        # While there were none, looking for left-over processes failed, too, and was logged.
        self.flushLoggedErrors(OSError)

    async def test_flood(self) -> None:
        await self.run_fault("F27")

    async def test_two_hubs(self) -> None:
        await self.run_fault("F33")

    async def test_api(self) -> None:
        await self.run_fault("API")

    def test_none_is_forgotten(self) -> None:
        """A fault in the table without a test here would run on nobody else's machine."""
        self.assertEqual(len(FAULTS), len([name for name in dir(self) if name.startswith("test_")]) - 1)
