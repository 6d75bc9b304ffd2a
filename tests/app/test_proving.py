"""What the installed version says when it is asked whether it would start."""

import os
import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub import __version__
from parachute_hub.app import handover, proving
from parachute_hub.app.proving import NotProven, Proven, understood
from parachute_hub.app.trial_start import answer
from parachute_hub.settings import fold
from parachute_hub.store.database import Database, DatabaseUnusable, shipped_migrations
from parachute_hub.store.rehearsal import rehearse
from parachute_hub.system.home import DATABASE


class AnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        (self.home / "tmp").mkdir(parents=True)
        self.settings = fold({"home": str(self.home)}, {})

    def told(self) -> bytes:
        return answer(self.settings).encode()

    def refused(self) -> str:
        with self.assertRaises(NotProven) as caught:
            self.told()
        return str(caught.exception)

    def test_the_old_version_understands_the_new_one(self) -> None:
        self.assertEqual(understood(0, self.told(), b""), Proven(__version__))

    def test_a_database_that_is_newer(self) -> None:
        with sqlite3.connect(self.home / DATABASE) as newer:
            newer.execute("PRAGMA user_version = 9999")
        self.assertIn("was written by a newer Parachute Hub", self.refused())

    def test_migrations_are_tried_on_a_copy(self) -> None:
        """The database itself is not changed, and the copy does not stay."""
        steps = shipped_migrations()
        Database.open(self.home / DATABASE, steps[:-1]).close()
        before = (self.home / DATABASE).read_bytes()
        self.told()
        self.assertEqual((self.home / DATABASE).read_bytes(), before)
        self.assertEqual(list((self.home / "tmp").iterdir()), [])

    def test_migrations_that_fail(self) -> None:
        with sqlite3.connect(self.home / DATABASE) as empty:
            empty.execute("PRAGMA user_version = 1")
        self.assertIn("Its changes to the database fail on a copy:", self.refused())
        self.assertEqual(list((self.home / "tmp").iterdir()), [])

    def test_a_copy_that_cannot_be_made(self) -> None:
        Database.open(self.home / DATABASE, shipped_migrations()[:-1]).close()
        with (self.home / DATABASE).open("r+b") as file:
            file.seek(100)
            file.write(b"\xff" * 2000)
        with self.assertRaises(DatabaseUnusable):
            rehearse(self.home / DATABASE, self.home / "tmp")

    def test_only_a_process_that_is_asked_answers(self) -> None:
        self.addCleanup(os.environ.pop, handover.VARIABLE, None)
        for value, wanted in ((handover.CHECK, True), ("7", False)):
            os.environ[handover.VARIABLE] = value
            self.assertIs(proving.asked(), wanted)


class UnderstoodTests(SynchronousTestCase):
    def test_every_other_answer_has_a_reason(self) -> None:
        for code, said, errors, why in (
            (1, b"", b"Traceback\nImportError: no module\n", "ImportError: no module"),
            (1, b"", b"parachute: Another hub already uses it.\n", "Another hub already uses it."),
            (-9, b"", b"", "It ended with exit code -9."),
            (0, b"", b"", "Its answer cannot be read."),
            (0, b"[]", b"", "Its answer cannot be read."),
            (0, b'{"version": "9"}', b"", "Its answer cannot be read."),
            (0, b'{"version": "9", "format": 2}', b"", "Version 9 cannot take over from"),
        ):
            with self.assertRaises(NotProven, msg=said) as caught:
                understood(code, said, errors)
            self.assertIn(why, str(caught.exception))
