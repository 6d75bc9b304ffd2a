"""What can be taken back is done after ten seconds: in the admin app on a fake hub, on account pages on a real one."""

from playwright.sync_api import Locator, Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.browser import PHONE, chromium, findings, picture, until, wider_than_the_window, window
from tests.browser.door import claim, open_door, sign_in
from tests.browser.test_admin_pages import AdminCase
from tests.requirements import program, requires

# Path, the button, what waits, and where the act is sent.
ACTS = (
    ("apps", "Disconnect Claude", "Disconnecting Claude", "/api/apps/disconnect"),
    ("tokens", "Revoke the token Backup script", "Revoking the token “Backup script", "/api/auth/revoke-token"),
    ("people", "Revoke the invitation for Jürgen", "Revoking the invitation for Jürgen", "/api/invites/i1"),
)
# The ten seconds last until the test lets them end, however slow the machine is.
HOLD = """
{
  const [start, stop] = [self.setTimeout.bind(self), self.clearTimeout.bind(self)]
  const held = new Map()
  let count = 0
  self.setTimeout = (run, wait, ...more) => {
    if (wait !== 10_000) return start(run, wait, ...more)
    held.set(--count, run)
    return count
  }
  self.clearTimeout = (number) => { if (!held.delete(number)) stop(number) }
  self.letGo = () => {
    const due = [...held.values()]
    held.clear()
    for (const run of due) run()
  }
}
"""
LET_GO = "letGo()"
PASSWORD = "three small paper boats"
HIDE = """() => {
  Object.defineProperty(document, "hidden", { value: true, configurable: true })
  document.dispatchEvent(new Event("visibilitychange"))
}"""


@requires(program("chromium"))
class AdminUndoTests(AdminCase):
    def paused(self, path: str, scenario: str = "well") -> tuple[Page, list[str]]:
        """A page whose time for an Undo does not end by itself, and the changes that it asks for."""
        page = self.page(self.hub(scenario), viewport=PHONE)
        page.add_init_script(HOLD)
        page.goto(f"{page.url.partition('/admin')[0]}/admin/{path}")
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
        return page, sent

    def test_by_keyboard_alone_an_act_is_taken_back_or_done(self) -> None:
        """The entry goes at once, Undo has the focus, and nothing is sent before the time is over."""
        for path, name, text, place in ACTS:
            page, sent = self.paused(path)
            button = page.get_by_role("button", name=name)
            undo = page.get_by_role("button", name="Undo")
            button.focus()
            page.keyboard.press("Enter")
            expect(button).to_have_count(0)
            expect(page.get_by_role("status").filter(has_text=text)).to_be_visible()
            expect(undo).to_be_focused()
            self.assertEqual(findings(page), [], path)
            self.assertFalse(wider_than_the_window(page), path)
            picture(page, f"undo-{path}-320")
            page.keyboard.press("Enter")
            expect(button).to_be_visible()
            page.evaluate(LET_GO)
            self.assertEqual(sent, [], path)
            button.focus()
            page.keyboard.press("Enter")
            expect(undo).to_be_focused()
            with page.expect_response(lambda answer, place=place: place in answer.url):  # type: ignore[misc]
                page.evaluate(LET_GO)
            expect(undo).to_have_count(0)
            expect(button).to_have_count(0)
            expect(page.get_by_role("heading", level=1)).to_be_focused()

    def test_leaving_the_page_or_another_act_completes_it(self) -> None:
        page, sent = self.paused("apps")
        for name in ("Claude", "Team notebook"):
            page.get_by_role("button", name=f"Disconnect {name}").click()
        expect(page.get_by_text("Disconnecting Team notebook")).to_be_visible()
        expect(page.get_by_text("Claude has no access any more")).to_be_visible()
        self.assertEqual(len(sent), 1)
        # What the page sent as it was left may arrive a moment later.
        until(page, lambda: self.apps_left(page) == 1, "the second app to be disconnected")
        expect(page.get_by_role("button", name="Disconnect Unnamed app")).to_be_visible()

    def apps_left(self, page: Page) -> int:
        """How many a new look at the page finds."""
        page.reload()
        apps = page.get_by_role("button", name="Disconnect ")
        expect(apps).not_to_have_count(0)
        return apps.count()

    def test_hiding_the_page_or_signing_out_completes_it(self) -> None:
        """A phone may end a hidden page, and nothing can be done without the session."""
        page, sent = self.paused("apps")
        page.get_by_role("button", name="Disconnect Claude").click()
        with page.expect_response(lambda answer: "/api/apps/disconnect" in answer.url):
            page.evaluate(HIDE)
        page.get_by_role("button", name="Disconnect Team notebook").click()
        page.get_by_role("button", name="More", exact=True).click()
        # The page stays: what it would load next has nothing to do with this.
        page.route("**/logout", lambda route: route.fulfill(status=503, body="{}", content_type="application/json"))
        with page.expect_response(lambda answer: answer.url.endswith("/logout")):
            page.get_by_role("button", name="Sign out").click()
        self.assertEqual([url.rpartition("/")[2] for url in sent], ["disconnect", "disconnect", "logout"])

    def test_an_act_that_the_hub_does_not_get_is_reported_and_the_entry_stays(self) -> None:
        page, _ = self.paused("apps")
        page.route("**/api/apps/disconnect", lambda route: route.abort())
        page.get_by_role("button", name="Disconnect Claude").click()
        page.evaluate(LET_GO)
        expect(page.get_by_role("alert").get_by_text("The hub does not answer")).to_be_visible()
        expect(page.get_by_role("button", name="Disconnect Claude")).to_be_visible()

    def test_a_dismissed_problem_comes_back(self) -> None:
        page, _ = self.paused("", "trouble")
        page.get_by_role("button", name="Dismiss: The disk is almost full").click()
        expect(page.get_by_role("heading", name="2 things need your attention")).to_be_visible()
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("heading", name="3 things need your attention")).to_be_visible()


