import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.problems import lacking, open_files, other_hub
from parachute_hub.modules.packages.bun import NoBun


class ProblemInputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.home.mkdir(mode=0o700)

    def test_files_that_others_may_read(self) -> None:
        token = self.home / "operator.token"
        token.touch(mode=0o600)
        self.assertEqual(open_files(self.home), [])
        token.chmod(0o640)
        self.home.chmod(0o755)
        self.assertEqual(
            open_files(self.home),
            [("The hub's folder", f"chmod 700 {self.home}"), ("operator.token", f"chmod 600 {token}")],
        )
        self.assertEqual(open_files(self.home / "gone"), [])

    def test_what_an_older_hub_writes_while_this_one_runs(self) -> None:
        """Its database from before is no sign, and an hour after the last write it counts as stopped."""
        database = self.home / "hub.db"
        self.assertEqual(other_hub(self.home, 1000.0, 2000.0, False), [])
        database.touch()
        for written, now, signs in ((999, 2000, 0), (1500, 2000, 1), (1500, 6000, 0)):
            os.utime(database, (written, written))
            self.assertEqual(len(other_hub(self.home, 1000.0, now, False)), signs, (written, now))

    def test_a_token_that_somebody_else_wrote(self) -> None:
        self.assertIn("operator.token", other_hub(self.home, 0.0, 0.0, True)[0])

    def test_why_there_is_no_bun(self) -> None:
        def nowhere() -> Path:
            raise NoBun("bun was not found.")

        self.assertEqual((lacking(nowhere), lacking(lambda: self.home)), ("bun was not found.", None))
