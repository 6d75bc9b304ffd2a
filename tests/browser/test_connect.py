"""Connecting assistants in the admin app: steps, links, and the sign that it has worked."""

import base64
import json
from urllib.parse import parse_qs, unquote, urlsplit

from playwright.sync_api import expect

from tests.browser.browser import DESK, PHONE, TABLET, findings, picture, wider_than_the_window
from tests.browser.test_admin_pages import AdminCase
from tests.requirements import program, requires

VAULT = "work"
ADDRESS = f"https://hub.example.com/vault/{VAULT}/mcp"


@requires(program("chromium"))
class ConnectTests(AdminCase):
    def test_each_assistant_has_a_page_with_its_steps(self) -> None:
        """On a phone, a tablet and a desk, in the light and the dark."""
        hub = self.hub("well")
        for size, scheme in ((PHONE, "light"), (TABLET, "dark"), (DESK, "light")):
            page = self.page(hub, "connect", viewport=size, color_scheme=scheme)
            names = page.locator(".tile h2 a").all_inner_texts()
            self.assertEqual(
                names, ["Claude", "Claude Code", "ChatGPT", "Cursor", "VS Code", "Codex", "Another app"], size
            )
            self.assertEqual(findings(page), [])
            picture(page, f"connect-{size['width']}-{scheme}")
            for name in names if size == PHONE else ("Claude",):
                page.goto(f"{hub.url}/admin/connect")
                page.get_by_role("link", name=name, exact=True).click()
                expect(page.locator(".numbered li").nth(1)).to_be_visible()
                page.get_by_text("Show the address as a QR code").click()
                self.assertFalse(wider_than_the_window(page), name)
                self.assertEqual(findings(page), [], name)
                picture(page, f"connect-{name.replace(' ', '-').lower()}-{size['width']}-{scheme}")

    def test_links_and_commands_name_the_chosen_vault(self) -> None:
        page = self.page(self.hub("well"), "connect/cursor/work")
        link = urlsplit(page.get_by_role("link", name="Add to Cursor").get_attribute("href") or "")
        told = parse_qs(link.query)
        self.assertEqual((link.scheme, told["name"]), ("cursor", ["parachute-work"]))
        self.assertEqual(json.loads(base64.b64decode(told["config"][0])), {"url": ADDRESS})
        page = self.page(self.hub("well"), "connect/vscode")
        page.get_by_label("Vault", exact=True).select_option("work")
        href = page.get_by_role("link", name="Add to VS Code").get_attribute("href") or ""
        self.assertEqual(json.loads(unquote(href.partition("?")[2]))["url"], ADDRESS)
        page = self.page(self.hub("well"), "connect/codex/work")
        expect(page.get_by_label("Command to add it to Codex", exact=True)).to_have_text(
            f"codex mcp add parachute-work --url {ADDRESS}"
        )

    def test_the_page_shows_when_it_has_worked(self) -> None:
        """Without a reload; an app for another vault does not count."""
        page = self.page(self.hub("well"), "connect/codex")
        sign = page.get_by_role("status").filter(has_text="This page shows when Codex is connected")
        expect(sign).to_be_visible()
        consent = "body => fetch('/api/dev/consent', {method: 'POST', body: JSON.stringify(body)})"
        page.evaluate(consent, {"name": "Codex", "vaults": ["work"]})
        with page.expect_response("**/api/apps"):
            pass
        expect(sign).to_be_visible()
        page.evaluate(consent, {"name": "Codex", "vaults": ["default"]})
        expect(page.get_by_text("Codex may use default")).to_be_visible()

    def test_a_hub_on_plain_http_copies_too(self) -> None:
        """From another machine the browser offers no clipboard interface there."""
        page = self.page(self.hub("well"), "connect/codex")
        page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        page.evaluate("document.addEventListener('copy', () => { self.copied = String(getSelection()) })")
        page.get_by_role("button", name="Copy: Command to sign in with Codex").click()
        expect(page.locator(".notices").get_by_text("Copied")).to_be_visible()
        self.assertEqual(page.evaluate("copied"), "codex mcp login parachute")

    def test_by_keyboard_alone(self) -> None:
        """From Connected apps to a copied command."""
        page = self.page(self.hub("well"), "apps")
        for name in ("Connect an assistant", "Claude Code"):
            page.get_by_role("link", name=name, exact=True).focus()
            page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Connect Claude Code", level=1)).to_be_focused()
        page.get_by_role("button", name="Copy: Command for Claude Code").focus()
        page.keyboard.press("Enter")
        expect(page.locator(".notices").get_by_text("Copied")).to_be_visible()
