"""The records of backups, changed one after the other and written outside the reactor."""

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import field
from twisted.internet.defer import DeferredLock

from parachute_hub.backup.records import BackupsFile, BackupState
from parachute_hub.site.errors import Refused
from parachute_hub.system.records import define


@define
class Ledger:
    """`in_thread` runs what blocks."""

    file: BackupsFile
    in_thread: Callable[..., Awaitable[Any]]
    _one: DeferredLock = field(factory=DeferredLock, init=False)

    @property
    def state(self) -> BackupState:
        """The records as they are now."""
        return self.file.state

    async def change(self, alter: Callable[[BackupState], BackupState]) -> None:
        """Write down what `alter` makes of the present state. Raises Refused 507."""
        await self._one.acquire()
        try:
            await self.in_thread(self.file.change, alter(self.file.state))
        except OSError as error:
            raise Refused(507, "disk_full", f"This could not be written down: {error.strerror}.") from None
        finally:
            self._one.release()
