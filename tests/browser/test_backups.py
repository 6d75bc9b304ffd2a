"""Backups by browser on a real hub: set up, made, checked, removed; and restored by an empty hub."""

import os
import re
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

from playwright.sync_api import Locator, Page, expect
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.progress import ProgressPrinter, follow
from tests.browser.admin_app import built
from tests.browser.browser import DESK, PHONE, PICTURES, chromium, findings, picture, wider_than_the_window, window
from tests.live.harness import OWNER, HubProcess, hub, packed_examples
from tests.live.s3_rig import Asked, Fault, bucket
from tests.requirements import program, requires

NAME = OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"]
PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
TABLET = {"width": 768, "height": 1024}
# The first two bound the rest, which are looked at when pictures are kept.
VIEWS: list[tuple[Any, Any]] = [
    (PHONE, "light"),
    (DESK, "dark"),
    (PHONE, "dark"),
    (TABLET, "light"),
    (TABLET, "dark"),
    (DESK, "light"),
]


class BackupsCase(SynchronousTestCase):
    """A hub with an owner, a browser, and a folder for backups."""

    def setUp(self) -> None:
        built()
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.hub: HubProcess = hub(self, catalog=packed_examples()).start()
        self.disk = self.hub.home.with_name("disk")
        self.disk.mkdir()
        self.browser = self.stack.enter_context(chromium())
        self.page = self.sign_in()

    def sign_in(self, **options: Any) -> Page:
        """A browser of the owner, on the Backups page."""
        _, page = self.stack.enter_context(window(self.browser, **options))
        page.goto(f"{self.hub.url}/admin/backups")
        page.get_by_label("Username").fill(NAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Backups", level=1)).to_be_visible()
        return page

    def confirm(self) -> None:
        dialog = self.page.get_by_role("dialog", name="Confirm it's you")
        dialog.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)

    def card(self, title: str) -> Locator:
        return self.page.get_by_role("region", name=title)

    def look(self, name: str, page: Page | None = None) -> None:
        """It fits the window, in the light and in the dark, and axe finds nothing serious."""
        page = page or self.page
        for size, scheme in VIEWS if PICTURES else VIEWS[:2]:
            page.set_viewport_size({"width": size["width"], "height": size["height"]})
            page.emulate_media(color_scheme=scheme)
            self.assertEqual(findings(page), [], f"{name} {size} {scheme}")
            self.assertFalse(wider_than_the_window(page), f"{name} {size}")
            picture(page, f"backups-{name}-{size['width']}-{scheme}")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.emulate_media(color_scheme="light")


