"""Attachments of the reference vault, its exports and imports, and a disk that is full."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.vault_rig import RunningVault, running_vault
from tests.requirements import requires, right
from tests.support.examples import Reply


class VaultTestCase(SynchronousTestCase):
    """One vault for each test."""

    def setUp(self) -> None:
        """Starts it."""
        context = running_vault()
        self.vault: RunningVault = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def ok(self, method: str, path: str, *rest: Any, status: int = 200, **options: Any) -> Any:
        """The JSON of an answer that must have this status."""
        reply = self.vault.ask(method, path, *rest, **options)
        self.assertEqual((path, reply.status), (path, status), reply.body[:500])
        return reply.json()


class AttachmentTests(VaultTestCase):
    def upload(self, content: bytes, kind: str, name: str = "a.bin", query: str = "") -> Any:
        headers = {"Content-Type": kind}
        return self.ok("POST", f"api/attachments?name={name}{query}", data=content, headers=headers, status=201)

    def get(self, attachment: Any, query: str = "", **headers: str) -> Reply:
        return self.vault.ask("GET", attachment["url"] + query, headers=headers)

    def test_a_file_comes_back_whole_and_in_ranges(self) -> None:
        content = os.urandom(300_000)
        note = self.ok("POST", "api/notes", {"content": "with a file"}, status=201)
        made = self.upload(content, "image/png", "Bild%20%C3%A4.png", f"&note={note['id']}")
        expected = {"name": "Bild ä.png", "type": "image/png", "size": 300_000, "note": note["id"]}
        self.assertEqual({name: made[name] for name in expected}, expected)
        self.assertEqual(made["sha256"], hashlib.sha256(content).hexdigest())
        self.assertEqual(self.ok("GET", f"api/notes/{note['id']}/attachments"), [made])
        self.assertEqual(self.ok("GET", f"api/attachments?note={note['id']}"), [made])
        self.assertEqual(self.ok("GET", f"{made['url']}/info"), made)
        whole = self.get(made)
        self.assertEqual((whole.status, whole.body, whole.headers["content-length"]), (200, content, "300000"))
        etag = whole.headers["etag"]
        part = self.get(made, Range="bytes=10-19")
        self.assertEqual((part.status, part.body), (206, content[10:20]))
        self.assertEqual(part.headers["content-range"], "bytes 10-19/300000")
        self.assertEqual(self.get(made, Range="bytes=-5").body, content[-5:])
        self.assertEqual(self.get(made, Range="bytes=0-1", **{"If-Range": '"other"'}).status, 200)
        beyond = self.get(made, Range="bytes=300000-")
        self.assertEqual((beyond.status, beyond.headers["content-range"]), (416, "bytes */300000"))
        self.assertEqual(self.get(made, **{"If-None-Match": etag}).status, 304)
        head = self.vault.ask("HEAD", made["url"])
        self.assertEqual((head.status, head.body, head.headers["content-length"]), (200, b"", "300000"))

    def test_nothing_that_runs_is_served_as_such(self) -> None:
        table = {
            "image/png": ("image/png", "inline"),
            "audio/webm;codecs=opus": ("audio/webm", "inline"),
            "application/pdf": ("application/pdf", "inline"),
            "text/plain": ("text/plain; charset=utf-8", "inline"),
            "text/html": ("application/octet-stream", "attachment"),
            "image/svg+xml": ("application/octet-stream", "attachment"),
            "application/xhtml+xml": ("application/octet-stream", "attachment"),
            "text/javascript": ("application/octet-stream", "attachment"),
            "not a type": ("application/octet-stream", "attachment"),
        }
        for kind, (served, disposition) in table.items():
            made = self.upload(b"<script>alert(1)</script>", kind, "x.html")
            got = self.get(made)
            self.assertEqual(
                (kind, got.headers["content-type"], got.headers["content-disposition"]),
                (kind, served, f"{disposition}; filename*=UTF-8''x.html"),
            )
            self.assertEqual(got.headers["content-security-policy"], "default-src 'none'; sandbox", kind)
            self.assertEqual(got.headers["x-content-type-options"], "nosniff", kind)
        forced = self.get(made, "?download=true")
        self.assertTrue(forced.headers["content-disposition"].startswith("attachment"))
        hostile = self.upload(b"x", "image/png", "..%2F..%2Fetc%5Cpass%0D%0Awd%22%3B.png")
        self.assertEqual(hostile["name"], 'passwd";.png')
        self.assertEqual(self.vault.ask("GET", hostile["url"], headers={"Authorization": "none"}).status, 401)

    def test_an_upload_goes_on_after_a_break(self) -> None:
        content = os.urandom(1_000_000)
        described = {
            "id": "upload-number-1", "name": "v.webm", "type": "video/webm", "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }  # fmt: skip
        self.assertEqual(self.ok("POST", "api/uploads", described, status=201)["offset"], 0)
        url = "api/uploads/upload-number-1"

        def send(start: int, end: int) -> Reply:
            return self.vault.ask("PATCH", url, data=content[start:end], headers={"Upload-Offset": str(start)})

        self.assertEqual(send(0, 400_000).json()["offset"], 400_000)
        repeated = send(0, 400_000)
        self.assertEqual(
            (repeated.status, repeated.json()["code"], repeated.json()["offset"]), (409, "wrong_offset", 400_000)
        )
        self.assertEqual(self.ok("POST", "api/uploads", described)["offset"], 400_000)
        self.vault.process.kill()
        self.vault.process.wait()
        with running_vault(self.vault.home) as again:
            self.vault = again
            self.assertEqual(self.ok("GET", url)["offset"], 400_000)
            self.assertEqual(send(400_000, 700_000).status, 200)
            last = send(700_000, 1_000_000)
            self.assertEqual((last.status, last.json()["attachment"]["id"]), (201, "upload-number-1"))
            self.assertEqual(self.get(last.json()["attachment"]).body, content)
            self.assertEqual(self.ok("GET", url)["attachment"], last.json()["attachment"])
            self.assertEqual(self.ok("POST", "api/uploads", described)["offset"], 1_000_000)
            for damaged in ({"sha256": "0" * 64}, {}):
                other = {"id": f"upload-number-{2 + len(damaged)}", "size": 3, **damaged}
                self.ok("POST", "api/uploads", other, status=201)
                headers = {"Upload-Offset": "0"}
                reply = self.vault.ask("PATCH", f"api/uploads/{other['id']}", data=b"abc", headers=headers)
                self.assertEqual((damaged, reply.status), (damaged, 409 if damaged else 201), reply.body)
            self.ok("POST", "api/uploads", {"id": "upload-given-up", "size": 3}, status=201)
            self.ok("DELETE", "api/uploads/upload-given-up")
            self.ok("GET", "api/uploads/upload-given-up", status=404)
        self.assertEqual([path.name for path in (again.home / "vault/data/default/uploads").iterdir()], [])

    def test_what_is_too_large_is_refused_with_the_limit(self) -> None:
        limits = self.ok("GET", "api/limits")
        large = {"size": limits["attachmentBytes"] + 1}
        refused = self.ok("POST", "api/uploads", large, status=413)
        self.assertEqual((refused["code"], refused["limit"]), ("too_large", limits["attachmentBytes"]))
        self.ok("POST", "api/uploads", {"id": "chunk-limit", "size": 2 * limits["chunkBytes"]}, status=201)
        chunk = b"x" * (limits["chunkBytes"] + 1)
        self.ok("PATCH", "api/uploads/chunk-limit", data=chunk, headers={"Upload-Offset": "0"}, status=413)
        for bad in ({}, {"size": -1}, {"size": "x"}, {"size": 1, "id": "../../x"}, {"size": 1, "sha256": "x"}):
            self.ok("POST", "api/uploads", bad, status=400)
        self.ok("PATCH", "api/uploads/chunk-limit", data=b"", status=400)

    def test_a_repeated_upload_is_one_attachment(self) -> None:
        first = self.upload(b"same", "text/plain", query="&id=my-own-file")
        again = self.ok("POST", "api/attachments?id=my-own-file", data=b"same", headers={"Content-Type": "text/plain"})
        self.assertEqual(again, first)
        other = self.ok("POST", "api/attachments?id=my-own-file", data=b"other", status=409)
        self.assertEqual(other["code"], "id_taken")
        moved = self.ok("PATCH", first["url"], {"note": "some-note", "name": "b.txt"})
        self.assertEqual((moved["note"], moved["name"]), ("some-note", "b.txt"))
        self.ok("DELETE", first["url"])
        self.ok("GET", f"{first['url']}/info", status=404)
        self.assertEqual(list((self.vault.home / "vault/data/default/files").rglob("*.*")), [])

    def test_a_file_goes_when_its_note_leaves_the_trash_for_good(self) -> None:
        note = self.ok("POST", "api/notes", {"content": "x"}, status=201)
        made = self.upload(b"x", "text/plain", query=f"&note={note['id']}")
        self.ok("DELETE", f"api/notes/{note['id']}")
        self.assertEqual(self.get(made).status, 200)
        self.vault.command("tidy", "--as-of", "2999-01-01T00:00:00Z")
        self.assertEqual(self.get(made).status, 404)
        self.assertEqual(self.ok("GET", "api/trash"), [])


def zipped(files: dict[str, bytes]) -> bytes:
    """A ZIP archive as Python writes it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def tarred(files: dict[str, bytes], mode: str) -> bytes:
    """A tar archive as Python writes it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


OBSIDIAN = {
    "My Vault/.obsidian/app.json": b"{}",
    "My Vault/Garden.md": b"---\ntags: [garden, '#soil']\nmood: green\n---\n"
    b"# Garden\r\nsee [[Tools/Spade]] ![[p.png]]\n",
    "My Vault/Tools/Spade.md": "Größe ☕ #metal".encode(),
    "My Vault/Tools/Old.md": "Größe in Windows-1252".encode("cp1252"),
    "My Vault/" + "long/" * 40 + "deep.md": b"deep",
    "My Vault/p.png": b"\x89PNG\r\n\x1a\n rest",
    "My Vault/../../evil.md": b"stays inside",
}


class TransferTests(VaultTestCase):
    def bring(self, data: bytes, query: str = "", status: int = 200) -> Any:
        return self.ok("POST", f"api/import?{query}", data=data, status=status)

    def fill(self) -> list[Any]:
        for number, content in enumerate(("one", "---\nid: 1\n---\ntwo\r\n", "", "\u0000 𝒳\n\n")):
            note = {
                "content": content,
                "path": f"dir/{number}: x" if number % 2 else None,
                "tags": ["t"],
                "metadata": {"n": number},
            }
            self.ok("POST", "api/notes", note, status=201)
        headers = {"Content-Type": "image/png"}
        self.ok("POST", "api/attachments?name=p.png&id=picture-one", data=b"\x89PNG", headers=headers, status=201)
        return self.notes()

    def notes(self) -> list[Any]:
        return list(self.ok("GET", "api/notes?include_content=true&limit=500&sort=created"))

    def test_an_export_is_read_by_others_and_comes_back_the_same(self) -> None:
        before = self.fill()
        for kind in ("markdown", "obsidian", "json", "ndjson"):
            exported = self.vault.ask("GET", f"api/export?format={kind}")
            self.assertEqual(exported.status, 200)
            self.assertIn("attachment; filename=", exported.headers["content-disposition"])
            if kind in ("markdown", "obsidian"):
                with zipfile.ZipFile(io.BytesIO(exported.body)) as archive:
                    self.assertIsNone(archive.testzip())
                    texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".md")]
                    self.assertEqual(archive.read("attachments/picture-one/p.png"), b"\x89PNG")
                bodies = sorted(text.split("\n---\n", 1)[1] for text in texts)
                self.assertEqual(bodies, sorted(note["content"] for note in before), kind)
            if kind == "json":
                self.assertEqual(len(json.loads(exported.body)["notes"]), len(before))
            with running_vault() as other:
                reply = other.ask("POST", "api/import", data=exported.body)
                self.assertEqual((kind, reply.json()["created"], reply.json()["problems"]), (kind, 4, []))
                found = other.ask("GET", "api/notes?include_content=true&limit=500&sort=created").json()
                self.assertEqual((kind, found), (kind, before))
                if kind != "json":
                    self.assertEqual(other.ask("GET", "api/attachments/picture-one").body, b"\x89PNG")

    def test_an_obsidian_vault_comes_in_however_it_is_packed(self) -> None:
        packs = {
            "zip": zipped(OBSIDIAN), "tar": tarred(OBSIDIAN, "w"), "tar.gz": tarred(OBSIDIAN, "w:gz"),
            "old tar": subprocess.run(
                ["tar", "--format=gnu", "-C", str(self.folder()), "-c", "."], capture_output=True, check=True
            ).stdout,
        }  # fmt: skip
        for kind, data in packs.items():
            with running_vault() as vault:
                reply = vault.ask("POST", "api/import", data=data)
                report = reply.json()
                self.assertEqual(
                    (kind, reply.status, report["created"], report["attachments"]), (kind, 200, 5, 1), report
                )
                self.assertEqual([problem["name"] for problem in report["problems"]], ["Tools/Old.md"])
                garden = vault.ask("GET", "api/notes/Garden").json()
                self.assertEqual(garden["content"], "# Garden\r\nsee [[Tools/Spade]] ![[p.png]]\n", kind)
                self.assertEqual((garden["tags"], garden["metadata"]), (["garden", "soil"], {"mood": "green"}))
                self.assertEqual(vault.ask("GET", "api/notes/Tools%2FOld").json()["content"], "Größe in Windows-1252")
                (spade,) = vault.ask("GET", "api/notes?search=%23metal").json()
                self.assertEqual(spade["path"], "Tools/Spade")
                self.assertEqual(vault.ask("GET", "api/notes/evil").json()["content"], "stays inside")
                (picture,) = vault.ask("GET", "api/attachments?name=p.png").json()
                self.assertEqual((picture["name"], picture["type"]), ("p.png", "image/png"))
                again = vault.ask("POST", "api/import", data=data).json()
                self.assertEqual((again["created"], again["unchanged"], again["attachments"]), (0, 5, 0))

    def folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="parachute-obsidian-"))
        self.addCleanup(subprocess.run, ["rm", "-r", str(folder)], check=True)
        for name, content in OBSIDIAN.items():
            path = folder / name.replace("../../", "")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder

    def test_what_cannot_be_read_is_said_and_changes_nothing(self) -> None:
        good = zipped({"a.md": b"a"})
        bad = [
            b"",
            b"hello",
            b"PK\x03\x04",
            good[:-10],
            b"[{",
            b"{}",
            b"\x1f\x8b garbage",
            b'{"notes": 1}',
            b"\xff\xfe[",
        ]
        for data in bad:
            refused = self.bring(data, status=400)
            self.assertTrue(refused["message"], data)
        self.bring(b"[]", "format=markdown", status=400)
        self.bring(b"[]", "conflict=odd", status=400)
        report = self.bring(json.dumps([{"content": "ok"}, {"content": 1}, {"content": "x", "path": ""}]).encode())
        self.assertEqual((report["created"], len(report["problems"])), (1, 2), report)
        self.assertEqual(len(self.notes()), 1)

    def test_a_list_of_notes_of_the_published_vault_comes_in(self) -> None:
        published = [
            {"id": "2026-11-23-11-13-28-039000", "content": "# Hi #x", "path": "a", "tags": ["t"], "metadata": {"k": 1},
             "createdAt": "2026-11-23T11:13:28.039Z", "updatedAt": "2026-11-23T11:13:29.000Z"},
        ]  # fmt: skip
        self.assertEqual(self.bring(json.dumps(published).encode())["created"], 1)
        (note,) = self.notes()
        self.assertEqual(note, {**published[0], "tags": ["t", "x"], "textTags": ["x"]})


@requires(right("to mount"))
class FullDiskTests(SynchronousTestCase):
    """A small disk of its own."""

    def setUp(self) -> None:
        """Mounts it."""
        self.disk = Path(tempfile.mkdtemp(prefix="parachute-vault-disk-"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(self.disk)], check=True)
        self.addCleanup(self.disk.rmdir)
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.disk)], check=True)

    def test_every_kind_of_write_says_so_and_loses_nothing(self) -> None:
        with running_vault(self.disk) as vault:
            note = vault.ask("POST", "api/notes", {"content": "kept", "path": "kept"}).json()
            vault.ask("POST", "api/uploads", {"id": "slow-upload", "size": 90_000})
            filler = self.disk / "filler"
            with filler.open("wb") as file:
                free = os.statvfs(self.disk)
                file.write(b"x" * (free.f_bavail * free.f_bsize))
            large = os.urandom(60_000).hex()
            table = {
                "create": ("POST", "api/notes", {"body": {"content": large}}),
                "change": ("PATCH", f"api/notes/{note['id']}", {"body": {"content": large}}),
                "attach": ("POST", "api/attachments?name=x", {"data": large.encode()}),
                "upload": (
                    "PATCH",
                    "api/uploads/slow-upload",
                    {"data": large.encode()[:90_000], "headers": {"Upload-Offset": "0"}},
                ),
                "import": ("POST", "api/import", {"data": json.dumps([{"content": large}]).encode()}),
            }
            for name, (method, path, options) in table.items():
                reply = vault.ask(method, path, **options)  # type: ignore[arg-type]
                self.assertEqual((name, reply.status, reply.json().get("code")), (name, 507, "disk_full"), reply.body)
                self.assertIn("The disk is full", reply.json()["message"], name)
                self.assertEqual((name, vault.ask("GET", "api/notes/kept").json()), (name, note))
            filler.unlink()
            for name, (method, path, options) in table.items():
                if name == "upload":
                    offset = vault.ask("GET", path).json()["offset"]
                    options = {"data": large.encode()[offset:90_000], "headers": {"Upload-Offset": str(offset)}}
                reply = vault.ask(method, path, **options)  # type: ignore[arg-type]
                self.assertIn((name, reply.status), [(name, 200), (name, 201)], reply.body)
            self.assertEqual(len(vault.ask("GET", "api/notes").json()), 3)
            sent = vault.ask("GET", "api/attachments/slow-upload").body
            self.assertEqual(sent, large.encode()[:90_000])
