"""The page on which a way is opened, and the QR code: a laptop and a phone, in two Chromium contexts."""

import os
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.admin_app import built
from tests.browser.browser import DESK, PHONE, TABLET, chromium, findings, picture, wider_than_the_window, window
from tests.live.edges import nginx
from tests.live.harness import OWNER, HubProcess, hub
from tests.requirements import program, requires
from tests.support import ways

PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 Version/26.0 Safari/604.1"


@requires(program("chromium"), program("nginx"))
class ReachTests(SynchronousTestCase):
    def check(self, page: Page, name: str) -> None:
        """No finding, and nothing wider than the window."""
        for size in (PHONE, TABLET, DESK):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            self.assertFalse(wider_than_the_window(page), (name, size))
            picture(page, f"{name}-{size['width']}")
        self.assertEqual(findings(page, every=True), [], name)

    def confirm(self, page: Page) -> None:
        dialog = page.get_by_role("dialog", name="Confirm it's you")
        dialog.get_by_label("Password").fill(PASSWORD)
        dialog.get_by_role("button", name="Continue").click()

    def test_a_way_is_opened_and_a_phone_let_in(self) -> None:
        built()
        folder = Path(self.mktemp()).absolute()
        programs = ways.install(folder, "tailscale")
        path = f"{programs}:{os.environ['PATH']}"
        running = hub(self, environment={"PATH": path, "HOME": str(folder)}).start()
        # What Tailscale does: it takes https at the name, and passes it on.
        edge = nginx(self, running.port)
        flag = f"--host-resolver-rules=MAP {ways.NAME}:443 127.0.0.1:{edge.tls}"
        phone: dict[str, Any] = {
            "user_agent": IPHONE,
            "viewport": {"width": 390, "height": 700},
            "ignore_https_errors": True,
        }
        with chromium(flag) as browser, window(browser, bypass_csp=True) as (_, laptop):
            self.open_way(laptop, running, folder)
            link = self.code(laptop)
            with window(browser, bypass_csp=True, **phone) as (_, mobile):
                self.let_in(laptop, mobile, link)
            laptop.get_by_role("button", name="Close it").click()
            laptop.get_by_role("dialog").get_by_role("button", name="Close it").click()
            self.confirm(laptop)
            expect(laptop.get_by_text("cannot reach")).to_be_visible()
            self.assertEqual(ways.served(folder), {})

    def test_a_friend_lets_their_own_phone_in(self) -> None:
        """Who does not run the hub finds it on the front page."""
        behind = {"PARACHUTE_TRUSTED_HOPS": "1", "PARACHUTE_HUB_ORIGIN": f"https://{ways.NAME}"}
        running = hub(self, environment=behind).start()
        running.client.call("POST", "/api/users", {"username": "grace", "password": "for one sign-in only"})
        edge = nginx(self, running.port)
        flag = f"--host-resolver-rules=MAP {ways.NAME}:443 127.0.0.1:{edge.tls}"
        options: dict[str, Any] = {"bypass_csp": True, "ignore_https_errors": True}
        with (
            chromium(flag) as browser,
            window(browser, **options) as (_, laptop),
            window(browser, user_agent=IPHONE, **options) as (_, mobile),
        ):
            laptop.goto(f"https://{ways.NAME}/login")
            laptop.fill("#username", "grace")
            laptop.fill("#password", "for one sign-in only")
            laptop.keyboard.press("Enter")
            laptop.get_by_label("Current password").fill("for one sign-in only")
            laptop.get_by_label("New password", exact=True).fill(PASSWORD)
            laptop.get_by_label("Repeat new password").fill(PASSWORD)
            laptop.keyboard.press("Enter")
            laptop.get_by_text("Your password was changed").wait_for()
            laptop.goto(f"https://{ways.NAME}/")
            self.check(laptop, "friend-home")
            laptop.get_by_role("link", name="Use your notes on your phone").click()
            self.check(laptop, "friend-phone-ask")
            laptop.get_by_label("Your password").fill(PASSWORD)
            laptop.get_by_role("button", name="Show the code").click()
            expect(laptop.get_by_role("img", name="QR code for your phone")).to_be_visible()
            self.check(laptop, "friend-phone-code")
            laptop.get_by_text("No camera?").click()
            mobile.goto(laptop.locator("[data-copy]").inner_text())
            mobile.get_by_role("button", name="Continue").click()
            expect(mobile.locator("#number")).to_have_text(re.compile("[0-9]{2}"))
            expect(laptop.get_by_text("Safari on iPhone")).to_be_visible()
            expect(laptop.locator(".number")).to_have_text(mobile.locator("#number").inner_text())
            self.check(laptop, "friend-phone-answer")
            laptop.get_by_role("button", name="Allow").click()
            expect(laptop.get_by_role("heading", name="Your phone is signed in")).to_be_visible()
            self.check(laptop, "friend-phone-in")
            mobile.wait_for_url(f"https://{ways.NAME}/")
            expect(mobile.get_by_text("Hello, grace")).to_be_visible()
            self.assertEqual(mobile.get_by_role("link", name="Use your notes on your phone").count(), 0)

    def open_way(self, laptop: Page, running: HubProcess, folder: Path) -> None:
        """Nothing runs before the person has seen what would run, and has confirmed it."""
        laptop.goto(f"{running.url}/login?next=/admin/settings/reach")
        laptop.fill("#username", "owner")
        laptop.fill("#password", PASSWORD)
        laptop.keyboard.press("Enter")
        expect(laptop.get_by_text("cannot reach")).to_be_visible()
        self.check(laptop, "reach-ways")
        laptop.get_by_role("button", name="Continue with Tailscale", exact=True).click()
        expect(laptop.get_by_text(f"serve --bg --https=443 http://127.0.0.1:{running.port}")).to_be_visible()
        expect(laptop.get_by_text("Devices in your tailnet can open the sign-in page")).to_be_visible()
        self.assertEqual(ways.calls(folder), [])
        self.check(laptop, "reach-plan")
        laptop.get_by_role("button", name="Open this way").click()
        self.confirm(laptop)
        expect(laptop.get_by_role("heading", name="Open now: Tailscale")).to_be_visible()
        self.check(laptop, "reach-open")

    def code(self, laptop: Page) -> str:
        """The link behind the QR code."""
        laptop.get_by_role("button", name="Show the code").click()
        self.confirm(laptop)
        expect(laptop.get_by_role("img", name="QR code for your phone")).to_be_visible()
        laptop.get_by_text("No camera?").click()
        link = laptop.get_by_role("group", name="Link for your phone").inner_text()
        self.assertTrue(link.startswith(f"https://{ways.NAME}/login/phone#"), link)
        self.check(laptop, "phone-code")
        return link

    def let_in(self, laptop: Page, mobile: Page, link: str) -> None:
        """The phone waits, also after a reload, until the laptop lets it in; then the link is used up."""
        mobile.goto(link)
        self.check(mobile, "phone-ask")
        mobile.get_by_role("button", name="Continue").click()
        expect(mobile.locator("#number")).to_have_text(re.compile("[0-9]{2}"))
        number = mobile.locator("#number").inner_text()
        self.assertEqual(mobile.url, f"https://{ways.NAME}/login/phone")
        self.check(mobile, "phone-waits")
        told = laptop.get_by_text("wants to sign in")
        expect(told).to_contain_text("Safari on iPhone")
        expect(told).to_contain_text(number)
        mobile.reload()
        expect(mobile.locator("#number")).to_have_text(number)
        self.check(laptop, "phone-wants-in")
        laptop.get_by_role("button", name="Allow").click()
        expect(laptop.get_by_text("Your phone is signed in")).to_be_visible()
        mobile.wait_for_url(f"https://{ways.NAME}/")
        mobile.goto(f"https://{ways.NAME}/admin/")
        mobile.wait_for_url(f"https://{ways.NAME}/")
        mobile.goto(link)
        mobile.get_by_role("button", name="Continue").click()
        expect(mobile.get_by_role("alert")).to_contain_text("has ended")
