"""Consent in a real browser: works without JavaScript, leads back to the app, and no script can press its button."""

import http.server
import socket
import threading
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Page, Request, Route
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.browser import PHONE, chromium, confirm_by_password, findings, picture, until, window
from tests.live.harness import OWNER, HubProcess, fetch
from tests.live.oauth_rig import vault_hub
from tests.requirements import program, requires

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]


class App(http.server.BaseHTTPRequestHandler):
    """An app on this computer that waits for its code. `/hop` sends the browser on to the address in its query."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/hop":
            self.send_response(302)
            self.send_header("Location", parse_qs(parts.query)["to"][0])
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>the app</title><a href='#'>here</a>")

    def log_message(self, *_: object) -> None:
        pass


class OnIPv6(http.server.ThreadingHTTPServer):
    """The same on the other loopback address."""

    address_family = socket.AF_INET6


@requires(program("chromium"))
class ConsentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub: HubProcess = vault_hub(self)
        self.wait_at(http.server.ThreadingHTTPServer(("127.0.0.1", 0), App), "127.0.0.1")

    def wait_at(self, app: http.server.ThreadingHTTPServer, host: str, path: str = "/callback") -> None:
        """Serve the app until the test ends, and register it."""
        thread = threading.Thread(target=app.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(app.server_close)
        self.addCleanup(app.shutdown)
        self.callback = f"http://{host}:{app.server_address[1]}{path}"
        self.register()

    def register(self) -> None:
        """Make the app known to the hub by its callback."""
        body = {"redirect_uris": [self.callback], "client_name": "Claude Code"}
        self.client_id = fetch(f"{self.hub.url}/oauth/register", method="POST", body=body).json()["client_id"]

    def ask(self, **changes: str) -> str:
        values = {
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "response_type": "code",
            "scope": "vault:read vault:write vault:admin",
            "state": "s",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": f"{self.hub.url}/vault/default/mcp",
            **changes,
        }
        return f"{self.hub.url}/oauth/authorize?{urlencode(values)}"

    def sign_in(self, page: Page) -> None:
        page.fill("#username", "owner")
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]")

    def test_without_scripts_on_a_phone(self) -> None:
        """Sign in, read, untick, type the password, and return to the app with a code for the ticked scopes."""
        with chromium() as browser, window(browser, viewport=PHONE, java_script_enabled=False) as (_, page):
            page.goto(self.ask())
            self.sign_in(page)
            page.wait_for_selector("text=Allow “Claude Code”?")
            picture(page, "consent-phone")
            width = page.locator("main").bounding_box()
            assert width is not None
            self.assertLessEqual(width["width"], PHONE["width"])
            page.uncheck("input[value='vault:default:admin']")
            page.fill("#password", PASSWORD)
            page.click("button[value=yes]")
            confirm_by_password(page, PASSWORD)
            page.wait_for_url(f"{self.callback}?*")
            self.assertEqual(page.title(), "the app")
            sent = parse_qs(urlsplit(page.url).query)
            self.assertEqual((sent["state"], sent["iss"], len(sent["code"])), (["s"], [self.hub.url], 1))
            page.goto(f"{self.hub.url}/account/apps")
            picture(page, "apps-phone")
            self.assertIn("Read your notes in “default”", page.inner_text("main"))
            self.assertNotIn("Manage everything", page.inner_text("main"))
            page.click("button.danger")
            confirm_by_password(page, PASSWORD)
            page.wait_for_selector("text=No app is connected")

    def test_an_app_on_ipv6(self) -> None:
        """The page's policy allows the form to lead to an address it cannot name."""
        self.wait_at(OnIPv6(("::1", 0), App), "[::1]")
        with chromium() as browser, window(browser) as (_, page):
            page.goto(self.ask(scope="vault:read"))
            self.sign_in(page)
            page.wait_for_selector("text=Allow “Claude Code”?")
            if page.locator("#password").count():
                page.fill("#password", PASSWORD)
            page.click("button[value=yes]")
            page.wait_for_url(f"{self.callback}?code=*")
            self.assertEqual(page.title(), "the app")

    def test_everybody_can_use_the_page(self) -> None:
        """No serious axe finding; everything works by keyboard; a wrong password is reported and ticks are kept."""
        with chromium() as browser, window(browser, bypass_csp=True) as (_, page):
            page.goto(self.ask())
            self.sign_in(page)
            page.wait_for_selector("text=Allow “Claude Code”?")
            picture(page, "consent-desk")
            self.assertEqual(findings(page), [])
            page.uncheck("input[value='vault:default:write']")
            page.fill("#password", "wrong")
            page.keyboard.press("Enter")
            page.wait_for_selector("[role=alert]")
            self.assertFalse(page.is_checked("input[value='vault:default:write']"))
            self.assertTrue(page.is_checked("input[value='vault:default:read']"))
            picture(page, "consent-wrong")
            page.fill("#password", PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(f"{self.callback}?code=*")

    def test_a_script_on_our_origin_cannot_consent(self) -> None:
        """A module's page shares our origin: with the session cookie, `fetch`, frames and windows it gets no code."""
        with chromium() as browser, window(browser) as (context, page):
            page.goto(f"{self.hub.url}/login")
            self.sign_in(page)
            page.wait_for_url(lambda url: "/login" not in url)
            page.goto(f"{self.hub.url}/vault/default/.parachute/icon.svg")
            seen = page.evaluate(
                """async (ask) => {
                    const text = await fetch(ask, { credentials: "include" }).then((r) => r.text())
                    const csrf = await fetch("/api/me").then((r) => r.json()).then((me) => me.csrf ?? "")
                    const form = new URLSearchParams(new URL(ask).search)
                    for (const [name, value] of [["__action", "consent"], ["approve", "yes"], ["__csrf", csrf]])
                        form.append(name, value)
                    form.append("granted_scope", "vault:default:read")
                    const posted = await fetch("/oauth/authorize", { method: "POST", body: form, redirect: "manual" })
                    const popup = window.open(ask)
                    await new Promise((go) => setTimeout(go, 1500))
                    let inside = ""
                    try { inside = popup.document.body.innerText } catch (error) { inside = "closed off" }
                    return { ticket: text.includes('name="ticket"'), csrf: csrf.length > 0, posted: posted.status,
                             kind: posted.type, inside }
                }""",
                self.ask(scope="vault:read"),
            )
            self.assertTrue(seen["csrf"], "the script has the form token: the ticket is what stops it")
            self.assertEqual((seen["ticket"], seen["posted"], seen["kind"]), (False, 403, "basic"))
            self.assertNotIn("Allow", seen["inside"])

    def test_a_page_with_our_own_opener_policy_cannot_reach_in(self) -> None:
        """As a module's service worker could make one up; the proxy takes the header off what modules send."""

        def made_up(route: Route) -> None:
            answer = route.fetch()
            self.assertNotIn("cross-origin-opener-policy", answer.headers)
            headers = {**answer.headers, "cross-origin-opener-policy": "same-origin"}
            route.fulfill(response=answer, headers=headers)

        with chromium() as browser, window(browser, complaints=False) as (_, page):
            page.goto(f"{self.hub.url}/login")
            self.sign_in(page)
            page.wait_for_url(lambda url: "/login" not in url)
            page.route("**/vault/default/.parachute/icon.svg", made_up)
            page.goto(f"{self.hub.url}/vault/default/.parachute/icon.svg")
            for path in (self.ask(scope="vault:read"), f"{self.hub.url}/oauth/device", f"{self.hub.url}/admin/"):
                seen = page.evaluate(
                    """async (path) => {
                        const popup = window.open(path)
                        await new Promise((go) => setTimeout(go, 1500))
                        try { return popup.document.body.innerText } catch (error) { return "closed off" }
                    }""",
                    path,
                )
                self.assertIn(seen, ("closed off", ""), path)

    def allow(self, page: Page) -> None:
        """Say yes on the consent page."""
        page.wait_for_selector("text=Allow “Claude Code”?")
        if page.locator("#password").count():
            page.fill("#password", PASSWORD)
        page.click("button[value=yes]")

    def test_a_callback_that_redirects_on(self) -> None:
        """To another origin: the page's policy is held against every redirect that follows its form."""
        end = f"http://localhost:{urlsplit(self.callback).port}/end"
        self.callback = self.callback.replace("/callback", "/hop?" + urlencode({"to": end}))
        self.register()
        with chromium() as browser, window(browser) as (_, page):
            page.goto(self.ask(scope="vault:read"))
            self.sign_in(page)
            self.allow(page)
            page.wait_for_url(end)
            self.assertEqual(page.title(), "the app")

    def test_an_app_by_its_own_scheme(self) -> None:
        """At once, and by way of a callback. The browser hands the address to the system; no policy stops it."""
        callback = self.callback
        for uri, scheme in (
            ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor"),
            (callback.replace("/callback", "/hop?to=claude%3A%2F%2Fsigned-in"), "claude"),
        ):
            self.callback = uri
            self.register()
            with self.subTest(scheme), chromium() as browser, window(browser) as (_, page):
                # The request that no program takes fails; one that the policy blocks is never made.
                seen: list[str] = []

                def failed(request: Request, seen: list[str] = seen) -> None:
                    seen.append(request.url)

                page.on("requestfailed", failed)
                page.goto(self.ask(scope="vault:read"))
                self.sign_in(page)
                self.allow(page)
                sent = self.called(page, seen, f"{scheme}:")
                if scheme == "cursor":
                    self.assertIn("code=", sent)

    def called(self, page: Page, seen: list[str], scheme: str) -> str:
        """The one address of this scheme that the browser gave to the system."""
        until(page, lambda: any(url.startswith(scheme) for url in seen), f"a call of {scheme}")
        (sent,) = [url for url in seen if url.startswith(scheme)]
        return sent

    def test_a_client_in_a_popup(self) -> None:
        """Its window is cut off: no module's page can reach the consent. Its callback speaks to its own page."""
        origin = f"http://localhost:{urlsplit(self.callback).port}"
        self.callback = f"{origin}/callback"
        self.register()
        with chromium() as browser, window(browser) as (context, page):
            page.goto(f"{origin}/client")
            page.evaluate("""() => { window.told = ""
                new BroadcastChannel("signed-in").onmessage = (event) => { window.told = event.data } }""")
            with context.expect_page() as opened:
                page.evaluate("(url) => { window.popup = window.open(url) }", self.ask(scope="vault:read"))
            popup = opened.value
            self.sign_in(popup)
            self.allow(popup)
            popup.wait_for_url(f"{self.callback}?*")
            self.assertEqual(popup.evaluate("window.opener"), None)
            self.assertTrue(page.evaluate("window.popup.closed"), "as the client sees it")
            popup.evaluate("new BroadcastChannel('signed-in').postMessage(location.search)")
            page.wait_for_function("window.told !== ''")
            self.assertIn("code=", page.evaluate("window.told"))
