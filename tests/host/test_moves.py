import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.host import moves as room
from parachute_hub.host.moves import KEPT_SECONDS, Moves
from parachute_hub.link.files import digest
from parachute_hub.site.errors import Refused


def told(path: str, content: bytes, **fields: Any) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    return {"path": path, "size": len(content), "sha256": sha256, "mode": 0o600, "mtime": 10**18, **fields}


class Killed(BaseException):
    """The process ends here."""


class MoveCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.data, self.folder = self.home / "vault", self.home / "hub" / "moves"
        self.data.mkdir(parents=True)
        (self.data / "old").write_bytes(b"old")
        self.free = 1 << 40
        self.now = 10.0**9
        self.moves = self.again()

    def again(self) -> Moves:
        """As after a restart of the host."""
        return Moves(data=self.data, folder=self.folder, free_bytes=lambda: self.free, now=lambda: self.now, spare=0)

    def send(self, move: str, content: bytes) -> None:
        upload = self.moves.receive(move, hashlib.sha256(content).hexdigest(), len(content))
        for at in range(0, len(content), 3):
            upload.write(content[at : at + 3])
        upload.finish()

    def moved(self, files: dict[str, bytes]) -> dict[str, Any]:
        listed = [told(path, content) for path, content in files.items()]
        begun = self.moves.begin(listed)
        for content in set(files.values()):
            if hashlib.sha256(content).hexdigest() in begun["missing"]:
                self.send(begun["move"], content)
        return self.moves.commit(begun["move"], listed)

    def content(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.data)): path.read_bytes() for path in self.data.rglob("*") if path.is_file()}

    def refused(self, function: Callable[..., object], *arguments: Any) -> str:
        with self.assertRaises(Refused) as caught:
            function(*arguments)
        return str(caught.exception.error)


