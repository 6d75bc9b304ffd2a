"""Writing in the Notes app: Markdown, links, tags, trash, history; by keyboard, on a phone and on a desk."""

import json
from urllib.parse import quote

from playwright.sync_api import expect

from tests.browser.notes_rig import Device, NotesCase
from tests.requirements import program, requires

PHONE = {"width": 320, "height": 640}
MARKDOWN = (
    "# Plan\n\n## Today\n\n- [ ] water the *beans*\n- [x] buy **bread**\n\n> said by [me](https://example.com/a)\n\n"
    "```python\nprint('#notag [[nolink]]')\n```\n\nEnd with `code`, ~~this~~ and  two blanks  \n\n\n"
)


@requires(program("chromium"))
class MarkdownTests(NotesCase):
    def test_what_was_typed_is_stored_byte_for_byte(self) -> None:
        device = self.device()
        for text in (MARKDOWN, "tab\there\u00a0nbsp \U0001d4b3 e\u0301\n", "  \n\n leading"):
            device.new(text)
            device.saved()
            self.assertIn(text, [note["content"] for note in self.notes()])

    def test_line_ends_of_other_systems_stay(self) -> None:
        id = self.vault("POST", "api/notes", {"content": "from Windows\r\nsecond\r\n"})["id"]
        device = self.device()
        device.open("from Windows")
        device.write("third")
        device.saved()
        self.assertEqual(self.vault("GET", f"api/notes/{id}")["content"], "from Windows\r\nsecond\r\nthird")

    def test_it_looks_like_what_it_means(self) -> None:
        device = self.device()
        device.new(MARKDOWN)
        device.page.get_by_label("Title").click()
        expect(device.page.locator(".cm-h1")).to_have_text("Plan")
        expect(device.page.locator(".cm-h2")).to_have_text("Today")
        expect(device.page.locator(".cm-code")).to_have_count(3)
        expect(device.page.locator(".cm-link")).to_have_text("me")
        expect(device.page.locator(".cm-tag")).to_have_count(0)
        self.look(device, "markdown")

    def test_a_checklist_is_ticked(self) -> None:
        device = self.device()
        device.new(MARKDOWN)
        device.page.get_by_role("checkbox", name="water the *beans*").check()
        device.page.get_by_role("checkbox", name="buy **bread**").uncheck()
        device.saved()
        expected = MARKDOWN.replace("[x]", "[?]").replace("[ ]", "[x]").replace("[?]", "[ ]")
        self.assertEqual(self.note()["content"], expected)

    def test_enter_goes_on_with_a_list(self) -> None:
        device = self.device()
        device.new()
        device.page.keyboard.type("- one")
        device.page.keyboard.press("Enter")
        device.page.keyboard.type("two")
        device.saved()
        self.assertEqual(self.note()["content"], "- one\n- two")

    def test_an_address_of_another_kind_is_not_followed(self) -> None:
        device = self.device()
        device.new("[bad](javascript:alert(1)) and [good](https://example.com/x)\n\nend")
        device.context.route("https://example.com/**", lambda route: route.fulfill(body="there"))
        opened: list[str] = []
        device.context.on("page", lambda page: opened.append(page.url))
        device.page.keyboard.press("Control+End")
        device.page.locator(".cm-link").first.click()
        device.page.wait_for_timeout(200)
        self.assertEqual(opened, [])
        with device.context.expect_page() as other:
            device.page.locator(".cm-link").last.click()
        expect(other.value).to_have_url("https://example.com/x")


