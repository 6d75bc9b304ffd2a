"""Available versions, queried from the registry at most every five minutes and never while a page waits."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList

from parachute_hub.jobs.runner import JobFailed
from parachute_hub.modules.definition import names
from parachute_hub.modules.definition.versions import newest
from parachute_hub.modules.packages.bun import BunFailed
from parachute_hub.modules.packages.fetcher import INFO_SECONDS, PackageInstaller

FRESH_SECONDS = 300.0
PAGE_SECONDS = 3.0


def pick(tags: Any, channel: str) -> str | None:
    """The version that a channel offers. `rc` offers the higher of rc and latest, so that nobody falls behind stable.

    `tags` is an unvalidated registry response.

    >>> pick({"latest": "1.1.0", "rc": "1.0.0-rc.2"}, "rc")
    '1.1.0'
    """
    if not isinstance(tags, dict):
        return None
    told = (tags.get(name) for name in ("latest", "rc"))
    latest, candidate = (tag if isinstance(tag, str) and names.is_version(tag) else None for tag in told)
    return newest([candidate, latest]) if channel == "rc" else latest


@define(kw_only=True)
class Availability:
    """The newest version of each package. `now` is in seconds; `changed` is called when a version changes."""

    bun: PackageInstaller
    folder: Path
    now: Callable[[], float]
    changed: Callable[[], None] = lambda: None
    _known: dict[str, tuple[float, Any]] = field(factory=dict, init=False)
    _asking: set[str] = field(factory=set, init=False)

    def latest(self, package: str, channel: str) -> str | None:
        """The known version; refreshed in the background when outdated."""
        at, tags = self._known.get(package, (None, None))
        if (at is None or self.now() - at >= FRESH_SECONDS) and package not in self._asking:
            self._asking.add(package)
            Deferred.fromCoroutine(self._refresh(package)).addErrback(lambda _: None)
        return pick(tags, channel)

    def known(self, package: str, channel: str) -> str | None:
        """The known version, without asking anybody."""
        return pick(self._known.get(package, (0.0, None))[1], channel)

    async def renew(self, packages: Iterable[str]) -> None:
        """Query the registry for all packages now. Those it does not answer for in time stay unchanged."""
        self._asking.update(asked := set(packages))
        asking = [Deferred.fromCoroutine(self._refresh(package)) for package in asked]
        await DeferredList(asking, consumeErrors=True)

    async def ask(self, package: str, channel: str) -> str | None:
        """Query the registry now. Raises JobFailed."""
        try:
            tags = await self.bun.info(package, "dist-tags", self.folder, INFO_SECONDS)
        except BunFailed as error:
            raise JobFailed(
                f"The versions of {package} could not be read. {error}", {"error_type": error.kind}
            ) from error
        self._known[package] = (self.now(), tags)
        return pick(tags, channel)

    async def _refresh(self, package: str) -> None:
        before = self._known.get(package, (None, None))[1]
        try:
            tags = await self.bun.info(package, "dist-tags", self.folder, PAGE_SECONDS)
        except BunFailed:
            tags = before
        finally:
            self._asking.discard(package)
        self._known[package] = (self.now(), tags)
        if tags != before:
            self.changed()
