import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.home import Home, HomeError, HomeTaken


@contextmanager
def nothing_can_be_written() -> Iterator[None]:
    """Every write fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class HomeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.home = Home(self.path)
        self.home.prepare()

    def test_the_home_is_private(self) -> None:
        """0700, also when it existed with other modes."""
        self.path.chmod(0o755)
        self.home.prepare()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o700)

    def test_a_file_in_the_place_of_a_folder_is_told(self) -> None:
        file = Path(self.mktemp())
        file.touch()
        for place in (file, file / "home"):
            with self.assertRaises(HomeError) as caught:
                Home(place).prepare()
            self.assertIn("there is a file in the place of a folder", str(caught.exception))

    def test_a_second_hub_is_told_who_the_first_is(self) -> None:
        """flock names the holder; the lock ends with its process, not with a file."""
        self.home.lock("pid 7 on port 1939")
        with self.assertRaises(HomeTaken) as caught:
            Home(self.path).lock("pid 8")
        self.assertIn("pid 7 on port 1939", str(caught.exception))
        self.home.release()
        second = Home(self.path)
        second.lock("pid 8")
        second.release()

    def test_a_lock_file_left_behind_blocks_nothing(self) -> None:
        """Only a living holder counts."""
        (self.path / "hub" / "lock").write_text("pid 1 of another time")
        self.home.lock("pid 9")
        self.assertEqual((self.path / "hub" / "lock").read_text(), "pid 9")
        self.home.release()

    def test_the_lock_holds_on_a_full_disk(self) -> None:
        """The text is only informational; a hub must start where nothing can be written."""
        with nothing_can_be_written():
            self.home.lock("pid 9")
        with self.assertRaises(HomeTaken):
            Home(self.path).lock("pid 10")
        self.home.release()

    def test_a_lock_that_cannot_be_had_is_explained(self) -> None:
        """A folder in the place of the file."""
        (self.path / "hub" / "lock").mkdir()
        with self.assertRaises(HomeError) as caught:
            self.home.lock("pid 9")
        self.assertIn("cannot be locked", str(caught.exception))

    def test_a_home_that_cannot_be_made_is_explained(self) -> None:
        """A file in its place: the message names the folder and the option."""
        blocked = Path(self.mktemp())
        blocked.write_text("in the way")
        with self.assertRaises(HomeError) as caught:
            Home(blocked).prepare()
        self.assertIn("--home", str(caught.exception))

    def test_the_note_for_local_programs_comes_and_goes(self) -> None:
        """Port and pid while running; removed by a clean stop; invalid content is ignored."""
        self.home.announce("i", 1939, "2026-01-01T00:00:00Z")
        announced = self.home.announced()
        assert announced is not None
        self.assertEqual((announced["port"], announced["pid"]), (1939, os.getpid()))
        Home(self.path).withdraw()
        self.assertNotEqual(self.home.announced(), None, "another hub took the note away")
        self.home.withdraw()
        self.home.withdraw()
        self.assertEqual(self.home.announced(), None)
        (self.path / "hub-instance.json").write_text("{")
        self.assertEqual(self.home.announced(), None)
