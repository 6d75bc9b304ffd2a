"""Ports that modules can have."""

import socket

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.state.local_ports import LocalPorts


class LocalPortsTests(SynchronousTestCase):
    def setUp(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.used = int(listener.getsockname()[1])
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.free = int(probe.getsockname()[1])
        self.addCleanup(listener.close)

    def test_only_ports_without_a_listener(self) -> None:
        every = LocalPorts(None)
        self.assertEqual((every.busy(self.used), every.busy(self.free)), (True, False))

    def test_only_what_the_owner_allows(self) -> None:
        self.assertFalse(LocalPorts(range(self.free, self.free + 1)).busy(self.free))
        self.assertTrue(LocalPorts(range(self.free + 1, self.free + 2)).busy(self.free))