@requires(program("chromium"))
class LinkTests(NotesCase):
    def test_a_link_is_completed_followed_and_led_back(self) -> None:
        device = self.device()
        device.new("watering can", title="Garden shed")
        device.saved()
        device.new()
        device.page.keyboard.type("look into [[gar")
        device.page.get_by_role("option", name="Garden shed").click()
        device.page.keyboard.type(" today\n")
        device.saved()
        contents = {note["content"] for note in self.notes()}
        self.assertIn("look into [[Garden shed]] today\n", contents)
        device.page.locator(".cm-link").click()
        expect(device.page.get_by_label("Title")).to_have_value("Garden shed")
        expect(device.page.get_by_text("1 note links here")).to_be_visible()
        self.look(device, "backlinks")
        device.page.get_by_role("link", name="look into").click()
        expect(device.text).to_contain_text("look into")

    def test_a_link_to_nothing_begins_a_note(self) -> None:
        device = self.device()
        device.new("[[Not there yet]]\n\nend")
        device.page.locator(".cm-link").click()
        expect(device.page.get_by_label("Title")).to_have_value("Not there yet")
        device.saved()
        self.assertEqual(len(self.notes()), 2)

    def test_renaming_moves_the_links(self) -> None:
        for title, content in (("Garden", "beans"), ("", "# Garden")):
            for note in self.notes():
                self.vault("DELETE", f"api/notes/{note['id']}")
            device = self.device()
            device.new(content, title=title)
            device.saved()
            device.new("see [[Garden]]")
            device.saved()
            device.open("Garden" if title else "Garden")
            device.rows.filter(has_not_text="see").first.click()
            if title:
                device.page.get_by_label("Title").fill("Orchard")
                device.page.keyboard.press("Enter")
            else:
                device.text.click()
                device.page.keyboard.press("Control+a")
                device.page.keyboard.insert_text("# Orchard")
                device.page.get_by_label("Title").click()
            self.eventually(
                lambda: "see [[Orchard]]" in {note["content"] for note in self.notes()}, device.page, "the link to move"
            )
            expect(device.rows.filter(has_text="see Orchard")).to_be_visible()
            device.context.close()

    def test_a_title_that_is_taken_says_so_and_the_text_is_saved(self) -> None:
        self.vault("POST", "api/notes", {"content": "the first", "path": "Garden"})
        device = self.device()
        device.new("the second", title="Garden")
        expect(device.page.get_by_role("alert")).to_contain_text("Another note has this title")
        device.write(" goes on")
        self.eventually(
            lambda: "the second goes on" in {note["content"] for note in self.notes()}, device.page, "the text"
        )
        device.page.get_by_label("Title").fill("Garden 2")
        device.page.keyboard.press("Enter")
        device.saved()
        expect(device.page.get_by_role("alert")).to_have_count(0)
        self.assertEqual({note.get("path") for note in self.notes()}, {"Garden", "Garden 2"})


