"""Exports to a folder: names, both kinds of vault, interruptions; and what import packs."""

import errno
import json
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli import export as export_module
from parachute_hub.cli.client import CommandError
from parachute_hub.cli.export import FolderWriter, write_notes
from parachute_hub.cli.note_files import FileNames, front_matter, note_of, safe_part, title_of
from parachute_hub.cli.vault_client import VaultRefused

AT = "2026-11-29T10:00:00.000Z"


class NamesTests(SynchronousTestCase):
    def test_parts(self) -> None:
        for part, safe in (
            ("a/b", "a-b"),
            ("Grüße 🌍", "Grüße 🌍"),
            ('a<b>"c"|d?e*f\\g:h', "a-b--c--d-e-f-g-h"),
            ("..", ""),
            (".hidden", "hidden"),
            ("con", "con-"),
            ("Nul.txt", "Nul.txt-"),
            ("COM1", "COM1-"),
            ("console", "console"),
            ("x. . ", "x"),
            ("line\nbreak", "line-break"),
            ("é" * 100, "é" * 75),
        ):
            self.assertEqual(safe_part(part.replace("/", "-") if part == "a/b" else part), safe)

    def test_no_two_notes_share_a_file(self) -> None:
        """Not where case does not matter or accents are composed, and no folder is named like a file."""
        names = FileNames()
        found = [
            names.free(path, ".md")
            for path in ("a", "A", "a.md/b", "caf\u00e9", "cafe\u0301", "../../etc/passwd", "/", "x/y", "x.md", "a")
        ]
        self.assertEqual(
            found,
            [
                "a.md",
                "A (2).md",
                "a.md (2)/b.md",
                "caf\u00e9.md",
                "cafe\u0301 (2).md",
                "etc/passwd.md",
                "note.md",
                "x/y.md",
                "x.md.md",
                "a (3).md",
            ],
        )

    def test_titles(self) -> None:
        for text, title in (("", ""), ("\n\n## Hello\nx", "Hello"), ("#\n---\n", "---"), ("one", "one")):
            self.assertEqual(title_of(text), title)

    def test_front_matter_can_be_read_again(self) -> None:
        note = {"id": "n1", "path": 'a: "b"\n---\nc', "tags": ["x", "y"], "textTags": ["y"], "createdAt": AT}
        head = front_matter({**note, "metadata": {"n": 1.5, "t": "ü"}, "pinned": True})
        self.assertEqual(note_of(head + "text"), ("n1", AT))
        self.assertEqual(len(head.splitlines()), 10)
        self.assertIn('tags: ["x"]\n', head)
        self.assertIsNone(note_of("---\ntitle: of somebody else\n---\n"))


class FakeVault:
    """Notes and attachments in memory; `lists_files` like the reference vault, else like the published one."""

    def __init__(self, *, lists_files: bool) -> None:
        self.lists_files = lists_files
        self.notes: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.content: dict[str, bytes] = {}
        self.asked: list[str] = []

    def add(self, note_id: str, content: str, **fields: Any) -> None:
        self.notes[note_id] = {"id": note_id, "content": content, "createdAt": AT, "updatedAt": AT, **fields}

    def attach(self, file_id: str, note_id: str, name: str, content: bytes) -> None:
        if self.lists_files:
            url = f"api/attachments/{file_id}"
            file = {"id": file_id, "note": note_id, "name": name, "size": len(content), "type": "image/png", "url": url}
        else:
            url = f"api/storage/2026-11-29/{name}"
            file = {"id": file_id, "noteId": note_id, "path": f"2026-11-29/{name}", "mimeType": "image/png"}
        self.files[file_id] = file
        self.content[url] = content

    def get(self, path: str) -> Any:
        self.asked.append(path)
        route, _, query = path.partition("?")
        told = dict(pair.split("=") for pair in query.split("&") if pair)
        parts = [unquote(part) for part in route.split("/")]
        match parts:
            case ["api", "attachments"] if self.lists_files:
                return self.page([dict(file) for file in self.files.values()], told)
            case ["api", "notes"]:
                return self.page([{**note, "content": None} for note in self.notes.values()], told)
            case ["api", "notes", note_id] if note_id in self.notes:
                return dict(self.notes[note_id])
            case ["api", "notes", note_id, "attachments"] if note_id in self.notes:
                return [dict(file) for file in self.files.values() if file["noteId"] == note_id]
        raise VaultRefused(404, "Not found")

    def page(self, found: list[Any], told: dict[str, str]) -> list[Any]:
        start = int(told.get("offset", 0))
        return found[start : start + int(told["limit"])]

    def save(self, path: str) -> Iterator[bytes]:
        self.asked.append(path)
        if path not in self.content:
            raise VaultRefused(404, "Not found")
        yield self.content[path]


class ExportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()

    def write(self, vault: FakeVault) -> FolderWriter:
        writer = FolderWriter(self.folder, "default")
        writer.begin()
        write_notes(vault, writer, lambda count: None)
        writer.end()
        return writer

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def test_both_kinds_of_vault(self) -> None:
        for lists_files in (True, False):
            self.folder = Path(self.mktemp()).absolute()
            vault = FakeVault(lists_files=lists_files)
            vault.add("n1", "text\r\nwith bytes \u0000 and no end", path="Garden/Tools")
            vault.add("n2", "# A title\n")
            vault.attach("f1", "n1", "a.png", b"\x89PNG")
            writer = self.write(vault)
            files = self.files()
            self.assertEqual((writer.notes, writer.attachments), (2, 1))
            names = ["attachments/f1/a.png", "attachments/index.json", "notes/A title.md", "notes/Garden/Tools.md"]
            self.assertEqual(sorted(files), names)
            self.assertTrue(files["notes/Garden/Tools.md"].endswith(b"---\ntext\r\nwith bytes \x00 and no end"))
            (described,) = json.loads(files["attachments/index.json"])
            self.assertEqual((described["id"], described["note"], described["name"]), ("f1", "n1", "a.png"))

    def test_many_pages(self) -> None:
        vault = FakeVault(lists_files=True)
        for number in range(250):
            vault.add(f"n{number}", "same", path="same")
        self.assertEqual(self.write(vault).notes, 250)
        self.assertEqual(len(self.files()), 250)

    def test_a_note_that_goes_meanwhile(self) -> None:
        vault = FakeVault(lists_files=False)
        vault.add("n1", "one")
        vault.notes["n1"]["id"] = "gone"
        vault.add("n2", "two")
        self.assertEqual(self.write(vault).notes, 1)

    def test_an_interrupted_export_goes_on(self) -> None:
        """What is there is not fetched again; what changed or went meanwhile is put right."""
        vault = FakeVault(lists_files=True)
        for name in ("one", "two", "three"):
            vault.add(name, name, path=name)
        self.patch(Path, "replace", _full_after(Path.replace, 2))
        error = self.assertRaises(OSError, self.write, vault)
        self.assertEqual(error.errno, errno.ENOSPC)
        self.assertEqual(len(list(self.folder.rglob("*.md"))), 2)
        vault.notes["two"].update(content="two anew", updatedAt="2026-11-29T11:00:00.000Z")
        del vault.notes["one"]
        vault.asked.clear()
        self.write(vault)
        files = self.files()
        self.assertEqual(sorted(files), ["notes/three.md", "notes/two.md"])
        self.assertTrue(files["notes/two.md"].endswith(b"two anew"))
        self.assertEqual([path for path in vault.asked if "?" not in path], ["api/notes/two", "api/notes/three"])

    def test_folders_that_are_not_taken(self) -> None:
        self.folder.mkdir()
        (self.folder / "mine.md").write_text("x")
        self.assertIn("not empty", str(self.assertRaises(CommandError, self.write, FakeVault(lists_files=True))))
        (self.folder / ".parachute-export.json").write_text('{"vault": "other"}')
        self.assertIn("another vault", str(self.assertRaises(CommandError, self.write, FakeVault(lists_files=True))))

    def test_the_words_for_a_full_disk(self) -> None:
        writer = FolderWriter(self.folder, "default", notes=7)
        told = str(export_module._disk_trouble(OSError(errno.ENOSPC, "No space left"), writer))
        self.assertIn("after 7 notes", told)
        self.assertIn("run the same command again", told)


class PackTests(SynchronousTestCase):
    def test_a_folder_as_a_tar(self) -> None:
        """Without what is hidden, links and devices."""
        folder = Path(self.mktemp()).absolute()
        for name in ("notes/Grüße.md", "a.png", ".obsidian/app.json", ".trash/x.md"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(name.encode() * 300)
        (folder / "link.md").symlink_to("/etc/passwd")
        packed = b"".join(export_module._packed(folder))
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            found = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
        self.assertEqual(found, {name: name.encode() * 300 for name in ("notes/Grüße.md", "a.png")})


def _full_after(real: Any, count: int) -> Any:
    left = [count]

    def replace(path: Path, target: Any) -> Any:
        if left[0] == 0:
            left[0] = -1
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        return real(path, target)

    return replace
