"""The composition root: what is created, in which order, and who receives it."""

import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from parachute_hub.accounts.sessions import csrf
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.admin.stream_api import Streams
from parachute_hub.app import audit
from parachute_hub.app.adapters import (
    FixedOrigins,
    InstalledResources,
    ProxyGuard,
    ProxyVisitors,
)
from parachute_hub.app.address_change import AddressChange, AllowedHosts
from parachute_hub.app.backup import build_backups
from parachute_hub.app.composition import Composition
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.elsewhere import renewing
from parachute_hub.app.entrance import Entrance, boot_accounts
from parachute_hub.app.foundation import Foundation
from parachute_hub.app.installed import ModuleStatusViews, RouteTables
from parachute_hub.app.metrics import build_metrics
from parachute_hub.app.move_in import build_move_in, move_in_part
from parachute_hub.app.night_updates import night_updates
from parachute_hub.app.notices import build_notices
from parachute_hub.app.problems import build_problems
from parachute_hub.app.reach import build_reach
from parachute_hub.app.runtime import ModuleRuntime, attending, build_engine, start_modules
from parachute_hub.app.site_map import (
    admin_parts,
    attended,
    configuration_of,
    front_visitor,
    public_parts,
)
from parachute_hub.app.vault_room import vault_care
from parachute_hub.oauth import assemble as oauth_of
from parachute_hub.oauth.assemble import OAuth
from parachute_hub.oauth.authorization.browser_session import PageSessions
from parachute_hub.oauth.clients.metadata_fetch import DocumentFetcher
from parachute_hub.proxy.front import Backend
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import Gate, later
from parachute_hub.store.database import Database, DatabaseUnusable
from parachute_hub.system.disk_probe import PROBE_SECONDS, DiskProbe
from parachute_hub.system.heap import give_back
from parachute_hub.system.loading import lazily
from parachute_hub.system.reactor_lag import LagProbe
from parachute_hub.system.timers import every

with lazily():
    from parachute_hub.app import links_app, space

PRUNE_SECONDS = 3600.0
TRIM_SECONDS = 300.0
_log = Logger()


async def compose(core: ProcessContext, on: Foundation, entrance: Entrance) -> Composition:
    """Create all else in order of dependency, and open the site."""
    database, origin, engine, accounts = on.database, on.origin, on.engine(), entrance.accounts
    sealer, tally, vaults, exports = entrance.sealer, entrance.tally, entrance.vaults, entrance.exports
    probe = DiskProbe(
        core.settings.home / "hub" / "probe", in_thread=engine.modules.files.outside.in_thread, clock=core.reactor
    )
    core.phase.disk = probe.state
    resolve = partial(_resolve, core)
    oauth = _oauth(core, engine, database, origin, resolve)
    care = vault_care(core, engine, accounts)
    backups = build_backups(core, engine, sealer, origin.issuer, resolve, accounts)
    notices = build_notices(core, engine, sealer, origin.issuer, resolve, accounts.trail.done)
    metrics = build_metrics(core, engine, tally, lambda: backups.backups.state)
    older_hub = build_move_in(core, engine, database, accounts, sealer)
    await older_hub.finish()
    configuration = configuration_of(core, engine, oauth)
    reach = build_reach(core, engine, accounts, origin)
    problems = build_problems(
        core,
        engine,
        backups=backups.backups,
        notices=notices.notices,
        database=database,
        oauth=oauth,
        origin=origin,
        configuration=configuration,
        vaults=care,
        reach=reach,
    )
    accounts.audit.subscribe(lambda act: problems.problems.acted(act.action, act.outcome))
    audit.follow(engine.bus, accounts)
    await oauth.boot()
    on.oauth.keep(oauth)

    hosts = AllowedHosts(
        origin, lambda: bool(core.settings.origin or origin.stored() or accounts.setup.progress.reached)
    )
    address = AddressChange(engine.supervisor, oauth, hosts, origin)
    origin.subscribe(address.apply)
    who = Authenticator([oauth.bearers, accounts.recogniser])
    streams = Streams(core.reactor)
    visits = PageSessions(
        sessions=accounts.recogniser,
        proofs=accounts.step_up,
        browsers=accounts.browser,
        csrf_token=csrf.token_for,
    )
    parts = [
        *public_parts(core, engine, origin, who, front_visitor(accounts)),
        *admin_parts(
            core,
            engine,
            accounts,
            oauth,
            who,
            streams=streams,
            configuration=configuration,
            vaults=vaults,
            sizes=care.room.totals,
        ),
        later(("/api/space",), space, lambda: space.space_app(core, engine, accounts, who, care.room, exports)),
        later(("/api/links",), links_app, lambda: links_app.links_app(engine, accounts, who)),
        metrics.part(who),
        notices.part(who, accounts),
        *backups.parts(who, accounts),
        *problems.parts(who, accounts.trail.done),
        move_in_part(older_hub, accounts, who),
        reach.part(who),
        *accounts.parts,
        *tally.counted(
            oauth.parts(visits=visits, sessions=accounts.recogniser, step_up=accounts.step_up, done=accounts.trail.done)
        ),
    ]
    if on.is_set_up:  # Else that has happened before the first question.
        await boot_accounts(core, accounts)
    # From here on nothing is awaited: until the front has its routes, the site would be asked for what modules have.
    core.root.open(attended(parts, accounts, who), accounts.gate, accounts.prover)
    _warn_of_any_host(hosts, oauth.issuer.issuer)
    tables = RouteTables(
        engine.installed_modules, hosts, lambda: oauth.issuer.issuer, lambda: accounts.gate.closed, core.reactor.seconds
    )
    lag = LagProbe(clock=core.reactor, now=time.monotonic)
    return Composition(
        backend=Backend(
            table=tables.table,
            began=attending(lag, engine),
            modules=ModuleStatusViews(engine.supervisor, engine.sleeper, engine.elsewhere),
            tokens=ProxyGuard(oauth.guard, tally.refused),
            has_session=accounts.recogniser.has_session,
            visitors=ProxyVisitors(accounts.recogniser, oauth.issuer),
            room=care.room,
        ),
        engine=engine,
        lag=lag,
        in_place=core.in_place,
        timers=(
            partial(engine.sleeper.start, core.rest),
            partial(every, core.reactor, PROBE_SECONDS, partial(_running, probe.look), "Writing to the disk"),
            backups.timer,
            notices.timer,
            partial(night_updates, core, engine),
            partial(renewing, core, engine.elsewhere, engine.modules.jobs),
            problems.timer,
            *care.timers(),
            partial(every, core.reactor, PRUNE_SECONDS, partial(_running, accounts.prune), "Pruning accounts"),
            partial(every, core.reactor, PRUNE_SECONDS, partial(_running, oauth.maintain), "Pruning tokens and keys"),
            partial(every, core.reactor, PRUNE_SECONDS, address.renew, "Reading the hub's addresses"),
            # Sign-ins, restarts and installs leave holes in the heap, which grows otherwise.
            partial(every, core.reactor, TRIM_SECONDS, give_back, "Returning free memory"),
        ),
        begin=reach.begin,
        end=reach.end,
        lasting=reach.lasting,
        leaving=(streams.end, partial(audit.note_stop, accounts)),
        closing=(entrance.hash_threads.stop, engine.modules.files.outside.files.stop, database.close),
    )


