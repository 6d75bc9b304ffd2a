"""The admin app is at ease with failures, keyboards and tablets: on a fake hub."""

from playwright.sync_api import Page, Route, expect

from tests.browser.browser import DESK, PHONE, TABLET, findings, picture, slow, until, wider_than_the_window
from tests.browser.test_admin_pages import PASSWORD, AdminCase
from tests.requirements import program, requires


@requires(program("chromium"))
class NoticeTests(AdminCase):
    def test_an_operation_that_failed_is_announced_as_an_error(self) -> None:
        """It stays until it is closed; what worked is confirmed, and goes by itself."""
        for scenario, role, text in (
            ("trouble", "alert", "Notes could not be updated"),
            ("well", "status", "Notes is updated"),
        ):
            page = self.page(self.hub(scenario), "modules/notes")
            page.get_by_role("button", name="Update to 0.4.0").click()
            notice = page.locator(f".notices [role={role}]")
            expect(notice.get_by_text(text)).to_be_visible()
            expect(notice.get_by_role("button", name="Close")).to_have_count(1 if role == "alert" else 0)


@requires(program("chromium"))
class FocusTests(AdminCase):
    def opened(self, page: Page, button: str, dialog: str) -> None:
        page.get_by_role("button", name=button).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name=dialog)).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog", name=dialog)).to_have_count(0)
        expect(page.get_by_role("button", name=button)).to_be_focused()

    def test_escape_gives_the_focus_back(self) -> None:
        hub = self.hub("well")
        for path, button, dialog in (
            ("modules/scribe", "Remove Scribe", "Remove Scribe?"),
            ("tokens", "Create token", "Confirm it's you"),
        ):
            with self.subTest(path):
                page = self.page(hub, path)
                if path == "tokens":
                    page.get_by_label("Name").fill("Backup")
                self.opened(page, button, dialog)

    def test_escape_closes_the_menu_of_a_phone(self) -> None:
        page = self.page(self.hub("well"), viewport={"width": 320, "height": 640})
        more = page.get_by_role("button", name="More")
        more.click()
        page.get_by_role("link", name="Settings").focus()
        page.keyboard.press("Escape")
        expect(more).to_be_focused()
        expect(page.get_by_role("link", name="Settings")).to_be_hidden()


@requires(program("chromium"))
class TabletTests(AdminCase):
    def test_a_tablet_has_the_menu_beside_the_page(self) -> None:
        """Every entry can be seen without opening anything, and nothing is cut off."""
        hub = self.hub("trouble")
        for scheme in ("light", "dark"):
            page = self.page(hub, viewport=TABLET, color_scheme=scheme)
            for path in ("", "modules/scribe", "backups", "tokens"):
                page.goto(f"{hub.url}/admin/{path}")
                expect(page.locator(".waiting")).to_have_count(0)
                menu = page.get_by_role("navigation", name="Main")
                expect(menu.get_by_role("link", name="About")).to_be_visible()
                self.assertLess((menu.bounding_box() or {"width": 768})["width"], 240, path)
                self.assertFalse(wider_than_the_window(page), path)
                self.assertEqual(findings(page), [], path)
                picture(page, f"admin-{path.replace('/', '-') or 'home'}-tablet-{scheme}")

    def test_a_module_shows_its_own_icon(self) -> None:
        """Its initial, in its colour, stands for one that has none."""
        page = self.page(self.hub("well"))
        notes, vault = (page.locator(".tile").filter(has_text=name).locator(".face") for name in ("Notes", "Vault"))
        expect(notes).to_have_attribute("src", "/admin/icon.svg")
        expect(vault).to_have_text("V")

    def test_memory_without_a_limit_is_not_drawn_as_full(self) -> None:
        page = self.page(self.hub("fresh"))
        gauges = page.locator(".gauge")
        expect(gauges.filter(has_text="Disk").locator(".bar")).to_have_count(1)
        expect(gauges.filter(has_text="Memory").locator(".bar")).to_have_count(0)


@requires(program("chromium"))
class TokenTests(AdminCase):
    def test_a_token_is_one_line_and_the_list_tells_them_apart(self) -> None:
        """By name, scopes, expiry and last use; the whole token is copied."""
        for size, scheme in ((PHONE, "dark"), (DESK, "light")):
            page = self.page(self.hub("well"), "tokens", viewport=size, color_scheme=scheme)
            named = page.get_by_role("listitem").filter(has_text="Backup script")
            expect(named).to_contain_text("Read notes in the vault default")
            expect(named).to_contain_text("Expires in 21 days, last used 2 hours ago.")
            expect(page.get_by_role("heading", name="Read and write notes in the vault work")).to_be_visible()
            expect(page.get_by_text("not used yet")).to_have_count(2)
            own = page.get_by_role("listitem").filter(has_text="The parachute command on this machine")
            expect(own).to_contain_text("Manage the whole hub and everything on it")
            page.get_by_label("Name").fill("Printer")
            page.get_by_role("button", name="Create token").click()
            page.get_by_role("dialog").get_by_label("Password").fill(PASSWORD)
            page.keyboard.press("Enter")
            token = page.get_by_label("New token", exact=True)
            self.assertGreater(len(token.inner_text()), 600)
            line = token.bounding_box()
            assert line is not None
            self.assertLess(line["height"], 50)
            self.assertFalse(wider_than_the_window(page))
            self.assertEqual(findings(page), [])
            picture(page, f"tokens-{size['width']}-{scheme}")
            page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
            page.evaluate("document.addEventListener('copy', () => { self.copied = String(getSelection()) })")
            page.get_by_role("button", name="Copy: New token").click()
            until(page, lambda page=page, token=token: page.evaluate("copied") == token.inner_text(), "the whole token")  # type: ignore[misc]


