"""Two people in two browsers: an owner invites, a friend joins and writes a note, with nothing to guess."""

import os
import time
import zipfile
from contextlib import ExitStack
from typing import Any

from attrs import define, field
from playwright.sync_api import Page, Route, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.admin_app import built
from tests.browser.browser import chromium, findings, picture, wider_than_the_window, window
from tests.browser.notes_rig import SIZES
from tests.live.harness import OWNER, HubProcess, hub, packed_examples
from tests.live.test_command import run
from tests.requirements import program, requires

OWNERS_PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
FRIEND = "Jürgen 🌷"
FRIENDS_PASSWORD = "four quiet grey herons"
# From opening the invitation to a written note, in seconds.
BAR = 60
# Reading a page and finding what to click; typing one letter.
LOOK = 2.5
LETTER = 0.15
REAL = os.environ.get("PARACHUTE_HUMAN_PAUSES") == "1"


@define
class Person:
    """Someone who reads before clicking. Pauses are counted; if PARACHUTE_HUMAN_PAUSES is 1, they are made, too."""

    page: Page
    counted: float = 0.0
    began: float = field(factory=time.monotonic)

    def pause(self, seconds: float) -> None:
        self.counted += seconds
        if REAL:
            time.sleep(seconds)

    def click(self, name: str, role: str = "button", *, exact: bool = True) -> None:
        self.pause(LOOK)
        self.page.get_by_role(role, name=name, exact=exact).click()  # type: ignore[arg-type]

    def fill(self, label: str, text: str) -> None:
        self.pause(LOOK / 2 + LETTER * len(text))
        self.page.get_by_label(label, exact=True).fill(text)

    def type(self, text: str) -> None:
        self.pause(LOOK + LETTER * len(text))
        self.page.keyboard.insert_text(text)

    def seconds(self) -> float:
        """What the person needs: in a test the pauses, which any machine counts alike, in the proof all of the time."""
        return time.monotonic() - self.began if REAL else self.counted


@requires(program("chromium"))
class FriendsCase(SynchronousTestCase):
    """A hub with Vault and Notes, and a browser for each person."""

    def setUp(self) -> None:
        built()
        self.hub: HubProcess = hub(self)
        self.hub.environment, self.hub.catalog = OWNER, packed_examples()
        self.hub.start()
        for short in ("vault", "notes"):
            self.hub.install(short)
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.browser = self.stack.enter_context(chromium())
        self.owner = self.new_browser()
        self.sign_in(self.owner, "owner", OWNERS_PASSWORD)

    def new_browser(self, **options: Any) -> Page:
        _, page = self.stack.enter_context(window(self.browser, **options))
        return page

    def sign_in(self, page: Page, name: str, password: str) -> None:
        page.goto(f"{self.hub.url}/login")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/login" not in url)

    def look(self, page: Page, name: str) -> None:
        """No axe finding and no sideways scrolling at three widths, in light and dark."""
        before = page.viewport_size
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for size in SIZES:
                page.set_viewport_size(size)
                self.assertFalse(wider_than_the_window(page), f"{name} {size['width']}")
                picture(page, f"friends-{name}-{size['width']}-{scheme}")
            self.assertEqual(findings(page), [], f"{name} {scheme}")
        page.emulate_media(color_scheme="light")
        if before:
            page.set_viewport_size(before)

    def invite(self, name: str) -> str:
        """The owner invites somebody with the defaults; returns the link."""
        page = self.owner
        page.goto(f"{self.hub.url}/admin/people")
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_role("button", name="Create invitation").click()
        self.confirm(page)
        link = page.get_by_label("Invitation link", exact=True)
        expect(link).to_be_visible()
        return (link.text_content() or "").strip()

    def confirm(self, page: Page, password: str = OWNERS_PASSWORD) -> None:
        dialog = page.get_by_role("dialog", name="Confirm it's you")
        dialog.get_by_label("Password").fill(password)
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)

    def join(self, page: Page, link: str) -> None:
        """A friend opens the link and joins."""
        page.goto(link)
        page.get_by_label("Password", exact=True).fill(FRIENDS_PASSWORD)
        page.get_by_label("Repeat password").fill(FRIENDS_PASSWORD)
        page.get_by_role("button", name="Join").click()
        page.wait_for_url(f"{self.hub.url}/")


