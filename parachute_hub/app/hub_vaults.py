"""The vaults of this hub."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parachute_hub.app.context import ProcessContext
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import frozen

with lazily():
    from parachute_hub.admin import vault_command

if TYPE_CHECKING:
    from parachute_hub.admin.vault_command import VaultCommand
    from parachute_hub.app.runtime import ModuleRuntime


@frozen
class HubVaults:
    """The vaults of this hub, and the command that makes and deletes them. Each has a folder in `folder`."""

    engine: "Callable[[], ModuleRuntime]"
    maker: "Callable[[], VaultCommand]"
    folder: Path

    def names(self) -> tuple[str, ...]:
        """The names of all vaults."""
        return self.engine().installed_modules.vaults()

    async def create(self, name: str) -> Mapping[str, Any]:
        """Create a vault. Raises Refused."""
        return await self.maker().create(name)

    async def remove(self, name: str, begin: Callable[[], Awaitable[object]]) -> None:
        """Delete a vault with everything in it. `begin` is awaited right before. Raises Refused."""
        await self.maker().remove(name, begin)

    def exists(self, name: str) -> bool:
        """Whether it is registered, or has left a folder."""
        self.engine().installed_modules.forget()
        return name in self.engine().installed_modules.vaults() or (self.folder / name).exists()


def vaults_of(core: ProcessContext, engine: "Callable[[], ModuleRuntime]") -> HubVaults:
    """Lists, makes and deletes vaults."""

    @cache
    def maker() -> "VaultCommand":
        made = engine()
        return vault_command.VaultCommand(
            made.launcher,
            core.reactor,
            made.confiner,
            wrote=lambda: made.modules.files.fence.views.collect("vault"),
        )

    return HubVaults(engine, maker, core.settings.home / "vault" / "data")
