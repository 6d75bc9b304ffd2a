"""Available versions, queried from the registry at most every five minutes and never while a page waits."""

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from attrs import field
from twisted.internet.defer import Deferred, DeferredList

from parachute_hub.jobs.runner import JobFailed
from parachute_hub.modules.definition import names
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.definition.versions import newest
from parachute_hub.modules.packages.bun import BunFailed
from parachute_hub.modules.packages.fetcher import INFO_SECONDS, PackageInstaller
from parachute_hub.system import strict_json
from parachute_hub.system.records import define

FRESH_SECONDS = 300.0
PAGE_SECONDS = 3.0
_PACKAGE_BYTES = 1024 * 1024


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


def version_in(tarball: Path) -> str | None:
    """The version in the package.json of a tarball of npm; None if it cannot be read. Blocks."""
    # Only a tarball on disk needs it.
    import tarfile

    try:
        with tarfile.open(tarball) as archive:
            entry = archive.extractfile("package/package.json")
            content = entry.read(_PACKAGE_BYTES) if entry is not None else b""
        found: Any = strict_json.read(content, limit=_PACKAGE_BYTES).value
        return str(found["version"])
    except (OSError, tarfile.TarError, KeyError, TypeError, ValueError):
        return None


@define(kw_only=True)
class Availability:
    """The newest version of each package. `now` is in seconds; `changed` is called when a version changes.

    A package with a source in the catalog has the version of that tarball, read by `in_thread`. What the catalog has
    withdrawn is not offered.
    """

    bun: PackageInstaller
    folder: Path
    now: Callable[[], float]
    in_thread: Callable[..., Awaitable[Any]]
    catalog: Catalog = Catalog()
    changed: Callable[[], None] = lambda: None
    _known: dict[str, tuple[float, Any]] = field(factory=dict, init=False)
    _asking: set[str] = field(factory=set, init=False)

    def latest(self, package: str, channel: str) -> str | None:
        """The known version; refreshed in the background when outdated."""
        at, tags = self._known.get(package, (None, None))
        if (at is None or self.now() - at >= FRESH_SECONDS) and package not in self._asking:
            self._asking.add(package)
            Deferred.fromCoroutine(self._refresh(package)).addErrback(lambda _: None)
        return self._pick(package, tags, channel)

    def known(self, package: str, channel: str) -> str | None:
        """The known version, without asking anybody."""
        return self._pick(package, self._known.get(package, (0.0, None))[1], channel)

    async def renew(self, packages: Iterable[str]) -> None:
        """Query the registry for all packages now. Those it does not answer for in time stay unchanged."""
        self._asking.update(asked := set(packages))
        asking = [Deferred.fromCoroutine(self._refresh(package)) for package in asked]
        await DeferredList(asking, consumeErrors=True)

    async def ask(self, package: str, channel: str) -> str | None:
        """Query the registry now. Raises JobFailed."""
        try:
            tags = await self._tags(package, INFO_SECONDS)
        except BunFailed as error:
            raise JobFailed(
                f"The versions of {package} could not be read. {error}", {"error_type": error.kind}
            ) from error
        self._known[package] = (self.now(), tags)
        return self._pick(package, tags, channel)

    def _pick(self, package: str, tags: Any, channel: str) -> str | None:
        version = pick(tags, channel)
        return None if version is None or self.catalog.withdrawn(package, version) else version

    async def _tags(self, package: str, seconds: float) -> Any:
        """Versions by tag. Raises BunFailed."""
        source = self.catalog.source(package)
        if source is None:
            return await self.bun.info(package, "dist-tags", self.folder, seconds)
        version = await self.in_thread(version_in, source)
        return {"latest": version, "rc": version}

    async def _refresh(self, package: str) -> None:
        before = self._known.get(package, (None, None))[1]
        try:
            tags = await self._tags(package, PAGE_SECONDS)
        except BunFailed:
            tags = before
        finally:
            self._asking.discard(package)
        self._known[package] = (self.now(), tags)
        if tags != before:
            self.changed()
