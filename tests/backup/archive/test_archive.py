"""Archives written from a home and read again."""

import os
import shutil
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import pyrage
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from parachute_hub.backup.archive.layout import BadArchive, Header, ModuleInfo
from parachute_hub.backup.archive.pipes import BadKey, DamagedStream, zstd
from parachute_hub.backup.archive.reading import ArchiveContents, ArchiveReader, CheckingSink, MemberSink, UnpackingSink
from parachute_hub.backup.archive.sources import list_home
from parachute_hub.backup.archive.writing import ArchiveWriter
from parachute_hub.system import strict_json
from tests.requirements import program, requires

KEY = pyrage.x25519.Identity.generate()
IDENTITY, RECIPIENT = str(KEY), str(KEY.to_public())
PLENTY = 1 << 40
PATHS = st.from_regex(r"[a-zé ]{1,8}(/[a-zé ]{1,8}){0,3}", fullmatch=True)


def header(**values: object) -> Header:
    return Header(
        id="1", created_at=1.0, hub_version="1", hub_id="0123abcd", schema=1, origin="http://localhost",
        modules=(ModuleInfo(short="vault", package="@p/vault", version="1.0.0"),), **values,  # type: ignore[arg-type]
    )  # fmt: skip


def make_home(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


class ArchiveCase(TestCase):
    """A home, a scratch folder and a place to unpack."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.home, self.scratch, self.out = self.root / "home", self.root / "scratch", self.root / "out"
        for folder in (self.home, self.scratch, self.out):
            folder.mkdir(parents=True)

    def write(self, recipient: str = RECIPIENT) -> bytes:
        listing = list_home(self.home)
        self.writer = ArchiveWriter(self.home, self.scratch, header(size=listing.size), listing, recipient, _deaf)
        return b"".join(self.writer.chunks())

    def read(self, archive: bytes, keeps: MemberSink | None = None, identity: str = IDENTITY) -> ArchiveContents:
        return ArchiveReader(keeps or UnpackingSink(self.out), self.scratch, PLENTY, _deaf).read(
            pieces(archive), identity
        )

    def unpacked(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.out)): p.read_bytes() for p in self.out.rglob("*") if p.is_file()}


def pieces(content: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def _deaf(path: str, size: int) -> None:
    """Nobody is told."""


class RoundTripTests(ArchiveCase):
    """What is written is read back."""

    def test_files_come_back_byte_for_byte(self) -> None:
        files = {"services.json": b"{}", "vault/a/b.md": b"note", "vault/empty": b"", "scribe/.env": b"KEY=1\n"}
        make_home(self.home, files)
        (self.home / "scribe/.env").chmod(0o600)
        contents = self.read(self.write())
        self.assertEqual(self.unpacked(), files)
        self.assertEqual(contents.files, 4)
        self.assertEqual((self.out / "scribe/.env").stat().st_mode & 0o777, 0o600)
        self.assertEqual(contents.header.modules[0].package, "@p/vault")

    def test_a_database_in_use_is_copied_consistently(self) -> None:
        for mode in ("wal", "delete"):
            path = self.home / f"{mode}.db"
            writer = sqlite3.connect(path, isolation_level=None)
            self.addCleanup(writer.close)
            writer.execute(f"PRAGMA journal_mode = {mode}")
            writer.execute("CREATE TABLE notes (text)")
            writer.execute("INSERT INTO notes VALUES ('kept')")
            if mode == "wal":
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("INSERT INTO notes VALUES ('not yet')")
        contents = self.read(self.write())
        self.assertEqual(contents.databases, 2)
        self.assertEqual(sorted(self.unpacked()), ["delete.db", "wal.db"])
        for mode in ("wal", "delete"):
            with closing(sqlite3.connect(self.out / f"{mode}.db")) as found:
                self.assertEqual(found.execute("SELECT text FROM notes").fetchall(), [("kept",)], mode)

    def test_a_damaged_database_is_stored_as_it_is_and_named(self) -> None:
        make_home(self.home, {"vault/torn.db": b"SQLite format 3\0" + b"x" * 5000, "ok": b"1"})
        contents = self.read(self.write())
        self.assertEqual(len(self.writer.damaged), 1)
        self.assertIn("vault/torn.db", self.writer.damaged[0])
        self.assertEqual((contents.files, contents.databases), (2, 0))

    def test_links_and_pipes_are_left_out_and_named(self) -> None:
        make_home(self.home, {"vault/note": b"1"})
        (self.home / "vault/link").symlink_to("/etc/passwd")
        os.mkfifo(self.home / "vault/pipe")
        self.assertEqual(list_home(self.home).skipped, ("vault/link", "vault/pipe"))
        self.read(self.write())
        self.assertEqual(sorted(self.unpacked()), ["vault/note"])

    def test_programs_logs_and_scratch_files_are_left_out(self) -> None:
        left_out = {
            "modules/store/v/x.js": b"",
            "tmp/x": b"",
            "hub/logs/hub.log": b"",
            "hub/reserve": b"",
            "hub/lock": b"",
            "hub/reach/state.json": b"{}",
            "hub/moving/vault-1/blobs/a": b"",
            "hub/reach/lan/authority.pem": b"",
            "hub/views/vault/.bun/install/cache/x.pile": b"",
            "hub/views/scribe/.cache/huggingface/model": b"",
        }
        make_home(self.home, {**left_out, "hub/modules.json": b"{}"})
        self.read(self.write())
        self.assertEqual(sorted(self.unpacked()), ["hub/modules.json"])

    def test_a_file_that_is_gone_by_then_is_not_missed(self) -> None:
        make_home(self.home, {"a": b"1", "b": b"2"})
        listing = list_home(self.home)
        (self.home / "a").unlink()
        writer = ArchiveWriter(self.home, self.scratch, header(), listing, RECIPIENT, _deaf)
        self.assertEqual(self.read(b"".join(writer.chunks())).files, 1)

    def test_no_copy_of_a_database_stays_behind(self) -> None:
        make_home(self.home, {"x.db": b"SQLite format 3\0" + b"x" * 5000})
        self.write()
        self.assertEqual(list(self.scratch.iterdir()), [])

    def test_verifying_keeps_nothing(self) -> None:
        with closing(sqlite3.connect(self.home / "x.db")) as made:
            made.execute("CREATE TABLE t (a)")
        contents = self.read(self.write(), CheckingSink(self.scratch))
        self.assertEqual((contents.files, contents.databases), (1, 1))
        self.assertEqual([*self.scratch.iterdir(), *self.out.iterdir()], [])

    @requires(program("age"), program("zstd"))
    def test_age_and_tar_open_it_without_a_hub(self) -> None:
        make_home(self.home, {"vault/note": b"words"})
        (self.root / "backup").write_bytes(self.write())
        (self.root / "key").write_text(IDENTITY)
        command = "age -d -i key backup | tar --zstd -x -C out"
        subprocess.run(command, shell=True, cwd=self.root, check=True)
        self.assertEqual((self.out / "home/vault/note").read_bytes(), b"words")


class DamageTests(ArchiveCase):
    """Damaged, truncated or foreign archives are never accepted as complete."""

    def setUp(self) -> None:
        super().setUp()
        make_home(self.home, {"a": os.urandom(100_000), "vault/b": b"words" * 1000})
        self.archive = self.write()

    def test_a_changed_byte_anywhere(self) -> None:
        for at in (0, 30, 150, 250, len(self.archive) // 2, len(self.archive) - 20, len(self.archive) - 1):
            changed = bytearray(self.archive)
            changed[at] ^= 1
            with self.assertRaises((DamagedStream, BadKey), msg=f"byte {at}"):
                self.read(bytes(changed), CheckingSink(self.scratch))

    def test_an_archive_cut_short_anywhere(self) -> None:
        for length in (0, 10, 200, 66_000, len(self.archive) - 1):
            with self.assertRaises((DamagedStream, BadKey), msg=f"{length} bytes"):
                self.read(self.archive[:length], CheckingSink(self.scratch))

    def test_another_key_does_not_open_it(self) -> None:
        with self.assertRaises(BadKey):
            self.read(self.archive, identity=str(pyrage.x25519.Identity.generate()))
        with self.assertRaises(BadKey):
            self.read(self.archive, identity="not a key")

    def test_an_error_while_reading_the_archive_is_told_as_it_is(self) -> None:
        def broken() -> Iterator[bytes]:
            yield self.archive[:70_000]
            raise ConnectionError("the network")

        with self.assertRaises(ConnectionError):
            ArchiveReader(CheckingSink(self.scratch), self.scratch, PLENTY, _deaf).read(broken(), IDENTITY)

    def test_an_error_while_writing_it_gives_no_whole_archive(self) -> None:
        writer = ArchiveWriter(self.home, Path("/nowhere"), header(), list_home(self.home), RECIPIENT, _deaf)
        chunks: list[bytes] = []
        with self.assertRaises(FileNotFoundError):
            chunks.extend(writer.chunks())
        with self.assertRaises((DamagedStream, BadKey)):
            self.read(b"".join(chunks))

    def test_a_reader_that_stops_early_ends_the_writer(self) -> None:
        chunks = ArchiveWriter(self.home, self.scratch, header(), list_home(self.home), RECIPIENT, _deaf).chunks()
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]

    def test_a_full_disk_is_told_and_ends_the_threads(self) -> None:
        class Full(UnpackingSink):
            def open(self, path: str, mode: int) -> BinaryIO:
                raise OSError(28, "No space left on device")

        with self.assertRaises(OSError) as caught:
            self.read(self.archive, Full(self.out))
        self.assertEqual(caught.exception.errno, 28)

    def test_more_than_the_limit(self) -> None:
        with self.assertRaises(BadArchive):
            ArchiveReader(CheckingSink(self.scratch), self.scratch, 1000, _deaf).read(pieces(self.archive), IDENTITY)


class ForeignTests(ArchiveCase):
    """Archives that no hub would write."""

    def pack(self, *members: tuple[tarfile.TarInfo, bytes]) -> bytes:
        path = self.root / "foreign.tar"
        with tarfile.open(path, "w") as tar:
            for member, content in members:
                member.size = len(content)
                with open(path.with_suffix(".one"), "wb+") as file:
                    file.write(content)
                    file.seek(0)
                    tar.addfile(member, file)
        return bytes(pyrage.encrypt(zstd.compress(path.read_bytes()), [KEY.to_public()]))

    def test_each_is_refused_and_writes_nothing_outside(self) -> None:
        head = (tarfile.TarInfo("parachute-backup.json"), strict_json.write(header().to_json()))
        link, device = tarfile.TarInfo("home/x"), tarfile.TarInfo("home/x")
        link.type, link.linkname, device.type = tarfile.SYMTYPE, "/etc/passwd", tarfile.CHRTYPE
        manifest = tarfile.TarInfo("manifest.ndjson")
        cases: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
            "no header": [(tarfile.TarInfo("home/x"), b"1")],
            "empty": [],
            "header alone": [head],
            "absolute path": [head, (tarfile.TarInfo("/etc/x"), b"1")],
            "path out of the home": [head, (tarfile.TarInfo("home/../../x"), b"1")],
            "no folder": [head, (tarfile.TarInfo("x"), b"1")],
            "in the way of a restore": [head, (tarfile.TarInfo("home/hub/restore/a"), b"1")],
            "a lock": [head, (tarfile.TarInfo("home/hub/lock"), b"1")],
            "the hub's folder as a file": [head, (tarfile.TarInfo("home/hub"), b"1")],
            "a link": [head, (link, b"")],
            "a device": [head, (device, b"")],
            "twice": [head, (tarfile.TarInfo("home/x"), b"1"), (tarfile.TarInfo("home/x"), b"2")],
            "file below a file": [head, (tarfile.TarInfo("home/x"), b"1"), (tarfile.TarInfo("home/x/y"), b"2")],
            "not in the manifest": [head, (tarfile.TarInfo("home/x"), b"1"), (manifest, b"")],
            "manifest of nonsense": [head, (manifest, b"nonsense\n")],
            "newer format": [(tarfile.TarInfo("parachute-backup.json"), b'{"format": 99}')],
            "header of nonsense": [(tarfile.TarInfo("parachute-backup.json"), b"[]")],
        }  # fmt: skip
        for name, members in cases.items():
            shutil.rmtree(self.out)
            self.out.mkdir()
            with self.assertRaises(BadArchive, msg=name):
                self.read(self.pack(*members))
            self.assertFalse((self.root / "x").exists() or (self.root.parent / "x").exists(), name)

    def test_more_than_its_header_says(self) -> None:
        """Little on the wire, and a full disk at the end."""
        head = (tarfile.TarInfo("parachute-backup.json"), strict_json.write(header(size=1000).to_json()))
        with self.assertRaisesRegex(BadArchive, "larger than its header says"):
            self.read(self.pack(head, (tarfile.TarInfo("home/x"), bytes(65 * 1024 * 1024))))
        self.assertEqual(self.unpacked(), {})


class AnyHomeTests(TestCase):
    """Any file tree is restored."""

    @settings(max_examples=15, deadline=None)
    @given(st.dictionaries(PATHS, st.binary(max_size=5000), max_size=6))
    def test_any_home_survives_a_round_trip(self, files: dict[str, bytes]) -> None:
        paths = [path for path in files if not any(other.startswith(f"{path}/") for other in files)]
        with TemporaryDirectory() as folder:
            case = ArchiveCase()
            case.home, case.scratch, case.out = (Path(folder) / name for name in ("home", "scratch", "out"))
            for each in (case.home, case.scratch, case.out):
                each.mkdir()
            make_home(case.home, {path: files[path] for path in paths if path.split("/")[0] not in ("modules", "tmp")})
            case.read(case.write())
            self.assertEqual(case.unpacked(), {p: files[p] for p in paths if p.split("/")[0] not in ("modules", "tmp")})
