"""Proves that an act and its entry in the audit log are one transaction."""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress

from parachute_hub.store.database import Database
from tests.support.at_once import at_once

_REFUSE = "CREATE TRIGGER refusal BEFORE INSERT ON audit WHEN NEW.action = '{}' BEGIN SELECT RAISE(ABORT, 'no'); END"
# Each attempt at a password or code is counted before it is checked.
_APART = ("throttles", "audit", "sqlite_sequence")


class OneTransaction:
    """Tries acts on `database`, twice each: with their entry refused, and allowed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tried(self, action: str, act: Callable[[], object], state: Callable[[], object] | None = None) -> list[str]:
        """What is wrong: nothing may change without the entry, and there must be exactly one with the change.

        `act` may raise. `state` is what the act changes; by default everything in the database.
        """
        state = state or self.everything
        before, entries = state(), self._count(action)
        self._run(_REFUSE.format(action))
        with suppress(Exception):
            act()
        self._run("DROP TRIGGER refusal")
        wrong = [] if state() == before else [f"{action} has happened without its entry"]
        if self._count(action) != entries:
            wrong.append(f"{action} was recorded against its refusal")
        with suppress(Exception):
            act()
        if self._count(action) != entries + 1:
            wrong.append(f"{action} was recorded {self._count(action) - entries} times")
        return wrong + ([] if state() != before else [f"{action} changed nothing"])

    def everything(self) -> list[str]:
        """The database as text, without the log."""
        with closing(sqlite3.connect(self._database.path)) as opened:
            return [line for line in opened.iterdump() if not any(f'"{table}"' in line for table in _APART)]

    def _count(self, action: str) -> int:
        return len(self._database.read("SELECT 1 FROM audit WHERE action = ?", (action,)))

    def _run(self, sql: str) -> None:
        def run() -> None:
            with self._database.transaction() as connection:
                connection.execute(sql)

        at_once(self._database.write(run))