class InvitationTests(FriendsCase):
    def show_public_link(self) -> None:
        """As from a hub that others reach."""
        page = self.owner

        def public(route: Route) -> None:
            answer = route.fetch()
            route.fulfill(response=answer, json={**answer.json(), "url": "https://hub.example.com/account/setup/x"})

        page.reload()
        page.route("**/api/invites/*/link", public)
        page.get_by_role("button", name="Show link").click()
        expect(page.get_by_label("Invitation link", exact=True)).to_have_text("https://hub.example.com/account/setup/x")
        page.unroute("**/api/invites/*/link")

    def test_from_an_invitation_to_a_written_note(self) -> None:
        link = self.invite(FRIEND)
        code = self.owner.get_by_role("img", name="QR code of the invitation link")
        expect(self.owner.get_by_text("This link opens only on this computer.")).to_be_visible()
        expect(code).to_have_count(0)
        self.look(self.owner, "invited")
        self.show_public_link()
        expect(code).to_be_visible()
        self.owner.reload()
        waiting = self.owner.get_by_role("listitem").filter(has_text=f"Invitation for {FRIEND}")
        waiting.get_by_role("button", name="Show link").click()
        expect(waiting.get_by_label("Invitation link", exact=True)).to_have_text(link)

        page = self.new_browser()
        friend = Person(page)
        page.goto(link)
        expect(page.get_by_label("Your name")).to_have_value(FRIEND)
        expect(page.get_by_label("Username")).to_have_value("jurgen")
        self.look(page, "join")
        friend = Person(page)
        page.goto(link)
        friend.fill("Password", FRIENDS_PASSWORD)
        friend.fill("Repeat password", FRIENDS_PASSWORD)
        friend.click("Join")
        page.wait_for_url(f"{self.hub.url}/")
        friend.click("Write a note", "link")
        friend.click("Connect")
        expect(page.get_by_role("heading", name="Allow “Parachute Notes”?")).to_be_visible()
        expect(page.locator("#left-out")).to_have_count(0)
        picture(page, "friends-consent")
        friend.click("Allow")
        expect(page.get_by_label("Title")).to_be_focused()
        friend.type("Hello")
        page.keyboard.press("Enter")
        expect(page.locator(".cm-content")).to_be_focused()
        friend.type("My first note here")
        expect(page.locator("#status")).to_have_text("Saved")
        took = friend.seconds()
        print(f"from the invitation to a written note: {took:.0f} s of {BAR} s")
        self.assertLess(took, BAR)
        people = self.hub.client.call("GET", "/api/users")["users"]
        self.assertEqual([person["vaults"] for person in people], [{}, {"jurgen": "write"}])

    def test_consent_says_what_is_left_out(self) -> None:
        self.hub.client.call(
            "POST", "/api/users", {"username": "kim", "password": FRIENDS_PASSWORD, "assigned_vaults": {}}
        )
        self.hub.install("scribe")
        page = self.new_browser()
        self.sign_in(page, "kim", FRIENDS_PASSWORD)
        page.get_by_label("Current password").fill(FRIENDS_PASSWORD)
        for label in ("New password", "Repeat new password"):
            page.get_by_label(label, exact=True).fill(FRIENDS_PASSWORD + " twice")
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "change-password" not in url)
        page.goto(f"{self.hub.url}/notes")
        page.get_by_role("button", name="Connect").click()
        left = page.locator("#left-out")
        expect(left).to_contain_text("Read your notes: you have no vault yet; ask the owner of this hub for one.")
        self.look(page, "left-out")


