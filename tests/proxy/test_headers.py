"""The boundary between clients and modules, in both directions, with http and https names."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.headers import ResponseRules, request_lines, response_lines
from parachute_hub.proxy.routes import Mount
from tests.support.sockets import HOST, Rig, get

MOUNTS = (
    Mount("notes", b"/notes", 2001),
    Mount("vault", b"/vault/default", 2002),
    Mount("odd", b"/odd", 2003, sandboxed=True),
)


class Case(SynchronousTestCase):
    issuer = f"https://{HOST}"

    def setUp(self) -> None:
        self.rig = Rig(MOUNTS, issuer=self.issuer)

    def sent(self, *lines: str, path: str = "/notes/", peer: str = "127.0.0.1", rig: Rig | None = None) -> list[str]:
        """The header lines that a module sees."""
        rig = rig or self.rig
        rig.ask(get(path, *lines), peer)
        raw = rig.modules.newest.take()
        return raw.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")[1:]

    def answered(
        self, *lines: str, path: str = "/notes/", status: str = "200 OK", asked: tuple[str, ...] = ()
    ) -> list[str]:
        """The header lines that a client sees."""
        client = self.rig.ask(get(path, *asked))
        answer = "\r\n".join([f"HTTP/1.1 {status}", *lines, "Content-Length: 0", "", ""])
        self.rig.modules.newest.deliver(answer.encode("latin-1"))
        return client.take().decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")[1:]


class UpwardTests(Case):
    def test_what_is_for_one_hop_stays_here(self) -> None:
        lines = self.sent(
            "Connection: keep-alive, X-Mine",
            "X-Mine: 1",
            "Keep-Alive: 5",
            "TE: trailers",
            "Trailer: x",
            "Proxy-Authorization: x",
            "Proxy-Connection: x",
            "Upgrade: h2c",
            "X-Yours: 2",
        )
        names = {line.partition(":")[0].lower() for line in lines}
        self.assertEqual(
            names - {"host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"},
            {"x-yours", "x-parachute-layer", "x-parachute-client-ip"},
        )

    def test_connection_cannot_remove_what_the_hub_says(self) -> None:
        lines = self.sent("Connection: X-Parachute-Layer, X-Forwarded-Proto, Host")
        self.assertIn("X-Parachute-Layer: loopback", lines)
        self.assertIn("X-Forwarded-Proto: https", lines)
        self.assertIn("Host: 127.0.0.1:2001", lines)

    def test_a_stranger_cannot_speak_for_a_hop(self) -> None:
        forged = (
            "X-Forwarded-For: 6.6.6.6",
            "x-forwarded-HOST: evil.example",
            "X-Forwarded-Proto: ftp",
            "X-Forwarded-Server: evil",
            "X_Forwarded_For: 6.6.6.6",
            "Forwarded: for=6.6.6.6",
            "X-Real-IP: 6.6.6.6",
            "CF-Connecting-IP: 6.6.6.6",
            "X-Parachute-Layer: loopback",
            "X-PARACHUTE-layer: loopback",
            "X_Parachute_Layer: loopback",
            "X-Parachute-Anything: 6.6.6.6",
        )
        lines = self.sent(*forged, peer="203.0.113.9")
        text = "\n".join(lines)
        self.assertNotIn("6.6.6.6", text)
        self.assertNotIn("evil", text)
        self.assertEqual([line for line in lines if "layer" in line.lower()], ["X-Parachute-Layer: public"])
        self.assertIn("X-Forwarded-For: 203.0.113.9", lines)
        self.assertIn("X-Parachute-Client-IP: 203.0.113.9", lines)

    def test_modules_hear_the_canonical_origin(self) -> None:
        lines = self.sent()
        self.assertIn(f"X-Forwarded-Host: {HOST}", lines)
        self.assertIn("X-Forwarded-Proto: https", lines)
        rig = Rig(MOUNTS, hosts=("localhost:1939", HOST), issuer=f"https://{HOST}")
        rig.ask(b"GET /notes/ HTTP/1.1\r\nHost: LOCALHOST:1939\r\n\r\n")
        self.assertIn(f"X-Forwarded-Host: {HOST}".encode(), rig.modules.newest.take())

    def test_before_setup_modules_hear_what_was_asked_for(self) -> None:
        lines = self.sent(rig=Rig(MOUNTS, hosts=()))
        self.assertIn("X-Forwarded-Proto: http", lines)

    def test_a_trusted_hop_is_believed(self) -> None:
        rig = Rig(MOUNTS, hops=1)
        lines = self.sent(
            "X-Forwarded-For: 6.6.6.6, 198.51.100.7", "X-Forwarded-Proto: https", peer="10.0.0.1", rig=rig
        )
        self.assertIn("X-Forwarded-For: 198.51.100.7", lines)
        self.assertIn("X-Parachute-Client-IP: 198.51.100.7", lines)

    def test_the_hubs_cookies_never_reach_a_module(self) -> None:
        for cookie, kept in (
            ("parachute_hub_session=x", None),
            ("a=1; parachute_hub_session=x; b=2", "a=1; b=2"),
            ("a=1;parachute_hub_csrf=x ;b=2", "a=1; b=2"),
            ("__Host-parachute_hub_session=x; a=1", "a=1"),
            ("PARACHUTE_HUB_SESSION=x; a=1", "a=1"),
            ('"parachute_hub_session"=x; a=1', "a=1"),
            ("  parachute_hub_device = x; a=1", "a=1"),
            ("=parachute_hub_session=x; a=1", "a=1"),
            ("parachute_hub_session; a=1", "a=1"),
            ("parachute_hub_session_1a2b3c4d=x; a=1", "a=1"),
            ("__Host-parachute_hub_session_1a2b3c4d=x; a=1", "a=1"),
            ("__Secure-parachute_hub_anything=x; a=1", "a=1"),
            ("a=parachute_hub_session", "a=parachute_hub_session"),
            ("; ".join(f"c{n}=1" for n in range(200)), "; ".join(f"c{n}=1" for n in range(200))),
        ):
            seen = [line for line in self.sent(f"Cookie: {cookie}") if line.lower().startswith("cookie")]
            self.assertEqual(seen, [f"Cookie: {kept}"] if kept else [], cookie)
        two = [line for line in self.sent("Cookie: a=1", "Cookie: parachute_hub_session=x") if "ookie" in line]
        self.assertEqual(two, ["Cookie: a=1"])

    def test_credentials_for_the_module_pass(self) -> None:
        lines = self.sent("Authorization: Bearer pvt_abc", "X-API-Key: k", "Accept-Encoding: br")
        self.assertEqual(lines[:3], ["Authorization: Bearer pvt_abc", "X-API-Key: k", "Accept-Encoding: br"])


class UpwardOnHttpTests(UpwardTests):
    """The same where the hub's own name uses plain http."""

    issuer = f"http://{HOST}"

    def test_connection_cannot_remove_what_the_hub_says(self) -> None:
        self.assertIn("X-Forwarded-Proto: http", self.sent("Connection: X-Forwarded-Proto"))

    def test_modules_hear_the_canonical_origin(self) -> None:
        self.assertIn("X-Forwarded-Proto: http", self.sent())


