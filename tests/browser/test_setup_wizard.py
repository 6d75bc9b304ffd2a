"""First run in Chromium: phone and desktop, with and without JavaScript, keyboard only, checked with axe-core."""

from playwright.sync_api import Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.browser import (
    DESK,
    PHONE,
    chromium,
    confirm_by_password,
    findings,
    focused,
    picture,
    wider_than_the_window,
    window,
)
from tests.browser.door import open_door
from tests.requirements import program, requires

PASSWORD = "three small paper boats"


# A click returns before the next page has replaced the old one.
HEADINGS = {
    "vault": "Name your first vault",
    "scribe": "Who turns speech into text?",
    "reach": "How do you reach this hub?",
}


@requires(program("chromium"))
class WizardTests(SynchronousTestCase):
    """Each walk starts on a fresh hub."""

    # axe-core is a script: where scripts are off it cannot look. The pages are the same.
    scripts = True

    def look(self, page: Page, name: str) -> None:
        """Nothing overflows and nothing is inaccessible. Waits for the page with its heading."""
        if name in HEADINGS:
            expect(page.get_by_role("heading", level=1)).to_have_text(HEADINGS[name])
        self.assertFalse(wider_than_the_window(page), f"{name} scrolls sideways")
        if self.scripts:
            self.assertEqual(findings(page), [], name)
        picture(page, f"setup-{name}-{(page.viewport_size or DESK)['width']}")

    def claim(self, page: Page, url: str, token: str) -> None:
        page.goto(url)
        expect(page).to_have_url(f"{url}/admin/setup")
        self.look(page, "account")
        page.get_by_label("Setup token").fill(token)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Repeat password").fill("three small paper boots")
        page.get_by_role("button", name="Make it mine").click()
        expect(page.get_by_role("alert")).to_contain_text("do not match")
        self.look(page, "mistake")
        self.assertEqual(page.get_by_label("Setup token").input_value(), token)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Repeat password").fill(PASSWORD)
        page.get_by_role("button", name="Make it mine").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("What should it do?")

    def press(self, page: Page, name: str) -> None:
        """A button; a browser without JavaScript is asked for the password then."""
        page.get_by_role("button", name=name).click()
        if not self.scripts:
            confirm_by_password(page, PASSWORD)

    def walk(self, page: Page, url: str, token: str) -> None:
        """From a fresh hub to the last page; scribe fails first and is retried."""
        self.claim(page, url, token)
        page.get_by_text("Speech to text").click()
        self.look(page, "modules")
        self.press(page, "Continue")
        self.look(page, "vault")
        page.get_by_label("Name of the vault").fill("mine")
        self.press(page, "Continue")
        self.look(page, "scribe")
        self.press(page, "Later")
        expect(page.get_by_role("heading", level=1)).to_have_text("Installing")
        self.look(page, "installing")
        self.press(page, "Try again Scribe")
        expect(page.get_by_role("heading", level=1)).to_have_text("All installed")
        self.look(page, "installed")
        self.press(page, "Continue")
        self.look(page, "reach")
        page.get_by_label("From my own devices").check()
        self.press(page, "Finish")
        expect(page.get_by_role("heading", level=1)).to_have_text("Your hub is ready")
        expect(page.get_by_text("claude mcp add")).to_contain_text("/vault/mine/mcp")
        if self.scripts:
            page.get_by_role("button", name="Copy").click()
            expect(page.get_by_text("Copied")).to_be_visible()
        for name, place in (("ChatGPT", "chatgpt"), ("Cursor", "cursor")):
            expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute(
                "href", f"/account/connect/{place}?vault=mine"
            )
        expect(page.get_by_role("link", name="Open Notes")).to_have_attribute("href", "/notes/")
        self.look(page, "done")

    def test_on_a_desk(self) -> None:
        with open_door() as (url, token), chromium() as browser, window(browser, viewport=DESK) as (_, page):
            self.walk(page, url, token)

    def test_the_link_of_the_log_fills_the_token_in_and_leaves_the_history(self) -> None:
        with open_door() as (url, token), chromium() as browser, window(browser, viewport=DESK) as (_, page):
            page.goto(f"{url}/admin/setup#{token}")
            expect(page.get_by_label("Setup token")).to_have_value(token)
            expect(page).to_have_url(f"{url}/admin/setup")
            self.assertEqual(focused(page), "password")
            # Opened once more, in the page that is open already.
            page.get_by_label("Setup token").fill("")
            page.evaluate("token => { location.hash = token }", token)
            expect(page.get_by_label("Setup token")).to_have_value(token)
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_label("Repeat password").fill(PASSWORD)
            page.get_by_role("button", name="Make it mine").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("What should it do?")
            for _ in range(2):
                page.go_back()
                self.assertNotIn(token, page.url)

    def test_on_a_phone_in_the_dark(self) -> None:
        with (
            open_door() as (url, token),
            chromium() as browser,
            window(browser, viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True) as (_, page),
        ):
            self.walk(page, url, token)

    def test_on_a_phone_without_javascript(self) -> None:
        with (
            open_door() as (url, token),
            chromium() as browser,
            window(browser, viewport=PHONE, java_script_enabled=False) as (_, page),
        ):
            self.scripts = False
            self.walk(page, url, token)

    def test_on_a_desk_without_javascript(self) -> None:
        with (
            open_door() as (url, token),
            chromium() as browser,
            window(browser, viewport=DESK, java_script_enabled=False) as (_, page),
        ):
            self.scripts = False
            self.walk(page, url, token)

    def test_interrupted_and_resumed_in_another_browser(self) -> None:
        with open_door() as (url, token), chromium() as browser:
            with window(browser) as (_, page):
                self.claim(page, url, token)
                page.get_by_role("button", name="Continue").click()
                expect(page.get_by_label("Name of the vault")).to_be_visible()
            with window(browser) as (_, page):
                page.goto(url + "/admin/setup")
                page.get_by_label("Username").fill("owner")
                page.get_by_label("Password").fill(PASSWORD)
                page.get_by_role("button", name="Sign in").click()
                expect(page.get_by_label("Name of the vault")).to_be_visible()

    def pass_the_way_home(self, page: Page) -> None:
        """The link at the top of each page comes first."""
        page.keyboard.press("Tab")
        self.assertEqual(focused(page), "Parachute")

    def test_by_keyboard_alone(self) -> None:
        """Tab, Space, Enter and typing; the focus is always visible and moves down the page."""
        with open_door() as (url, token), chromium() as browser, window(browser) as (_, page):
            page.goto(url)
            self.pass_the_way_home(page)
            for name, text in (
                ("bootstrap_token", token),
                ("username", ""),
                ("password", PASSWORD),
                ("password_confirm", PASSWORD),
            ):
                page.keyboard.press("Tab")
                self.assertEqual(focused(page), name)
                self.assertNotEqual(outline(page), "none")
                page.keyboard.type(text)
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", level=1)).to_have_text("What should it do?")
            self.pass_the_way_home(page)
            for _ in range(3):
                page.keyboard.press("Tab")
                self.assertEqual(focused(page), "modules")
            page.keyboard.press("Tab")
            self.assertEqual(focused(page), "Continue")
            page.keyboard.press("Enter")
            page.get_by_label("Name of the vault").wait_for()
            self.pass_the_way_home(page)
            page.keyboard.press("Tab")
            self.assertEqual(focused(page), "vault_name")
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", level=1)).to_have_text("All installed")


def outline(page: Page) -> str:
    """The outline of the focused element."""
    return str(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
