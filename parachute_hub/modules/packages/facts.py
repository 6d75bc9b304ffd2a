"""What is known of a package before it is installed: its sizes and its latest releases."""

import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from attrs import asdict, field

from parachute_hub.modules.definition import names
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.system.records import define, frozen

FRESH_SECONDS = 300.0
INFO_SECONDS = 20.0
MOST_RELEASES = 5
_SCRIPT = Path(__file__).with_name("package_facts.ts")
_MOST_TEXT = 300
_GITHUB = re.compile(r"(?:git\+)?(?:https|git|ssh)://(?:git@)?github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


class Registry(Protocol):
    """The part of bun that asks the registry."""

    async def info(self, package: str, about: str, folder: Path, seconds: float) -> Any:
        """Query the registry. Raises BunFailed."""

    async def told(self, script: Path, words: Sequence[str], folder: Path, seconds: float) -> Any:
        """The JSON that one of our scripts prints. Raises BunFailed."""


@frozen(kw_only=True)
class Release:
    """A version, and when it came out (ISO 8601)."""

    version: str
    at: str


@frozen(kw_only=True)
class Facts:
    """Sizes are in bytes and without dependencies. None is unknown. `changes_url` is a page that tells of changes.

    `included`: the package came with the hub, so that nothing is downloaded.
    """

    version: str
    download: int | None = None
    unpacked: int | None = None
    dependencies: int = 0
    releases: tuple[Release, ...] = ()
    changes_url: str | None = None
    included: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the API."""
        return asdict(self)


@define(kw_only=True)
class PackageFacts:
    """Asks when somebody looks at a package, and at most every five minutes. `now` is in seconds."""

    bun: Registry
    folder: Path
    catalog: Catalog
    in_thread: Callable[..., Awaitable[Any]]
    now: Callable[[], float]
    _known: dict[str, tuple[float, Facts]] = field(factory=dict, init=False)

    async def of(self, package: str, version: str) -> Facts:
        """What is known of this version. Raises BunFailed if the registry does not answer."""
        key = f"{package}@{version}"
        at, facts = self._known.get(key, (0.0, None))
        if facts is None or not 0 <= self.now() - at < FRESH_SECONDS:
            source = self.catalog.source(package)
            facts = (
                await self._ask(package, version) if source is None else await self.in_thread(packed, source, version)
            )
            self._known = {key: (self.now(), facts), **dict(list(self._known.items())[:20])}
        return facts

    async def _ask(self, package: str, version: str) -> Facts:
        dist = await self.bun.info(f"{package}@{version}", "dist", self.folder, INFO_SECONDS)
        tarball = str(dist.get("tarball")) if isinstance(dist, dict) else ""
        base, found, _ = tarball.partition("/-/")
        if not found:
            return Facts(version=version)
        base = base.removesuffix(f"/{package}")
        told = await self.bun.told(_SCRIPT, (base, package, version), self.folder, INFO_SECONDS)
        return read(told if isinstance(told, dict) else {}, version)


def read(told: dict[str, Any], version: str) -> Facts:
    """The facts in a registry's answer, which may contain anything."""
    listed = told.get("releases")
    releases = [
        Release(version=one["version"], at=one["at"])
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
        and isinstance(one.get("version"), str)
        and names.is_version(one["version"])
        and isinstance(one.get("at"), str)
        and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{8,15}Z", one["at"])
    ]
    return Facts(
        version=version,
        download=_bytes(told.get("download")),
        unpacked=_bytes(told.get("unpacked")),
        dependencies=_bytes(told.get("dependencies")) or 0,
        releases=tuple(releases[:MOST_RELEASES]),
        changes_url=_changes(told.get("repository"), told.get("homepage")),
    )


def packed(tarball: Path, version: str) -> Facts:
    """The facts of a package that came with the hub. Blocks."""
    # Only a package that came with the hub needs it.
    import tarfile

    try:
        with tarfile.open(tarball) as archive:
            unpacked = sum(entry.size for entry in archive)
    except (OSError, tarfile.TarError):
        return Facts(version=version)
    return Facts(version=version, download=0, unpacked=unpacked, included=True)


def _bytes(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _changes(repository: Any, homepage: Any) -> str | None:
    """A page that tells of changes: GitHub's releases, else the package's own page.

    >>> _changes("git+https://github.com/a/b.git", None), _changes(None, "javascript:alert(1)")
    ('https://github.com/a/b/releases', None)
    """
    found = _GITHUB.fullmatch(repository) if isinstance(repository, str) and len(repository) <= _MOST_TEXT else None
    if found is not None:
        return f"https://github.com/{found[1]}/releases"
    fine = isinstance(homepage, str) and re.fullmatch(rf"https://[!-~]{{3,{_MOST_TEXT}}}", homepage)
    return homepage if fine else None