async def _resolve(core: ProcessContext, host: str) -> list[str]:
    """All addresses of a host name. Raises OSError."""
    found = await deferToThreadPool(core.reactor, core.reactor.getThreadPool(), _addresses, host)
    return list(found)


def _oauth(
    core: ProcessContext,
    engine: ModuleRuntime,
    database: Database,
    origin: HubOrigin,
    resolve: Callable[[str], Awaitable[list[str]]],
) -> OAuth:
    return oauth_of.build(
        database,
        home=core.settings.home,
        issuer=origin.issuer(),
        origins=origin.bound(),
        answering=origin.answering(),
        resources=InstalledResources(engine.installed_modules),
        documents=DocumentFetcher(reactor=core.reactor, clock=core.reactor, resolve=resolve),
        clock=core.reactor,
        random=secrets.token_bytes,
        off_thread=engine.modules.files.outside.in_thread,
    )


def _addresses(host: str) -> list[str]:
    """All addresses of a host name, from the system resolver. Blocks."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)))


def _running(work: Callable[[], Coroutine[Any, Any, None]]) -> "Deferred[None]":
    return Deferred.fromCoroutine(work())


def _warn_of_any_host(hosts: AllowedHosts, issuer: str) -> None:
    if not hosts():
        _log.warn(
            "No public address is configured; accepting any Host header. Finish {page}, or set PARACHUTE_HUB_ORIGIN.",
            page=f"{issuer}/admin/setup",
        )


# --- a damaged database: the hub still runs its modules and reports the problem


class _NoAccounts(Gate):
    """Answers only what needs no account; everything else gets an explanation of the database problem."""

    _OPEN = (b"/", b"/hub.html", b"/health", b"/api/ready", b"/.well-known/parachute.json", b"/robots.txt")

    def __init__(self, why: str) -> None:
        self._why = why

    def check(self, method: bytes, path: bytes, html: bool) -> Refused | None:
        """503 with the way out."""
        return None if path in self._OPEN else Refused(503, "db_unavailable", self._why)


async def without_database(core: ProcessContext, error: DatabaseUnusable) -> Composition:
    """Run the modules, and say what is wrong."""
    _log.critical("{why}", why=str(error))
    core.phase.database = lambda: "error: unusable"
    origins = FixedOrigins(core.settings)
    engine = build_engine(core, origins)
    tables = RouteTables(
        engine.installed_modules,
        lambda: [one.partition("://")[2] for one in origins.answering()],
        origins.issuer,
        lambda: False,
        core.reactor.seconds,
    )
    await start_modules(core, engine)
    core.root.open(public_parts(core, engine, origins, Authenticator([])), _NoAccounts(str(error)))
    lag = LagProbe(clock=core.reactor, now=time.monotonic)
    return Composition(
        backend=Backend(
            table=tables.table,
            modules=ModuleStatusViews(engine.supervisor, engine.sleeper, engine.elsewhere),
            began=attending(lag, engine),
        ),
        engine=engine,
        lag=lag,
        in_place=core.in_place,
        closing=(engine.modules.files.outside.files.stop,),
    )
