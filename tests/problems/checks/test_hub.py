from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.model import Job
from parachute_hub.problems.checks.hub import (
    DatabaseTrouble,
    FailedOperations,
    OpenFiles,
    OtherHub,
    UnknownModules,
    UnusableRows,
)
from tests.problems.checks.test_modules import VAULT
from tests.support.always import always


def job(
    number: int, short: str = "vault", status: str = "failed", outcome: str | None = None, at: float = 100.0
) -> Job:
    return Job(
        id=str(number),
        kind="upgrade",
        short=short,
        params={},
        started_at=0.0,
        status=status,
        outcome=outcome,
        error="It did not start." if status == "failed" else None,
        finished_at=None if status == "running" else at,
    )


class HubCheckTests(SynchronousTestCase):
    def test_a_database_in_trouble(self) -> None:
        for word, text in (("removed", "was removed"), ("replaced", "was replaced"), ("unreadable", "cannot be read")):
            (found,) = DatabaseTrouble(trouble=always(word)).look()
            self.assertEqual((found.severity, text in found.text), ("error", True), word)
        self.assertEqual(DatabaseTrouble(trouble=lambda: None).look(), [])

    def test_modules_that_nobody_installed(self) -> None:
        found = UnknownModules(unknown=lambda: ["toy", "clock", "toy"]).look()
        self.assertEqual([one.key for one in found], ["module-unknown:toy", "module-unknown:clock"])
        self.assertEqual(len(UnknownModules(unknown=lambda: [f"m{number}" for number in range(99)]).look()), 20)

    def test_rows_that_cannot_be_used(self) -> None:
        (found,) = UnusableRows(problems=lambda: [f"Row {number} is odd." for number in range(5)]).look()
        self.assertEqual(found.detail, "Row 0 is odd. Row 1 is odd. Row 2 is odd. And 2 more.")
        self.assertEqual(UnusableRows(problems=lambda: []).look(), [])

    def test_files_that_others_can_read(self) -> None:
        loose = [("The hub's folder", "chmod 700 x"), ("operator.token", "chmod 600 y")]
        found = OpenFiles(loose=lambda: loose).look()
        self.assertEqual([one.severity for one in found], ["warning", "error"])
        self.assertIn("chmod 700 x", found[0].fixes[0].label)

    def test_another_hub_on_the_same_files(self) -> None:
        (found,) = OtherHub(signs=lambda: ["An older hub writes its database here."]).look()
        self.assertEqual((found.key, found.severity), ("other-hub", "error"))
        self.assertEqual(OtherHub(signs=lambda: []).look(), [])

    def failed(self, *jobs: Job) -> list[str]:
        check = FailedOperations(jobs=lambda: jobs, failed_since=lambda: 50.0, modules=lambda: [VAULT])
        return [one.title for one in check.look()]

    def test_an_operation_that_failed(self) -> None:
        self.assertEqual(self.failed(job(1)), ["Vault: the upgrade failed"])

    def test_failures_that_are_settled(self) -> None:
        """By a later success, a new try, cancelling or time; backups report their own."""
        for name, jobs in (
            ("later success", (job(2, status="succeeded"), job(1))),
            ("new try", (job(2, status="running"), job(1))),
            ("cancelled", (job(1, outcome="cancelled"),)),
            ("old", (job(1, at=49.0),)),
            ("backup", (job(1, short="backup"),)),
        ):
            self.assertEqual(self.failed(*jobs), [], name)
