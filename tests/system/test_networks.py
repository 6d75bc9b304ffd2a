"""The network that limits on strangers count by."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.networks import network_of


class NetworkTests(SynchronousTestCase):
    def test_an_ipv6_address_stands_for_its_64(self) -> None:
        for address, network in (
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::7", "2001:db8:1:3::/64"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("", "unknown"),
            ("evil", "unknown"),
        ):
            with self.subTest(address):
                self.assertEqual(network_of(address), network)
