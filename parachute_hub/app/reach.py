"""The ways from other devices to this hub, as the rest of the hub uses them: loaded once somebody asks for one."""

import ssl
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from parachute_hub.accounts.assemble import Accounts
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.problems import address_probe
from parachute_hub.problems.checks.address import AddressFinding
from parachute_hub.problems.checks.reach import ReachFacts
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.root import MountedArea, later
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import define

if TYPE_CHECKING:
    from parachute_hub.reach.service import Reach

with lazily():
    from parachute_hub.admin import reach_api

_log = Logger()


@define
class ReachRoom:
    """Most hubs have no such way, and then none of it is in memory."""

    _core: ProcessContext
    _engine: ModuleRuntime
    _accounts: Accounts
    _origin: HubOrigin
    _made: "Reach | None" = field(default=None, init=False)

    def reach(self) -> "Reach":
        """The engine."""
        if self._made is None:
            from parachute_hub.app.reach_engine import build_engine

            self._made = build_engine(
                self._core, self._engine, self._accounts, self._origin, ask=self.probe, weak=self._weak
            )
            self._made.recall()
        return self._made

    def begin(self) -> None:
        """Go on with the way that was open when the hub stopped."""
        if self._made is not None:
            self._do(self._made.boot)

    def end(self) -> None:
        """The hub stops."""
        if self._made is not None:
            self._do(self._made.stop)

    def lasting(self) -> set[int]:
        """The process that keeps the way open; a newer hub ends it and starts its own."""
        pid = self._made.pid if self._made is not None else None
        return set() if pid is None else {pid}

    def part(self, who: Authenticator) -> MountedArea:
        """The API."""
        proofs = self._accounts.step_up
        return later(
            ("/api/reach",),
            reach_api,
            lambda: reach_api.ReachApi(who=who, step_up=proofs, reach=self.reach, certificate=self._certificate).app,
        )

    async def facts(self) -> ReachFacts:
        """For the problems."""
        record = self._made.record if self._made is not None else None
        if self._made is None or record is None:
            return ReachFacts()
        if record.stage != "open":
            return ReachFacts(title=record.way.title, stuck="" if self._made.busy else self._made.progress.error)
        weak = tuple(self._weak()) if record.way.audience == "internet" else ()
        return ReachFacts(title=record.way.title, trouble=await self._made.trouble(), weak=weak)

    async def probe(self, origin: str) -> AddressFinding:
        """Ask for this hub at an address; at the local name as a device does that trusts its certificate."""
        in_thread, instance = self._engine.modules.files.outside.in_thread, self._core.health.instance
        lan, record = (self._made.lan, self._made.record) if self._made is not None else (None, None)
        given: dict[str, Any] = {}
        if lan is not None and lan.certificate is not None and record is not None and record.origin == origin:
            trust = ssl.create_default_context(cadata=lan.certificate.authority.decode())
            given = {"trust": trust, "where": await lan.own_address()}
        found: AddressFinding = await in_thread(partial(address_probe.probe, origin, instance, time.time(), **given))
        return found

    def _certificate(self) -> bytes | None:
        """For devices without an account: what they have to trust, if the local name is in use."""
        lan = self._made.lan if self._made is not None else None
        return lan.certificate.authority_der if lan is not None and lan.certificate is not None else None

    def _weak(self) -> list[str]:
        """The owners who sign in with a password alone."""
        people = self._accounts.people
        return [user.called for user in people.all() if user.is_admin and not people.has_second_factor(user.id)]

    def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        async def done() -> None:
            await work()

        Deferred.fromCoroutine(done()).addErrback(lambda failure: _log.failure("The way to this hub failed", failure))


def build_reach(core: ProcessContext, engine: ModuleRuntime, accounts: Accounts, origin: HubOrigin) -> ReachRoom:
    """The room; with its engine where a way was open."""
    room = ReachRoom(core, engine, accounts, origin)
    if (core.settings.home / "hub" / "reach" / "state.json").exists():
        room.reach()
    return room
