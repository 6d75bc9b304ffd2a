"""Moving in: reads the older hub's database, shows what would come, and takes it over in one transaction."""

import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from attrs import field
from twisted.logger import Logger

from parachute_hub.migration import home as older_home
from parachute_hub.site.errors import Refused
from parachute_hub.store.audit import Audit
from parachute_hub.store.older_hub import MoveInStore, OlderHubUnreadable, read
from parachute_hub.store.rows import Act
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.writer import Write
from parachute_hub.system.home import HomeTaken
from parachute_hub.system.loading import lazily
from parachute_hub.system.random_tokens import new_token
from parachute_hub.system.records import define
from parachute_hub.system.timestamps import to_the_millisecond

with lazily():
    from parachute_hub.migration import plan

TICKET_SECONDS = 1800.0
CHANNEL = "older_hub_channel"
_log = Logger()


class Channels(Protocol):
    """Where the owner's release channel is kept."""

    @property
    def channel(self) -> str | None:
        """The choice, or None."""

    def choose_channel(self, channel: str | None) -> Awaitable[None]:
        """Store it. Fails with RecordsRefused."""


def look(home: Path, *, now: float, is_origin: "plan.Check", is_key: "plan.Check") -> "plan.Move":
    """What would come from this home. Raises OlderHubUnreadable or HomeTaken. Blocks, and writes nothing."""
    if not older_home.is_older(home):
        raise OlderHubUnreadable(f"There is no older hub in {home}: it has no {older_home.DATABASE}.")
    older_home.check_not_running(home)
    tables = read(home / older_home.DATABASE, to_the_millisecond(now))
    return plan.plan(tables, now=now, is_origin=is_origin, is_key=is_key)


@define(kw_only=True)
class MoveIn:
    """Offered on a hub without an owner whose home has a `hub.db`. `restart` ends this process and starts it anew."""

    home: Path
    found: bool
    has_owner: Callable[[], bool]
    write: Write
    store: MoveInStore
    audit: Audit
    settings: StoredSettings
    channels: Channels
    is_origin: "plan.Check"
    is_key: "plan.Check"
    in_thread: Callable[..., Awaitable[Any]]
    restart: Callable[[], None]
    now: Callable[[], float]
    random: Callable[[int], bytes]
    _ticket: str = field(default="", init=False)
    _made_at: float = field(default=0.0, init=False)

    @property
    def offered(self) -> bool:
        """True if somebody can move in."""
        return self.found and not self.has_owner()

    async def begin(self) -> "tuple[plan.Move, str]":
        """What would come, and a ticket with which `move` takes it over. Raises Refused; the caller has proven that
        this hub is theirs.
        """
        move = await self._look()
        self._ticket, self._made_at = new_token(self.random), self.now()
        return move, self._ticket

    async def move(self, ticket: str) -> "plan.Move":
        """Take everything over and restart. Raises Refused; nothing has changed then."""
        valid = self._ticket and self.now() < self._made_at + TICKET_SECONDS
        if not valid or not hmac.compare_digest(ticket.encode(), self._ticket.encode()):
            raise Refused(403, "wrong_ticket", "This took too long, or was begun elsewhere. Begin again.")
        move = await self._look()
        owner = next(iter(move.arrivals.users), None)
        if owner is None:
            raise Refused(409, "no_owner", move.remarks[0])
        self._ticket = ""

        def take_over() -> bool:
            if not self.store.add(move.arrivals, self.now()):
                return False
            if move.channel:
                self.settings.put(CHANNEL, move.channel, self.now())
            self.audit.note(Act(at=self.now(), actor=owner.username, action="moved-in", subject="older hub"))
            return True

        if not await self.write(take_over):
            raise self._too_late()
        _log.info("Moved in from the older hub: {people} accounts. Restarting", people=len(move.arrivals.users))
        self.restart()
        return move

    async def finish(self) -> None:
        """At a start: what is not kept in the database follows."""
        channel = self.settings.get(CHANNEL)
        if channel is not None:
            if self.channels.channel is None:
                await self.channels.choose_channel(channel)
            await self.write(self.settings.drop, CHANNEL)

    async def _look(self) -> "plan.Move":
        if not self.offered:
            raise self._too_late()
        try:
            found: plan.Move = await self.in_thread(self._read)
            return found
        except (OlderHubUnreadable, HomeTaken) as error:
            kind = "older_hub_running" if isinstance(error, HomeTaken) else "older_hub_unreadable"
            raise Refused(409, kind, str(error)) from None

    def _read(self) -> "plan.Move":
        return look(self.home, now=self.now(), is_origin=self.is_origin, is_key=self.is_key)

    def _too_late(self) -> Refused:
        if not self.found:
            return Refused(409, "no_older_hub", "There is no older hub in this home.")
        return Refused(409, "has_owner", "This hub has an owner already, so nobody can move in any more.")
