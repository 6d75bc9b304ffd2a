"""A copy of services.json as it was when it was whole: modules write that file, and not all of them safely."""

from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from parachute_hub.modules.state.services_file import SIZE_LIMIT, Registry, RegistryRefused, ServicesFile, parse
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded


@define(kw_only=True)
class LastGood:
    """Keeps the copy at `path`, and brings back the rows that a damaged file lacks. `notice` is told of it."""

    services: ServicesFile
    path: Path
    notice: Callable[[str], None]
    _seen: Registry | None = field(default=None, init=False)

    def look(self) -> None:
        """Renew the copy when the file is another one, and whole. Costs one stat while it stays the same."""
        registry = self.services.read()
        if registry is self._seen:
            return
        self._seen = registry
        if registry.corrupt or registry.unreadable:
            return
        # A row that has become unusable is kept as it was when it was good.
        content = registry.with_rows(registry.kept_of(parse(self._copied()).rows)).to_bytes()
        if content == self._copied():
            return
        try:
            private_folder(self.path.parent)
            atomic_write(self.path, content)
        except OSError:
            # A full disk: the copy stays older until there is room.
            self._seen = None

    def mend(self) -> None:
        """At boot, before anything else changes the file and while no module writes it. Never raises."""
        registry = self.services.read()
        lost = registry.kept_of(parse(self._copied()).rows)
        if not lost:
            return
        self.services.stand_in(lost)
        try:
            self.services.update(lambda found: found.with_rows(lost))
        except RegistryRefused as error:
            self.notice(f"services.json is damaged and could not be mended from the hub's own copy. {error}")
        else:
            names = ", ".join(row.name for row in lost)
            self.notice(f"services.json was damaged. These rows came back from the hub's own copy: {names}.")

    def _copied(self) -> bytes:
        """The copy; nothing when it is not there or cannot be read."""
        try:
            return read_bounded(self.path, SIZE_LIMIT)
        except OSError:
            return b""