@requires(program("chromium"))
class BackupsTests(BackupsCase):
    def set_up(self, *, looks: bool = False) -> str:
        """Sheet, folder, schedule: the recovery key."""
        page = self.page
        page.get_by_role("button", name="Make the recovery sheet").click()
        self.confirm()
        key = page.get_by_label("Recovery key", exact=True).inner_text()
        expect(page.get_by_role("img", name="QR code of the recovery key")).to_be_visible()
        expect(page.get_by_label("Commands that open a backup", exact=True)).to_contain_text("age -d -i key.txt")
        if looks:
            self.look("sheet")
            page.emulate_media(media="print")
            picture(page, "backups-sheet-print")
            expect(page.get_by_role("navigation")).to_be_hidden()
            expect(page.get_by_label("Recovery key", exact=True)).to_be_visible()
            expect(page.get_by_role("button", name="I have the sheet")).to_be_hidden()
            page.emulate_media(media="screen")
        last = page.get_by_label("The last four characters of the key")
        last.fill("----")
        page.get_by_role("button", name="I have the sheet").click()
        expect(page.get_by_role("alert")).to_contain_text("not the last four characters")
        last.fill(key[-4:].lower())
        page.get_by_role("button", name="I have the sheet").click()

        folder = page.get_by_label("Folder", exact=True)
        folder.fill(str(self.disk / "missing"))
        page.get_by_role("button", name="Test and add").click()
        self.confirm()
        expect(page.get_by_role("alert")).to_contain_text("folder")
        if looks:
            self.look("place")
        folder.fill(str(self.disk))
        page.get_by_role("button", name="Test and add").click()
        self.confirm()
        expect(page.get_by_text("works and was added")).to_be_visible()
        page.get_by_label("Make a backup", exact=True).select_option("5")
        if looks:
            self.look("schedule")
        page.get_by_role("button", name="Finish").click()
        return key

    def back_up(self) -> None:
        expect(self.page.get_by_role("heading", name="No backup yet")).to_be_visible()
        self.page.get_by_role("button", name="Back up now").click()
        done = self.page.get_by_role("heading", name="Last backup we know can be restored: just now")
        expect(done).to_be_visible(timeout=30_000)

    def test_from_nothing_to_a_checked_backup(self) -> None:
        """Each step once; another device sees the result, Home says it, and the hub's problem when the disk is gone."""
        phone = self.sign_in(viewport=PHONE)
        self.look("start")
        key = self.set_up(looks=True)
        self.assertRegex(key, "^AGE-SECRET-KEY-1[0-9A-Z]{58}$")
        self.back_up()
        self.assertEqual(self.hub.client.call("GET", "/api/backups")["schedule"]["hour"], 5)
        expect(phone.get_by_role("heading", name=re.compile("Last backup we know can be restored"))).to_be_visible()
        history = self.card(str(self.disk)).get_by_role("listitem")
        expect(history).to_have_count(1)
        expect(history.get_by_text("Checked", exact=True)).to_be_visible()
        self.look("history")
        [archive] = self.disk.iterdir()

        self.page.get_by_role("button", name=f"Test {self.disk}").click()
        expect(self.page.get_by_text("a test file was written, read back and deleted")).to_be_visible()
        history.get_by_role("button", name="Check again").click()
        expect(self.page.get_by_text("The backup can be restored")).to_be_visible(timeout=30_000)
        self.page.get_by_role("button", name="Download a backup").click()
        with self.page.expect_download(timeout=30_000) as saved:
            self.confirm()
        self.assertRegex(saved.value.suggested_filename, r"^parachute-.*\.tar\.zst\.age$")
        self.assertEqual(Path(saved.value.path()).read_bytes()[:21], b"age-encryption.org/v1")

        archive.unlink()
        self.disk.rmdir()
        self.page.get_by_role("button", name="Back up now").click()
        expect(self.page.get_by_role("heading", name="Last backup").locator("..")).to_contain_text(
            "failed", timeout=30_000
        )
        self.look("failed")
        self.page.goto(f"{self.hub.url}/admin")
        expect(self.page.get_by_text("Last backup we know can be restored")).to_be_visible()
        expect(self.page.get_by_text(re.compile("The last backup to .* failed"))).to_be_visible()
        self.look("home")

    def test_the_key_and_a_place_are_given_up(self) -> None:
        """The consequences are said first."""
        self.set_up()
        self.page.get_by_role("button", name="Keep the key only on the sheet").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_contain_text("nobody can restore them")
        dialog.get_by_role("button", name="Delete the key here").click()
        self.confirm()
        expect(self.page.get_by_text("Its key is on the sheet only")).to_be_visible()
        self.back_up()
        expect(self.page.get_by_text("Last opened with the key: never")).to_be_visible()
        self.page.get_by_role("button", name=f"Remove {self.disk}").click()
        self.page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        self.confirm()
        expect(self.page.get_by_role("heading", name="Where should backups go?")).to_be_visible()
        self.assertEqual(len(list(self.disk.iterdir())), 1)


