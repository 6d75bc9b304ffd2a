"""The page on which a person types the code of a device: at both widths, by keyboard, with axe."""

from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Page
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.authorization.scopes import COMMAND
from parachute_hub.oauth.device.policy import GRANT
from tests.browser.browser import DESK, PHONE, chromium, findings, focused, picture, wider_than_the_window, window
from tests.live.harness import OWNER, Reply, fetch, hub
from tests.requirements import program, requires

PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@requires(program("chromium"))
class DevicePageTests(SynchronousTestCase):
    def post(self, path: str, **values: str) -> Reply:
        """The device asks the hub."""
        return fetch(f"{self.url}{path}", method="POST", body=urlencode(values).encode(), headers=FORM)

    def check(self, page: Page, name: str) -> None:
        """No finding, and nothing wider than a phone."""
        for size in (PHONE, DESK):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            self.assertFalse(wider_than_the_window(page), (name, size))
            self.assertEqual(findings(page, every=True), [], (name, size))
            picture(page, f"{name}-{size['width']}")

    def test_a_code_is_typed_and_the_device_let_in(self) -> None:
        """With the keyboard alone. A link fills nothing; a wrong code and a wrong password can be mended."""
        self.url = hub(self).start().url
        with chromium() as browser, window(browser, bypass_csp=True) as (_, page):
            # Only now, because the page says for how long this is.
            begun: Any = self.post("/oauth/device_authorization", client_id=COMMAND).json()
            asked = {"grant_type": GRANT, "client_id": COMMAND, "device_code": begun["device_code"]}
            page.goto(f"{begun['verification_uri']}?user_code={begun['user_code']}")
            page.fill("#username", "owner")
            page.fill("#password", PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_selector("text=Only if you started this")
            self.assertEqual(page.input_value("#user_code"), "")
            self.check(page, "device-code")
            page.focus("#user_code")
            page.keyboard.type("bbbb-bbbb")
            page.keyboard.press("Enter")
            page.wait_for_selector("[role=alert]")
            page.focus("#user_code")
            page.keyboard.type(begun["user_code"].lower())
            page.keyboard.press("Enter")
            page.wait_for_selector("text=Let “Parachute command” in?")
            for shown in ("127.0.0.1", "a few seconds ago", "Only if you started this"):
                self.assertIn(shown, page.inner_text("main"))
            self.check(page, "device")
            page.focus("#password")
            page.keyboard.type("wrong")
            page.keyboard.press("Enter")
            page.wait_for_selector("[role=alert]")
            page.focus("#password")
            page.keyboard.type(PASSWORD)
            page.keyboard.press("Tab")
            self.assertEqual(focused(page), "approve")
            page.keyboard.press("Enter")
            page.wait_for_selector("text=goes on by itself")
            self.check(page, "device-done")
        self.assertEqual(self.post("/oauth/token", **asked).status, 200)
