"""The Notes app loses no word: offline, in two tabs, on two devices, and when the hub is gone for a while."""

import json
from typing import Any

from playwright.sync_api import Route, expect

from tests.browser.notes_rig import Device, NotesCase
from tests.requirements import program, requires

WRITES = "**/vault/default/api/notes/**"


def refuse(status: int, **body: Any) -> Any:
    """A handler that answers changes of notes like this."""

    def answer(route: Route) -> None:
        if route.request.method == "PATCH":
            route.fulfill(status=status, content_type="application/json", body=json.dumps(body))
        else:
            route.continue_()

    return answer


@requires(program("chromium"))
class RefusedTests(NotesCase):
    """A save that cannot succeed holds nobody up, and its text can be kept."""

    def stuck(self, words: str) -> Device:
        """A device whose note was deleted elsewhere while it was changed here."""
        id = self.vault("POST", "api/notes", {"content": "first line"})["id"]
        self.vault("POST", "api/notes", {"content": "another note"})
        device = self.device()
        device.open("first line")
        device.context.set_offline(True)
        device.write(f" {words}")
        self.vault("DELETE", f"api/notes/{id}")
        device.context.set_offline(False)
        expect(device.page.get_by_role("alert")).to_contain_text("deleted somewhere else")
        return device

    def test_every_way_out_stays_open(self) -> None:
        device = self.stuck("mine")
        page = device.page
        device.open("another note")
        device.reads("another note")
        device.open("first line")
        page.get_by_role("button", name="New note", exact=True).click()
        expect(page.get_by_label("Title")).to_be_focused()
        page.get_by_role("button", name="Speak").first.click()
        expect(page.get_by_role("dialog", name="Speak a note")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        device.open("first line")
        device.reads("first line mine")
        expect(device.rows.filter(has_text="first line").get_by_text("Cannot be saved")).to_be_visible()

    def test_the_text_becomes_a_new_note(self) -> None:
        device = self.stuck("mine")
        device.page.get_by_role("button", name="Save as a new note").click()
        device.saved()
        device.reads("first line mine")
        self.assertEqual({note["content"] for note in self.notes()}, {"first line mine", "another note"})

    def test_the_text_is_copied_or_discarded(self) -> None:
        device = self.stuck("mine")
        device.context.grant_permissions(["clipboard-read", "clipboard-write"])
        device.page.get_by_role("button", name="Copy the text").click()
        expect(device.page.get_by_text("Copied.")).to_be_visible()
        self.assertEqual(device.page.evaluate("navigator.clipboard.readText()"), "first line mine")
        device.page.get_by_role("button", name="Discard").click()
        expect(device.rows).to_have_count(1)
        device.saved()

    def test_what_is_too_large_or_forbidden_says_so_and_is_kept(self) -> None:
        for status, body, words in (
            (413, {"code": "too_large", "message": "A note may have up to 8 MB."}, "A note may have up to 8 MB."),
            (403, {"error_type": "insufficient_scope"}, "Notes may only read your vault"),
            (400, {"message": "This text has a broken character."}, "broken character"),
        ):
            id = self.vault("POST", "api/notes", {"content": f"note {status}"})["id"]
            device = self.device()
            device.context.route(WRITES, refuse(status, **body))
            device.open(f"note {status}")
            device.write(" longer")
            alert = device.page.get_by_role("alert")
            expect(alert).to_contain_text(words)
            for offered in ("Save as a new note", "Copy the text", "Discard"):
                expect(alert.get_by_role("button", name=offered)).to_be_visible()
            device.page.reload()
            expect(device.text).to_have_text(f"note {status} longer")
            device.context.unroute(WRITES)
            if status == 403:
                device.page.get_by_role("button", name="Try again").click()
            else:
                device.write("!")
            self.eventually(
                lambda id=id, status=status: self.vault("GET", f"api/notes/{id}")["content"].startswith(  # type: ignore[misc]
                    f"note {status} longer"
                ),
                device.page,
                "the note to be saved",
            )


@requires(program("chromium"))
class CollisionTests(NotesCase):
    """Two devices change one note."""

    def two(self, content: str) -> tuple[Device, Device]:
        """Two devices with this note open, the second one offline."""
        self.vault("POST", "api/notes", {"content": content})
        devices = self.device(), self.device()
        for device in devices:
            device.open(content.split("\n")[0])
        devices[1].context.set_offline(True)
        return devices

    def test_changes_of_different_lines_are_merged(self) -> None:
        one, two = self.two("eggs\n\nmilk")
        one.page.keyboard.press("Control+Home")
        one.text.click()
        one.page.keyboard.press("Control+Home")
        one.page.keyboard.insert_text("fresh ")
        one.saved()
        two.write(" and bread")
        two.context.set_offline(False)
        two.saved()
        for device in (one, two):
            expect(device.text).to_contain_text("fresh eggs")
            expect(device.text).to_contain_text("milk and bread")
        self.assertEqual(self.note()["content"], "fresh eggs\n\nmilk and bread")

    def collide(self) -> tuple[Device, Device]:
        one, two = self.two("plan")
        two.write(" B")
        expect(two.status).to_have_text("1 note not on your hub yet")
        one.write(" A")
        one.saved()
        two.context.set_offline(False)
        expect(two.page.get_by_text("changed somewhere else, too")).to_be_visible()
        return one, two

    def test_both_versions_stay_when_another_note_is_opened(self) -> None:
        self.vault("POST", "api/notes", {"content": "another note"})
        _, two = self.collide()
        two.open("another note")
        expect(two.rows.filter(has_text="plan").get_by_text("Two versions")).to_be_visible()
        two.page.reload()
        two.open("plan")
        sides = two.page.locator(".sides pre")
        expect(sides).to_have_text(["plan B", "plan A"])
        self.look(two, "two-versions")

    def test_each_choice_keeps_what_it_says(self) -> None:
        for button, content in (("Keep mine", "plan B"), ("Keep the other", "plan A"), ("Keep both", "plan B\nplan A")):
            for note in self.notes():
                self.vault("DELETE", f"api/notes/{note['id']}")
            one, two = self.collide()
            two.page.get_by_role("button", name=button).click()
            expect(two.page.get_by_role("alert")).to_have_count(0)
            two.saved()
            note = self.note()
            self.assertEqual(note["content"], content, button)
            expect(one.text).to_have_text(content.replace("\n", ""))
            kept = [note["content"]]
            for version in self.vault("GET", f"api/notes/{note['id']}/versions"):
                kept.append(self.vault("GET", f"api/notes/{note['id']}/versions/{version['version']}")["content"])
            self.assertIn("plan A", " ".join(kept), button)

    def test_a_deletion_gives_way_to_a_change_it_did_not_know(self) -> None:
        one, two = self.two("plan")
        two.page.get_by_role("button", name="Delete").click()
        expect(two.page.get_by_text("Moved to the trash")).to_be_visible()
        one.write(" with news")
        one.saved()
        two.context.set_offline(False)
        expect(two.rows.filter(has_text="plan with news")).to_be_visible()
        self.assertEqual(self.note()["content"], "plan with news")


@requires(program("chromium"))
class OutboxTests(NotesCase):
    """What is not on the hub yet is kept, shown, and sent by itself."""

    def test_notes_written_offline_survive_reloads_and_are_sent(self) -> None:
        device = self.device()
        page = device.page
        device.new("kept one")
        device.saved()
        device.context.set_offline(True)
        device.write(" changed")
        device.new("written on a train")
        page.keyboard.press("Escape")
        device.new("#train second")
        expect(device.status).to_have_text("3 notes not on your hub yet")
        expect(page.get_by_text("You are offline")).to_be_visible()
        page.reload()
        expect(device.status).to_have_text("3 notes not on your hub yet")
        expect(device.rows).to_have_count(3)
        page.get_by_label("Search notes").fill("train")
        expect(device.rows).to_have_count(2)
        page.get_by_label("Search notes").fill("#train")
        expect(device.rows).to_have_count(1)
        page.get_by_label("Search notes").fill("")
        device.open("kept one")
        device.reads("kept one changed")
        device.write("!")
        device.context.set_offline(False)
        device.saved()
        contents = {note["content"] for note in self.notes()}
        self.assertEqual(contents, {"kept one changed!", "written on a train", "#train second"})

    def test_they_are_sent_when_the_hub_is_back(self) -> None:
        device = self.device()
        device.new("before")
        device.saved()
        self.hub.kill()
        try:
            device.write(" and while it was away")
            expect(device.status).to_have_text("1 note not on your hub yet")
            expect(device.page.get_by_text("Your hub does not answer")).to_be_visible()
            device.page.reload()
            expect(device.text).to_have_text("before and while it was away")
        finally:
            self.hub.start()
        expect(device.status).to_have_text("Saved", timeout=60_000)
        self.assertEqual(self.note()["content"], "before and while it was away")

    def test_a_lost_answer_makes_no_second_note_and_no_conflict(self) -> None:
        device = self.device()
        lost: list[str] = []

        def lose(route: Route) -> None:
            if route.request.method in ("POST", "PATCH") and len(lost) < 3:
                lost.append(route.request.method)
                route.fetch()
                route.abort()
            else:
                route.continue_()

        device.context.route("**/vault/default/api/notes**", lose)
        device.new("once")
        self.eventually(lambda: len(lost) == 1, device.page, "the first answer to be lost")
        device.write(" and more")
        device.saved()
        expect(device.page.get_by_role("alert")).to_have_count(0)
        self.assertEqual([note["content"] for note in self.notes()], ["once and more"])
        self.assertGreaterEqual(len(lost), 2)

    def test_a_click_on_the_open_note_keeps_what_was_just_typed(self) -> None:
        device = self.device()
        device.new("start")
        device.saved()
        for word in (" one", " two", " three"):
            device.write(word)
            device.rows.first.click()
        device.reads("start one two three")
        device.saved()
        expect(device.page.get_by_role("alert")).to_have_count(0)
        self.assertEqual(self.note()["content"], "start one two three")

    def test_two_tabs_keep_their_own_words(self) -> None:
        device = self.device()
        device.new("shared note")
        device.saved()
        other = Device(device.context, device.context.new_page())
        other.page.goto(f"{self.hub.url}/notes/")
        other.open("shared note")
        device.context.set_offline(True)
        device.new("of the first tab")
        other.new("of the second tab")
        expect(device.rows).to_have_count(3)
        # Closed in the middle of a word, and at once.
        other.write(", cut off")
        other.page.close()
        device.page.reload()
        expect(device.rows.filter(has_text="of the second tab, cut off")).to_be_visible()
        device.context.set_offline(False)
        device.saved()
        self.assertEqual(
            {note["content"] for note in self.notes()},
            {"shared note", "of the first tab", "of the second tab, cut off"},
        )

    def test_two_tabs_with_one_note_show_the_same(self) -> None:
        device = self.device()
        device.new("line\n")
        device.saved()
        other = Device(device.context, device.context.new_page())
        other.page.goto(device.page.url)
        expect(other.text).to_contain_text("line")
        other.write("from the second tab\n")
        expect(device.text).to_contain_text("from the second tab")
        device.write("from the first tab\n")
        expect(other.text).to_contain_text("from the first tab")
        device.saved()
        self.assertEqual(self.note()["content"], "line\nfrom the second tab\nfrom the first tab\n")

    def test_disconnecting_warns_of_what_would_be_lost(self) -> None:
        device = self.device()
        device.context.set_offline(True)
        device.new("only here")
        expect(device.status).to_have_text("1 note not on your hub yet")
        device.page.get_by_text("More", exact=True).click()
        device.page.get_by_role("button", name="Disconnect", exact=True).click()
        dialog = device.page.get_by_role("dialog")
        expect(dialog).to_contain_text("1 note is not on your hub yet and would be lost")
        dialog.get_by_role("button", name="Stay connected").click()
        device.context.set_offline(False)
        device.saved()
        device.page.get_by_text("More", exact=True).click()
        device.page.get_by_role("button", name="Disconnect", exact=True).click()
        dialog.get_by_role("button", name="Disconnect", exact=True).click()
        expect(device.page.get_by_role("button", name="Connect", exact=True)).to_be_visible()
        none = "indexedDB.databases().then((all) => all.length === 0)"
        self.eventually(lambda: bool(device.page.evaluate(none)), device.page, "the database to be deleted")
