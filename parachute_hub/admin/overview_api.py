"""`GET /api/overview`: how full memory and disk are, and who uses them. Home in the admin app shows it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import field, frozen
from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.site.area import area, as_json
from parachute_hub.site.auth import ADMIN, Who
from parachute_hub.site.errors import not_found

# A walk over all packages and data is not free, and sizes on disk move slowly.
KEPT_SECONDS: Final = 60.0


@frozen(kw_only=True)
class Memory:
    """Memory at one moment, in bytes; None where this machine cannot tell.

    `limit` is what everything in the container may take together, or the machine's own memory; `used` is the part in
    use. `hub` is this process, `modules` the processes of each module by its short name.
    """

    limit: int | None = None
    used: int | None = None
    hub: int | None = None
    modules: Mapping[str, int] = field(factory=dict)


class Owner(Protocol):
    """Somebody who uses the disk."""

    def to_json(self) -> dict[str, Any]:
        """`name`, `kind` and `bytes`."""


class Disk(Protocol):
    """The disk under the home."""

    def total_bytes(self) -> int:
        """Its size."""

    def free_bytes(self) -> int:
        """What the hub may still write."""

    def owners(self, shorts: Iterable[str]) -> Sequence[Owner]:
        """Who uses how much; walks the folders, so it is called in a thread."""


class Past(Protocol):
    """What one module took, in KiB, oldest first (`supervise.memory.History`)."""

    @property
    def recent(self) -> Sequence[int]:
        """Every sample of the last hour."""

    @property
    def minutes(self) -> Sequence[int]:
        """The peak of each minute of the last day."""


class OverviewApi:
    """The machine at a glance, for the owner."""

    app: Klein = area()

    def __init__(
        self,
        *,
        who: Who,
        memory: Callable[[], Awaitable[Memory]],
        disk: Disk,
        installed: Callable[[], Iterable[str]],
        in_thread: Callable[[Callable[[], list[dict[str, Any]]]], Awaitable[list[dict[str, Any]]]],
        clock: Callable[[], float],
        past: Callable[[str], Past | None],
    ) -> None:
        """`installed` gives the short names of modules; `in_thread` runs a call in a thread; `clock` is in seconds.

        `past` is what a module took until now, by its short name.
        """
        self._who = who
        self._memory = memory
        self._disk = disk
        self._installed = installed
        self._in_thread = in_thread
        self._clock = clock
        self._past = past
        self._owners: list[dict[str, Any]] = []
        self._walked: tuple[tuple[str, ...], float] | None = None

    @app.route("/api/overview", methods=["GET"])
    async def overview(self, request: IRequest) -> bytes:
        """Memory and disk, whole and by owner."""
        self._who.need(request, ADMIN)
        memory = await self._memory()
        owners = await self._disk_owners()
        body = {
            "memory": {
                "limit": memory.limit,
                "used": memory.used,
                "hub": memory.hub,
                "modules": [{"short": short, "bytes": size} for short, size in sorted(memory.modules.items())],
            },
            "disk": {"total": self._disk.total_bytes(), "free": self._disk.free_bytes(), "owners": owners},
        }
        return as_json(request, body)

    @app.route("/api/overview/memory/<short>", methods=["GET"])
    def memory_of(self, request: IRequest, short: str) -> bytes:
        """What a module took during the last hour (every two seconds) and day (each minute's peak), in KiB."""
        self._who.need(request, ADMIN)
        past = self._past(short)
        if past is None:
            raise not_found(f"Nothing is known of the memory of {short}: it has not run since the hub started.")
        return as_json(request, {"short": short, "recent_kib": list(past.recent), "minutes_kib": list(past.minutes)})

    async def _disk_owners(self) -> list[dict[str, Any]]:
        """As of the last minute, or anew when a module came or went. Requests meanwhile get what is known."""
        now, shorts = self._clock(), tuple(self._installed())
        if self._walked is None or self._walked[0] != shorts or now - self._walked[1] >= KEPT_SECONDS:
            self._walked = (shorts, now)
            try:
                self._owners = await self._in_thread(lambda: [owner.to_json() for owner in self._disk.owners(shorts)])
            except Exception:
                # Nothing is known of it: the walk failed, or whoever asked for it went away.
                self._walked = None
                raise
        return self._owners
