"""The admin app on a real hub with the reference modules: each task of an owner once."""

from contextlib import ExitStack
from typing import Any

from playwright.sync_api import Locator, Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.admin_app import built
from tests.browser.browser import PHONE, chromium, picture, window
from tests.live.harness import OWNER, HubProcess, fetch, hub, packed_examples
from tests.requirements import program, requires

NAME = OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"]
PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]


@requires(program("chromium"))
class AdminOnHubTests(SynchronousTestCase):
    def setUp(self) -> None:
        built()
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.hub: HubProcess = hub(self, catalog=packed_examples()).start()
        self.browser = self.stack.enter_context(chromium())
        self.page = self.sign_in()

    def sign_in(self, **options: Any) -> Page:
        """A browser of the owner, on Home."""
        _, page = self.stack.enter_context(window(self.browser, **options))
        page.goto(f"{self.hub.url}/admin")
        page.get_by_label("Username").fill(NAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
        return page

    def go(self, name: str, page: Page | None = None) -> None:
        page = page or self.page
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()

    def confirm(self) -> None:
        """Confirm with the password."""
        dialog = self.page.get_by_role("dialog", name="Confirm it's you")
        dialog.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)

    def install(self, name: str) -> None:
        self.page.get_by_role("button", name=f"Install {name}").click()
        try:
            expect(self.row(name).get_by_text("Running")).to_be_visible(timeout=30_000)
        except AssertionError as problem:
            told = self.hub.client.call("GET", "/api/modules/operations")
            shown = self.page.get_by_role("main").inner_text()
            raise AssertionError(f"{problem}\nshown: {shown}\ntold: {told}\nlog: {self.hub.log()[-3000:]}") from problem

    def row(self, name: str) -> Locator:
        return self.page.locator("li.module").filter(has=self.page.get_by_role("heading", name=name, exact=True))

    def card(self, title: str) -> Locator:
        return self.page.get_by_role("region", name=title)

    def copied(self, label: str) -> str:
        return self.page.get_by_label(label, exact=True).inner_text()

    def test_from_nothing_to_a_vault_that_a_program_can_write_to(self) -> None:
        """Vault installed, second vault and token created; a second device sees it all."""
        phone = self.sign_in(viewport=PHONE)
        expect(phone.get_by_role("heading", name="Nothing is installed yet")).to_be_visible()
        self.go("Modules")
        self.install("Vault")
        expect(phone.get_by_role("heading", name="All is well")).to_be_visible()
        picture(phone, "admin-hub-phone")

        self.go("Vaults")
        self.page.get_by_label("Name").fill("work")
        self.page.get_by_role("button", name="Create vault").click()
        self.confirm()
        key = self.copied("Key of the vault work")
        self.assertTrue(key.startswith("pvt_"), key[:4])
        self.card("work").get_by_text("Connect Claude or another app").click()
        self.assertEqual(self.copied("Address of the vault work"), f"{self.hub.url}/vault/work/mcp")
        notes = f"{self.hub.url}/vault/work/api/notes"
        self.assertEqual(self.write(notes, key), 201)

        self.go("Tokens")
        self.page.get_by_label("Vault", exact=True).select_option("work")
        self.page.get_by_label("It can").select_option("write")
        self.page.get_by_label("Name").fill("Printer")
        self.page.get_by_role("button", name="Create token").click()
        self.confirm()
        token = self.copied("New token")
        self.assertEqual(self.write(notes, token), 201)
        expect(self.card("Active tokens").get_by_text("Read and write notes in the vault work")).to_be_visible()
        self.card("Active tokens").get_by_role("button", name="Revoke the token Printer").click()
        expect(self.card("Active tokens").get_by_text("in the vault work")).to_have_count(0)
        # It waits for an Undo, and is done at once when the page is left.
        self.assertEqual(self.write(notes, token), 201)
        self.page.reload()
        self.hub.wait_for(lambda: self.write(notes, token) == 401, "the token to end")

    def write(self, address: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return fetch(address, method="POST", body={"content": "hello"}, headers=headers).status

    def test_the_life_of_a_module(self) -> None:
        """Installed, stopped, started, configured, log read, hub restarted, removed."""
        self.go("Modules")
        self.install("Scribe")
        self.row("Scribe").get_by_role("link", name="Details of Scribe").click()
        expect(self.page.get_by_label("Log of Scribe")).to_contain_text("listening")
        self.page.get_by_role("button", name="Stop").click()
        expect(self.page.get_by_role("banner").or_(self.page.locator(".head")).get_by_text("Off")).to_be_visible()
        self.page.get_by_role("button", name="Start", exact=True).click()
        expect(self.page.locator(".head").get_by_text("Running")).to_be_visible(timeout=20_000)

        self.page.get_by_text("Show settings of Scribe").click()
        self.page.get_by_label("Model").fill("tiny")
        self.page.get_by_role("button", name="Save", exact=True).click()
        self.confirm()
        expect(self.page.get_by_role("status").get_by_text("Saved")).to_be_visible()
        self.page.reload()
        self.page.get_by_text("Show settings of Scribe").click()
        expect(self.page.get_by_label("Model")).to_have_value("tiny")

        self.hub.stop()
        expect(self.page.get_by_text("The hub is not answering")).to_be_visible()
        self.hub.start()
        expect(self.page.get_by_text("The hub is not answering")).to_have_count(0, timeout=20_000)
        expect(self.page.locator(".head").get_by_text("Running")).to_be_visible(timeout=20_000)

        self.page.get_by_role("button", name="Remove Scribe").click()
        self.page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
        self.confirm()
        expect(self.page.get_by_role("button", name="Install Scribe")).to_be_visible(timeout=20_000)

    def test_people_and_the_record_of_it(self) -> None:
        """Invitation, acceptance, changed access, audit log."""
        self.go("Modules")
        self.install("Vault")
        self.go("People")
        self.card("Invite someone").get_by_label("Vault").select_option("default")
        self.page.get_by_role("button", name="Create invitation").click()
        self.confirm()
        link = self.copied("Invitation link")
        _, guest = self.stack.enter_context(window(self.browser))
        guest.goto(link)
        guest.get_by_label("Username").fill("kim")
        for field in guest.locator("input[type=password]").all():
            field.fill("purple monkey dishwasher")
        guest.keyboard.press("Enter")
        guest.wait_for_url(f"{self.hub.url}/")
        guest.goto(f"{self.hub.url}/admin")
        guest.wait_for_url(f"{self.hub.url}/")

        self.page.reload()
        expect(self.card("Accounts").get_by_text("Can read and write in default")).to_be_visible()
        self.page.get_by_text("Change or remove kim").click()
        self.page.get_by_label("Vault default").select_option("read")
        self.page.get_by_role("button", name="Save access").click()
        self.confirm()
        expect(self.card("Accounts").get_by_text("Can read default")).to_be_visible()
        self.go("Activity")
        expect(self.page.get_by_text("owner changed the vaults of kim")).to_be_visible()
        expect(self.page.get_by_text("owner invited")).to_be_visible()
        self.hub.client.call("PUT", "/api/settings/hub-origin", {"hub_origin": "http://old.test"})
        self.the_address_changes()

    def the_address_changes(self) -> None:
        """What has to be renewed is told first; the old address answers for a while."""
        self.go("Settings")
        card = self.card("Public address")
        card.get_by_label("Change it to").fill("http://new.test")
        card.get_by_role("button", name="Continue").click()
        expect(card.get_by_text("Everyone signs in once more")).to_be_visible()
        expect(card.get_by_text("http://old.test works as well")).to_be_visible()
        picture(self.page, "admin-address-plan")
        card.get_by_role("button", name="Change the address").click()
        self.confirm()
        expect(card.get_by_text("it also answers at http://old.test")).to_be_visible()

    def test_how_much_of_each_log_is_kept(self) -> None:
        self.go("Settings")
        card = self.card("Logs")
        expect(card.get_by_label("Each log keeps up to")).to_have_value("2")
        card.get_by_label("Each log keeps up to").select_option("5 MB")
        card.get_by_role("button", name="Save").click()
        expect(self.page.get_by_text("Saved", exact=True)).to_be_visible()
        picture(self.page, "settings-logs")
        self.assertEqual(self.hub.client.call("GET", "/api/hub/logs/size")["megabytes"], 5)
        self.go("Activity")
        expect(self.page.get_by_text("owner changed the size of each log to 5 MB")).to_be_visible()

    def test_the_own_account(self) -> None:
        """One place for it, with the way back."""
        self.page.get_by_role("link", name="your account").click()
        expect(self.page.get_by_role("heading", name="Your account")).to_be_visible()
        self.page.get_by_role("link", name="Change name").click()
        self.page.get_by_label("Name").fill("Ärla 🌷")
        self.page.get_by_role("button", name="Save", exact=True).click()
        expect(self.page.get_by_text("You are Ärla 🌷")).to_be_visible()
        self.page.get_by_role("link", name="Parachute").click()
        expect(self.page.get_by_role("heading", name="Hello, Ärla 🌷")).to_be_visible()
        self.page.get_by_role("link", name="Manage the hub").click()
        expect(self.page.get_by_role("link", name="your account")).to_be_visible()
        self.page.get_by_role("button", name="Sign out", exact=True).click()
        self.page.wait_for_url("**/login**")

    def test_a_version_that_takes_over(self) -> None:
        """A page that is open connects again. Another version is told until the page is loaded anew."""
        page = self.page
        self.go("About")
        picture(page, "hub-restart")
        with page.expect_response(lambda answer: answer.url.endswith("/api/events") and answer.ok, timeout=60_000):
            page.get_by_role("button", name="Restart the hub").click()
        expect(page.get_by_text("The hub has restarted.")).to_be_visible(timeout=60_000)
        expect(page.get_by_role("button", name="Restart the hub")).to_be_enabled(timeout=30_000)
        told = {**self.hub.client.health(), "version": "99.1.0"}
        page.route("**/health", lambda route: route.fulfill(json={**told, "instance": "another"}))
        self.hub.client.call("POST", "/api/hub/restart", {})
        banner = page.get_by_text("The hub was updated to version 99.1.0.")
        expect(banner).to_be_visible(timeout=60_000)
        picture(page, "hub-updated")
        page.get_by_role("button", name="Reload this page").click()
        expect(banner).to_have_count(0)
