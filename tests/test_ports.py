"""Ports of live tests."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.live.ports import RANGES, blocks, free_port, module_ports, outgoing

ANOTHER = """
from tests.live.ports import free_port, module_ports
print(free_port(), *module_ports(), flush=True)
input()
"""


class PortTests(SynchronousTestCase):
    def test_processes_of_one_time_share_none(self) -> None:
        ours = {free_port() for _ in range(40)} | {*module_ports(), *module_ports()}
        theirs: list[set[int]] = []
        others = [
            subprocess.Popen([sys.executable, "-c", ANOTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for other in others:
            assert other.stdout is not None
            theirs.append({int(port) for port in other.stdout.readline().split()})
        for other in others:
            other.communicate("\n")
        for one in theirs:
            self.assertEqual(len(one), 16)
        self.assertEqual(len(ours | theirs[0] | theirs[1]), 40 + 30 + 2 * 16)

    def test_a_port_is_not_given_twice_and_not_to_connections(self) -> None:
        given = [free_port() for _ in range(40)]
        self.assertEqual(len({*given}), len(given))
        self.assertTrue(any({*given} < {*block} for block in blocks(outgoing(), len(RANGES))))

    def test_blocks_avoid_what_the_kernel_gives_to_connections(self) -> None:
        for theirs in (range(32768, 61000), range(49152, 65536), range(15000, 65001), range(61000, 65536)):
            found = blocks(theirs, len(RANGES))
            every = [port for block in found for port in block]
            self.assertEqual((len(found), len({*every})), (len(RANGES), len(every)))
            self.assertFalse({*every} & {*theirs}, theirs)
            self.assertGreaterEqual(min(map(len, found)), 50)

    def test_a_kernel_that_may_use_nearly_all_leaves_blocks_all_the_same(self) -> None:
        self.assertEqual(len(blocks(range(1024, 65536), len(RANGES))), len(RANGES))
