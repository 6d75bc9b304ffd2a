"""https behind real TLS proxies and each platform's headers, and claimed by strangers."""

import re
import socket
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path

import pyotp
from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.tokens.grant_policy import challenge_of
from parachute_hub.site.cookies import CSRF, DEVICE, PENDING_LOGIN, SESSION
from parachute_hub.site.root import STRICT_TRANSPORT
from tests.browser.hub_browser import setup_token
from tests.live.edges import NAME, ORIGIN, Browser, Edge, Page, caddy, nginx
from tests.live.harness import PATIENCE, HubProcess
from tests.requirements import program, requires

PASSWORD = "three small paper boats"
NEW_PASSWORD = "four small paper boats"
CALLBACK = "https://app.test/callback"
VERIFIER = "v" * 43
BEHIND_A_PROXY = {"PARACHUTE_TRUSTED_HOPS": "1", "PARACHUTE_HUB_ORIGIN": ORIGIN}
CLIENT = "198.51.100.7"

# What reaches the hub from each platform's edge: the environment that it sets, and the header lines that it adds.
PLATFORMS: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "Render": (
        {"RENDER": "true", "RENDER_EXTERNAL_URL": ORIGIN},
        {
            "X-Forwarded-For": f"{CLIENT}, 172.68.1.2, 10.201.1.1",
            "X-Forwarded-Proto": "https",
            "CF-Connecting-IP": CLIENT,
            "CF-Ray": "8a1b2c3d4e5f6a7b-FRA",
            "CF-Visitor": '{"scheme":"https"}',
            "True-Client-Ip": CLIENT,
            "Render-Proxy-Ttl": "4",
            "Cdn-Loop": "cloudflare; loops=1",
        },
    ),
    "Fly": (
        {"FLY_APP_NAME": "my-hub", "PARACHUTE_HUB_ORIGIN": ORIGIN},
        {
            "X-Forwarded-For": f"{CLIENT}, 66.241.124.1",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Port": "443",
            "X-Forwarded-Ssl": "on",
            "Fly-Client-Ip": CLIENT,
            "Fly-Forwarded-Proto": "https",
            "Fly-Forwarded-Port": "443",
            "Fly-Region": "fra",
            "Via": "2 fly.io",
        },
    ),
    "Caddy": (
        BEHIND_A_PROXY,
        {"X-Forwarded-For": CLIENT, "X-Forwarded-Host": NAME, "X-Forwarded-Proto": "https", "Via": "2.0 Caddy"},
    ),
    "nginx": (
        BEHIND_A_PROXY,
        {"X-Real-IP": CLIENT, "X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"},
    ),
    "Cloudflare Tunnel": (
        BEHIND_A_PROXY,
        {
            "X-Forwarded-For": CLIENT,
            "X-Forwarded-Proto": "https",
            "CF-Connecting-IP": CLIENT,
            "CF-Ray": "8a1b2c3d4e5f6a7b-FRA",
            "CF-Visitor": '{"scheme":"https"}',
            "CF-Warp-Tag-Id": "c0ffee",
            "Cdn-Loop": "cloudflare; loops=1",
        },
    ),
    "Tailscale Serve": (
        BEHIND_A_PROXY,
        {
            "X-Forwarded-For": "100.64.0.7",
            "X-Forwarded-Host": NAME,
            "X-Forwarded-Proto": "https",
            "Tailscale-User-Login": "ada@example.com",
            "Tailscale-User-Name": "Ada",
            "Tailscale-Headers-Info": "https://tailscale.com/s/serve-headers",
        },
    ),
    "Tailscale Funnel": (
        BEHIND_A_PROXY,
        {
            "X-Forwarded-For": CLIENT,
            "X-Forwarded-Host": NAME,
            "X-Forwarded-Proto": "https",
            "Tailscale-Funnel-Request": "?1",
        },
    ),
    "Traefik": (
        BEHIND_A_PROXY,
        {
            "X-Forwarded-For": CLIENT,
            "X-Forwarded-Host": NAME,
            "X-Forwarded-Port": "443",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Server": "edge",
            "X-Real-Ip": CLIENT,
        },
    ),
}


