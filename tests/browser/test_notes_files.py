"""Pictures, files, sharing and speech in the Notes app."""

import struct
import zlib
from pathlib import Path
from typing import Any

from playwright.sync_api import Route, expect

from tests.browser.notes_rig import Device, NotesCase
from tests.live.harness import fetch
from tests.requirements import program, requires


def png(width: int, height: int = 1, shade: int = 120) -> bytes:
    """A picture of one colour."""
    rows = b"".join(b"\0" + bytes([shade]) * width for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def picked(name: str, data: bytes, kind: str = "image/png") -> Any:
    return {"name": name, "mimeType": kind, "buffer": data}


PASTE = """(element, [name, type, bytes, kind]) => {
  const data = new DataTransfer()
  data.items.add(new File([new Uint8Array(bytes)], name, { type }))
  const Kind = kind === "paste" ? ClipboardEvent : DragEvent
  const init = { bubbles: true, cancelable: true, composed: true }
  const part = kind === "paste" ? { clipboardData: data } : { dataTransfer: data }
  element.dispatchEvent(new Kind(kind, { ...init, ...part }))
}"""


@requires(program("chromium"))
class PictureTests(NotesCase):
    def attachments(self) -> list[dict[str, Any]]:
        return list(self.vault("GET", "api/attachments"))

    def its(self, device: Device) -> list[dict[str, Any]]:
        """The attachments of the note that is open."""
        return [one for one in self.attachments() if one["note"] in device.page.url]

    def seen(self, device: Device) -> None:
        """The picture is drawn."""
        picture = device.page.locator(".cm-picture img")
        expect(picture).to_be_visible()
        expect(picture).to_have_js_property("naturalWidth", 30)

    def test_a_picture_comes_by_button_paste_and_drop(self) -> None:
        device = self.device()
        for way in ("button", "paste", "drop"):
            device.new(f"by {way}\n")
            if way == "button":
                device.page.get_by_label("Add a file").set_input_files(picked("a.png", png(30, 20)))
            else:
                device.text.evaluate(PASTE, ["a.png", "image/png", list(png(30, 20)), way])
            self.seen(device)
            device.saved()
            self.eventually(lambda: len(self.its(device)) == 1, device.page, "the picture")
            (kept,) = self.its(device)
            self.assertEqual((kept["type"], kept["size"]), ("image/png", len(png(30, 20))))
            expect(device.page.get_by_role("list", name="Files on their way")).to_have_count(0)
        self.look(device, "picture")

    def test_it_shows_on_another_device_and_offline_once_seen(self) -> None:
        device = self.device()
        device.new("with a picture\n")
        device.page.get_by_label("Add a file").set_input_files(picked("a.png", png(30, 20)))
        self.eventually(lambda: len(self.attachments()) == 1, device.page, "the picture")
        other = self.device()
        other.open("with a picture")
        self.seen(other)
        other.context.set_offline(True)
        other.page.reload()
        self.seen(other)

    def test_what_was_added_offline_is_sent_later(self) -> None:
        device = self.device()
        device.context.set_offline(True)
        device.new("on a train\n")
        device.page.get_by_label("Add a file").set_input_files(picked("a.png", png(30, 20)))
        self.seen(device)
        expect(device.status).to_have_text("1 note and 1 file not on your hub yet")
        device.page.reload()
        self.seen(device)
        device.context.set_offline(False)
        device.saved()
        self.assertEqual(len(self.attachments()), 1)

    def test_an_upload_goes_on_where_it_stopped(self) -> None:
        data = bytes(range(256)) * (9 * 4096)
        film = Path(self.mktemp())
        film.parent.mkdir(parents=True, exist_ok=True)
        film.write_bytes(data)
        device = self.device()
        pieces: list[int] = []

        def break_off(route: Route) -> None:
            if route.request.method != "PATCH":
                return route.continue_()
            pieces.append(int(route.request.headers["upload-offset"]))
            return route.abort() if len(pieces) == 2 else route.continue_()

        device.context.route("**/api/uploads/**", break_off)
        device.new("a film\n")
        device.page.get_by_label("Add a file").set_input_files(film)
        expect(device.page.get_by_role("progressbar")).to_be_visible()
        device.saved()
        self.assertEqual(pieces, [0, 4194304, 4194304, 8388608])
        (kept,) = self.attachments()
        url = f"{self.hub.url}/vault/default/{kept['url']}"
        self.assertEqual(fetch(url, headers={"Authorization": f"Bearer {self.key}"}).body, data)

    def test_a_file_over_the_limit_says_the_limit(self) -> None:
        device = self.device()
        device.new("too much\n")
        device.page.evaluate("""() => {
          const data = new DataTransfer()
          const file = new File(["x"], "big.bin")
          Object.defineProperty(file, "size", { value: 200 * 1024 * 1024 })
          const files = [file]
          const event = new ClipboardEvent("paste", { bubbles: true, cancelable: true, composed: true })
          Object.defineProperty(event, "clipboardData", { value: { files } })
          document.querySelector(".host").shadowRoot.querySelector(".cm-content").dispatchEvent(event)
        }""")
        expect(device.page.get_by_role("alert")).to_contain_text("A file may have up to 100 MB")

    def test_what_another_app_shares_becomes_a_note(self) -> None:
        device = self.device()
        device.page.evaluate(
            """async (bytes) => {
              const form = new FormData()
              form.set("title", "Seen today")
              form.set("url", "https://example.com/bird")
              form.append("files", new File([new Uint8Array(bytes)], "bird.png", { type: "image/png" }))
              await fetch("/notes/share", { method: "POST", body: form })
            }""",
            list(png(30, 20)),
        )
        device.page.goto(f"{self.hub.url}/notes/")
        self.seen(device)
        self.eventually(lambda: "](attachments/" in self.note()["content"], device.page, "the note with its picture")
        device.saved()
        content = self.note()["content"]
        self.assertTrue(
            content.startswith("# Seen today\n\nhttps://example.com/bird\n\n![bird.png](attachments/"), content
        )
        device.page.reload()
        expect(device.rows).to_have_count(1)


@requires(program("chromium"))
class SpeechTests(NotesCase):
    modules = ("vault", "notes", "scribe")

    def setUp(self) -> None:
        super().setUp()
        self.configure("")

    def configure(self, words: str) -> None:
        """Set scribe to a program that hears these words; without words, to nothing."""
        said = self.hub.home / "scribe/said"  # A confined module may run what lies in its own folder.
        said.write_text(f"#!/bin/sh\nhead -c 4 \"$1\" >/dev/null && echo '{words}'\n")
        said.chmod(0o755)
        values: dict[str, Any] = (
            {"provider": "command", "command": f"{said} {{file}}"} if words else {"provider": "openai"}
        )
        self.hub.client.call("PUT", "/api/modules/scribe/config", values)

    def test_a_microphone_explains_itself_before_anybody_speaks(self) -> None:
        device = self.connected()
        device.page.get_by_role("button", name="Speak").first.click()
        dialog = device.page.get_by_role("dialog", name="Speak a note")
        expect(dialog.get_by_role("status")).to_contain_text("Scribe cannot turn speech into text yet")
        self.look(device, "speech-not-configured")

    def test_a_failed_recording_is_kept_and_becomes_text_later(self) -> None:
        device = self.connected()
        page = device.page
        page.get_by_role("button", name="Speak").first.click()
        page.get_by_role("button", name="Start recording").click()
        self.eventually(
            lambda: float(page.get_by_label("How loud you are").get_attribute("value") or 0) > 0, page, "a level"
        )
        page.get_by_role("button", name="Stop recording").click()
        dialog = page.get_by_role("dialog", name="Speak a note")
        expect(dialog.get_by_role("status")).to_contain_text("Your recording is kept below")
        page.reload()
        page.get_by_text("More", exact=True).click()
        page.get_by_role("button", name="1 recording to turn into text").click()
        self.look(device, "recording-kept")
        self.configure("hello world")
        page.get_by_role("button", name="Try again").click()
        device.reads("hello world")
        device.saved()
        page.reload()
        page.get_by_text("More", exact=True).click()
        expect(page.get_by_text("to turn into text")).to_have_count(0)
        device.open("hello world")
        page.get_by_role("button", name="Speak").last.click()
        page.get_by_label("Or choose a recording").set_input_files(
            {"name": "said.wav", "mimeType": "audio/wav", "buffer": b"RIFF"}
        )
        self.eventually(lambda: self.note()["content"].count("hello world") == 2, page, "the second text")
