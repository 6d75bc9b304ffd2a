"""What the programs of others print, and what is read in it."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.reach import findings
from parachute_hub.reach.findings import Served, Tailscale

NAME = "laptop.tail1234.ts.net"
BOX = """\
2026-11-29T10:00:00Z INF Requesting new quick Tunnel on trycloudflare.com...
2026-11-29T10:00:01Z INF +---------------------------------------------------------------------------+
2026-11-29T10:00:01Z INF |  Your quick Tunnel has been created! Visit it at (it may take some time):  |
2026-11-29T10:00:01Z INF |  https://three-small-boats.trycloudflare.com                               |
2026-11-29T10:00:01Z INF +---------------------------------------------------------------------------+
"""


class TailscaleTests(SynchronousTestCase):
    def test_status(self) -> None:
        for told, expected in (
            (
                '{"BackendState": "Running", "Self": {"DNSName": "Laptop.tail1234.ts.net."}, "CertDomains": ["x"]}',
                Tailscale(state="running", name=NAME, has_https=True),
            ),
            (
                '{"BackendState": "Running", "Self": {"DNSName": "laptop.tail1234.ts.net."}, "CertDomains": null}',
                Tailscale(state="running", name=NAME),
            ),
            ('{"BackendState": "NeedsLogin", "Self": {"DNSName": ""}}', Tailscale(state="signed-out")),
            ('{"BackendState": "Stopped", "Self": null}', Tailscale(state="stopped")),
            ('{"BackendState": "NeedsMachineAuth"}', Tailscale(state="stopped")),
            ('{"BackendState": 1}', Tailscale()),
            ("[]", Tailscale()),
            ("", Tailscale()),
            ("failed to connect to local tailscaled", Tailscale()),
        ):
            self.assertEqual(findings.tailscale_of(told), expected, told)

    def test_what_it_serves(self) -> None:
        web = '"Web": {"laptop.tail1234.ts.net:443": {"Handlers": %s}}'
        for told, expected in (
            ("{}", Served()),
            ("null", Served()),
            ("", Served(known=False)),
            ("failed to connect to local tailscaled", Served(known=False)),
            ("{%s}" % (web % '{"/": {"Proxy": "http://127.0.0.1:1939"}}'), Served(proxy="http://127.0.0.1:1939")),
            (
                '{%s, "AllowFunnel": {"laptop.tail1234.ts.net:443": true}}' % (web % '{"/": {"Proxy": "http://a"}}'),
                Served(proxy="http://a", funnel=True),
            ),
            ("{%s}" % (web % '{"/": {"Path": "/srv"}}'), Served(other=True)),
            ("{%s}" % (web % '{"/app": {"Proxy": "http://a"}}'), Served(other=True)),
            ('{"TCP": {"443": {"TCPForward": "127.0.0.1:22"}}}', Served(other=True)),
            ('{"TCP": {"8443": {"HTTPS": true}}, "Web": {"other:443": {"Handlers": {"/": {"Proxy": "x"}}}}}', Served()),
        ):
            self.assertEqual(findings.served_at(told, NAME), expected, told)

    def test_what_it_wants(self) -> None:
        for told, link in (
            ("Available within your tailnet:\n\nhttps://laptop.tail1234.ts.net/", None),
            (
                "Funnel is not enabled on your tailnet.\nTo enable, visit:\n\n    https://login.tailscale.com/f/funnel?node=n1",
                "https://login.tailscale.com/f/funnel?node=n1",
            ),
            ("Serve is not enabled.\nhttps://login.tailscale.com.evil.example/f", None),
            ("Serve is not enabled on your tailnet.", None),
        ):
            self.assertEqual(findings.tailscale_wants(told), link, told)


class CloudflareTests(SynchronousTestCase):
    def test_the_address_of_a_quick_tunnel(self) -> None:
        refused = 'ERR failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": refused'
        for told, address in (
            (BOX, "https://three-small-boats.trycloudflare.com"),
            (BOX[:260], None),
            (refused, None),
            ("|  https://api.trycloudflare.com  |", None),
            ("|  https://a-b.trycloudflare.com.evil.example  |", None),
        ):
            self.assertEqual(findings.quick_address(told), address, told)

    def test_tunnels(self) -> None:
        for told, names in (
            ("null", set()),
            ('[{"id": "1", "name": "parachute-hub"}, {"id": "2"}, 3]', {"parachute-hub"}),
            ("You need to sign in", set()),
        ):
            self.assertEqual(findings.tunnels_of(told), names, told)


class WordsTests(SynchronousTestCase):
    def test_the_last_words_of_a_program(self) -> None:
        for told, expected in (
            ("", ""),
            ("one\ntwo\n", "one two"),
            (
                "2026-11-29T10:00:01Z ERR Cannot connect error=refused\n2026-11-29T10:00:02Z INF Bye",
                "Cannot connect error=refused",
            ),
            ("x" * 900, "x" * 300),
        ):
            self.assertEqual(findings.last_words(told), expected)
