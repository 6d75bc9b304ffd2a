"""The owner pairs a module with another machine on its page, moves it there, and sees when that is cut off."""

from playwright.sync_api import Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.browser import chromium, findings, picture, wider_than_the_window, window
from tests.live.harness import OWNER, HubProcess, hub, packed_examples
from tests.live.host_rig import HostProcess, host
from tests.requirements import program, requires

PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
# Milliseconds: a package is installed on the other machine meanwhile, or its silence is noticed.
PATIENCE = 60_000


@requires(program("chromium"))
class LinkPageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.there: HostProcess = host(self, packed_examples()).start()
        self.hub: HubProcess = hub(self, catalog=packed_examples()).start()
        self.hub.install("vault")

    def test_from_the_code_to_the_cut(self) -> None:
        with chromium() as browser, window(browser, complaints=False) as (_, page):
            self.sign_in(page)
            page.goto(f"{self.hub.url}/admin/modules/vault")
            page.get_by_text("Run it on another machine").click()
            page.get_by_label("Its address").fill(f"127.0.0.1:{self.there.port}")
            page.get_by_label("The code").fill(self.there.code())
            self.look(page, "link-pair")
            page.get_by_role("button", name="Pair").click()
            page.get_by_role("button", name="Yes, connect to it").click()
            self.confirm(page)
            expect(page.get_by_text("It still runs on this machine.")).to_be_visible()
            page.get_by_role("button", name="Move it there").click()
            page.get_by_role("button", name="Move it", exact=True).click()
            self.confirm(page)
            expect(page.get_by_role("button", name="Bring it back here")).to_be_visible(timeout=PATIENCE)
            expect(page.get_by_text("not in the backups of this hub")).to_be_visible()
            self.look(page, "link-there")
            self.there.kill()
            expect(page.get_by_text("Machine not answering")).to_be_visible(timeout=PATIENCE)
            self.look(page, "link-cut")
            page.goto(f"{self.hub.url}/admin")
            problem = page.get_by_text("The machine that runs Vault does not answer").first
            expect(problem).to_be_visible(timeout=PATIENCE)

    def confirm(self, page: Page) -> None:
        expect(page.get_by_role("dialog", name="Confirm it's you")).to_be_visible()
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")

    def sign_in(self, page: Page) -> None:
        page.goto(f"{self.hub.url}/login")
        page.get_by_label("Username").fill(OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"])
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/login" not in url)

    def look(self, page: Page, name: str) -> None:
        """At three widths: nothing is cut off, and nothing keeps anybody out."""
        for width in (320, 768, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            self.assertFalse(wider_than_the_window(page), f"{name} at {width}")
        self.assertEqual(findings(page), [], name)
        picture(page, name)
