"""A small crowd that stops moving: what it costs, and who is not cut off. `python -m bench stalled` is the full one."""

import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.stalled.crowd import Crowd
from bench.stalled.honest import slow_clients
from parachute_hub.proxy.limits import Limits
from tests.live.test_proxy_streams import MB, Processes

CROWDS = {"readers": 300, "uploads": 150, "websockets": 100}


def queued(*ports: int) -> int:
    """Bytes in the kernel's queues of all connections from or to these ports."""
    total = 0
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = row.split()
        if {int(local[-4:], 16), int(remote[-4:], 16)} & set(ports):
            total += sum(int(queue, 16) for queue in queues.split(":"))
    return total


class StalledTests(SynchronousTestCase):
    def test_a_crowd_costs_little_and_drives_nobody_out(self) -> None:
        hub = Processes()
        self.addCleanup(hub.end)
        hub.wait()
        with hub.connect(hub.request("/echo/big", "Connection: close")) as client:
            while client.recv(MB):
                pass
        before = hub.peak
        honest = slow_clients(hub.port, "/echo", 6.0)
        crowds = []
        for kind, count in CROWDS.items():
            crowds.append(Crowd(hub.port, "/echo", kind, count, count))
            self.addCleanup(crowds[-1].leave)
        for crowd in crowds:
            crowd.wait()
        time.sleep(1.5)
        # With the system's buffers, 300 readers would hold 1 GB. Twice: the clients' own queues are counted too.
        hub.until(lambda: queued(hub.port, hub.module_port) < 2 * Limits().stalled_bytes, "the queues to be short")
        self.assertLess(hub.peak - before, 20 * MB)
        hub.until(lambda: crowds[0].living() < CROWDS["readers"], "some readers to be cut off")
        for slow in honest:
            slow.join(30)
        self.assertEqual({slow.kind: slow.outcome for slow in honest}, {slow.kind: "whole" for slow in honest})
