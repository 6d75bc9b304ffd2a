"""Files that odd things happen to in the Notes app: a second tab, twenty at once, a download, a refusal."""

import json
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.browser.notes_rig import Device, NotesCase
from tests.browser.test_notes_files import PASTE, picked, png
from tests.requirements import program, requires


@requires(program("chromium"))
class FileTests(NotesCase):
    def test_a_file_added_in_a_second_tab_is_sent(self) -> None:
        device = self.device()
        device.new("shared note\n")
        device.saved()
        other = Device(device.context, device.context.new_page())
        other.page.goto(device.page.url)
        expect(other.text).to_contain_text("shared note")
        other.page.get_by_label("Add a file").set_input_files(picked("a.png", png(30, 20)))
        self.eventually(lambda: len(self.vault("GET", "api/attachments")) == 1, device.page, "the file")
        other.saved()
        device.saved()

    def test_many_pictures_at_once_all_arrive(self) -> None:
        device = self.device()
        device.new("album\n")
        device.page.get_by_label("Add a file").set_input_files(
            [picked(f"{at}.png", png(30, 20, at)) for at in range(20)]
        )
        # Another note is opened while they are still being added.
        device.page.get_by_role("button", name="New note", exact=True).click()
        device.saved()
        self.eventually(lambda: len(self.vault("GET", "api/attachments")) == 20, device.page, "all pictures")
        names = [f"![{at}.png](attachments/" for at in range(20)]
        # A file may be there before the words that show it.
        self.eventually(lambda: all(name in self.note()["content"] for name in names), device.page, "all words")

    def test_a_file_in_a_note_is_opened_as_a_download(self) -> None:
        device = self.device()
        device.new("papers\n")
        svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>parent.hacked = 1</script></svg>'
        device.page.get_by_label("Add a file").set_input_files(
            [picked("plan.pdf", b"%PDF-1.4 plan", "application/pdf"), picked("odd.heic", b"heic", "image/heic")]
        )
        device.page.get_by_label("Add a file").set_input_files(picked("drawing.svg", svg, "image/svg+xml"))
        device.page.get_by_label("Title").click()
        expect(device.page.get_by_text("odd.heic (this browser cannot show it)")).to_be_visible()
        device.saved()
        device.context.set_offline(True)
        with device.page.expect_download() as download:
            device.page.locator(".cm-link", has_text="plan.pdf").click()
        self.assertEqual(download.value.suggested_filename, "plan.pdf")
        self.assertEqual(Path(download.value.path()).read_bytes(), b"%PDF-1.4 plan")
        self.assertFalse(device.page.evaluate("'hacked' in window"))

    def test_a_refused_file_says_why_and_holds_up_nothing(self) -> None:
        device = self.device()

        def refuse(route: Route) -> None:
            body = json.dumps({"code": "too_large", "message": "This vault takes no such files."})
            route.fulfill(status=413, content_type="application/json", body=body)

        device.context.route("**/api/uploads", refuse)
        device.new("with a file\n")
        device.text.evaluate(PASTE, ["a.png", "image/png", list(png(30, 20)), "paste"])
        expect(device.page.get_by_text("This vault takes no such files.")).to_be_visible()
        self.eventually(lambda: len(self.notes()) == 1, device.page, "the note")
        expect(device.status).to_have_text("1 file not on your hub yet")
        device.page.get_by_role("button", name="Delete").click()
        device.saved()
