"""The package registry: its URL, its signing keys, and verification of its signatures."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import field
from twisted.internet.defer import Deferred
from twisted.web.http import stringToDatetime

from parachute_hub.jobs.runner import JobFailed
from parachute_hub.modules.packages import lockfile, signatures
from parachute_hub.modules.packages.bun import BunFailed
from parachute_hub.modules.packages.bun_errors import Complaint
from parachute_hub.modules.packages.lockfile import LockedPackage
from parachute_hub.modules.packages.signatures import BadSignature, RegistryKey
from parachute_hub.system.atomic_files import read_text
from parachute_hub.system.records import define

KEYS_PATH = "/-/npm/v1/keys"
NPM_HOST = "registry.npmjs.org"
FRESH_SECONDS = 3600.0
_SECONDS = 20.0
_NPMRC_LIMIT = 64 * 1024


class RegistryClient(Protocol):
    """The part of bun that queries the registry."""

    async def info(self, package: str, about: str, folder: Path, seconds: float) -> Any:
        """Query the registry. Raises BunFailed."""

    async def fetch_json(self, url: str, folder: Path, seconds: float) -> tuple[int, Any]:
        """Status and JSON body of a GET with bun's proxy and certificate settings. Raises BunFailed."""

    async def fetch_date(self, url: str, folder: Path, seconds: float) -> tuple[int, str | None]:
        """Status and Date header of such a GET. Raises BunFailed."""


@define(kw_only=True)
class PackageRegistry:
    """`variables` are the registry settings of the environment, `folder` holds the hub's own .npmrc.

    `now` is in seconds.
    """

    bun: RegistryClient
    variables: Mapping[str, str]
    folder: Path
    now: Callable[[], float]
    _keys: dict[str, tuple[float, tuple[RegistryKey, ...] | None]] = field(factory=dict, init=False)

    def origins(self) -> frozenset[str]:
        """Origins of the configured registries. They may be private or without TLS, as the operator chose them."""
        lines = (line.partition("=") for line in self._npmrc().splitlines())
        said = [value.strip() for name, _, value in lines if name.strip().endswith("registry")]
        said += [value for name, value in self.variables.items() if name.lower().endswith("registry")]
        return frozenset(lockfile.origin(url) for url in said if "://" in url)

    def address(self) -> str:
        """The registry that packages come from, unless their scope has one of its own."""
        configured = (value for name, value in self.variables.items() if name.lower().endswith("config_registry"))
        written = (line.partition("=") for line in self._npmrc().splitlines())
        named = (value.strip() for name, _, value in written if name.strip() == "registry")
        return next(configured, next(named, f"https://{NPM_HOST}")).rstrip("/")

    async def offset(self) -> float | None:
        """By how many seconds this machine's clock is ahead of the registry's; None if it does not tell.

        Raises BunFailed if it does not answer.
        """
        status, date = await self.bun.fetch_date(self.address() + KEYS_PATH, self.folder, _SECONDS)
        if status >= 500:
            raise BunFailed(Complaint("registry_failed", f"The registry answered {status}."))
        try:
            return self.now() - float(stringToDatetime((date or "").encode()))
        except (ValueError, LookupError):  # LookupError: it is empty.
            return None

    async def check(self, package: str, locked: LockedPackage) -> str | None:
        """Verify the registry's signature. A line for the job's log, if there is something to say. Raises JobFailed."""
        usual = self.address() if self._is_the_only_one() else None
        asking = Deferred.fromCoroutine(self._published(usual)) if usual else None
        try:
            dist = await self.bun.info(f"{package}@{locked.version}", "dist", self.folder, _SECONDS)
            base = self._base(package, dist)
            keys = await (asking if asking is not None and base == usual else self._published(base))
        except BunFailed as error:
            return f"The registry's signature was not checked: {error}"
        finally:
            if asking is not None:
                asking.addErrback(lambda _: None)
                asking.cancel()
        if not keys:
            return None
        told = dist if isinstance(dist, dict) else {}
        if told.get("integrity") != locked.integrity:
            raise _refused(package, "has a different integrity hash than the registry says", "integrity")
        published = None
        if any(key.expires is not None for key in keys):
            published = await self._published_at(package, locked.version)
        text = f"{package}@{locked.version}:{locked.integrity}"
        try:
            signatures.verify(text, told.get("signatures"), keys, published)
        except BadSignature as error:
            raise _refused(package, str(error), "signature") from None
        return f"{package} {locked.version} is signed by the registry."

    def _is_the_only_one(self) -> bool:
        """Whether every package comes from `address`, so that it can be asked for its keys in advance."""
        return self.origins() <= {lockfile.origin(self.address())}

    def _base(self, package: str, dist: Any) -> str:
        """The registry's URL: the prefix of the tarball URL, else the configured one."""
        tarball = str(dist.get("tarball")) if isinstance(dist, dict) else ""
        base, separator, _ = tarball.partition(f"/{package}/-/")
        configured = (value for name, value in self.variables.items() if name.lower().endswith("config_registry"))
        return (base if separator else next(configured, lockfile.origin(tarball))).rstrip("/")

    async def _published(self, base: str) -> tuple[RegistryKey, ...] | None:
        """The registry's keys; None if it publishes none. Raises BunFailed."""
        at, keys = self._keys.get(base, (None, None))
        if at is None or self.now() - at >= FRESH_SECONDS:
            status, document = await self.bun.fetch_json(base + KEYS_PATH, self.folder, _SECONDS)
            if status >= 500:
                raise BunFailed(Complaint("registry_failed", f"The registry answered {status} for its keys."))
            keys = signatures.keys_of(document) if status == 200 else None
            self._keys[base] = (self.now(), keys)
        return keys

    async def _published_at(self, package: str, version: str) -> Any:
        try:
            times = await self.bun.info(package, "time", self.folder, _SECONDS)
        except BunFailed:
            return None
        return signatures.moment(times.get(version)) if isinstance(times, dict) else None

    def _npmrc(self) -> str:
        try:
            return read_text(self.folder / ".npmrc", _NPMRC_LIMIT)
        except OSError:
            return ""


def _refused(package: str, why: str, kind: str) -> JobFailed:
    text = f"{package} {why}. Nothing was installed. Try again later, or report it to its author."
    return JobFailed(text, {"error_type": kind})