@requires(program("chromium"))
class FindTests(NotesCase):
    def test_tags_are_found_counted_and_clicked(self) -> None:
        self.vault("POST", "api/notes", {"content": "roses #garden and 12 #12", "tags": ["home"]})
        self.vault("POST", "api/notes", {"content": "garden gnome"})
        self.vault("POST", "api/notes", {"content": "bread #shop/food"})
        device = self.device()
        expect(device.rows).to_have_count(3)
        for search, hits in (("garden", 2), ("#garden", 1), ("#home roses", 1), ("#shop", 1), ("#12", 0), ("GNOME", 1)):
            device.page.get_by_label("Search notes").fill(search)
            expect(device.rows).to_have_count(hits)
        device.page.get_by_label("Search notes").fill("")
        device.page.get_by_role("list", name="Tags").get_by_role("button", name="#shop/food").click()
        expect(device.rows).to_have_count(1)
        expect(device.page.get_by_label("Search notes")).to_have_value("#shop/food")
        device.page.get_by_role("list", name="Tags").get_by_role("button", name="#shop/food").click()
        expect(device.rows).to_have_count(3)
        device.open("roses")
        device.page.locator(".cm-tag").click()
        expect(device.rows).to_have_count(1)

    def test_sorted_as_asked_and_pinned_first(self) -> None:
        for text in ("b second", "c first", "a last"):
            self.vault("POST", "api/notes", {"content": text})
        device = self.device()
        expect(device.rows.locator("strong")).to_have_text(["a last", "c first", "b second"])
        device.page.get_by_label("Sort by").select_option("title")
        expect(device.rows.locator("strong")).to_have_text(["a last", "b second", "c first"])
        device.open("c first")
        device.page.get_by_role("button", name="Pin", exact=True).click()
        expect(device.rows.first).to_contain_text("c first")
        device.saved()
        other = self.device()
        expect(other.rows.first).to_contain_text("c first")
        device.page.reload()
        expect(device.page.get_by_label("Sort by")).to_have_value("title")

    def test_changes_of_another_device_appear_by_themselves(self) -> None:
        device = self.device()
        id = self.vault("POST", "api/notes", {"content": "from elsewhere"})["id"]
        expect(device.rows).to_have_count(1)
        self.vault("PATCH", f"api/notes/{id}", {"content": "changed elsewhere"})
        expect(device.rows).to_contain_text("changed elsewhere")
        device.open("changed elsewhere")
        self.vault("PATCH", f"api/notes/{id}", {"content": "changed again"})
        expect(device.text).to_have_text("changed again")
        self.vault("DELETE", f"api/notes/{id}")
        expect(device.rows).to_have_count(0)
        expect(device.page.get_by_text("This note is not here")).to_be_visible()


@requires(program("chromium"))
class TrashTests(NotesCase):
    def test_a_deleted_note_comes_back(self) -> None:
        device = self.device()
        device.new("precious", title="Keep")
        device.saved()
        device.page.get_by_role("button", name="Delete").click()
        device.page.get_by_role("button", name="Undo").click()
        device.reads("precious")
        device.saved()
        device.page.get_by_role("button", name="Delete").click()
        device.saved()
        self.eventually(lambda: self.notes() == [], device.page, "the note to be deleted")
        device.page.get_by_text("More", exact=True).click()
        device.page.get_by_role("button", name="Trash").click()
        expect(device.page.get_by_text("Keep")).to_be_visible()
        self.look(device, "trash")
        device.page.get_by_role("button", name="Restore").click()
        device.reads("precious")
        self.assertEqual((self.note()["path"], self.note()["content"]), ("Keep", "precious"))

    def test_the_trash_is_emptied_only_after_a_question(self) -> None:
        for text in ("apple", "pear"):
            self.vault("DELETE", f"api/notes/{self.vault('POST', 'api/notes', {'content': text})['id']}")
        device = self.device()
        device.page.goto(f"{self.hub.url}/notes/#/trash")
        device.page.get_by_role("listitem").filter(has_text="apple").get_by_role(
            "button", name="Delete for good"
        ).click()
        expect(device.page.get_by_role("button", name="Restore")).to_have_count(1)
        device.page.get_by_role("button", name="Empty the trash").click()
        device.page.get_by_role("button", name="Delete all").click()
        expect(device.page.get_by_text("The trash is empty")).to_be_visible()
        self.assertEqual(self.vault("GET", "api/trash"), [])

    def test_an_earlier_version_is_compared_and_restored(self) -> None:
        id = self.vault("POST", "api/notes", {"content": "line one\nline two"})["id"]
        self.vault("PATCH", f"api/notes/{id}", {"content": "line one\nline 2\nline three"})
        device = self.device()
        device.open("line one")
        device.page.get_by_role("button", name="History").click()
        device.page.locator(".history li button").first.click()
        expect(device.page.locator(".diff del")).to_have_text(["line two"])
        expect(device.page.locator(".diff ins")).to_have_text(["line 2", "line three"])
        self.look(device, "history")
        device.page.get_by_role("button", name="Restore this version").click()
        device.reads("line one\nline two")
        device.saved()
        self.assertEqual(self.note()["content"], "line one\nline two")
        texts = [
            self.vault("GET", f"api/notes/{id}/versions/{version['version']}")["content"]
            for version in self.vault("GET", f"api/notes/{id}/versions")
        ]
        self.assertIn("line one\nline 2\nline three", texts)


