from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.backups import BackupTrouble


class BackupTroubleTests(SynchronousTestCase):
    def test_what_backups_report_is_an_error(self) -> None:
        (found,) = BackupTrouble(problems=lambda: [("backup-failed-1", "The disk is full.")]).look()
        self.assertEqual((found.key, found.severity, found.detail), ("backup-failed-1", "error", "The disk is full."))

    def test_a_set_up_that_was_begun_is_a_warning(self) -> None:
        """Whoever has just made the recovery sheet is not told that a backup failed."""
        for key in ("backup-sheet", "backup-nowhere"):
            (found,) = BackupTrouble(problems=lambda key=key: [(key, "Open Backups.")]).look()  # type: ignore[misc]
            self.assertEqual((found.severity, found.title), ("warning", "Finish setting up backups"))
            self.assertNotIn("failed", found.text)

    def test_backups_without_trouble(self) -> None:
        self.assertEqual(BackupTrouble(problems=lambda: []).look(), [])