@define
class Journey:
    """Everything that sets a cookie, starting with an empty hub, in the owner's browser and a guest's."""

    hub: HubProcess
    owner: Browser
    guest: Browser

    def walk(self) -> None:
        """All of it, in order."""
        self.set_up()
        self.sign_out()
        self.sign_in_badly()
        self.sign_in(PASSWORD)
        self.connect_an_app()
        self.invite()
        self.change_the_password()
        codes = self.enrol()
        self.sign_out()
        self.sign_in_with_a_code(codes)
        self.look_around()

    @property
    def csrf(self) -> str:
        return str(self.owner.get_json("/api/me")["csrf"])

    def set_up(self) -> None:
        page = self.owner.get("/admin/setup")
        words = {"password": PASSWORD, "password_confirm": PASSWORD, "bootstrap_token": setup_token(self.hub)}
        made = self.owner.post("/admin/setup/account", {"__csrf": page.token(), "username": "ada", **words})
        assert made.status == 303, made.body
        page = self.owner.get("/admin/setup")
        assert self.owner.post("/admin/setup/modules", {"__csrf": page.token(), "skip": "1"}).status == 303
        page = self.owner.get("/admin/setup")
        said = {"__csrf": page.token(), "expose_mode": "public", "hub_origin": ORIGIN, "password": PASSWORD}
        done = self.owner.post("/admin/setup/expose", said)
        assert done.status == 303, done.body
        self.owner.get(done.header("location") or "")

    def sign_out(self) -> None:
        assert self.owner.post("/logout", {"__csrf": self.owner.get("/account").token()}).status == 303

    def sign_in_badly(self) -> None:
        page = self.owner.get("/login")
        wrong = self.owner.post("/login", {"__csrf": page.token(), "username": "ada", "password": "no"})
        assert wrong.status == 401, wrong.body

    def sign_in(self, password: str) -> Page:
        page = self.owner.get("/login?next=/account")
        entered = self.owner.post("/login", {"__csrf": page.token(), "username": "ada", "password": password})
        assert entered.status == 303, entered.body
        return entered

    def connect_an_app(self) -> None:
        made = self.guest.call("POST", "/oauth/register", {"redirect_uris": [CALLBACK], "client_name": "App"}).json()
        asked = {
            "client_id": made["client_id"],
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            "scope": "account:self:read",
        }
        address = "/oauth/authorize?" + urllib.parse.urlencode(asked)
        assert self.guest.get(address).status == 303
        page = self.owner.get(address)
        said = [*_hidden(page), ("granted_scope", "account:self:read"), ("password", PASSWORD), ("approve", "yes")]
        answer = self.owner.post("/oauth/authorize", said)
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.header("location") or "").query))
        assert answer.status == 303 and "code" in query, (answer.status, query, answer.body, page.body)
        form = {"grant_type": "authorization_code", "code": query["code"], "code_verifier": VERIFIER}
        told = self.guest.post("/oauth/token", {**form, "client_id": made["client_id"], "redirect_uri": CALLBACK})
        assert told.status == 200, told.body

    def invite(self) -> None:
        said = {"operation": "user.invite", "password": PASSWORD}
        proof = self.owner.call("POST", "/api/account/step-up", said, X_Parachute_CSRF=self.csrf).json()["proof"]
        made = self.owner.call("POST", "/api/invites", {}, X_Parachute_CSRF=self.csrf, X_Parachute_Proof=proof)
        link = next(value for value in made.json().values() if str(value).startswith("http"))
        assert link.startswith(f"{ORIGIN}/account/setup/"), link
        path = link.removeprefix(ORIGIN)
        page = self.guest.get(path)
        words = {"password": PASSWORD, "password_confirm": PASSWORD}
        assert self.guest.post(path, {"__csrf": page.token(), "username": "grace", **words}).status == 303

    def change_the_password(self) -> None:
        page = self.owner.get("/account/change-password")
        new = {"new_password": NEW_PASSWORD, "new_password_confirm": NEW_PASSWORD}
        said = {"__csrf": page.token(), "current_password": PASSWORD, **new}
        assert self.owner.post("/account/change-password", said).status == 303

    def enrol(self) -> list[str]:
        given = {"X_Parachute_CSRF": self.csrf}
        started = self.owner.call("POST", "/api/account/2fa/start", {"password": NEW_PASSWORD}, **given).json()
        code = pyotp.TOTP(started["secret"]).now()
        confirmed = self.owner.call("POST", "/api/account/2fa/confirm", {"code": code}, **given)
        assert confirmed.status == 200, confirmed.body
        return list(confirmed.json()["backup_codes"])

    def sign_in_with_a_code(self, codes: list[str]) -> None:
        assert self.sign_in(NEW_PASSWORD).header("location") == "/login/2fa"
        page = self.owner.get("/login/2fa")
        assert self.owner.post("/login/2fa", {"__csrf": page.token(), "code": "000000"}).status == 401
        page = self.owner.get("/login/2fa")
        entered = self.owner.post("/login/2fa", {"__csrf": page.token(), "code": codes[0]})
        assert entered.status == 303, entered.body

    def look_around(self) -> None:
        for path in ("/", "/account", "/account/apps", "/account/sessions", "/admin/", "/hub.html", "/unknown"):
            self.owner.get(path)
        stranger = Browser(self.owner.port, self.owner.trust, self.owner.headers, pages=self.owner.pages)
        for path in ("/", "/account", "/admin/setup", "/account/session", "/login/2fa"):
            stranger.get(path)
        for name in ("parachute.json", "oauth-authorization-server", "openid-configuration", "parachute-account"):
            stranger.get(f"/.well-known/{name}")

    @property
    def pages(self) -> list[tuple[str, Page]]:
        return [*self.owner.pages, *self.guest.pages]