@requires(program("chromium"))
class AccountUndoTests(SynchronousTestCase):
    def test_a_browser_is_signed_out_after_ten_seconds_or_when_the_page_is_left(self) -> None:
        with open_door() as (url, token), chromium() as browser, window(browser) as (_, page):
            claim(page, url, token, PASSWORD)
            page.add_init_script(HOLD)
            with window(browser) as (_, other):
                for leaving in (False, True):
                    other.goto(f"{url}/login")
                    sign_in(other, PASSWORD)
                    other.wait_for_url(lambda place: "/login" not in place)
                    self.end_the_other(page, url, leaving=leaving)
                    other.goto(f"{url}/account")
                    other.wait_for_url("**/login**")

    def shown(self, page: Page, url: str, button: Locator) -> int:
        """How often a new look at the page finds it."""
        page.goto(f"{url}/account/sessions")
        return button.count()

    def end_the_other(self, page: Page, url: str, *, leaving: bool) -> None:
        page.goto(f"{url}/account/sessions")
        button = page.get_by_role("button", name="Sign out Chrome")
        button.focus()
        page.keyboard.press("Enter")
        undo = page.get_by_role("button", name="Undo")
        expect(undo).to_be_focused()
        expect(button).to_be_hidden()
        self.assertEqual(findings(page), [])
        page.keyboard.press("Enter")
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        page.route("**/account/sessions", lambda route: route.abort())
        page.evaluate(LET_GO)
        expect(page.get_by_text("The hub did not answer")).to_be_visible()
        page.unroute("**/account/sessions")
        # The same if the page was only hidden, and the hub refuses.
        page.route("**/account/sessions", lambda route: route.fulfill(status=403))
        button.click()
        page.evaluate(HIDE)
        expect(page.get_by_text("The hub did not do this")).to_be_visible()
        expect(button).to_be_visible()
        page.unroute("**/account/sessions")
        button.click()
        if leaving:
            page.goto(f"{url}/account")
            # What the page sent as it was left may arrive a moment later.
            until(page, lambda: self.shown(page, url, button) == 0, "the other browser to be signed out")
            return
        with page.expect_navigation():
            page.evaluate(LET_GO)
        expect(button).to_have_count(0)
        expect(page.get_by_text("this browser")).to_be_visible()
