"""The first evening in a real browser on a real hub: from the address in the log to a written note and a dictated one,
both still there after a restart.
"""

from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.admin_app import built
from tests.browser.browser import DESK, PHONE, chromium, findings, picture, wider_than_the_window, window
from tests.browser.hub_browser import PASSWORD, RETURN_PATIENCE, SPEECH_PATIENCE, Newcomer, speech_program, spoken
from tests.live.harness import HubProcess, hub, packed_examples, registry
from tests.requirements import program, requires

SPOKEN = "hello world"
ADMIN = ("modules", "modules/vault", "vaults", "apps", "tokens", "people", "settings", "activity", "about")


@requires(program("chromium"), program("espeak-ng"))
class FriendLoopTests(SynchronousTestCase):
    def setUp(self) -> None:
        built()
        self.program = speech_program()
        self.recording = spoken(Path(self.mktemp()), SPOKEN)
        self.hub = self.fresh_hub()
        stack = ExitStack()
        self.addCleanup(stack.close)
        browser = stack.enter_context(chromium())
        _, self.page = stack.enter_context(window(browser))
        self.friend = Newcomer(self.hub, self.page, self.look)

    def fresh_hub(self) -> HubProcess:
        """As a platform starts it: no owner, built-in catalog, packages from a registry."""
        packed_examples()
        fresh = hub(self)
        fresh.environment = {"BUN_CONFIG_REGISTRY": registry(self)}
        return fresh.start()

    def look(self, page: Page, name: str) -> None:
        """No serious axe finding, no sideways scrolling at either width."""
        for kind, size in (("320", PHONE), ("1280", DESK)):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            self.assertFalse(wider_than_the_window(page), f"{name} {kind}")
            picture(page, f"{name}-{kind}")
        self.assertEqual(findings(page), [], name)

    def test_from_the_log_to_a_spoken_note(self) -> None:
        friend, page = self.friend, self.page
        friend.claim()
        friend.install_all()
        friend.finish()
        expect(page.get_by_text("Scribe needs a setting")).to_be_visible()
        for name in ("Vault", "Notes", "Scribe"):
            expect(page.locator("main li").filter(has_text=name).get_by_text("Running")).to_be_visible()
        self.look(page, "admin-home")

        friend.connect_notes()
        friend.write("Shopping", "Bread, and a red thread")
        friend.speak(self.recording)
        expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text(
            "Scribe cannot turn speech into text yet"
        )
        self.look(page, "notes-not-configured")
        friend.configure_scribe(self.program)
        page.goto(f"{self.hub.url}/notes")
        friend.speak(self.recording)
        expect(page.get_by_role("textbox", name="Text")).to_have_text(SPOKEN, timeout=SPEECH_PATIENCE)
        expect(page.get_by_role("status").first).to_have_text("Saved")

        page.goto(f"{self.hub.url}/admin/")
        expect(page.get_by_text("scribe may now run or read")).to_be_visible()
        page.get_by_role("button", name="Dismiss").click()
        expect(page.get_by_text("All is well")).to_be_visible()
        self.hub.stop()
        expect(page.get_by_text("The hub is not answering")).to_be_visible()
        expect(page.get_by_text("All is well")).to_be_visible()
        self.hub.start()
        expect(page.get_by_text("The hub is not answering")).to_have_count(0, timeout=RETURN_PATIENCE)
        page.goto(f"{self.hub.url}/notes")
        expect(page.get_by_role("button", name=SPOKEN)).to_be_visible()
        page.get_by_role("button", name="Shopping").click()
        expect(page.get_by_role("textbox", name="Text")).to_have_text("Bread, and a red thread")
        self.look(page, "notes-after-restart")
        self.look_around()
        log = self.hub.log()
        for word in ("Traceback", "exited with", "exited without", "factory", PASSWORD):
            self.assertNotIn(word, log)

    def look_around(self) -> None:
        """Every other page of a hub in use."""
        for path in ADMIN:
            self.page.goto(f"{self.hub.url}/admin/{path}")
            expect(self.page.get_by_role("heading", level=1)).to_be_visible()
            expect(self.page.locator(".waiting")).to_have_count(0)
            self.look(self.page, f"admin-{path.replace('/', '-')}")
        self.page.goto(f"{self.hub.url}/admin/activity")
        expect(self.page.get_by_text("ana changed the settings of scribe")).to_be_visible()
        for path in (
            "",
            "account",
            "account/name",
            "account/connect",
            "account/apps",
            "account/sessions",
            "account/2fa",
            "nothing-here",
        ):
            self.page.goto(f"{self.hub.url}/{path}")
            self.look(self.page, f"page-{path.replace('/', '-') or 'front'}")