class FrontPageTests(FriendsCase):
    def test_the_way_to_everything(self) -> None:
        stranger = self.new_browser()
        stranger.goto(self.hub.url)
        expect(stranger.get_by_role("link", name="Sign in")).to_be_visible()
        expect(stranger.get_by_text("Notes", exact=True)).to_have_count(0)
        self.look(stranger, "front-stranger")

        friend = self.new_browser()
        self.join(friend, self.invite(FRIEND))
        expect(friend.get_by_role("heading", name=f"Hello, {FRIEND}")).to_be_visible()
        icon = friend.locator(".tiles img")
        self.assertGreater(icon.evaluate("img => img.decode().then(() => img.naturalWidth)"), 0)
        self.hub.client.call("POST", "/api/modules/notes/stop")
        self.hub.wait_for(lambda: self.hub.module("notes")["state"] == "stopped", "notes to stop")
        friend.reload()
        expect(friend.locator(".tiles a")).to_contain_text("Notes")
        expect(friend.get_by_text("Stopped")).to_have_count(0)
        self.owner.goto(self.hub.url)
        expect(self.owner.get_by_text("Stopped")).to_be_visible()
        self.look(self.owner, "front-owner")
        self.hub.client.call("POST", "/api/modules/notes/start")
        self.hub.wait_for(lambda: self.hub.module("notes")["state"] == "ready", "notes to start")
        friend.reload()
        self.look(friend, "front-friend")
        friend.get_by_role("link", name="Connect an assistant").click()
        friend.get_by_role("link", name="Another app").click()
        expect(friend.get_by_label("Address", exact=True)).to_contain_text("/vault/jurgen/mcp")
        expect(friend.get_by_text("/vault/default/mcp")).to_have_count(0)
        self.look(friend, "connect")
        friend.goto(f"{self.hub.url}/")
        friend.locator(".tiles a").press("Enter")
        friend.get_by_role("button", name="Connect").press("Enter")
        friend.get_by_role("button", name="Allow", exact=True).press("Enter")
        expect(friend.get_by_role("button", name="New note")).to_be_visible()
        friend.goto(f"{self.hub.url}/admin")
        friend.wait_for_url(f"{self.hub.url}/")
        friend.get_by_role("button", name="Sign out").press("Enter")
        friend.wait_for_url("**/login**")

    def test_long_names_fit_everywhere(self) -> None:
        longest, vault = "W" * 64, "w" * 32
        self.hub.client.call("POST", "/vaults", {"name": vault})
        friend = self.new_browser()
        self.join(friend, self.invite(longest))
        (person,) = [one for one in self.hub.client.call("GET", "/api/users")["users"] if one["role"] == "member"]
        self.hub.client.call("PATCH", f"/api/users/{person['id']}/vaults", {"assigned_vaults": {vault: "read"}})
        for path in ("", "account", "account/name", "account/connect/codex", "account/2fa", "account/sessions"):
            friend.goto(f"{self.hub.url}/{path}")
            self.look(friend, f"long-{path.replace('/', '-') or 'front'}")
        self.owner.goto(f"{self.hub.url}/admin/people")
        expect(self.owner.get_by_role("heading", name=longest)).to_be_visible()
        self.owner.get_by_text("Change or remove").click()
        self.look(self.owner, "long-people")


class LockTests(FriendsCase):
    def test_everything_ends_and_starts_again(self) -> None:
        friend, thief = self.new_browser(), self.new_browser()
        self.join(friend, self.invite(FRIEND))
        self.sign_in(thief, "owner", OWNERS_PASSWORD)
        self.invite("Kim")
        self.owner.goto(f"{self.hub.url}/account")
        self.owner.get_by_role("link", name="Lock everything").click()
        self.look(self.owner, "lock")
        self.owner.get_by_label("Your password").fill(OWNERS_PASSWORD)
        self.owner.get_by_role("button", name="Lock everything").click()
        expect(self.owner.get_by_role("heading", name="Everything is locked")).to_be_visible()
        for words in ("jurgen", "owner", "Kim"):
            expect(self.owner.get_by_role("main")).to_contain_text(words)
        self.look(self.owner, "locked")
        for page in (friend, thief, self.owner):
            page.goto(f"{self.hub.url}/account")
            page.wait_for_url("**/login**")
        self.sign_in(self.owner, "owner", OWNERS_PASSWORD)
        # The machine's own command has a new token.
        self.assertEqual(len(self.hub.client.call("GET", "/api/users")["users"]), 2)
        self.assertEqual(run(self.hub.home, "lock", "--yes").returncode, 0)
        self.owner.goto(f"{self.hub.url}/account")
        self.owner.wait_for_url("**/login**")


class LeavingTests(FriendsCase):
    def test_notes_are_taken_along_and_handed_over(self) -> None:
        friend, other = self.new_browser(), self.new_browser()
        self.join(friend, self.invite(FRIEND))
        self.join(other, self.invite("Kim"))
        friend.goto(f"{self.hub.url}/account")
        friend.get_by_role("link", name="Download notes").click()
        self.look(friend, "download")
        with friend.expect_download() as begun:
            friend.get_by_role("button", name="Download jurgen").click()
        self.assertEqual(begun.value.suggested_filename, "jurgen.zip")
        self.assertTrue(zipfile.is_zipfile(begun.value.path()))
        page = self.owner
        page.reload()
        page.get_by_text(f"Change or remove {FRIEND}").click()
        page.get_by_label("Their vaults").locator("visible=true").select_option(label="give to Kim")
        self.look(page, "remove")
        page.get_by_role("button", name=f"Remove {FRIEND}").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
        self.confirm(page)
        expect(page.get_by_role("heading", name=FRIEND)).to_have_count(0)
        people = self.hub.client.call("GET", "/api/users")["users"]
        self.assertEqual(people[1]["vaults"], {"jurgen": "write", "kim": "write"})
