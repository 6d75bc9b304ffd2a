"""Records in the audit log what happened outside the database, where no transaction can hold both."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from parachute_hub.store.audit import Audit
from parachute_hub.store.rows import Act
from parachute_hub.store.writer import Write
from parachute_hub.system.records import frozen


@frozen
class Trail:
    """Writes entries in transactions of their own. `clock` is in epoch seconds.

    What changes the database calls `Audit.note` in its own transaction instead.
    """

    _write: Write
    _audit: Audit
    _clock: Callable[[], float]
    _log = Logger()

    async def done(self, action: str, subject: str = "") -> None:
        """Record what has just happened, by whoever acts now; durable once it returns, so answer the request then.

        A failure is logged, since the act cannot be taken back.
        """
        await self.note(Act(at=self._clock(), actor="", action=action, subject=subject))

    def note(self, act: Act) -> "Deferred[None]":
        """The same for a whole entry. Fires in any case; nobody has to wait for it."""
        return self._write(self._audit.note, act).addErrback(
            lambda failure: self._log.error("{act} was not recorded: {why}", act=act.action, why=failure.value)
        )
