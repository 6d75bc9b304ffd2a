"""The Notes app when its access ends: every note stays readable, and is sent after connecting again."""

import sqlite3
from contextlib import closing
from hashlib import sha256

from playwright.sync_api import Response, Route, expect

from tests.browser.notes_rig import Device, NotesCase
from tests.live.harness import fetch, session_of_owner
from tests.requirements import program, requires

DAYS = 24 * 60 * 60 * 1000


@requires(program("chromium"))
class EndedTests(NotesCase):
    def revoke_the_app(self) -> None:
        """As the owner does under Connected apps."""
        owner = session_of_owner(self.hub)
        csrf = fetch(f"{self.hub.url}/api/me", headers={"Cookie": owner.cookie}).json()["csrf"]
        headers = {
            "Cookie": owner.cookie,
            "Sec-Fetch-Site": "same-origin",
            "X-Parachute-CSRF": csrf,
            "X-Parachute-Key": owner.key,
        }
        (app,) = fetch(f"{self.hub.url}/api/apps", headers=headers).json()["apps"]
        url = f"{self.hub.url}/api/apps/disconnect"
        reply = fetch(url, method="POST", body={"client_id": app["client_id"]}, headers=headers)
        self.assertEqual(reply.status, 200, reply.body)

    def keys(self, statement: str, *values: str) -> None:
        """Change the vault's keys behind its back: it has no interface for that."""
        with closing(sqlite3.connect(self.hub.home / "vault/data/default/vault.db")) as database, database:
            database.execute(statement, values)

    def test_a_wrong_key_is_told_before_anything_opens(self) -> None:
        device = self.device()
        page = device.page
        page.evaluate("localStorage.clear()")
        page.reload()
        page.get_by_text("Use a vault key instead").click()
        for key, words in (("pvt_wrong", "does not know this key"), ("secret", "begins with pvt_")):
            page.get_by_label("Key, starts with pvt_").fill(key)
            page.get_by_role("button", name="Use this key").click()
            expect(page.get_by_role("alert")).to_contain_text(words)
        expect(page.get_by_role("button", name="New note", exact=True)).to_have_count(0)
        page.get_by_label("Key, starts with pvt_").fill(self.key)
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("button", name="New note", exact=True)).to_be_visible()

    def test_a_revoked_key_loses_nothing(self) -> None:
        second = "pvt_second"
        known = sha256(second.encode()).hexdigest()
        self.keys("INSERT INTO keys (hash, label, created_at) VALUES (?, 'phone', '')", known)
        device = self.device(key=second)
        page = device.page
        device.new("on the hub")
        device.saved()
        device.context.set_offline(True)
        device.new("written offline")
        expect(device.status).to_have_text("1 note not on your hub yet")
        self.keys("DELETE FROM keys WHERE hash = ?", known)
        device.context.set_offline(False)
        expect(page.get_by_text("Your hub has ended the access")).to_be_visible()
        self.look(device, "access-ended")
        page.reload()
        device.reads("written offline")
        device.write(" and on")
        device.open("on the hub")
        device.reads("on the hub")
        expect(page.get_by_text("One note waits")).to_be_visible()
        page.get_by_text("Use a vault key instead").click()
        page.get_by_label("Key, starts with pvt_").fill(self.key)
        page.get_by_role("button", name="Use this key").click()
        device.saved()
        expect(page.get_by_text("Your hub has ended the access")).to_have_count(0)
        self.assertEqual({note["content"] for note in self.notes()}, {"on the hub", "written offline and on"})

    def test_an_ended_access_of_the_app_is_given_again(self) -> None:
        device = self.connected()
        page = device.page
        device.new("first")
        device.saved()
        device.context.set_offline(True)
        device.write(", and offline")
        self.revoke_the_app()
        device.context.set_offline(False)
        expect(page.get_by_text("Your hub has ended the access")).to_be_visible(timeout=20_000)
        other = Device(device.context, device.context.new_page())
        other.page.goto(page.url)
        other.reads("first, and offline")
        page.get_by_role("button", name="Connect", exact=True).click()
        page.get_by_role("button", name="Allow", exact=True).click()
        # Either tab may send it.
        self.arrive(device, "first, and offline")
        other.write("!")
        other.saved()
        self.assertEqual(self.note()["content"], "first, and offline!")

    def test_a_laptop_that_slept_for_three_days_goes_on(self) -> None:
        device = self.connected()
        page = device.page
        page.clock.install()
        device.new("on Friday")
        device.saved()
        device.context.set_offline(True)
        device.write(", and on the way home")
        page.clock.fast_forward(3 * DAYS)
        renewed: list[Response] = []
        page.on("response", lambda response: renewed.append(response) if "/oauth/token" in response.url else None)
        self.vault("POST", "api/notes", {"content": "from a colleague"})
        device.context.set_offline(False)
        device.saved()
        expect(device.rows).to_have_count(2)
        self.assertEqual([response.status for response in renewed], [200])
        self.assertIn("on Friday, and on the way home", {note["content"] for note in self.notes()})

    def test_an_answer_that_is_not_the_hubs_ends_nothing(self) -> None:
        """A network that asks to sign in answers every request with its own page."""
        device = self.connected()
        page = device.page
        page.clock.install()
        device.new("kept")
        device.saved()
        page.clock.fast_forward(DAYS)
        status = 200

        def answer(route: Route) -> None:
            route.fulfill(status=status, body="<h1>Sign in</h1>", content_type="text/html")

        for status in (200, 403, 404, 511):
            device.context.route("**/{oauth,vault}/**", answer)
            device.write(f" {status}")
            expect(device.status).to_have_text("1 note not on your hub yet")
            page.clock.run_for(3000)
            expect(page.get_by_role("alert")).to_have_count(0)
            device.context.unroute("**/{oauth,vault}/**")
        page.clock.run_for(20_000)
        device.saved()
        self.assertEqual(self.note()["content"], "kept 200 403 404 511")
