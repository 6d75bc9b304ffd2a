"""`/api/space`: what takes room on the disk, by person, vault and kind, and clearing it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.people.users import People
from parachute_hub.modules.state.vault_sizes import VaultSize
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.rows import User
from parachute_hub.system.doer import Done
from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import to_the_second


@frozen
class Leftover:
    """Something that can be cleared: its bytes, and when its oldest part was last changed (epoch seconds)."""

    what: str
    bytes: int
    since: float | None = None


class Leftovers(Protocol):
    """What the hub keeps that nobody would miss."""

    def look(self) -> Awaitable[Sequence[Leftover]]:
        """Everything that can be cleared, measured now."""

    def clear(self, what: str) -> Awaitable[int]:
        """Clear one. Returns the bytes freed. Raises Refused 404, or 409 while something uses it."""


class Trash(Protocol):
    """The trash of vaults."""

    def empty_trash(self, user: User, vault: str) -> Awaitable[None]:
        """Delete for good what is in it. Raises Refused."""


class SpaceApi:
    """Measured when asked, in a thread. `sizes` are of all vaults, `quotas` of those that have one. `counts` is False
    if the vaults are on another machine that does not tell how large they are.
    """

    app: Klein = area()

    def __init__(
        self,
        *,
        who: Authenticator,
        people: People,
        space: Callable[[], tuple[int, int]],
        sizes: Callable[[], Awaitable[Mapping[str, VaultSize]]],
        quotas: Callable[[], Mapping[str, int]],
        counts: Callable[[], bool],
        leftovers: Leftovers,
        trash: Trash,
        done: Done,
    ) -> None:
        self._done = done
        self._who = who
        self._people = people
        self._space = space
        self._sizes = sizes
        self._quotas = quotas
        self._counts = counts
        self._leftovers = leftovers
        self._trash = trash

    @app.route("/api/space", methods=["GET"])
    async def space(self, request: IRequest) -> bytes:
        """Bytes by vault, person and leftover, the largest first. A quota of 0 is no limit."""
        self._who.need(request, ADMIN)
        sizes = await self._sizes()
        leftovers = await self._leftovers.look()
        quotas, users = self._quotas(), self._people.all()
        owners = {vault: user.called for user in users for vault in user.own}
        vaults = [
            {
                "name": name,
                "owner": owners.get(name),
                "bytes": size.total,
                "files_bytes": size.files,
                "quota": quotas.get(name, 0),
            }
            for name, size in sizes.items()
        ]
        people = [
            {
                "id": user.id,
                "name": user.called,
                "username": user.username,
                "vaults": [*user.own],
                "bytes": sum(sizes[vault].total for vault in user.own if vault in sizes),
                "quota": user.quota,
            }
            for user in users
            if user.own or user.quota
        ]
        free, total = self._space()
        told = {
            "free": free,
            "total": total,
            "vaults_counted": self._counts(),
            "vaults": sorted(vaults, key=_bytes, reverse=True),
            "people": sorted(people, key=_bytes, reverse=True),
            "leftovers": [
                {
                    "what": one.what,
                    "bytes": one.bytes,
                    "since": None if one.since is None else to_the_second(one.since),
                }
                for one in leftovers
            ],
        }
        return as_json(request, told)

    @app.route("/api/space/clear", methods=["POST"])
    async def clear(self, request: IRequest) -> bytes:
        """`{what}`, one of the leftovers. Returns the bytes freed."""
        self._who.need(request, ADMIN)
        what = read_json(request).get("what")
        freed = await self._leftovers.clear(what if isinstance(what, str) else "")
        await self._done("disk-cleared", str(what))
        return as_json(request, {"freed": freed})

    @app.route("/api/space/trash/<vault>", methods=["POST"])
    async def empty_trash(self, request: IRequest, vault: str) -> bytes:
        """Empty the trash of a vault, as the caller; the machine acts for the owner."""
        principal = self._who.need(request, ADMIN)
        if vault not in await self._sizes():
            raise not_found(f"There is no vault {vault[:32]}.")
        owner = self._people.owner() if principal.user_id is None else self._people.get(principal.user_id)
        if not owner.is_admin:
            raise Refused(403, "not_admin", "Only an owner can empty the trash of every vault.")
        await self._trash.empty_trash(owner, vault)
        # A vault that was full takes notes again at once.
        await self._sizes()
        await self._done("trash-emptied", vault)
        return as_json(request, {"ok": True})


def _bytes(one: Mapping[str, Any]) -> int:
    return int(one["bytes"])
