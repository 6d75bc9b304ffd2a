"""The admin app on a fake hub: appearance and behaviour of each page."""

import gzip
import re
from contextlib import ExitStack
from typing import Any

from playwright.sync_api import Browser, Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.admin_app import PAGES, PretendedHub, built, pretended_hub
from tests.browser.browser import DESK, PHONE, chromium, findings, focused, picture, wider_than_the_window, window
from tests.requirements import program, requires

PASSWORD = "correct-horse-battery"
MOST_BYTES = 120 * 1024
# Adds up how much of the window moved by itself (Layout Instability API).
SHIFTS = """
self.shifted = 0
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) self.shifted += entry.value
}).observe({ type: "layout-shift", buffered: true })
"""


@requires(program("chromium"))
class AdminCase(SynchronousTestCase):
    """A browser, and a fake hub for each scenario."""

    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.browser: Browser = self.stack.enter_context(chromium())

    def hub(self, scenario: str = "well", *, held: bool = False) -> PretendedHub:
        return self.stack.enter_context(pretended_hub(scenario, held=held))

    def page(self, hub: PretendedHub, path: str = "", **options: Any) -> Page:
        _, page = self.stack.enter_context(window(self.browser, **options))
        page.goto(f"{hub.url}/admin/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        return page


@requires(program("chromium"))
class LooksTests(AdminCase):
    def look_at(self, scenario: str, pages: tuple[str, ...] = PAGES, **options: Any) -> None:
        hub = self.hub(scenario)
        page = self.page(hub, **options)
        kind = f"{page.viewport_size['width'] if page.viewport_size else 0}-{options.get('color_scheme', 'light')}"
        for path in pages:
            page.goto(f"{hub.url}/admin/{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(page.locator(".waiting")).to_have_count(0)
            page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            self.assertEqual(findings(page), [], f"{path} {kind}")
            self.assertFalse(wider_than_the_window(page), f"{path} {kind}")
            picture(page, f"admin-{path.replace('/', '-') or 'home'}-{scenario}-{kind}")

    def test_nothing_jumps(self) -> None:
        """Content keeps its place while the rest loads."""
        for scenario, paths in (("trouble", PAGES), ("fresh", ("modules/scribe",))):
            hub = self.hub(scenario)
            page = self.page(hub, viewport=PHONE)
            page.add_init_script(SHIFTS)
            for path in paths:
                page.goto(f"{hub.url}/admin/{path}")
                expect(page.get_by_role("heading", level=1)).to_be_visible()
                expect(page.locator(".waiting")).to_have_count(0)
                expect(page.locator("dd").filter(has_text=re.compile("^…$"))).to_have_count(0)
                self.assertLess(page.evaluate("shifted"), 0.01, path)

    def test_on_a_phone_in_the_light(self) -> None:
        """Every page fits 320 pixels and has no serious axe finding, with all details open."""
        self.look_at("trouble", viewport=PHONE)

    def test_on_a_desk_in_the_dark(self) -> None:
        """The same, wide and dark."""
        self.look_at("trouble", viewport=DESK, color_scheme="dark")

    def test_on_a_fresh_hub(self) -> None:
        """With nothing installed, on a dark phone."""
        self.look_at("fresh", ("", "modules", "modules/vault", "vaults"), viewport=PHONE, color_scheme="dark")

    def test_it_is_small(self) -> None:
        """Everything a first visit downloads, compressed, including icons and the shared stylesheet."""
        files = [path for path in built().rglob("*") if path.suffix == ".gz" or path.suffix == ".png"]
        shared = built().parents[1] / "accounts" / "static" / "hub.css"
        total = sum(path.stat().st_size for path in files) + len(gzip.compress(shared.read_bytes()))
        self.assertGreater(len(files), 4)
        self.assertLess(total, MOST_BYTES)


@requires(program("chromium"))
class AtAGlanceTests(AdminCase):
    def test_a_healthy_hub_says_so(self) -> None:
        """The headline says so; modules can be opened."""
        page = self.page(self.hub("well"))
        expect(page.get_by_role("heading", name="All is well")).to_be_visible()
        expect(page.get_by_text("Vault, Notes and Scribe are running.")).to_be_visible()
        expect(page.get_by_role("link", name="Open Notes")).to_have_attribute("href", "/notes")
        expect(page.get_by_text("236 MB of 512 MB")).to_be_visible()

    def test_trouble_is_named_with_its_reason_and_a_button(self) -> None:
        """Starting it changes the headline without a reload."""
        page = self.page(self.hub("trouble"))
        expect(page.get_by_role("heading", name="3 things need your attention")).to_be_visible()
        expect(page.get_by_text("ffmpeg is not installed").first).to_be_visible()
        page.get_by_role("button", name="Start again").click()
        expect(page.get_by_role("heading", name="2 things need your attention")).to_be_visible()
        expect(page.get_by_text("The disk is almost full")).to_be_visible()

    def test_a_dismissed_problem_can_be_shown_again(self) -> None:
        page = self.page(self.hub("trouble"))
        page.get_by_role("button", name="Dismiss: The disk is almost full").click()
        expect(page.get_by_role("heading", name="2 things need your attention")).to_be_visible()
        page.get_by_text("Dismissed (1)").click()
        page.get_by_role("button", name="Show again: The disk is almost full").click()
        expect(page.get_by_role("heading", name="3 things need your attention")).to_be_visible()

    def test_what_a_running_module_says_is_wrong_is_shown(self) -> None:
        hub = self.hub("trouble")
        page = self.page(hub)
        expect(page.get_by_text("Notes reports a problem")).to_be_visible()
        page = self.page(hub, "modules/notes")
        expect(page.get_by_text("dependencies: missing bwrap, rg, socat, claude")).to_be_visible()
        expect(page.get_by_text("could not install @openparachute/notes-ui")).to_be_visible()

    def test_an_installation_that_was_refused_offers_what_would_help(self) -> None:
        """For its size, its age, and a command that it wants to run. What was chosen before is not asked again."""
        hub = self.hub("trouble", held=True)
        page = self.page(hub, "modules/hello")
        page.get_by_role("button", name="Install", exact=True).click()
        expect(page.get_by_text("It takes about 475 MB")).to_be_visible()
        page.get_by_role("button", name="Install without optional parts").click()
        expect(page.get_by_text("Installing Hello")).to_be_visible()
        page.goto(f"{hub.url}/admin/modules")
        page.get_by_text("Install another package").click()
        page.get_by_label("Package name").fill("@toys/clock")
        page.get_by_role("button", name="Install", exact=True).last.click()
        expect(page.get_by_text("published less than three days ago")).to_be_visible()
        page.get_by_role("button", name="Install it anyway").click()
        expect(page.get_by_text("clock wind")).to_be_visible()
        expect(page.get_by_role("button", name="Install without running it")).to_be_visible()
        page.get_by_role("button", name="Run it and install").click()
        expect(page.get_by_text("Installing clock")).to_be_visible()

    def test_what_a_module_works_with_is_shown_and_offered(self) -> None:
        """Installed modules are links, missing ones have a button."""
        page = self.page(self.hub("well"), "modules/notes")
        expect(page.get_by_role("heading", name="Works with")).to_be_visible()
        expect(page.get_by_role("link", name="Vault (installed)")).to_be_visible()
        page.get_by_role("button", name="Install Hello").click()
        expect(page.get_by_role("link", name="Hello (installed)")).to_be_visible()

    def test_an_app_names_its_places_and_why_it_was_disconnected(self) -> None:
        page = self.page(self.hub("well"), "apps")
        page.get_by_text("Used in 2 places").click()
        for used, address in (("1 minute", "192.0.2.7"), ("2 hours", "2001:db8:85a3:1f0b:a2c4:8a2e:1370:7334")):
            place = page.get_by_text(f"First used yesterday, last used {used} ago, from {address}", exact=True)
            expect(place).to_be_visible()
        expect(page.get_by_text("Disconnected yesterday. A token was used twice")).to_be_visible()

    def test_only_a_full_path_can_be_opened_to_a_module(self) -> None:
        page = self.page(self.hub("trouble"), "modules/scribe")
        expect(page.get_by_text("This machine cannot restrict")).to_be_visible()
        expect(page.get_by_role("button", name="Take it away")).to_have_count(2)
        page.get_by_text("Let it use another folder or program").click()
        path, read = (
            page.get_by_label("Path on this machine"),
            page.get_by_role("button", name="Let it read and run this"),
        )
        for typed, usable in (("", False), ("notes", False), (" /srv/notes ", True)):
            path.fill(typed)
            expect(read).to_be_enabled(enabled=usable)

    def test_a_fresh_hub_leads_to_the_modules(self) -> None:
        """An empty hub is not an error, and says what to do."""
        page = self.page(self.hub("fresh"))
        expect(page.get_by_role("heading", name="Nothing is installed yet")).to_be_visible()
        page.get_by_role("link", name="Choose modules").click()
        expect(page.get_by_role("heading", name="Modules", level=1)).to_be_focused()


@requires(program("chromium"))
class LiveTests(AdminCase):
    def test_an_installation_is_seen_on_two_devices_and_after_a_reload(self) -> None:
        """The same steps and the same result everywhere."""
        hub = self.hub("fresh", held=True)
        first, second = self.page(hub, "modules"), self.page(hub, "modules", viewport=PHONE)
        first.get_by_role("button", name="Install Vault").click()
        expect(second.get_by_text("Installing Vault")).to_be_visible()
        first.reload()
        expect(first.get_by_text("Installing Vault")).to_be_visible()
        expect(first.locator(".steps li").first).to_be_visible()
        hub.let_go()
        for page in (first, second):
            expect(page.get_by_role("link", name="Details of Vault")).to_be_visible()
            expect(page.get_by_text("Running")).to_be_visible()

    def test_a_restart_of_the_hub_is_survived(self) -> None:
        """The page says it may be out of date, keeps its content, and recovers."""
        hub = self.hub("well")
        page = self.page(hub)
        expect(page.get_by_role("heading", name="All is well")).to_be_visible()
        hub.stop()
        expect(page.get_by_text("The hub is not answering")).to_be_visible()
        expect(page.get_by_role("heading", name="All is well")).to_be_visible()
        hub.scenario = "trouble"
        hub.start()
        expect(page.get_by_role("heading", name="3 things need your attention")).to_be_visible(timeout=20_000)
        expect(page.get_by_text("The hub is not answering")).to_have_count(0)

    def test_a_log_is_followed_filtered_and_held(self) -> None:
        """New lines appear until the view is paused."""
        hub = self.hub("well")
        page, other = self.page(hub, "modules/notes"), self.page(hub, "modules/notes")
        log, running = page.get_by_label("Log of Notes"), other.get_by_label("Log of Notes")
        expect(log).to_contain_text("GET /api/notes 200 in 6 ms")
        page.get_by_label("Filter lines").fill("in 3 MS")
        expect(log).not_to_contain_text("in 6 ms")
        expect(log).to_contain_text("in 3 ms")
        page.get_by_label("Filter lines").fill("")
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_have_attribute("aria-pressed", "true")
        held, seen = log.inner_text(), running.inner_text()
        expect(running).not_to_have_text(seen)
        self.assertEqual(log.inner_text(), held)
        page.get_by_role("button", name="Resume").click()
        expect(log).not_to_have_text(held)


@requires(program("chromium"))
class ChangesTests(AdminCase):
    def test_a_weighty_change_asks_who_it_is(self) -> None:
        """A wrong password is reported in the dialog, cancelling changes nothing, the right one continues."""
        page = self.page(self.hub("well"), "tokens")
        expect(page.get_by_role("button", name="Create token")).to_be_disabled()
        page.get_by_label("Name").fill("Backup")
        page.get_by_role("button", name="Create token").click()
        dialog = page.get_by_role("dialog", name="Confirm it's you")
        password = dialog.get_by_label("Password")
        expect(password).to_be_focused()
        password.fill("wrong")
        page.keyboard.press("Enter")
        expect(dialog.get_by_text("That is not correct.")).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(page.get_by_text("eyJ.made.up")).to_have_count(0)
        page.get_by_role("button", name="Create token").click()
        password.fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("region", name="Your new token: Backup")).to_contain_text("eyJ.made.up")

    def test_only_what_changed_is_saved(self) -> None:
        """An untouched secret stays as it is."""
        page = self.page(self.hub("well"), "modules/scribe")
        page.get_by_text("Show settings of Scribe").click()
        expect(page.get_by_role("group", name="The service").get_by_label("Api key")).to_be_visible()
        with page.expect_request(lambda request: request.method == "PUT") as asked:
            page.get_by_label("Time limit").fill("60")
            page.get_by_role("button", name="Save", exact=True).click()
        self.assertEqual(asked.value.post_data_json, {"time_limit": 60})
        self.assertEqual(asked.value.headers["x-parachute-csrf"], "c")
        expect(page.get_by_role("status").get_by_text("Saved")).to_be_visible()

    def test_removing_asks_first(self) -> None:
        """Cancelling keeps the module."""
        page = self.page(self.hub("well"), "modules/scribe")
        page.get_by_role("button", name="Remove Scribe").click()
        dialog = page.get_by_role("dialog", name="Remove Scribe?")
        dialog.get_by_role("button", name="Cancel").click()
        expect(dialog).to_have_count(0)
        page.get_by_role("button", name="Remove Scribe").click()
        dialog.get_by_role("button", name="Remove").click()
        expect(page.get_by_role("heading", name="Modules", level=1)).to_be_visible()


@requires(program("chromium"))
class KeyboardTests(AdminCase):
    def test_every_page_is_reached_by_keyboard_alone(self) -> None:
        """Tab and Enter; the new page's heading gets the focus, so that screen readers start there."""
        page = self.page(self.hub("well"))
        for name in ("Modules", "Vaults", "Connected apps", "Tokens", "People", "Settings", "Activity"):
            page.get_by_role("link", name="Skip to content").focus()
            for _ in range(30):
                page.keyboard.press("Tab")
                if focused(page) == name:
                    break
            page.keyboard.press("Enter")
            heading = page.get_by_role("heading", name=name, level=1)
            expect(heading).to_be_focused()
            self.assertRegex(page.title(), re.escape(name))

    def test_on_a_phone_the_rest_of_the_menu_opens(self) -> None:
        """And closes when a page is chosen."""
        page = self.page(self.hub("well"), viewport=PHONE)
        more = page.get_by_role("button", name="More")
        expect(page.get_by_role("link", name="Settings")).to_be_hidden()
        more.focus()
        page.keyboard.press("Enter")
        expect(more).to_have_attribute("aria-expanded", "true")
        page.get_by_role("link", name="Settings").click()
        expect(page.get_by_role("heading", name="Settings", level=1)).to_be_visible()
        expect(more).to_have_attribute("aria-expanded", "false")
