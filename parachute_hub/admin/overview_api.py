"""`GET /api/overview`: memory and disk usage for the home page of the admin app."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import field
from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator
from parachute_hub.site.errors import not_found
from parachute_hub.system.records import frozen

# Walking all packages and data is expensive, and disk usage changes slowly.
KEPT_SECONDS: Final = 60.0


@frozen(kw_only=True)
class Memory:
    """Current memory in bytes; None where unknown.

    `limit` is the container's limit or the machine's memory, `used` the part in use. `hub` is this process, `modules`
    the processes of each module by short name. `shares` are their parts of one processor, as 0.5 for half.
    """

    limit: int | None = None
    used: int | None = None
    hub: int | None = None
    modules: Mapping[str, int] = field(factory=dict)
    shares: Mapping[str, float] = field(factory=dict)


class DiskUser(Protocol):
    """One user of disk space."""

    def to_json(self) -> dict[str, Any]:
        """`name`, `kind` and `bytes`."""


class DiskUsage(Protocol):
    """The disk that holds the home."""

    def total_bytes(self) -> int:
        """The size in bytes."""

    def free_bytes(self) -> int:
        """Bytes available to the hub."""

    def owners(self, shorts: Iterable[str]) -> Sequence[DiskUser]:
        """Usage by owner; walks folders, so it is called in a thread."""


class Past(Protocol):
    """One module's memory history in KiB, oldest first (`supervise.memory.policy.MemoryHistory`)."""

    @property
    def recent(self) -> Sequence[int]:
        """Every sample of the last hour."""

    @property
    def minutes(self) -> Sequence[int]:
        """The per-minute peaks of the last day."""


class OverviewApi:
    """Resource usage, for administrators."""

    app: Klein = area()

    def __init__(
        self,
        *,
        who: Authenticator,
        memory: Callable[[], Awaitable[Memory]],
        disk: DiskUsage,
        installed: Callable[[], Iterable[str]],
        in_thread: Callable[[Callable[[], list[dict[str, Any]]]], Awaitable[list[dict[str, Any]]]],
        clock: Callable[[], float],
        past: Callable[[str], Past | None],
    ) -> None:
        """`installed` returns the short names of modules; `in_thread` runs a call in a thread; `clock` is in seconds.

        `past` returns a module's memory history by short name.
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
        """Memory and disk usage, total and by owner."""
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
            "processor": {
                "modules": [{"short": short, "share": share} for short, share in sorted(memory.shares.items())],
            },
            "disk": {"total": self._disk.total_bytes(), "free": self._disk.free_bytes(), "owners": owners},
        }
        return as_json(request, body)

    @app.route("/api/overview/memory/<short>", methods=["GET"])
    def memory_of(self, request: IRequest, short: str) -> bytes:
        """A module's memory during the last hour (every two seconds) and day (peak per minute), in KiB."""
        self._who.need(request, ADMIN)
        past = self._past(short)
        if past is None:
            raise not_found(f"Nothing is known of the memory of {short}: it has not run since the hub started.")
        return as_json(request, {"short": short, "recent_kib": list(past.recent), "minutes_kib": list(past.minutes)})

    async def _disk_owners(self) -> list[dict[str, Any]]:
        """At most a minute old, unless a module was added or removed. Concurrent requests share one walk."""
        now, shorts = self._clock(), tuple(self._installed())
        if self._walked is None or self._walked[0] != shorts or now - self._walked[1] >= KEPT_SECONDS:
            self._walked = (shorts, now)
            try:
                self._owners = await self._in_thread(lambda: [owner.to_json() for owner in self._disk.owners(shorts)])
            except Exception:
                # No cached result: the walk failed, or its request was cancelled.
                self._walked = None
                raise
        return self._owners
