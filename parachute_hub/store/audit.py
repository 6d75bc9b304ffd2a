"""The audit log: sign-ins and administrative actions, with a bounded number of rows."""

from collections.abc import Callable, Sequence
from functools import partial
from sqlite3 import Row
from typing import Any

from attrs import evolve

from parachute_hub.store.database import Database
from parachute_hub.store.rows import Act
from parachute_hub.system.doer import doer
from parachute_hub.system.records import frozen

KEPT = 8000
# What did not succeed has its own limit, so that a flood of failed sign-ins or crashes cannot push out an owner's
# actions.
KEPT_REFUSALS = 2000
MOST_TEXT = 300


@frozen(kw_only=True)
class Filter:
    """Which entries to show. `text` occurs somewhere in the entry; `actions` are exact; times are in epoch seconds.

    `outcome` is one of `ok` and `not-ok`; empty fields match everything.
    """

    text: str = ""
    actor: str = ""
    actions: Sequence[str] = ()
    outcome: str = ""
    since: float | None = None
    until: float | None = None


class Audit:
    """The table `audit`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: list[Callable[[Act], None]] = []

    def subscribe(self, listener: Callable[[Act], None]) -> None:
        """Call `listener` with each entry once it is committed."""
        self._listeners.append(listener)

    def note(self, act: Act) -> None:
        """Add an entry and drop the oldest of its kind over the limit. Call it in the act's own transaction.

        Actor, means and address default to who acts now (`system.doer`).
        """
        now = doer()
        act = evolve(
            act,
            actor=act.actor or now.name,
            means=act.means or now.means,
            address=act.address or now.address,
            subject=act.subject[:MOST_TEXT],
            why=act.why[:MOST_TEXT],
        )
        refused = act.outcome != "ok"
        for listener in self._listeners:
            self._database.after_commit(partial(listener, act))
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO audit (at, actor, action, subject, outcome, address, means, why)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (act.at, act.actor, act.action, act.subject, act.outcome, act.address, act.means, act.why),
            )
            connection.execute(
                "DELETE FROM audit WHERE (outcome != 'ok') = ?1 AND number <= (SELECT number FROM audit"
                " WHERE (outcome != 'ok') = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                (int(refused), KEPT_REFUSALS if refused else KEPT),
            )

    def latest(
        self, *, before: int | None = None, limit: int = 100, only: Filter | None = None
    ) -> list[tuple[int, Act]]:
        """The newest matching entries with their numbers; pass the last number as `before` for the next page."""
        clauses, args = _where(only or Filter())
        rows = self._database.read(
            f"SELECT * FROM audit WHERE number < ? {clauses} ORDER BY number DESC LIMIT ?",  # noqa: S608
            (before if before is not None else 2**62, *args, limit),
        )
        return [(row["number"], _act(row)) for row in rows]


def _where(only: Filter) -> tuple[str, list[Any]]:
    clauses = ""
    args: list[Any] = []
    if only.text:
        clauses += " AND instr(lower(actor || ' ' || action || ' ' || subject || ' ' || address || ' ' || why), ?)"
        args.append(only.text.lower())
    if only.actor:
        clauses += " AND actor = ?"
        args.append(only.actor)
    if only.actions:
        clauses += f" AND action IN ({', '.join('?' * len(only.actions))})"
        args.extend(only.actions)
    if only.outcome:
        clauses += f" AND outcome {'=' if only.outcome == 'ok' else '!='} 'ok'"
    if only.since is not None:
        clauses += " AND at >= ?"
        args.append(only.since)
    if only.until is not None:
        clauses += " AND at < ?"
        args.append(only.until)
    return clauses, args


def _act(row: Row) -> Act:
    return Act(**{name: row[name] for name in row.keys() if name != "number"})
