"""Who sent a request, and through which layer."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.client_address import ClientInfo, identify
from parachute_hub.settings import fold
from tests.support.sockets import HOST, Rig


def caller(peer: str, hops: int = 0, /, **headers: str) -> ClientInfo:
    """The caller of a request with these headers (underscores for dashes)."""
    noted = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return identify(peer, b"hub.test", noted, hops=hops)


class PeersTests(SynchronousTestCase):
    def test_the_layer_follows_from_peer_and_headers(self) -> None:
        cases: tuple[tuple[str, str, dict[str, str]], ...] = (
            ("loopback", "127.0.0.1", {}),
            ("loopback", "127.8.0.1", {}),
            ("loopback", "::1", {}),
            ("loopback", "::ffff:127.0.0.1", {}),
            ("public", "10.0.0.1", {}),
            ("public", "unknown", {}),
            ("public", "127.0.0.1", {"cf_ray": "x"}),
            ("public", "127.0.0.1", {"cf_connecting_ip": "1.2.3.4"}),
            ("public", "127.0.0.1", {"x_forwarded_for": ""}),
            ("public", "127.0.0.1", {"x_forwarded_host": "a"}),
            ("public", "127.0.0.1", {"forwarded": "for=x"}),
            ("public", "127.0.0.1", {"tailscale_funnel_request": "?1", "tailscale_user_login": "a"}),
            ("tailnet", "127.0.0.1", {"tailscale_user_login": "a", "x_forwarded_for": "100.64.0.1"}),
            ("public", "10.0.0.1", {"tailscale_user_login": "a"}),
            ("loopback", "127.0.0.1", {"x_forwarded_proto": "https"}),
        )
        for layer, peer, headers in cases:
            self.assertEqual(caller(peer, **headers).layer, layer, (peer, headers))

    def test_without_trusted_hops_only_the_connection_counts(self) -> None:
        seen = caller("10.0.0.1", x_forwarded_for="1.1.1.1", x_forwarded_proto="https", x_forwarded_host="evil")
        self.assertEqual((seen.address, seen.scheme, seen.host), ("10.0.0.1", "http", b"hub.test"))

    def test_the_nth_from_the_right(self) -> None:
        forwarded = "9.9.9.9, 1.1.1.1 ,2.2.2.2"
        self.assertEqual(caller("10.0.0.1", 1, x_forwarded_for=forwarded).address, "2.2.2.2")
        self.assertEqual(caller("10.0.0.1", 2, x_forwarded_for=forwarded).address, "1.1.1.1")
        for wrong in ("", "evil", "1.1.1.1, <script>", "1.1.1.1,"):
            self.assertEqual(caller("10.0.0.1", 1, x_forwarded_for=wrong).address, "10.0.0.1", wrong)
        self.assertEqual(caller("10.0.0.1", 3, x_forwarded_for="1.1.1.1").address, "10.0.0.1")
        self.assertEqual(caller("10.0.0.1", 1, x_forwarded_for="2001:DB8::1").address, "2001:db8::1")

    def test_a_default_port_is_no_other_name(self) -> None:
        rig = Rig(hosts=(HOST, "127.0.0.1:80"))
        for host in (f"{HOST}:443", f"{HOST}:80", "127.0.0.1", "127.0.0.1:80"):
            for target in ("/notes/", f"http://{host}/notes/"):
                asked = len(rig.modules.sockets)
                rig.ask(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                self.assertEqual(len(rig.modules.sockets), asked + 1, (host, target))
                self.assertIn(f"X-Forwarded-Host: {HOST}\r\n".encode(), rig.modules.newest.take())
        for host in (f"{HOST}:8443", f"{HOST}:", f"{HOST}:443:443", "evil.test:443"):
            answer = rig.ask(f"GET /notes/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).take()
            self.assertRegex(answer, rb"^HTTP/1.1 4(00|21) ", host)
        said = caller("10.0.0.1", 1, x_forwarded_for="1.1.1.1", x_forwarded_host="hub.test:443")
        self.assertEqual(said.host, b"hub.test")

    def test_a_hop_names_scheme_and_host(self) -> None:
        seen = caller(
            "10.0.0.1", 1, x_forwarded_for="1.1.1.1", x_forwarded_proto="http, https", x_forwarded_host="A.test"
        )
        self.assertEqual((seen.scheme, seen.host), ("https", b"a.test"))
        self.assertEqual(caller("10.0.0.1", 1, x_forwarded_host="a\tb/c").host, b"hub.test")


class PlatformTests(SynchronousTestCase):
    def test_the_address_of_a_visitor_behind_each_platforms_edge(self) -> None:
        """Values sent by the visitor come before the edge's and never count."""
        visitor, forged = b"203.0.113.7", b"198.51.100.66"
        for platform, environment, chain in (
            ("Fly", {"FLY_APP_NAME": "demo"}, b"%s, 66.241.124.230"),
            ("Caddy or nginx, one hop", {"PARACHUTE_TRUSTED_HOPS": "1"}, b"%s"),
            ("a CDN before one's own proxy", {"PARACHUTE_TRUSTED_HOPS": "2"}, b"%s, 104.22.17.40"),
        ):
            hops = fold({}, {"PARACHUTE_HUB_ORIGIN": "https://hub.test", **environment}).trusted_hops
            for sent in (b"", forged + b", "):
                with self.subTest(platform, sent=sent):
                    noted = {b"x-forwarded-for": sent + chain % visitor, b"x-forwarded-proto": b"https"}
                    found = identify("172.16.0.2", b"hub.test", noted, hops=hops)
                    self.assertEqual((found.address, found.scheme), (visitor.decode(), "https"))
