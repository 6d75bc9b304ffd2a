"""docs/waits.md names every file that waits, and no other."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "parachute_hub"
# A timer, a time-out or a deadline. Calls only: a docstring may talk of them.
WAITS = re.compile(
    r"\b(callLater|addTimeout|deferLater|LoopingCall)\(|\bevery\(|\btimeout=|busy_timeout|_SECONDS = |PATIENCE = "
    r"|(head|idle|stall|connect)_seconds: float|_USER_TIMEOUT"
)
# Seconds that are no waits: lifetimes of tokens and sessions, intervals that are passed to `every` elsewhere, labels.
NO_WAITS = {
    "accounts/setup/bootstrap.py",
    "accounts/setup/public_origin.py",
    "admin/users_api.py",
    "app/compose.py",
    "supervise/limits.py",
}
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def waiting_files() -> set[str]:
    """Files of the package in which something waits."""
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if WAITS.search(path.read_text())}
    return found - NO_WAITS


class WaitsTests(SynchronousTestCase):
    def test_the_table_is_complete(self) -> None:
        """A file that waits has a row: who waits for whom, how long, what then."""
        listed = set(ROW.findall((ROOT / "docs" / "waits.md").read_text()))
        self.assertEqual((waiting_files() - listed, listed - waiting_files()), (set(), set()))

    def test_the_exceptions_exist(self) -> None:
        self.assertEqual([name for name in NO_WAITS if not (PACKAGE / name).is_file()], [])
