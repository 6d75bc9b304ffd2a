"""Connecting assistants: one page each, for owners and friends, and the sign that it has worked."""

from playwright.sync_api import expect

from tests.browser.browser import findings
from tests.browser.test_friends import OWNERS_PASSWORD, FriendsCase
from tests.live.oauth_rig import connect_an_app
from tests.requirements import program, requires

NAMES = ["Claude", "Claude Code", "ChatGPT", "Cursor", "VS Code", "Codex", "Another app"]


@requires(program("chromium"))
class ConnectTests(FriendsCase):
    def consent(self, vault: str) -> None:
        """The owner allows Codex in another window."""
        connect_an_app(self.hub.url, "Codex", f"vault:{vault}:read")

    def test_from_the_admin_app_to_a_connected_assistant_by_keyboard_alone(self) -> None:
        """Each page fits and has no finding; what is copied names the vault; the sign appears by itself."""
        self.hub.client.call("POST", "/vaults", {"name": "work"})
        page = self.owner
        page.goto(f"{self.hub.url}/admin/apps")
        link = page.get_by_role("link", name="Connect an assistant", exact=True)
        link.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Connect an assistant", level=1)).to_be_visible()
        expect(page.locator(".rows h2 a")).to_have_text(NAMES)
        self.look(page, "connect")
        for name in NAMES[:5]:
            page.get_by_role("link", name=name, exact=True).click()
            expect(page.locator(".numbered li").nth(1)).to_be_visible()
            self.assertEqual(findings(page), [], name)
            page.get_by_role("link", name="All assistants").click()
        page.get_by_role("link", name="Codex", exact=True).focus()
        page.keyboard.press("Enter")
        page.get_by_role("link", name="work", exact=True).focus()
        page.keyboard.press("Enter")
        command = page.get_by_label("Command to add it to Codex", exact=True)
        expect(command).to_have_text(f"codex mcp add parachute-work --url {self.hub.url}/vault/work/mcp")
        page.evaluate("document.addEventListener('copy', () => { self.copied = String(getSelection()) })")
        page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        page.get_by_role("button", name="Copy: Command to sign in with Codex").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Copied")).to_be_visible()
        self.assertEqual(page.evaluate("copied"), "codex mcp login parachute-work")
        expect(page.get_by_text("This address works only on this computer.")).to_be_visible()
        self.look(page, "connect-codex")
        sign = page.get_by_role("status").filter(has_text="This page shows when Codex is connected")
        expect(sign).to_be_visible()
        self.consent("default")
        with page.expect_response("**/codex/sign?vault=work"):
            pass
        expect(sign).to_be_visible()
        # The hub restarts under the open page, which goes on looking.
        self.hub.stop()
        self.hub.start()
        self.hub.wait_for(lambda: self.hub.module("vault")["state"] == "ready", "the vault")
        self.consent("work")
        expect(page.get_by_text("Codex may use the vault work.")).to_be_visible()
        self.assertEqual(findings(page), [])

    def test_without_scripts(self) -> None:
        page = self.new_browser(java_script_enabled=False)
        self.sign_in(page, "owner", OWNERS_PASSWORD)
        page.goto(f"{self.hub.url}/account/connect/codex")
        self.assertEqual(page.locator("[data-copy]").count(), 2)
        expect(page.get_by_text("codex mcp login parachute")).to_be_visible()