def _hidden(page: Page) -> list[tuple[str, str]]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.body)
    return [(name, urllib.parse.unquote(value.replace("&amp;", "&"))) for name, value in found]


class HttpsCase(SynchronousTestCase):
    def fresh(self, environment: Mapping[str, str]) -> HubProcess:
        """A hub without an owner."""
        home = Path(self.mktemp()).absolute()
        home.parent.mkdir(parents=True, exist_ok=True)
        process = HubProcess(home=home, environment=environment)
        self.addCleanup(process.end)
        return process.start()

    def all_is_secure(self, pages: list[tuple[str, Page]]) -> None:
        """Every cookie has the prefix and its attributes; HSTS is everywhere; no link leads to plain http."""
        names = set()
        for what, page in pages:
            for line in page.all("set-cookie"):
                name, _, rest = line.partition("=")
                attributes = [part.strip() for part in rest.split(";")[1:]]
                self.assertTrue(name.startswith("__Host-"), (what, line))
                self.assertTrue({"Secure", "HttpOnly", "Path=/"} <= set(attributes), (what, line))
                self.assertNotIn("domain", line.lower(), what)
                names.add(name.removeprefix("__Host-").rpartition("_")[::2])
            # An answer of the front itself has no page behind it that a person could stay on.
            if what != "GET /unknown":
                self.assertEqual(page.all("strict-transport-security"), [STRICT_TRANSPORT], what)
            for link in (page.header("location") or "", *re.findall(r'(?:href|action|src)="([^"]+)"', page.body)):
                self.assertFalse(link.startswith("http:"), (what, link))
            self.assertNotIn(f"http://{NAME}", page.body, what)
            self.assertNotIn("http://127.0.0.1", page.body, what)
        # Each with the same tag, which is this hub's own.
        self.assertEqual({name for name, _ in names}, {SESSION, CSRF, PENDING_LOGIN, DEVICE})
        ((_, tag),) = {("", tag) for _, tag in names}
        self.assertRegex(tag, r"^[0-9a-f]{8}$")


class EdgeTests(HttpsCase):
    """A TLS browser and a real proxy."""

    def walk(self, make: Callable[[SynchronousTestCase, int], Edge]) -> None:
        running = self.fresh(BEHIND_A_PROXY)
        edge = make(self, running.port)
        # What a stranger claims does not reach the hub, or is not the last word.
        lies = {"X-Forwarded-Proto": "http", "X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6;proto=http"}
        journey = Journey(running, Browser(edge.tls, edge.trust), Browser(edge.tls, edge.trust, lies))
        journey.walk()
        self.all_is_secure(journey.pages)
        for spelling in ("https", "HTTPS", "https, https", "https,http"):
            claim = {"X-Forwarded-Proto": spelling, "Forwarded": "proto=https", "X-Forwarded-Ssl": "on"}
            self.nothing_is_secure(Browser(edge.plain, None, claim), spelling)

    def nothing_is_secure(self, browser: Browser, why: str) -> None:
        page = browser.get("/login")
        self.assertEqual((page.status, page.all("strict-transport-security")), (200, []), why)
        self.assertEqual([name.rpartition("_")[0] for name in browser.cookies], [CSRF], why)

    @requires(program("nginx"))
    def test_nginx(self) -> None:
        self.walk(nginx)

    @requires(program("caddy"))
    def test_caddy(self) -> None:
        self.walk(caddy)


