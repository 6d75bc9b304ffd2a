"""Devices with the reference Notes app, on a real hub with the reference vault and scribe."""

import re
import shutil
import tempfile
import urllib.parse
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from attrs import define
from playwright.sync_api import BrowserContext, Locator, Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.browser import PICTURES, chromium, findings, picture, until, wider_than_the_window, window
from tests.live.harness import OWNER, HubProcess, fetch, packed_examples

FAKE_MICROPHONE = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
SIZES: tuple[Any, ...] = (
    {"width": 320, "height": 640},
    {"width": 768, "height": 1024},
    {"width": 1280, "height": 800},
)


@define
class Device:
    """A browser profile with Notes; words and roles as a person finds them."""

    context: BrowserContext
    page: Page

    @property
    def status(self) -> Locator:
        return self.page.locator("#status")

    @property
    def text(self) -> Locator:
        """Where the text is typed, once the editor is there."""
        return self.page.locator(".cm-content")

    @property
    def rows(self) -> Locator:
        return self.page.locator("#notes button")

    def new(self, text: str = "", title: str = "") -> None:
        self.page.get_by_role("button", name="New note", exact=True).click()
        expect(self.page.get_by_label("Title")).to_be_focused()
        if title:
            self.page.keyboard.type(title)
        self.page.keyboard.press("Enter")
        expect(self.text).to_be_focused()
        if text:
            self.page.keyboard.insert_text(text)

    def open(self, title: str) -> None:
        self.rows.filter(has_text=title).first.click()
        expect(self.text).to_be_visible()

    def write(self, text: str) -> None:
        """Put the cursor at the end and type."""
        self.text.click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.insert_text(text)

    def saved(self) -> None:
        """Everything is on the hub."""
        expect(self.status).to_have_text("Saved")

    def reads(self, text: str) -> None:
        """The open note has this text, with the marks of Markdown as they are shown."""
        expect(self.text).to_have_text(text, use_inner_text=True)

    def local(self) -> dict[str, str]:
        """The texts in this device's database, by note id."""
        return dict(self.page.evaluate(READ_DATABASE))


# Resolves when the service worker serves the page.
CONTROLLED = """() => new Promise((resolve) => {
  const look = () => navigator.serviceWorker.controller && resolve()
  navigator.serviceWorker.addEventListener("controllerchange", look)
  look()
})"""
READ_DATABASE = """async () => {
  const open = indexedDB.open("parachute-notes-default")
  const db = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result) })
  const all = db.transaction("notes").objectStore("notes").getAll()
  const notes = await new Promise((resolve) => { all.onsuccess = () => resolve(all.result) })
  db.close()
  return Object.fromEntries(notes.map((note) => [note.id, note.mine.content]))
}"""


# The style that Chromium gives to text which replaces a selection; forbidding it changes nothing.
_BROWSERS_OWN = "sha256-aecz9SX9VKlz8D6hOZHEV/422z2edtOZFAtWpKLoCiE="


def _is_violation(line: str) -> bool:
    return "Content Security Policy" in line and _BROWSERS_OWN not in line


@cache
def shared_hub(modules: tuple[str, ...]) -> tuple[HubProcess, str]:
    """A hub with these modules for all tests of this process, and a key of its vault."""
    home = Path(tempfile.mkdtemp(prefix="parachute-notes-")) / "home"
    hub = HubProcess(home=home, environment=OWNER, catalog=packed_examples())

    def end() -> None:
        hub.end()
        shutil.rmtree(home.parent)

    Finalize(None, end, exitpriority=1)  # Workers of the suite leave without what `atexit` knows.
    hub.start()
    for short in modules:
        hub.install(short)
    return hub, (home / "vault/data/default/initial-key").read_text().strip()


class NotesCase(SynchronousTestCase):
    """One hub for all tests of a class, with an empty vault for each."""

    modules: tuple[str, ...] = ("vault", "notes")

    def setUp(self) -> None:
        self.hub, self.key = shared_hub(self.modules)
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        for note in self.notes():
            self.vault("DELETE", f"api/notes/{note['id']}")
        self.vault("DELETE", "api/trash")
        self.browser = self.stack.enter_context(chromium(*FAKE_MICROPHONE))

    def vault(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the vault, as another app would send it."""
        url = f"{self.hub.url}/vault/default/{path}"
        return fetch(url, method=method, body=body, headers={"Authorization": f"Bearer {self.key}"}).json()

    def notes(self) -> list[dict[str, Any]]:
        return list(self.vault("GET", "api/notes?include_content=true&limit=500"))

    def note(self, **search: str) -> dict[str, Any]:
        """The one note."""
        (found,) = self.notes() if not search else self.vault("GET", f"api/notes?{urllib.parse.urlencode(search)}")
        return dict(found)

    def device(self, key: str = "", **options: Any) -> Device:
        """A device that is connected with a key of the vault."""
        context, page = self.stack.enter_context(window(self.browser, complaints=False, **options))
        return self.with_key(context, page, key, worker=options.get("service_workers") != "block")

    def with_key(self, context: BrowserContext, page: Page, key: str = "", *, worker: bool = True) -> Device:
        """Open Notes in this browser with a key, until its service worker is there."""
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if _is_violation(line.text) else None)
        self.addCleanup(lambda: self.assertEqual(faults, []))
        page.goto(f"{self.hub.url}/notes/")
        page.get_by_text("Use a vault key instead").click()
        page.get_by_label("Key, starts with pvt_").fill(key or self.key)
        page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("button", name="New note")).to_be_visible()
        expect(page.get_by_text("Opening your notes")).to_have_count(0)
        if worker:
            page.evaluate(CONTROLLED)
        return Device(context, page)

    def connected(self) -> Device:
        """A device that the hub gave access to, as a person gets it."""
        device = self.device()
        page = device.page
        page.get_by_text("More", exact=True).click()
        page.get_by_role("button", name="Disconnect", exact=True).click()
        page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
        page.get_by_role("button", name="Connect", exact=True).click()
        page.get_by_label("Username").fill(OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"])
        page.get_by_label("Password").fill(OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"])
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Allow", exact=True).click()
        expect(page.get_by_role("button", name="New note", exact=True)).to_be_visible()
        return device

    def eventually(self, condition: Callable[[], bool], page: Page, what: str) -> None:
        until(page, condition, what)

    def arrive(self, device: Device, *contents: str) -> None:
        """These notes are on the hub, and the device knows it; loaded after they were sent, it says nothing."""
        until(device.page, lambda: {note["content"] for note in self.notes()} == {*contents}, f"{contents} on the hub")
        expect(device.status).to_have_text(re.compile("^(Saved)?$"))

    def look(self, device: Device, name: str) -> None:
        """It fits each window, in the light and in the dark, and axe finds nothing."""
        page = device.page
        before = page.viewport_size
        for size in SIZES:
            for scheme in ("light", "dark"):
                page.set_viewport_size(size)
                page.emulate_media(color_scheme=scheme)
                self.assertFalse(wider_than_the_window(page), f"{name} {size}")
                # The other four differ in neither structure nor colours; they are looked at when pictures are kept.
                if PICTURES or (size["width"], scheme) in ((320, "light"), (1280, "dark")):
                    self.assertEqual(findings(page, every=True), [], f"{name} {size} {scheme}")
                picture(page, f"notes-{name}-{size['width']}-{scheme}")
        page.emulate_media(color_scheme="light")
        if before:
            page.set_viewport_size(before)