@requires(program("chromium"))
class RestoreTests(BackupsCase):
    def backup(self) -> tuple[str, Path]:
        """The recovery key and the archive of a hub with a file of its own."""
        (self.hub.home / "hello").mkdir()
        (self.hub.home / "hello" / "note.md").write_text("words")
        call = self.hub.client.call
        key = call("POST", "/api/backups/key")["identity"]
        call("POST", "/api/backups/key/confirm", {"characters": key[-4:]})
        place = call("POST", "/api/backups/places", {"kind": "folder", "path": str(self.disk)})["id"]
        follow(
            self.hub.client,
            call("POST", f"/api/backups/places/{place}/run")["operation_id"],
            ProgressPrinter(quiet=True),
        )
        return key, next(self.disk.iterdir())

    def test_an_empty_hub_takes_an_uploaded_file(self) -> None:
        """Found from the first page, which hands on the token of its link; a wrong key is refused, and then everything
        comes back.
        """
        key, archive = self.backup()
        home = Path(self.mktemp()).absolute()
        home.parent.mkdir(parents=True, exist_ok=True)
        second = HubProcess(home=home, catalog=packed_examples()).start()
        self.addCleanup(second.end)
        second.wait_for(lambda: "parachute-bootstrap-" in second.log(), "the setup token")
        token = "parachute-bootstrap-" + second.log().partition("parachute-bootstrap-")[2].split()[0]
        _, page = self.stack.enter_context(window(self.browser))
        page.goto(f"{second.url}/admin/setup#{token}")
        page.get_by_role("link", name="I have a backup").click()
        expect(page.get_by_role("heading", name="Restore a backup")).to_be_visible()
        self.look("restore-empty", page)
        expect(page.get_by_label("Setup token")).to_have_value(token)
        expect(page).to_have_url(f"{second.url}/admin/setup/restore")
        page.get_by_label("Recovery key").fill("AGE-SECRET-KEY-1" + "Q" * 58)
        page.get_by_label("Backup file").set_input_files(archive)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_contain_text("key", timeout=20_000)
        page.get_by_label("Recovery key").fill(key)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="This will be restored")).to_be_visible(timeout=20_000)
        expect(page.get_by_text(self.hub.url)).to_be_visible()
        self.look("restore-empty-plan", page)
        self.hub.stop()
        page.get_by_role("button", name="Restore", exact=True).click()
        page.wait_for_url("**/login**", timeout=40_000)
        page.get_by_label("Username").fill(NAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
        self.assertEqual((second.home / "hello" / "note.md").read_text(), "words")

    def test_one_vault_comes_back_beside_the_others_and_then_in_its_place(self) -> None:
        """The hub keeps running; another device sees it, too; a vault restored beside has its own name."""
        self.assertEqual(self.hub.install("vault")["status"], "succeeded")
        first = self.hub.home / "vault" / "data" / "default"
        key, _ = self.backup()
        (first / "later").write_text("x")
        instance = self.hub.client.health()["instance"]
        phone = self.sign_in(viewport=PHONE)
        phone.goto(f"{self.hub.url}/admin/activity")
        self.ask(key)
        self.page.get_by_label("What to restore").select_option("Only the vault default")
        expect(self.page.get_by_text("Keep it, and put the old one beside it")).to_be_visible()
        self.look("restore-vault")
        name = self.page.get_by_label("Name of the second vault")
        expect(name).to_have_value("default-restored")
        name.fill("admin")
        self.page.get_by_role("button", name="Restore the vault").click()
        expect(self.page.get_by_text(re.compile("reserved"))).to_be_visible()
        name.fill("default-then")
        self.page.get_by_role("button", name="Restore the vault").click()
        expect(self.page.get_by_text("It was restored")).to_be_visible(timeout=30_000)
        expect(phone.get_by_text(re.compile("Vault is running with the data from the backup")).first).to_be_visible()
        self.look("restore-vault-done")
        vaults = {vault["name"] for vault in self.hub.client.call("GET", "/vaults")["vaults"]}
        self.assertEqual(vaults, {"default", "default-then"})
        self.assertTrue((first / "later").exists())

        self.page.reload()
        self.ask(key)
        self.page.get_by_label("What to restore").select_option("Only the vault default")
        self.page.get_by_label("Replace it").check()
        self.page.get_by_role("button", name="Replace the vault").click()
        expect(self.page.get_by_text("It was restored")).to_be_visible(timeout=30_000)
        self.assertFalse((first / "later").exists())

        self.page.reload()
        self.ask(key)
        self.page.get_by_label("What to restore").select_option("Only the data of Vault")
        self.look("restore-module")
        self.page.get_by_role("button", name="Replace the data of Vault").click()
        expect(self.page.get_by_text("It was restored")).to_be_visible(timeout=30_000)
        self.assertEqual(len(self.hub.client.call("GET", "/vaults")["vaults"]), 1)
        self.assertEqual(self.hub.client.health()["instance"], instance)

    def ask(self, key: str) -> None:
        """Choose the newest backup in the folder, and read it."""
        self.page.goto(f"{self.hub.url}/admin/backups/restore")
        self.page.get_by_label("Where it is").select_option(str(self.disk))
        self.page.get_by_label("Recovery key").fill(key)
        self.page.get_by_role("button", name="Continue").click()
        self.confirm()
        expect(self.page.get_by_role("heading", name="This will be restored")).to_be_visible(timeout=20_000)

    def test_a_hub_in_use_goes_back_to_a_backup(self) -> None:
        """From its own folder or a file; the plan is shown and can be cancelled; the password is asked."""
        key, archive = self.backup()
        note = self.hub.home / "hello" / "note.md"
        note.write_text("changed since")
        self.page.goto(f"{self.hub.url}/admin/setup/restore")
        expect(self.page.get_by_role("heading", name="Restore a backup", level=1)).to_be_visible()
        self.page.get_by_label("Where it is").select_option(str(self.disk))
        expect(self.page.get_by_label("Backup", exact=True)).to_be_visible()
        self.page.get_by_label("Recovery key").fill(key)
        self.look("restore-ask")
        self.page.get_by_role("button", name="Continue").click()
        self.confirm()
        expect(self.page.get_by_role("heading", name="This will be restored")).to_be_visible(timeout=20_000)
        self.look("restore-plan")
        self.page.get_by_role("button", name="Cancel").click()
        self.assertEqual(note.read_text(), "changed since")

        self.page.get_by_label("Where it is").select_option("A file on this computer")
        self.page.get_by_label("Backup file").set_input_files(archive)
        expect(self.page.get_by_label("Recovery key")).to_have_value(key)
        self.page.get_by_role("button", name="Continue").click()
        self.confirm()
        self.page.get_by_role("button", name="Replace everything and restart").click(timeout=20_000)
        self.page.wait_for_url(re.compile("/(login|admin)(\\?|$)"), timeout=40_000)
        self.assertEqual(note.read_text(), "words")


@requires(program("chromium"))
class BucketTests(BackupsCase):
    """A bucket behind a proxy that misbehaves, by the form; and a slow backup, seen on two devices."""

    def setUp(self) -> None:
        super().setUp()
        self.bucket = bucket(self)
        call = self.hub.client.call
        key = call("POST", "/api/backups/key")["identity"]
        call("POST", "/api/backups/key/confirm", {"characters": key[-4:]})
        self.page.reload()

    def fill(self, **changes: str) -> None:
        told = {**self.bucket.told(), **changes}
        self.page.get_by_label("Kind of place").select_option("s3")
        self.page.evaluate("for (const each of document.querySelectorAll('form details')) each.open = true")
        for label, name in {
            "Address of the service": "endpoint",
            "Bucket": "bucket",
            "Region": "region",
            "Access key": "key_id",
            "Secret key": "secret",
        }.items():
            self.page.get_by_label(label, exact=True).fill(told[name])

    def add(self) -> None:
        """Test and add, confirming each time that it is in the own network."""
        self.page.get_by_role("button", name="Test and add").click()
        self.confirm()
        self.page.get_by_role("dialog", name="Is this in your own network?").get_by_role("button", name="Yes").click()
        self.confirm()

    def test_what_is_wrong_is_said_and_then_it_works(self) -> None:
        expect(self.page.get_by_role("heading", name="Where should backups go?")).to_be_visible()
        self.fill(bucket="nothing-here")
        self.look("bucket")
        self.add()
        expect(self.page.get_by_role("alert")).to_contain_text("There is no bucket")
        self.fill()
        for code, status, words in (
            ("SignatureDoesNotMatch", 403, "does not accept this access key"),
            ("RequestTimeTooSkewed", 403, "Set the clock"),
            ("AccessDenied", 403, "Allow this key to read, write and list"),
        ):
            self.bucket.inject(Fault(status=status, code=code))
            self.add()
            expect(self.page.get_by_role("alert")).to_contain_text(words)
        self.bucket.inject(None)
        self.add()
        expect(self.page.get_by_role("button", name="Finish")).to_be_visible()
        self.page.get_by_role("button", name="Finish").click()
        self.assertNotIn(self.bucket.told()["secret"], self.page.content())
        label = f"{self.bucket.told()['bucket']} at"
        self.bucket.inject(Fault(status=403, code="InvalidAccessKeyId"))
        self.page.get_by_role("button", name=re.compile(f"^Test {label}")).click()
        expect(self.page.get_by_role("alert")).to_contain_text("does not accept this access key")
        self.bucket.inject(None)
        self.page.get_by_role("button", name=re.compile(f"^Test {label}")).click()
        expect(self.page.get_by_text("a test file was written, read back and deleted")).to_be_visible()

    def test_two_devices_see_how_far_it_is_and_either_can_cancel(self) -> None:
        (self.hub.home / "hello").mkdir()
        (self.hub.home / "hello" / "photo").write_bytes(os.urandom(24 << 20))
        self.hub.client.call("POST", "/api/backups/places", self.bucket.told(private=True))
        self.page.reload()
        phone = self.sign_in(viewport=PHONE)
        seen = Event()
        self.addCleanup(seen.set)

        def pause(asked: Asked) -> None:
            # Slow enough to reckon how long it takes; then it waits until both devices have shown that.
            part = re.search("partNumber=([0-9]+)", asked.path)
            if part and int(part[1]) > 3:
                seen.wait(120)
            else:
                time.sleep(2)

        self.bucket.inject(Fault(pause=pause))
        self.page.get_by_role("button", name="Back up now").click()
        for page in (self.page, phone):
            expect(page.get_by_text("Making a backup")).to_be_visible()
            expect(page.get_by_role("progressbar", name="Copy")).to_be_visible(timeout=20_000)
            expect(page.get_by_text(re.compile(r"MB of 2\d MB, about .* left"))).to_be_visible(timeout=30_000)
        picture(phone, "backups-progress-phone")
        phone.get_by_role("button", name="Cancel").click()
        seen.set()
        for page in (self.page, phone):
            expect(page.get_by_text("Making a backup")).to_have_count(0)
            expect(page.get_by_role("button", name="Back up now")).to_be_enabled()
        self.bucket.inject(None)
        self.page.get_by_role("button", name="Back up now").click()
        for page in (self.page, phone):
            done = page.get_by_role("heading", name="Last backup we know can be restored: just now")
            expect(done).to_be_visible(timeout=60_000)