@requires(program("chromium"))
class HandTests(NotesCase):
    def test_by_keyboard_alone(self) -> None:
        device = self.device()
        keyboard = device.page.keyboard
        keyboard.press("?")
        expect(device.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        self.look(device, "shortcuts")
        keyboard.press("Escape")
        expect(device.page.get_by_role("dialog")).to_have_count(0)
        for text in ("first", "second"):
            keyboard.press("n")
            expect(device.page.get_by_label("Title")).to_be_focused()
            keyboard.press("Enter")
            expect(device.text).to_be_focused()
            keyboard.type(text)
            keyboard.press("Control+s")
            device.saved()
            keyboard.press("Escape")
            expect(device.page.get_by_role("button", name="New note")).to_be_focused()
        keyboard.press("j")
        expect(device.text).to_have_text("second")
        keyboard.press("j")
        expect(device.text).to_have_text("first")
        keyboard.press("k")
        expect(device.text).to_have_text("second")
        keyboard.press("/")
        expect(device.page.get_by_label("Search notes")).to_be_focused()
        keyboard.type("fir")
        expect(device.rows).to_have_count(1)

    def test_with_one_thumb_on_a_small_phone(self) -> None:
        device = self.device(viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
        self.look(device, "phone-empty")
        button = device.page.get_by_role("button", name="New note", exact=True)
        box = button.bounding_box()
        assert box is not None
        self.assertGreater(box["y"], PHONE["height"] * 0.75)
        self.assertGreaterEqual(box["height"], 44)
        device.new("on the phone", title="A long title that does not fit into one line of a phone")
        device.saved()
        tools = device.page.locator(".tools")
        heights = [one.bounding_box()["height"] for one in (tools, tools.get_by_role("button", name="Delete"))]  # type: ignore[index]
        self.assertLess(heights[0], 1.5 * heights[1], "the tools take two lines")
        self.look(device, "phone-note")
        device.page.get_by_role("button", name="All notes").click()
        expect(device.rows).to_have_count(1)
        device.rows.first.tap()
        device.reads("on the phone")
        device.page.go_back()
        expect(device.rows).to_have_count(1)

    def test_it_can_be_installed(self) -> None:
        device = self.device()
        session = device.context.new_cdp_session(device.page)
        manifest = session.send("Page.getAppManifest")
        self.assertEqual(manifest["errors"], [])
        self.assertEqual(json.loads(manifest["data"])["share_target"]["action"], "/notes/share")
        errors = [error["errorId"] for error in session.send("Page.getInstallabilityErrors")["installabilityErrors"]]
        self.assertEqual([error for error in errors if error != "in-incognito"], [])

    def test_notes_are_imported_and_downloaded(self) -> None:
        device = self.device()
        device.page.get_by_text("More", exact=True).click()
        text = json.dumps({"notes": [{"content": "imported", "path": "From/Elsewhere"}]})
        device.page.get_by_label("Import notes").set_input_files(
            {"name": "notes.json", "mimeType": "application/json", "buffer": text.encode()}
        )
        expect(device.page.get_by_text("Imported: 1 new note.")).to_be_visible()
        expect(device.rows).to_have_count(1)
        device.page.get_by_text("More", exact=True).click()
        with device.page.expect_download() as download:
            device.page.get_by_role("button", name="Download all notes").click()
        self.assertIn(b"imported", download.value.path().read_bytes())

    def test_a_link_to_a_note_opens_it(self) -> None:
        id = self.vault("POST", "api/notes", {"content": "linked to"})["id"]
        device: Device = self.device()
        device.page.goto(f"{self.hub.url}/notes/#/note/{quote(id)}")
        expect(device.text).to_have_text("linked to")
