"""Whether a package and all that it depends on fit on the disk, asked before anything is fetched."""

import platform
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from parachute_hub.jobs.runner import JobFailed, Work
from parachute_hub.modules.packages import lockfile
from parachute_hub.modules.packages.bun import RESOLVE_ONLY, BunFailed
from parachute_hub.modules.packages.lockfile import BadLock
from parachute_hub.modules.packages.tree import bytes_of
from parachute_hub.system.atomic_files import read_bounded
from parachute_hub.system.records import frozen
from parachute_hub.system.storage_trouble import MAKE_ROOM

ROOMY_BYTES = 2 * 1024 * 1024 * 1024
"""With so much free nothing is looked up: an install writes less (MOST_BYTES), and is watched."""

SPARE_BYTES = 64 * 1024 * 1024
"""Bytes an install must leave free, since the database, logs and modules keep writing."""

INFO_SECONDS = 20.0
_PROCESSORS = {"x86_64": "x64", "aarch64": "arm64"}


class Resolver(Protocol):
    """The part of bun that asks the registry."""

    async def add(
        self, folder: Path, spec: str, on_line: Callable[[str], None], min_age: int = 0, *options: str
    ) -> None:
        """With RESOLVE_ONLY, write a lockfile and fetch no package. Raises BunFailed."""

    async def info(self, package: str, about: str, folder: Path, seconds: float) -> Any:
        """Query the registry. Raises BunFailed."""

    async def sizes(self, base: str, packages: Iterable[tuple[str, str]], folder: Path) -> Mapping[str, int]:
        """Unpacked bytes by `name@version`, as far as the registry tells. Raises BunFailed."""


@frozen(kw_only=True)
class DiskRoom:
    """`make_room` clears caches and unneeded versions and returns the bytes freed; it blocks."""

    bun: Resolver
    free_bytes: Callable[[], int]
    make_room: Callable[[], int]
    in_thread: Callable[..., Awaitable[Any]]

    async def need(self, work: Work, incoming: Path, package: str, spec: str, min_age: int, *, lean: bool) -> None:
        """Refuse what does not fit, even after caches and unneeded versions are gone. Raises JobFailed.

        `lean` leaves out optional dependencies. What cannot be found out is left to the checks during the install.
        """
        if self.free_bytes() >= ROOMY_BYTES:
            return
        try:
            whole, least = await self._bytes(incoming, package, spec, min_age)
        except (BunFailed, BadLock, OSError):
            return
        take, free = least if lean else whole, self.free_bytes()
        # What is unpacked is also cached, but as links to the same files; the tarballs come on top.
        needed = SPARE_BYTES + take * 5 // 4
        work.line(f"It takes about {megabytes(take)} on the disk; {megabytes(free)} are free.")
        if free < needed:
            freed = await self.in_thread(self.make_room)
            work.line(f"Cached downloads and old versions were removed: {megabytes(freed)}.")
            free = self.free_bytes()
        if free >= needed:
            return
        text = f"{spec} takes about {megabytes(take)} with its dependencies, and {megabytes(free)} are free. "
        if not lean and least < whole:
            text += f"Without its optional parts it takes about {megabytes(least)} (--without-optional). "
        detail = {
            "error_type": "disk_full",
            "needed_bytes": needed,
            "free_bytes": free,
            "least_bytes": least,
            "fits_without_optional": not lean and free >= SPARE_BYTES + least * 5 // 4,
        }
        raise JobFailed(text + MAKE_ROOM, detail)

    async def _bytes(self, incoming: Path, package: str, spec: str, min_age: int) -> tuple[int, int]:
        """Bytes unpacked, and without optional dependencies. Raises BunFailed, BadLock or OSError."""
        await self.bun.add(incoming, spec, lambda line: None, min_age, RESOLVE_ONLY)
        content = await self.in_thread(read_bounded, incoming / "bun.lock", lockfile.LIMIT)
        machine = platform.machine()
        tree = lockfile.tree(content, sys.platform, _PROCESSORS.get(machine, machine))
        if package not in tree:
            raise BadLock(f"{package} is not in the lockfile.")
        dist = await self.bun.info(f"{package}@{tree[package].version}", "dist", incoming, INFO_SECONDS)
        tarball = str(dist.get("tarball")) if isinstance(dist, dict) else ""
        base, found, _ = tarball.partition(f"/{package}/-/")
        if not found:
            raise BadLock(f"The address of {package} does not tell where its registry is.")
        packages = dict.fromkeys((node.name, node.version) for node in tree.values())
        sizes = await self.bun.sizes(base, packages, incoming)
        return bytes_of(tree, package, sizes, optional=True), bytes_of(tree, package, sizes, optional=False)


def megabytes(size: int) -> str:
    """A size for people.

    >>> megabytes(475_000_000)
    '475 MB'
    """
    return f"{size / 1e6:.0f} MB"
