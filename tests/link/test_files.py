import os
from collections.abc import Callable
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.link import files
from parachute_hub.link.files import FileEntry, UnsafeFiles, Walk, checked, digest

HASH = "a" * 64


def told(path: str, **fields: object) -> dict[str, object]:
    return {"path": path, "size": 1, "sha256": HASH, "mode": 0o600, "mtime": 1, **fields}


class CheckedTests(SynchronousTestCase):
    def test_a_list_survives_the_link(self) -> None:
        listed = (
            FileEntry(path="data/a b.md", size=3, sha256=HASH, mode=0o640, mtime=5),
            FileEntry(path="data/ü", size=0, sha256="b" * 64),
        )
        self.assertEqual(checked([entry.to_json() for entry in listed]), listed)

    def test_what_is_refused(self) -> None:
        for wrong in (
            {},
            ["x"],
            *(
                [told(path)]
                for path in (
                    "",
                    "/etc/passwd",
                    "..",
                    "../x",
                    "a/../b",
                    "a/./b",
                    "a//b",
                    "a/",
                    "a\\b",
                    "a\0b",
                    "a\nb",
                    "\ud800",
                    "x" * 256,
                    "/".join(["x" * 200] * 11),
                )
            ),
            [{**told("a"), "path": 1}],
            [told("a", size=-1)],
            [told("a", size=True)],
            [told("a", size=1.5)],
            [told("a", size=1 << 60)],
            [told("a", sha256=HASH.upper())],
            [told("a", sha256="../../x")],
            [told("a", mode=0o4755)],
            [told("a", mtime="now")],
            [told("a"), told("a")],
            [told("a"), told("a/b")],
            [told("a"), told("a/b/c")],
        ):
            with self.assertRaises(UnsafeFiles, msg=repr(wrong)[:80]):
                checked(wrong)

    def test_too_many_files(self) -> None:
        self.patch(files, "MOST_FILES", 1)
        with self.assertRaises(UnsafeFiles):
            checked([told("a"), told("b")])


class DigestTests(SynchronousTestCase):
    def test_it_is_of_content_and_mode_in_any_order(self) -> None:
        one, other = FileEntry(path="a", size=1, sha256=HASH), FileEntry(path="b", size=2, sha256=HASH)
        right = digest((one, other))
        self.assertEqual(right, digest((other, evolve(one, mtime=9))))
        for changed in (
            evolve(one, path="c"),
            evolve(one, size=3),
            evolve(one, sha256="c" * 64),
            evolve(one, mode=0o644),
        ):
            self.assertNotEqual(right, digest((changed, other)))
        self.assertNotEqual(right, digest((one,)))

    def test_the_form_that_is_hashed(self) -> None:
        """Both sides must agree on it for good."""
        known = "6998abce"
        self.assertEqual(digest((FileEntry(path="ü/x", size=12, sha256=HASH, mode=0o644),))[:8], known)


class WalkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        (self.folder / "data").mkdir(parents=True)
        (self.folder / "data" / "a").write_bytes(b"one")
        (self.folder / "b").write_bytes(b"")
        (self.folder / ".b.1-00000000.tmp").write_bytes(b"half")

    def test_files_with_their_hashes(self) -> None:
        found = Walk()(self.folder)
        self.assertEqual([(entry.path, entry.size) for entry in found], [("b", 0), ("data/a", 3)])
        self.assertEqual(found[1].sha256[:8], "7692c3ad")
        self.assertEqual(checked([entry.to_json() for entry in found]), found)

    def test_no_folder_has_no_files(self) -> None:
        self.assertEqual(Walk()(self.folder / "gone"), ())

    def test_a_file_that_did_not_change_is_not_read_again(self) -> None:
        walk = Walk()
        for name in ("b", "data/a"):
            os.utime(self.folder / name, (1, 1))
        before = walk(self.folder)
        reads: list[object] = []
        real = files._hash

        def counted(read: Callable[[int], bytes]) -> tuple[str, int]:
            reads.append(read)
            return real(read)

        self.patch(files, "_hash", counted)
        self.assertEqual(walk(self.folder), before)
        self.assertEqual(reads, [])
        (self.folder / "b").write_bytes(b"longer")
        self.assertNotEqual(walk(self.folder), before)
        self.assertEqual(len(reads), 1)

    def test_what_may_have_changed_without_a_sign_is_read_again(self) -> None:
        """A file that changed a moment ago, and one that is written through a memory map."""
        (self.folder / "old-shm").write_bytes(b"one")
        os.utime(self.folder / "old-shm", (1, 1))
        walk = Walk()
        before = walk(self.folder)
        for name in ("old-shm", "data/a"):
            stat = (self.folder / name).stat()
            (self.folder / name).write_bytes(b"two")
            os.utime(self.folder / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        changed = {new.path for old, new in zip(before, walk(self.folder), strict=True) if old.sha256 != new.sha256}
        self.assertEqual(changed, {"old-shm", "data/a"})

    def test_links_and_special_files_are_refused_by_name(self) -> None:
        os.symlink("/etc/passwd", self.folder / "data" / "link")
        with self.assertRaisesRegex(UnsafeFiles, "data/link is a link"):
            Walk()(self.folder)
        (self.folder / "data" / "link").unlink()
        os.symlink(self.folder / "data", self.folder / "folder")
        with self.assertRaisesRegex(UnsafeFiles, "folder is a link"):
            Walk()(self.folder)
        (self.folder / "folder").unlink()
        os.mkfifo(self.folder / "pipe")
        with self.assertRaisesRegex(UnsafeFiles, "pipe is neither"):
            Walk()(self.folder)

    def test_it_ends_when_nobody_wants_it_any_more(self) -> None:
        with self.assertRaises(UnsafeFiles):
            Walk()(self.folder, lambda: False)

    def test_a_link_is_not_opened(self) -> None:
        os.symlink("/etc/passwd", self.folder / "link")
        os.symlink(self.folder / "data", self.folder / "way")
        for path in ("link", "way/a", "data", "b/c"):
            with self.assertRaises(UnsafeFiles, msg=path):
                files.open_below(self.folder, path)
        with files.open_below(self.folder, "data/a") as file:
            self.assertEqual(file.read(), b"one")
        with self.assertRaises(FileNotFoundError):
            files.open_below(self.folder, "data/gone")

    def test_a_folder_that_becomes_a_link_meanwhile(self) -> None:
        """A module that runs could so get files moved that are not its own."""
        outside = self.folder.with_name(self.folder.name + "-outside")
        outside.mkdir()
        (outside / "a").write_bytes(b"secret")
        real = os.scandir

        def deceived(folder: int) -> list["os.DirEntry[str]"]:
            entries = list(real(folder))
            if (self.folder / "data").is_dir() and not (self.folder / "data").is_symlink():
                (self.folder / "data").rename(self.folder / "was")
                os.symlink(outside, self.folder / "data")
            return entries

        self.patch(os, "scandir", deceived)
        with self.assertRaisesRegex(UnsafeFiles, "data is a link"):
            Walk()(self.folder)

    def test_what_vanishes_meanwhile_is_left_out(self) -> None:
        """As the journal of a database does."""
        real = os.scandir

        def late(folder: int) -> list["os.DirEntry[str]"]:
            entries = list(real(folder))
            for gone in (self.folder / "b", self.folder / "data" / "a"):
                gone.unlink(missing_ok=True)
            return entries

        self.patch(os, "scandir", late)
        self.assertEqual(Walk()(self.folder), ())

    def test_no_descriptor_is_left(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        Walk()(self.folder)
        (self.folder / "data" / "z").symlink_to("x")
        with self.assertRaises(UnsafeFiles):
            Walk()(self.folder)
        with self.assertRaises(UnsafeFiles):
            Walk()(self.folder, lambda: False)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
