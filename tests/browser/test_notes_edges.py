"""Typing in the Notes app where it is easily lost: before the editor is there, by an input method, without room."""

from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import CDPSession, Route, expect

from tests.browser.browser import CHROMIUM, FLAGS
from tests.browser.notes_rig import Device, NotesCase
from tests.requirements import program, requires


def typed_by(session: CDPSession, *steps: str) -> None:
    """What an input method shows while a word is composed."""
    for text in steps:
        session.send("Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)})


# Fills what is left of the profile's room.
FILL = """async () => {
  const open = indexedDB.open("parachute-notes-default")
  const db = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result) })
  const put = (size, name) => new Promise((resolve) => {
    const adding = db.transaction("meta", "readwrite")
    adding.objectStore("meta").put("x".repeat(size), name)
    adding.oncomplete = () => resolve(true)
    adding.onabort = () => resolve(false)
  })
  let number = 0
  for (let size = 1 << 20; size > 0; size >>= 1) while (await put(size, `filler ${number++}`)) {}
  db.close()
}"""


@requires(program("chromium"))
class EdgeTests(NotesCase):
    def slow(self) -> tuple[Device, list[Route]]:
        """A device with a new note whose editor does not arrive until its request is continued."""
        device = self.device(service_workers="block")
        held: list[Route] = []
        device.context.route("**/codemirror-*.js", lambda route: held.append(route))
        device.page.get_by_role("button", name="New note", exact=True).click()
        expect(device.page.get_by_label("Title")).to_be_focused()
        device.page.keyboard.press("Enter")
        expect(device.page.get_by_label("Text")).to_be_focused()
        self.eventually(lambda: len(held) > 0, device.page, "the editor to be asked for")
        return device, held

    def session(self, device: Device) -> CDPSession:
        return device.context.new_cdp_session(device.page)

    def remote(self, content: str) -> None:
        self.vault("PATCH", f"api/notes/{self.note()['id']}", {"content": content})

    def test_typing_begins_before_the_editor_is_there(self) -> None:
        device, held = self.slow()
        device.page.keyboard.type("first\nsecond")
        device.saved()
        self.assertEqual(self.note()["content"], "first\nsecond")
        device.page.keyboard.press("Home")
        device.page.keyboard.type("the ")
        held[0].continue_()
        expect(device.text).to_be_focused()
        device.page.keyboard.type("very ")
        device.saved()
        self.assertEqual(self.note()["content"], "first\nthe very second")

    def test_a_word_is_composed_while_the_editor_arrives(self) -> None:
        device, held = self.slow()
        session = self.session(device)
        typed_by(session, "に", "にほ")
        held[0].continue_()
        typed_by(session, "にほん")
        session.send("Input.insertText", {"text": "日本"})
        expect(device.text).to_be_focused()
        device.reads("日本")
        device.page.keyboard.insert_text("!")
        device.saved()
        self.assertEqual(self.note()["content"], "日本!")

    def test_a_word_is_composed_while_another_device_writes(self) -> None:
        device = self.device()
        device.new("top\nmiddle\nend ")
        device.saved()
        session = self.session(device)
        typed_by(session, "に", "にほ")
        self.eventually(lambda: "にほ" in self.note()["content"], device.page, "the half word")
        self.remote("top, changed\nmiddle\nend にほ")
        expect(device.text).to_contain_text("top, changed")
        typed_by(session, "にほん")
        session.send("Input.insertText", {"text": "日本"})
        device.saved()
        self.eventually(lambda: "日本" in self.note()["content"], device.page, "the word")
        self.assertEqual(self.note()["content"], "top, changed\nmiddle\nend 日本")

    def test_undo_takes_back_ones_own_words_only(self) -> None:
        device = self.device()
        device.new("top\nmiddle\nend")
        device.saved()
        device.page.reload()
        device.text.click()
        device.page.keyboard.press("Control+Home")
        device.page.keyboard.press("ArrowDown")
        device.page.keyboard.insert_text("my ")
        device.saved()
        self.remote("top of theirs\nmy middle\nend of theirs")
        device.reads("top of theirs\nmy middle\nend of theirs")
        device.page.keyboard.insert_text("own ")
        device.reads("top of theirs\nmy own middle\nend of theirs")
        for _ in range(3):
            device.page.keyboard.press("Control+z")
        device.reads("top of theirs\nmiddle\nend of theirs")
        device.saved()
        self.assertEqual(self.note()["content"], "top of theirs\nmiddle\nend of theirs")
        device.page.keyboard.press("Control+y")
        expect(device.text).to_contain_text("my ")

    def test_a_full_device_says_so_and_keeps_the_words_in_sight(self) -> None:
        # Chromium sets no limit for a profile that is not kept.
        profile = self.stack.enter_context(TemporaryDirectory())
        launch = self.browser.browser_type.launch_persistent_context
        context = launch(profile, executable_path=CHROMIUM, headless=True, args=FLAGS)
        self.stack.callback(context.close)
        page = context.new_page()
        session = context.new_cdp_session(page)

        def quota(**size: Any) -> None:
            session.send("Storage.overrideQuotaForOrigin", {"origin": self.hub.url, **size})

        quota(quotaSize=5_000_000)
        device = self.with_key(context, page)
        device.new("kept")
        device.saved()
        page.evaluate(FILL)
        device.write(" and no room for this")
        expect(device.page.get_by_role("alert")).to_contain_text("This device has no room left for notes")
        device.reads("kept and no room for this")
        device.page.get_by_role("link", name="Notes", exact=True).click()
        quota()
        device.open("kept")
        device.reads("kept and no room for this")
        expect(device.page.get_by_role("alert")).to_have_count(0)
        device.saved()
        self.assertEqual(self.note()["content"], "kept and no room for this")

    def test_a_note_of_10_000_lines_is_written_in(self) -> None:
        lines = "".join(f"- line {number} with some words\n" for number in range(10_000))
        self.vault("POST", "api/notes", {"content": f"# Long\n{lines}"})
        device = self.device()
        device.open("Long")
        device.write("at the end")
        device.page.keyboard.press("Control+Home")
        device.page.keyboard.press("End")
        device.page.keyboard.type(" note")
        device.saved()
        self.assertEqual(self.note()["content"], f"# Long note\n{lines}at the end")
        self.remote(f"# Long note\n- from elsewhere\n{lines}at the end")
        expect(device.text).to_contain_text("from elsewhere")