@requires(program("chromium"))
class SlowTests(AdminCase):
    def test_a_slow_network_shows_what_is_going_on_and_acts_once(self) -> None:
        """A frame with a heading at once, then the content; a button is busy, and pressing again does nothing more."""
        page = self.page(self.hub("well"))
        slow(page)
        page.reload(wait_until="commit")
        expect(page.get_by_role("status").filter(has_text="Loading").or_(page.locator("h1"))).not_to_have_count(0)
        expect(page.get_by_role("heading", name="All is well")).to_be_visible()
        page.get_by_role("link", name="Modules", exact=True).click()
        expect(page.get_by_role("heading", name="Modules", level=1)).to_be_visible()
        page.get_by_role("link", name="Notes", exact=True).click()
        held: list[Route] = []
        page.route("**/api/modules/notes/stop", lambda route: held.append(route))
        stop = page.get_by_role("button", name="Stop")
        stop.click()
        expect(stop).to_have_attribute("aria-busy", "true")
        stop.click()
        until(page, lambda: len(held) > 0, "the request")
        self.assertEqual(len(held), 1)
        held[0].continue_()
        expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()

    def test_what_is_pressed_while_the_hub_restarts_says_so_and_works_afterwards(self) -> None:
        """What was typed is still there."""
        hub = self.hub("well")
        page = self.page(hub, "tokens")
        page.get_by_label("Name").fill("Printer")
        hub.stop()
        page.get_by_role("button", name="Create token").click()
        expect(page.get_by_role("alert").get_by_text("The hub does not answer")).to_be_visible()
        expect(page.get_by_text("This page updates when it is back")).to_be_visible()
        hub.start()
        expect(page.get_by_text("This page updates when it is back")).to_have_count(0, timeout=20_000)
        expect(page.get_by_label("Name")).to_have_value("Printer")
        page.get_by_role("button", name="Create token").click()
        expect(page.get_by_role("dialog", name="Confirm it's you")).to_be_visible()
        # It would look like the outcome of this attempt.
        expect(page.get_by_text("The hub does not answer")).to_have_count(0)


@requires(program("chromium"))
class SettingsFormTests(AdminCase):
    def test_settings_are_tested_and_the_answer_says_what_is_wrong(self) -> None:
        """What was changed is saved first; by keyboard alone."""
        page = self.page(self.hub("well"), "modules/scribe", viewport=PHONE)
        page.get_by_text("Show settings of Scribe").click()
        test = page.get_by_role("button", name="Test", exact=True)
        test.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").get_by_text("refused the API key (401). Check the key.")).to_be_visible()
        self.assertEqual(findings(page), [])
        picture(page, "settings-tested-320")
        page.get_by_label("Provider").select_option("A program on this machine")
        page.get_by_role("button", name="Save and test").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").get_by_text("It works.")).to_be_visible()

    def test_who_is_sent_to_the_settings_finds_them_open(self) -> None:
        """As by the problem of a module that lacks one. What only the module can change is told in words."""
        page = self.page(self.hub("well"), "modules/scribe/settings", viewport=PHONE)
        expect(page.get_by_label("Api key")).to_be_visible()
        expect(page.get_by_text("Show settings of Scribe")).to_be_focused()
        expect(page.get_by_text("Show settings of Scribe")).to_be_in_viewport()
        expect(page.get_by_text("A key is stored: yes")).to_be_visible()

    def test_only_the_settings_of_the_chosen_way_are_shown_and_sent(self) -> None:
        """With words for the choices and headings, and nothing of what was typed for the other way."""
        for size, scheme in ((PHONE, "light"), (DESK, "dark")):
            page = self.page(self.hub("well"), "modules/scribe", viewport=size, color_scheme=scheme)
            page.get_by_text("Show settings of Scribe").click()
            page.get_by_label("Api key").fill("secret")
            expect(page.get_by_label("Program")).to_have_count(0)
            page.get_by_label("Provider").select_option("A program on this machine")
            expect(page.get_by_label("Api key")).to_have_count(0)
            page.get_by_role("group", name="The program").get_by_label("Program").fill("whisper-cli {file}")
            self.assertEqual(findings(page), [])
            picture(page, f"settings-form-{size['width']}-{scheme}")
            with page.expect_request(lambda request: request.method == "PUT") as asked:
                page.get_by_role("button", name="Save", exact=True).click()
            self.assertEqual(asked.value.post_data_json, {"provider": "command", "command": "whisper-cli {file}"})


@requires(program("chromium"))
class BeforeInstallingTests(AdminCase):
    def test_a_module_has_a_page_before_it_is_installed(self) -> None:
        """What it may do, what it needs and where it comes from; reached from the list, and installed there."""
        page = self.page(self.hub("well"), "modules", viewport=PHONE)
        page.get_by_role("link", name="Hello", exact=True).click()
        card = page.get_by_role("region", name="Before you install it")
        for words in (
            "176 KB",
            "703 KB, and 2 other packages",
            "0.3.11 (",
            "Can use the internet.",
            "about 30 MB while it runs",
            "@openparachute/hello",
            "own list of modules",
        ):
            expect(card.get_by_text(words)).to_be_visible()
        self.assertEqual(findings(page), [])
        picture(page, "before-installing-320")
        page.get_by_role("button", name="Install", exact=True).click()
        expect(page.get_by_role("button", name="Restart")).to_be_visible()
        expect(card).to_have_count(0)