class DownwardTests(Case):
    def test_what_is_for_one_hop_stays_here(self) -> None:
        lines = self.answered("Connection: close, X-Mine", "X-Mine: 1", "Keep-Alive: timeout=5", "X-Yours: 2")
        self.assertEqual(lines, ["X-Yours: 2", "Content-Length: 0"])

    def test_a_module_cannot_set_the_hubs_cookies(self) -> None:
        for line in (
            "Set-Cookie: parachute_hub_session=x; Path=/",
            "Set-Cookie: __Host-parachute_hub_session=x; Path=/; Secure",
            "Set-Cookie: parachute_hub_session_1a2b3c4d=x; Path=/",
            "Set-Cookie: =parachute_hub_session=x",
            "set-cookie:Parachute_Hub_Session =x",
            'Set-Cookie: "parachute_hub_csrf"=x; Domain=hub.test',
            "Set-Cookie: parachute_hub_session",
        ):
            self.assertEqual(self.answered(line), ["Content-Length: 0"], line)

    def test_a_modules_own_cookies_pass_in_order(self) -> None:
        own = ["Set-Cookie: a=1; Path=/notes", "Set-Cookie: b=parachute_hub_session; HttpOnly; Path=/notes"]
        self.assertEqual(self.answered(*own)[:2], own)

    def test_events_are_not_held_back_by_a_server_before_the_hub(self) -> None:
        for said, added in (
            (("Content-Type: text/event-stream",), ["X-Accel-Buffering: no"]),
            (("Content-Type: text/event-stream; charset=utf-8",), ["X-Accel-Buffering: no"]),
            (("X-Accel-Buffering: no", "Content-Type: text/event-stream"), []),
            (("Content-Type: text/plain",), []),
        ):
            self.assertEqual(self.answered(*said), [*said, *added, "Content-Length: 0"], said)

    def test_a_module_gives_no_orders_to_a_server_before_the_hub(self) -> None:
        for name in ("X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Limit-Rate", "X-Accel-Charset", "X-Sendfile"):
            self.assertEqual(self.answered(f"{name}: /etc/passwd"), ["Content-Length: 0"], name)

    def test_a_module_does_not_rule_the_origin(self) -> None:
        for name in ("Clear-Site-Data", "Strict-Transport-Security", "Alt-Svc", "NEL", "Report-To"):
            self.assertEqual(self.answered(f'{name}: "x"'), ["Content-Length: 0"], name)

    def test_service_workers_stay_below_the_mount(self) -> None:
        good = "Service-Worker-Allowed: /notes/app/"
        self.assertIn(good, self.answered(good))
        for scope in (
            "/",
            "/notes",
            "/notesx/",
            "/notes/../",
            "/notes/%2e%2e/",
            "/notes/./",
            "./",
            "https://hub.test/",
            "/notes//",
        ):
            self.assertEqual(self.answered(f"Service-Worker-Allowed: {scope}"), ["Content-Length: 0"], scope)
        for path in ("/notes", "/mcp", "/vault/default"):
            client = self.rig.ask(get(path, "Service-Worker: script", "Accept: application/json"))
            self.assertIn(b"no_service_worker", client.take(), path)

    def test_pages_get_a_second_policy(self) -> None:
        lines = self.answered("Content-Type: Text/HTML; charset=utf-8", "Content-Security-Policy: default-src 'self'")
        policies = [line for line in lines if line.startswith("Content-Security-Policy")]
        self.assertEqual(policies[0], "Content-Security-Policy: default-src 'self'")
        self.assertIn("frame-ancestors 'self'", policies[1])
        self.assertIn("X-Content-Type-Options: nosniff", lines)
        self.assertEqual(self.answered("Content-Type: image/png"), ["Content-Type: image/png", "Content-Length: 0"])

    def test_pages_of_modules_ask_for_no_passkeys(self) -> None:
        """The last policy of a name counts; one that would spoil ours for the browser is dropped."""
        ours = "Permissions-Policy: publickey-credentials-get=(), publickey-credentials-create=()"
        for kind in ("text/html", "image/svg+xml", "application/xhtml+xml"):
            for theirs, kept in (
                ("camera=(), fullscreen=(self)", True),
                ("publickey-credentials-get=*", True),
                ("geolocation=*,camera=()", True),
                ('camera=("https://a.example")', False),
                ("camera=(", False),
                ("camera=() ;", False),
                ("é", False),
                ("", False),
            ):
                lines = self.answered(f"Content-Type: {kind}", f"Permissions-Policy: {theirs}")
                policies = [line for line in lines if line.startswith("Permissions-Policy")]
                self.assertEqual(policies, [f"Permissions-Policy: {theirs}", ours] if kept else [ours], (kind, theirs))

    def test_pages_of_strangers_are_sandboxed(self) -> None:
        for kind in ("text/html", "image/svg+xml", "application/octet-stream"):
            lines = self.answered(f"Content-Type: {kind}", path="/odd/")
            self.assertIn("Content-Security-Policy: sandbox allow-scripts allow-forms allow-popups", lines)

    def test_cross_origin_headers_are_the_modules_own(self) -> None:
        lines = ["Access-Control-Allow-Origin: *", "Access-Control-Expose-Headers: X-A", "Vary: Origin"]
        self.assertEqual(self.answered(*lines), [*lines, "Content-Length: 0"])

    def test_mcp_clients_in_browsers_can_read_what_they_need(self) -> None:
        shared = "Access-Control-Allow-Origin: *"
        path = "/vault/default/mcp"
        both = "Access-Control-Expose-Headers: Mcp-Session-Id, WWW-Authenticate"
        self.assertIn(both, self.answered(shared, path=path))
        lines = self.answered(shared, "Access-Control-Expose-Headers: mcp-session-id", path=path)
        self.assertIn("Access-Control-Expose-Headers: WWW-Authenticate", lines)
        self.assertEqual(self.answered(path=path), ["Content-Length: 0"], "without sharing there is nothing to expose")
        star = [shared, "Access-Control-Expose-Headers: *"]
        self.assertEqual(self.answered(*star, path=path), [*star, "Content-Length: 0"])

    def test_a_challenge_names_its_scopes(self) -> None:
        bare = 'WWW-Authenticate: Bearer resource_metadata="https://hub.test/x"'
        scope = ', scope="vault:default:read vault:default:write"'
        path, status = "/vault/default/mcp", "401 Unauthorized"
        self.assertIn(bare + scope, self.answered(bare, path=path, status=status))
        token = ("Authorization: Bearer eyJhbGciOi.eyJzdWIi.c2ln",)
        self.assertIn(
            bare + ', error="invalid_token"' + scope, self.answered(bare, path=path, status=status, asked=token)
        )
        named = 'WWW-Authenticate: Bearer scope="vault:default:admin"'
        self.assertIn(named, self.answered(named, path=path, status=status))
        self.assertIn(bare, self.answered(bare, path="/vault/default/notes", status=status))
        basic = "WWW-Authenticate: Basic realm=x"
        self.assertIn(basic, self.answered(basic, path=path, status=status))


class ClaimTests(SynchronousTestCase):
    def test_no_client_may_claim_an_address_or_a_proxy_to_a_module(self) -> None:
        for name in (
            "True-Client-IP", "X-Client-IP", "Client-IP", "Forwarded", "Forwarded-For", "X-Forwarded-For", "X-Real-IP",
            "CF-Connecting-IP", "Fly-Client-IP", "Fastly-Client-IP", "X-Cluster-Client-IP", "X-Original-Forwarded-For",
            "Proxy", "X_Real_IP", "x-forwarded_for",
        ):  # fmt: skip
            with self.subTest(name):
                line = f"{name}: 203.0.113.9".encode()
                field = (name.lower().encode(), b" 203.0.113.9", line)
                self.assertEqual(request_lines([field], None, frozenset()), [])

    def test_no_module_may_rule_the_whole_origin(self) -> None:
        place = ResponseRules(b"/notes", sandboxed=False)
        for name in ("Speculation-Rules", "Set-Login", "Clear-Site-Data", "NEL", "Report-To", "Alt-Svc"):
            with self.subTest(name):
                field = (name.lower().encode(), b" x", f"{name}: x".encode())
                self.assertEqual(response_lines([field], frozenset(), place), [])
