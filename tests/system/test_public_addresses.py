from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.public_addresses import is_public

PUBLIC = """
1.1.1.1 8.8.8.8 9.9.9.9 93.184.216.34 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.255.255
169.255.0.1 172.15.255.255 172.32.0.1 192.0.1.1 192.167.255.255 192.169.0.1 198.17.255.255 198.20.0.1 203.0.112.255
203.0.114.1 223.255.255.255 2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450::1 2001:200::1 2620:fe::fe
"""
REFUSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.1.2.3 127.255.255.254
169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.0.192 192.0.2.1
192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
240.0.0.1 255.255.255.255 192.31.196.1 192.52.193.1 192.175.48.1
:: ::1 ::2 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:93.184.216.34 ::ffff:0:127.0.0.1 ::ffff:10.0.0.1 0:0:0:0:0:ffff:7f00:1
64:ff9b::7f00:1 64:ff9b::5db8:d822 64:ff9b:1::1 100::1 100:0:0:1::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2
2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:c0a8:1::1 2620:4f:8000::1 3fff::1 5f00::1
fc00::1 fd00::1 fdff:ffff::1 fd00:ec2::254 fe80::1 fe80::1%eth0 febf::1 fec0::1 feff::1 ff00::1 ff02::1 ff0e::1
4000::1 8000::1 e000::1 2606:4700::1%1
"""
NO_ADDRESSES = """
127.1 127.0.1 2130706433 0x7f000001 0x7f.0.0.1 0177.0.0.1 0177.0.0.01 127.0.0.01 1.1.1 1.1.1.1.1 256.1.1.1 1.1.1.1/32
localhost example.com [::1] [2606:4700::1] ::ffff:1.2.3 1.1.1.1:80 ①.①.①.① １.1.1.1 1.1.1.1%0 -1.1.1.1 +1.1.1.1
"""


class AddressTests(SynchronousTestCase):
    def test_public_addresses_are_public(self) -> None:
        """Ordinary addresses, and the neighbours of every refused block."""
        self.assertEqual([address for address in PUBLIC.split() if not is_public(address)], [])

    def test_special_purpose_addresses_are_not_public(self) -> None:
        """Loopback, private, link-local, metadata, CGNAT, ULA, multicast, documentation, and IPv4 inside IPv6."""
        self.assertEqual([address for address in REFUSED.split() if is_public(address)], [])

    def test_other_spellings_are_not_public(self) -> None:
        """Decimal, octal, hexadecimal, short or decorated: no resolver answers so, and nothing of it is an address."""
        words = [*NO_ADDRESSES.split(), "", " 1.1.1.1", "1.1.1.1 ", "1.1.1.1\n", "1.1.1.1\x00"]
        self.assertEqual([address for address in words if is_public(address)], [])
