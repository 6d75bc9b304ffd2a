"""What the hub knows of one module, for the checks."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from parachute_hub.supervise.model import Status
from parachute_hub.system.records import frozen


@frozen
class Part:
    """An app that a module serves: its name, and the status that the module reports."""

    slug: str
    name: str
    status: str | None


@frozen(kw_only=True)
class ModuleFacts:
    """One installed module. `drift` is its kind of port drift; `vaults` counts them, None if it keeps none.

    `newer` is a version to which it could be updated. `missing`: its program is not on the disk. `busy`: an operation
    is changing it, so what it looks like now means nothing. `withdrawn` says why its version must not be used any more,
    and `previous` is the version before, if that is still here and may be used.
    """

    short: str
    name: str
    status: Status | None = None
    drift: str | None = None
    parts: tuple[Part, ...] = ()
    vaults: int | None = None
    version: str | None = None
    newer: str | None = None
    missing: bool = False
    busy: bool = False
    withdrawn: str | None = None
    previous: str | None = None

    @property
    def page(self) -> str:
        """Its page in the admin app."""
        return f"/admin/modules/{self.short}"

    @property
    def api(self) -> str:
        """Where its operations are."""
        return f"/api/modules/{self.short}"


KnowsModules: TypeAlias = Callable[[], Sequence[ModuleFacts]]