class PlatformTests(HttpsCase):
    """Each platform's header lines, sent to a hub with that platform's environment."""

    def walk(self, platform: str) -> None:
        environment, headers = PLATFORMS[platform]
        running = self.fresh(environment)
        journey = Journey(running, Browser(running.port, None, headers), Browser(running.port, None, headers))
        journey.walk()
        self.all_is_secure(journey.pages)

    def test_render(self) -> None:
        self.walk("Render")

    def test_fly(self) -> None:
        self.walk("Fly")

    def test_caddy(self) -> None:
        self.walk("Caddy")

    def test_nginx(self) -> None:
        self.walk("nginx")

    def test_cloudflare_tunnel(self) -> None:
        self.walk("Cloudflare Tunnel")

    def test_tailscale_serve(self) -> None:
        self.walk("Tailscale Serve")

    def test_tailscale_funnel(self) -> None:
        self.walk("Tailscale Funnel")

    def test_traefik(self) -> None:
        self.walk("Traefik")

    def test_each_platform_is_walked(self) -> None:
        tests = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertLessEqual({name.lower().replace(" ", "_") for name in PLATFORMS}, tests)


# What one client sends to a hub with one trusted hop, and whether that is https. The hop writes the last value.
CLAIMS: tuple[tuple[tuple[str, ...], bool], ...] = (
    (("X-Forwarded-Proto: https",), True),
    (("X-Forwarded-Proto: HTTPS",), True),
    (("x-forwarded-proto:https\t",), True),
    (("X-Forwarded-Proto: http, https",), True),
    (("X-Forwarded-Proto: http", "X-Forwarded-Proto: https"), True),
    (("X-Forwarded-Proto: https, http",), False),
    (("X-Forwarded-Proto: https", "X-Forwarded-Proto: http"), False),
    (("X-FORWARDED-PROTO: https", "x-forwarded-proto: http"), False),
    (("X-Forwarded-Proto: https,",), False),
    (("X-Forwarded-Proto: https", "X-Forwarded-Proto:"), False),
    (("X-Forwarded-Proto: https;q=1",), False),
    (('X-Forwarded-Proto: "https"',), False),
    (("X-Forwarded-Proto: https https",), False),
    (("X_Forwarded_Proto: https",), False),
    (("X-Forwarded-Scheme: https",), False),
    (("X-Forwarded-Ssl: on", "X-Forwarded-Port: 443", "Front-End-Https: on", "X-Url-Scheme: https"), False),
    (("Forwarded: for=1.2.3.4;proto=https;host=hub.example.com",), False),
    (("Forwarded: proto=https", "X-Forwarded-Proto: http"), False),
    (('CF-Visitor: {"scheme":"https"}', "Fly-Forwarded-Proto: https"), False),
    (("Connection: X-Forwarded-Proto", "X-Forwarded-Proto: http"), False),
)


class ClaimTests(HttpsCase):
    """Only the last trusted proxy decides whether the browser used https."""

    def is_secure(self, port: int, lines: tuple[str, ...], target: str = "/admin/setup") -> bool:
        """Whether the first page considered the request https; cookie and HSTS always agree."""
        head = [f"GET {target} HTTP/1.1", f"Host: {NAME}", "Accept: text/html", "X-Forwarded-For: 1.2.3.4", *lines]
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            connection.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), (lines, answer))
        found = {b"Set-Cookie: __Host-" in answer, b"Strict-Transport-Security: " in answer, b"; Secure" in answer}
        self.assertEqual(len(found), 1, (lines, answer))
        return found.pop()

    def test_behind_one_trusted_hop(self) -> None:
        port = self.fresh(BEHIND_A_PROXY).port
        for lines, secure in CLAIMS:
            self.assertEqual(self.is_secure(port, lines), secure, lines)
        self.assertFalse(self.is_secure(port, (), f"https://{NAME}/admin/setup"))

    def test_without_trusted_hops(self) -> None:
        port = self.fresh({"PARACHUTE_HUB_ORIGIN": ORIGIN}).port
        for lines, _ in CLAIMS:
            self.assertFalse(self.is_secure(port, lines), lines)
        for name, (_, headers) in PLATFORMS.items():
            self.assertFalse(self.is_secure(port, tuple(f"{key}: {value}" for key, value in headers.items())), name)
        self.assertFalse(self.is_secure(port, (), f"https://{NAME}/admin/setup"))
