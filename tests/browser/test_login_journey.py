"""Signing in, the account and the second factor in Chromium, with and without JavaScript."""

import re

import pyotp
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
    slow,
    until,
    wider_than_the_window,
    window,
)
from tests.browser.door import claim, open_door, sign_in
from tests.requirements import program, requires

PASSWORD = "three small paper boats"


@requires(program("chromium"))
class LoginTests(SynchronousTestCase):
    """An owner who skipped the wizard."""

    # axe-core is a script: where scripts are off it cannot look. The pages are the same.
    scripts = True

    def look(self, page: Page, name: str) -> None:
        self.assertFalse(wider_than_the_window(page), f"{name} scrolls sideways")
        if self.scripts:
            self.assertEqual(findings(page), [], name)
        picture(page, f"login-{name}-{(page.viewport_size or DESK)['width']}")

    def own(self, page: Page, url: str, token: str) -> None:
        claim(page, url, token, PASSWORD)

    def sign_in(self, page: Page, password: str = PASSWORD) -> None:
        sign_in(page, password)

    def press(self, page: Page, name: str) -> None:
        """A button; a browser without JavaScript is asked for the password then."""
        page.get_by_role("button", name=name).click()
        if not self.scripts:
            confirm_by_password(page, PASSWORD)

    def walk(self, page: Page, url: str, token: str) -> None:
        """Turn on the second factor, sign out, make a mistake, sign in with both, change the password."""
        self.own(page, url, token)
        page.goto(url + "/account")
        self.look(page, "account")
        page.get_by_role("link", name="Add second factor").click()
        self.look(page, "factor-off")
        page.get_by_label("Your password").fill(PASSWORD)
        self.press(page, "Set up an app")
        expect(page.get_by_role("img", name="QR code for your app")).to_be_visible()
        self.look(page, "factor-started")
        page.get_by_text("Cannot scan?").click()
        app = pyotp.TOTP((page.locator(".copy").text_content() or "").replace(" ", ""))
        page.get_by_label("Code from the app").fill(app.now())
        self.press(page, "Switch it on")
        expect(page.locator(".codes code")).to_have_count(10)
        codes = page.locator(".codes code").all_text_contents()
        self.look(page, "factor-codes")
        page.get_by_role("link", name="I have kept them").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(url + "/login")
        self.look(page, "login")
        self.sign_in(page, "three small paper boots")
        expect(page.get_by_role("alert")).to_contain_text("do not match")
        self.look(page, "wrong")
        self.sign_in(page)
        expect(page).to_have_url(url + "/login/2fa")
        self.look(page, "code")
        page.get_by_label("Code").fill(codes[0])
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(re.compile("/admin/$"))
        page.goto(url + "/account/2fa")
        expect(page.get_by_text("9 recovery codes")).to_be_visible()
        self.look(page, "factor-on")
        page.goto(url + "/account/sessions")
        self.look(page, "sessions")
        page.goto(url + "/account/change-password")
        self.look(page, "change-password")
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("New password", exact=True).fill("four rather new words")
        page.get_by_label("Repeat new password").fill("four rather new words")
        self.press(page, "Change password")
        expect(page).to_have_url(url + "/account?done=password")
        expect(page.get_by_role("status")).to_contain_text("Your password was changed")

    def test_on_a_desk(self) -> None:
        with open_door() as (url, token), chromium() as browser, window(browser) as (_, page):
            self.walk(page, url, token)

    def test_on_a_phone_without_javascript(self) -> None:
        with (
            open_door() as (url, token),
            chromium() as browser,
            window(browser, viewport=PHONE, java_script_enabled=False, color_scheme="dark") as (_, page),
        ):
            self.scripts = False
            self.walk(page, url, token)

    def test_on_a_slow_network_with_an_impatient_finger(self) -> None:
        """400 ms and 50 KB/s: each page comes whole, and pressing twice signs in once."""
        with open_door() as (url, token), chromium() as browser:
            with window(browser) as (_, page):
                self.own(page, url, token)
            with window(browser, viewport=PHONE) as (_, page):
                slow(page)
                page.goto(url + "/login")
                page.get_by_label("Username").fill("owner")
                page.get_by_label("Password").fill(PASSWORD)
                page.get_by_role("button", name="Sign in").dblclick()
                page.wait_for_url(lambda place: "/login" not in place)
                for path, words in (("account", "Your account"), ("account/sessions", "Sessions and devices")):
                    page.goto(f"{url}/{path}", wait_until="commit")
                    expect(page.get_by_role("heading", level=1)).to_have_text(words)
                    self.look(page, f"slow-{path.replace('/', '-')}")

    def test_by_keyboard_alone(self) -> None:
        with open_door() as (url, token), chromium() as browser:
            with window(browser) as (_, page):
                self.own(page, url, token)
            with window(browser) as (_, page):
                page.goto(url + "/login")
                page.keyboard.press("Tab")
                self.assertEqual(focused(page), "Parachute")
                for name, text in (("username", "owner"), ("password", PASSWORD)):
                    page.keyboard.press("Tab")
                    self.assertEqual(focused(page), name)
                    page.keyboard.type(text)
                page.keyboard.press("Enter")
                page.wait_for_url(re.compile("/admin/$"))

    def test_another_origin_cannot_sign_anybody_in_or_frame_the_page(self) -> None:
        """Login CSRF and clickjacking from another port of this host, which is the same site."""
        with open_door() as (url, token), open_door() as (foreign, _), chromium() as browser:
            with window(browser) as (_, page):
                self.own(page, url, token)
            with window(browser) as (_, page):
                page.goto(url + "/login")
                csrf = page.locator("input[name=__csrf]").input_value()
                page.goto(foreign + "/static/hub/icon.svg")
                page.goto("about:blank")
                page.route("**/attack", lambda route: route.fulfill(body=attack(url, csrf), content_type="text/html"))
                page.goto(foreign + "/attack")
                # Chromium puts its own page in the place of one that may not be framed.
                until(page, lambda: page.frames[-1].url.startswith("chrome-error:"), "the frame to be refused")
                page.click("#post")
                expect(page.get_by_text("out of date")).to_be_visible()
                page.goto(url + "/account")
                expect(page).to_have_url(re.compile("/login"))


def attack(url: str, csrf: str) -> str:
    """A foreign page that even knows the CSRF token."""
    return f"""<!doctype html><title>attack</title><iframe src="{url}/login"></iframe>
<form method="post" action="{url}/login">
<input name="__csrf" value="{csrf}"><input name="username" value="owner"><input name="password" value="{PASSWORD}">
<button id="post">win</button></form>"""
