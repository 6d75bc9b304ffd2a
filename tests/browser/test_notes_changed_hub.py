"""The Notes app when its hub is another than before: a restored vault, and a new build of the app."""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.notes_rig import Device, NotesCase
from tests.browser.test_notes_files import picked, png
from tests.requirements import program, requires
from tests.support.examples import EXAMPLES, bun
from tools.pack_examples import run


@requires(program("chromium"))
class RestoredTests(NotesCase):
    def setUp(self) -> None:
        super().setUp()
        self.database = self.hub.home / "vault/data/default/vault.db"

    def back_up(self) -> Path:
        copy = self.hub.home / "copy.db"
        with closing(sqlite3.connect(self.database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return copy

    def restore(self, copy: Path) -> None:
        """As a restore of the module's data does: the vault is stopped meanwhile."""
        self.hub.client.call("POST", "/api/modules/vault/stop", {})
        for path in self.database.parent.glob("vault.db*"):
            path.unlink()
        copy.rename(self.database)
        self.hub.client.call("POST", "/api/modules/vault/start", {})

    def test_what_is_newer_on_a_device_is_sent_again(self) -> None:
        kept = self.vault("POST", "api/notes", {"content": "plan"})["id"]
        removed = self.vault("POST", "api/notes", {"content": "removed since"})["id"]
        copy = self.back_up()
        device = self.device()
        device.open("plan")
        device.write(" with news")
        device.saved()
        self.vault("DELETE", f"api/notes/{removed}")
        expect(device.rows).to_have_count(1)
        device.new("written since\n")
        device.page.get_by_label("Add a file").set_input_files(picked("a.png", png(30, 20)))
        expect(device.page.locator(".cm-picture img")).to_be_visible()
        device.saved()
        self.restore(copy)
        expect(device.page.get_by_text("restored from a backup")).to_be_visible(timeout=20_000)
        device.saved()
        self.eventually(lambda: len(self.vault("GET", "api/attachments")) == 1, device.page, "the picture")
        expected = {"plan with news", "written since", "removed since"}
        self.eventually(
            lambda: {note["content"].split("\n")[0] for note in self.notes()} == expected, device.page, "the notes"
        )
        (version,) = self.vault("GET", f"api/notes/{kept}/versions")
        self.assertEqual(self.vault("GET", f"api/notes/{kept}/versions/{version['version']}")["content"], "plan")
        self.look(device, "restored")
        device.page.get_by_role("button", name="Close").click()
        expect(device.page.get_by_text("restored from a backup")).to_have_count(0)


@requires(program("chromium"))
class BuildTests(NotesCase):
    """The hub has a new build of the app, which needs a new version of the database."""

    def setUp(self) -> None:
        super().setUp()
        (worker,) = self.hub.home.glob("modules/store/**/dist/sw.js")
        self.served = worker.parent
        self.before = self.served.with_name("dist.before")
        self.new = Path(tempfile.mkdtemp(prefix="parachute-build-"))
        self.addCleanup(shutil.rmtree, self.new)
        shutil.copytree(EXAMPLES / "notes", self.new / "notes", ignore=shutil.ignore_patterns("node_modules", "dist"))
        shutil.copy(EXAMPLES / "tsconfig.json", self.new)
        (self.new / "notes/node_modules").symlink_to(EXAMPLES / "notes/node_modules")
        last = 'db.createObjectStore("meta")\n  },\n'
        self.change("src/local/database.ts", last, f'{last}  (db) => db.createObjectStore("more" as "meta"),\n')
        self.change("src/ui/app.tsx", '<a href="#/">Notes</a>', '<a href="#/">Notes, new</a>')
        run([bun(), "build.ts"], self.new / "notes")

    def change(self, path: str, old: str, new: str) -> None:
        file = self.new / "notes" / path
        text = file.read_text()
        self.assertIn(old, text)
        file.write_text(text.replace(old, new))

    def serve_the_new_build(self) -> None:
        self.served.rename(self.before)
        shutil.copytree(self.new / "notes/dist", self.served)
        self.addCleanup(self.serve_the_build_before)

    def serve_the_build_before(self) -> None:
        if self.before.exists():
            shutil.rmtree(self.served)
            self.before.rename(self.served)

    def title(self, device: Device, words: str) -> None:
        expect(device.page.get_by_role("heading", level=1)).to_have_text(words)

    def use_it(self, device: Device) -> None:
        expect(device.page.get_by_text("A new version of Notes is ready")).to_be_visible(timeout=20_000)
        device.page.get_by_role("button", name="Use it now").click()

    def test_a_device_gets_it_and_keeps_what_is_typed(self) -> None:
        device = self.device()
        device.new("begun with the old one")
        device.saved()
        other = Device(device.context, device.context.new_page())
        other.page.goto(device.page.url)
        other.reads("begun with the old one")
        self.serve_the_new_build()
        device.page.reload()
        self.title(device, "Notes")
        # The worker of the new build waits, with all that it needs, until it is used.
        expect(device.page.get_by_text("A new version of Notes is ready")).to_be_visible(timeout=20_000)
        device.context.set_offline(True)
        device.page.reload()
        self.title(device, "Notes")
        device.write(", offline")
        device.page.get_by_label("Title").fill("Half a ti")
        self.look(device, "new-version")
        self.use_it(device)
        self.title(device, "Notes, new")
        device.reads("begun with the old one, offline")
        expect(device.page.get_by_label("Title")).to_have_value("Half a ti")
        device.context.set_offline(False)
        device.saved()
        # The other tab still has the old app, and the database is closed to it.
        other.write(", and from an old tab")
        self.use_it(other)
        self.title(other, "Notes, new")
        other.reads("begun with the old one, offline, and from an old tab")
        # Either tab may send it.
        self.arrive(other, "begun with the old one, offline, and from an old tab")

    def test_the_build_before_opens_what_the_new_one_left(self) -> None:
        self.serve_the_new_build()
        device = self.device()
        self.title(device, "Notes, new")
        device.new("written with the new one")
        device.saved()
        self.serve_the_build_before()
        device.page.reload()
        self.use_it(device)
        self.title(device, "Notes")
        device.write(", and the old one")
        device.saved()
        self.assertEqual(self.note()["content"], "written with the new one, and the old one")
