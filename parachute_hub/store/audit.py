"""The audit log: sign-ins and administrative actions, with a bounded number of rows."""

from collections.abc import Callable
from functools import partial

from parachute_hub.store.database import Database
from parachute_hub.store.rows import Act

KEPT = 8000
# Refusals have their own limit, so that a flood of failed sign-ins cannot push out an owner's actions.
KEPT_REFUSALS = 2000


class Audit:
    """The table `audit`. `acted` is called with each entry once it is committed."""

    def __init__(self, database: Database, acted: Callable[[Act], None] | None = None) -> None:
        self._database = database
        self._acted = acted

    def note(self, act: Act) -> None:
        """Add an entry and drop the oldest of its kind over the limit."""
        refused = act.outcome != "ok"
        if self._acted is not None:
            self._database.after_commit(partial(self._acted, act))
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO audit (at, actor, action, subject, outcome, address) VALUES (?, ?, ?, ?, ?, ?)",
                (act.at, act.actor, act.action, act.subject, act.outcome, act.address),
            )
            connection.execute(
                "DELETE FROM audit WHERE (outcome != 'ok') = ?1 AND number <= (SELECT number FROM audit"
                " WHERE (outcome != 'ok') = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                (int(refused), KEPT_REFUSALS if refused else KEPT),
            )

    def latest(self, *, before: int | None = None, limit: int = 100) -> list[tuple[int, Act]]:
        """The newest entries with their numbers; pass the last number as `before` for the next page."""
        rows = self._database.read(
            "SELECT * FROM audit WHERE number < ? ORDER BY number DESC LIMIT ?",
            (before if before is not None else 2**62, limit),
        )
        return [(row["number"], Act(**{name: row[name] for name in row.keys() if name != "number"})) for row in rows]
