import errno
import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.storage_trouble import StorageBusy, storage_trouble


def raised_by_sqlite(name: str) -> sqlite3.Error:
    """The exception that sqlite3 raises for this result code."""
    error = sqlite3.OperationalError(name)
    error.sqlite_errorcode = getattr(sqlite3, name)
    return error


class TroubleTests(SynchronousTestCase):
    def test_each_cause_has_its_response(self) -> None:
        """Every cause and what is answered to it, whether a file or the database met it."""
        for error, status, word in (
            (OSError(errno.ENOSPC, ""), 507, "disk_full"),
            (OSError(errno.EDQUOT, ""), 507, "disk_full"),
            (OSError(errno.EIO, ""), 503, "disk_failing"),
            (OSError(errno.EROFS, ""), 503, "disk_read_only"),
            (raised_by_sqlite("SQLITE_FULL"), 507, "disk_full"),
            (raised_by_sqlite("SQLITE_IOERR"), 503, "disk_failing"),
            (raised_by_sqlite("SQLITE_IOERR_FSYNC"), 503, "disk_failing"),
            (raised_by_sqlite("SQLITE_CANTOPEN"), 503, "disk_failing"),
            (raised_by_sqlite("SQLITE_CORRUPT"), 503, "disk_failing"),
            (raised_by_sqlite("SQLITE_NOTADB"), 503, "disk_failing"),
            (raised_by_sqlite("SQLITE_READONLY_DBMOVED"), 503, "disk_read_only"),
            (raised_by_sqlite("SQLITE_BUSY"), 503, "busy"),
            (raised_by_sqlite("SQLITE_BUSY_SNAPSHOT"), 503, "busy"),
            (raised_by_sqlite("SQLITE_LOCKED"), 503, "busy"),
            (raised_by_sqlite("SQLITE_PROTOCOL"), 503, "busy"),
            (StorageBusy(""), 503, "busy"),
        ):
            with self.subTest(repr(error)):
                trouble = storage_trouble(error)
                assert trouble is not None
                self.assertEqual((trouble.status, trouble.error), (status, word))
                self.assertEqual(trouble.retry_after is None, status == 507)

    def test_other_errors_are_none_of_it(self) -> None:
        for error in (
            OSError(errno.ENOENT, ""),
            OSError("no number"),
            sqlite3.ProgrammingError("no code"),
            raised_by_sqlite("SQLITE_CONSTRAINT"),
            KeyError("x"),
            None,
        ):
            with self.subTest(repr(error)):
                self.assertIsNone(storage_trouble(error))
