"""Moving in from the older hub in Chromium: by phone and desktop, without JavaScript, checked with axe-core."""

from pathlib import Path

from playwright.sync_api import Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.browser import DESK, PHONE, chromium, findings, picture, wider_than_the_window, window
from tests.browser.door import open_door
from tests.requirements import program, requires


@requires(program("chromium"))
class MoveInTests(SynchronousTestCase):
    scripts = True

    def look(self, page: Page, name: str) -> None:
        self.assertFalse(wider_than_the_window(page), f"{name} scrolls sideways")
        if self.scripts:
            self.assertEqual(findings(page), [], name)
        picture(page, f"move-in-{name}-{(page.viewport_size or DESK)['width']}")

    def walk(self, page: Page, url: str, token: str) -> None:
        page.goto(url)
        expect(page.get_by_text("We found your old hub.")).to_be_visible()
        self.look(page, "offer")
        if self.scripts:
            page.get_by_label("Setup token").fill(token)
        page.get_by_role("link", name="Move in").click()
        expect(page.get_by_label("Setup token")).to_have_value(token if self.scripts else "")
        page.get_by_label("Setup token").fill("guess")
        page.get_by_role("button", name="Show what comes along").click()
        expect(page.get_by_role("alert")).to_contain_text("not the setup token")
        self.look(page, "mistake")
        page.get_by_label("Setup token").fill(token)
        page.get_by_role("button", name="Show what comes along").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("This comes along")
        expect(page.get_by_text("owner (owner, with second factor)")).to_be_visible()
        expect(page.get_by_text("An app that renews its access here must be connected again there.")).to_be_visible()
        self.look(page, "plan")
        page.get_by_role("button", name="Move in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Welcome back")
        self.look(page, "done")
        page.get_by_role("link", name="Sign in").click()
        page.get_by_label("Username").fill("friend")
        page.get_by_label("Password", exact=True).fill("friend-password-123")
        page.get_by_role("button", name="Sign in").click()
        # The older hub gave this password out, and it was never changed.
        expect(page.get_by_role("heading", level=1)).to_contain_text("password")

    def test_on_a_desk(self) -> None:
        home = Path(self.mktemp()).absolute()
        with open_door(home) as (url, token), chromium() as browser, window(browser, viewport=DESK) as (_, page):
            self.walk(page, url, token)

    def test_on_a_phone_without_javascript(self) -> None:
        self.scripts = False
        home = Path(self.mktemp()).absolute()
        with (
            open_door(home) as (url, token),
            chromium() as browser,
            window(browser, viewport=PHONE, java_script_enabled=False, color_scheme="dark") as (_, page),
        ):
            self.walk(page, url, token)