class MovesTests(MoveCase):
    def test_the_data_becomes_exactly_what_was_sent(self) -> None:
        files = {"a": b"one", "deep/er/b": b"two" * 1000, "c": b"one", "empty": b""}
        done = self.moved(files)
        self.assertEqual(self.content(), files)
        self.assertEqual((done["files"], done["bytes"]), (4, 3006))
        self.assertEqual(done["digest"], digest(self.moves.files()))
        self.assertEqual(os.stat(self.data / "a").st_mtime_ns, 10**18)

    def test_a_module_without_data_gets_some(self) -> None:
        shutil.rmtree(self.data)
        self.assertEqual(self.moves.files(), ())
        self.moved({"a": b"1"})
        self.assertEqual(self.content(), {"a": b"1"})
        self.assertEqual(list(self.folder.glob("former-*")), [])

    def test_equal_files_do_not_share_their_content(self) -> None:
        self.moved({"a": b"one", "b": b"one"})
        (self.data / "a").open("r+b").write(b"two")
        self.assertEqual(self.content(), {"a": b"two", "b": b"one"})

    def test_what_is_here_already_is_not_sent_and_the_former_data_is_kept_apart(self) -> None:
        listed = [told("renamed", b"old")]
        begun = self.moves.begin(listed)
        self.assertEqual(begun["missing"], [])
        self.moves.commit(begun["move"], listed)
        former = next(self.folder.glob("former-*"))
        (self.data / "renamed").open("r+b").write(b"new")
        self.assertEqual((former / "old").read_bytes(), b"old")

    def test_the_former_data_goes_with_the_next_move_or_after_a_month(self) -> None:
        self.moved({"a": b"1"})
        self.now += 1
        self.moved({"a": b"2"})
        self.assertEqual([(one / "a").read_bytes() for one in self.folder.glob("former-*")], [b"1"])
        former = next(self.folder.glob("former-*"))
        os.utime(former, (self.now, self.now))
        self.now += KEPT_SECONDS - 1
        self.moves.sweep()
        self.assertTrue(former.exists())
        self.now += 2
        self.moves.sweep()
        self.assertFalse(former.exists())

    def test_a_second_pass_asks_only_for_what_changed(self) -> None:
        first = self.moves.begin([told("a", b"1"), told("b", b"2")])
        for content in (b"1", b"2"):
            self.send(first["move"], content)
        self.moves = self.again()
        self.moves.recover()
        final = [told("a", b"1"), told("b", b"3")]
        second = self.moves.begin(final)
        self.assertEqual(second["missing"], [told("b", b"3")["sha256"]])
        self.assertEqual(self.refused(self.moves.commit, first["move"], final), "not_found")
        self.send(second["move"], b"3")
        self.moves.commit(second["move"], final)
        self.assertEqual(self.content(), {"a": b"1", "b": b"3"})
        self.assertFalse((self.folder / "blobs").exists())

    def test_nothing_changes_unless_everything_is_there(self) -> None:
        listed = [told("a", b"1"), told("b", b"2")]
        begun = self.moves.begin(listed)
        self.send(begun["move"], b"1")
        self.assertEqual(self.refused(self.moves.commit, begun["move"], listed), "missing")
        self.assertEqual(self.refused(self.moves.commit, begun["move"], listed[:1]), "other_files")
        self.assertEqual(
            self.refused(self.moves.commit, begun["move"], [told("a", b"1"), told("b", b"x")]), "other_files"
        )
        self.assertEqual(self.refused(self.moves.commit, begun["move"], "x"), "unsafe_files")
        self.assertEqual(self.content(), {"old": b"old"})
        self.send(begun["move"], b"2")
        self.moves.commit(begun["move"], listed)

    def test_a_file_that_changed_here_meanwhile_is_missing(self) -> None:
        listed = [told("renamed", b"old")]
        begun = self.moves.begin(listed)
        (self.data / "old").write_bytes(b"new!")
        self.assertEqual(self.refused(self.moves.commit, begun["move"], listed), "missing")
        self.assertEqual(self.content(), {"old": b"new!"})

    def test_uploads_are_verified(self) -> None:
        begun = self.moves.begin([told("a", b"right")])
        sha256 = begun["missing"][0]
        self.assertEqual(self.refused(self.moves.receive, begun["move"], sha256, 4), "wrong_size")
        self.assertEqual(self.refused(self.moves.receive, begun["move"], "f" * 64, 5), "not_found")
        self.assertEqual(self.refused(self.moves.receive, begun["move"], "../../../../etc", 5), "not_found")
        self.assertEqual(self.refused(self.moves.receive, "other", sha256, 5), "not_found")
        for wrong in (b"wrong", b"righ", b"right!"):
            upload = self.moves.receive(begun["move"], sha256, 5)
            upload.write(wrong)
            self.assertEqual(self.refused(upload.finish), "wrong_hash")
            upload.abandon()
        self.assertEqual([path.name for path in self.folder.iterdir()], ["blobs"])
        self.assertEqual(list((self.folder / "blobs").iterdir()), [])

    def test_what_leads_elsewhere_is_refused(self) -> None:
        for path in ("../hub/host.json", "/etc/passwd", "a/../../x"):
            self.assertEqual(self.refused(self.moves.begin, [told(path, b"1")]), "unsafe_files")
        same = told("b", b"2")["sha256"]
        self.assertEqual(
            self.refused(self.moves.begin, [told("a", b"22", sha256=same), told("b", b"2")]), "unsafe_files"
        )
        os.symlink("/etc/passwd", self.data / "link")
        self.assertEqual(self.refused(self.moves.files), "unsafe_files")
        # What is here may be replaced nevertheless.
        self.moved({"a": b"1"})
        self.assertEqual(self.content(), {"a": b"1"})

    def test_a_link_that_comes_while_files_are_read_is_not_followed(self) -> None:
        secret = self.home / "secret"
        secret.write_bytes(b"old")
        listed = [told("renamed", b"old")]
        begun = self.moves.begin(listed)
        sha256 = self.moves.files()[0].sha256
        (self.data / "old").unlink()
        os.symlink(secret, self.data / "old")
        self.assertEqual(self.refused(self.moves.open, sha256), "not_found")
        self.assertEqual(self.refused(self.moves.commit, begun["move"], listed), "missing")

    def test_a_full_disk_is_told_before(self) -> None:
        self.free = 4
        self.assertEqual(self.refused(self.moves.begin, [told("a", b"12345")]), "disk_full")
        self.free = 5
        begun = self.moves.begin([told("a", b"12345")])
        self.free = 4
        self.assertEqual(self.refused(self.moves.receive, begun["move"], begun["missing"][0], 5), "disk_full")
        self.free = 5
        self.send(begun["move"], b"12345")
        # What is uploaded needs no more room.
        self.free = 0
        again = self.moves.begin([told("a", b"12345")])
        self.assertEqual(again["missing"], [])
        self.moves.commit(again["move"], [told("a", b"12345")])

    def test_giving_up_deletes_what_was_sent(self) -> None:
        begun = self.moves.begin([told("a", b"1")])
        self.send(begun["move"], b"1")
        self.moves.abort(begun["move"])
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(self.refused(self.moves.abort, begun["move"]), "not_found")

    def test_files_are_given_out_as_they_were_listed(self) -> None:
        entry = self.moves.files()[0]
        file, size = self.moves.open(entry.sha256)
        with file:
            self.assertEqual((file.read(), size), (b"old", 3))
        (self.data / "old").write_bytes(b"longer")
        self.assertEqual(self.refused(self.moves.open, entry.sha256), "changed")
        self.assertEqual(self.refused(self.moves.open, "f" * 64), "not_found")


class KilledTests(MoveCase):
    """A kill between any two changes of the disk leaves all of the former data or all of the new."""

    NEW = {"a": b"one", "deep/b": b"two", "c": b"one"}

    def killed_at(self, step: int) -> bool:
        """Whether the commit got to its `step`th change and was killed there."""
        count = 0

        def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
            def change(*arguments: Any, **named: Any) -> Any:
                nonlocal count
                count += 1
                if count >= step:
                    raise Killed
                return real(*arguments, **named)

            return change

        listed = [told(path, content) for path, content in self.NEW.items()]
        begun = self.moves.begin(listed)
        for content in (b"one", b"two"):
            self.send(begun["move"], content)
        places: list[tuple[Any, str]] = [(os, name) for name in ("rename", "link", "unlink", "utime")]
        places += [(shutil, "rmtree"), (room, "atomic_write"), (room, "sync_folder")]
        patches = [self.patch(place, name, deadly(getattr(place, name))) for place, name in places]
        try:
            self.moves.commit(begun["move"], listed)
        except Killed:
            return True
        finally:
            for patch in patches:
                patch.restore()
        return False

    def test_every_step(self) -> None:
        outcomes = []
        for step in range(1, 100):
            self.setUp()
            killed = self.killed_at(step)
            self.moves = self.again()
            self.moves.recover()
            self.assertIn(self.content(), ({"old": b"old"}, self.NEW), step)
            outcomes.append(self.content() == self.NEW)
            self.moves.recover()
            self.assertFalse([one for one in self.folder.iterdir() if one.name.startswith("incoming")])
            if not killed:
                break
        self.assertEqual(outcomes, sorted(outcomes))
        self.assertGreater(len(outcomes), 10)
        self.assertIn(False, outcomes)
