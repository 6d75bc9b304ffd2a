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
from twisted.web.client import Agent

from parachute_hub.accounts import assemble as accounts_of
from parachute_hub.accounts.assemble import Accounts
from parachute_hub.accounts.encryption import KEY_FILE, Sealer
from parachute_hub.accounts.passkeys.verifier import ProcessVerifier
from parachute_hub.accounts.sessions import csrf
from parachute_hub.accounts.setup.public_origin import Configured, HubOrigin
from parachute_hub.accounts.signin.passwords import Hasher, HashThreads
from parachute_hub.admin.stream_api import Streams
from parachute_hub.app import audit
from parachute_hub.app.adapters import (
    FixedOrigins,
    InstalledResources,
    ProxyGuard,
    ProxyVisitors,
    WizardInstalls,
    self_check,
)
from parachute_hub.app.address_change import AddressChange, AllowedHosts
from parachute_hub.app.backup import build_backups
from parachute_hub.app.composition import Composition
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.elsewhere import introduce, renewing
from parachute_hub.app.installed import ModuleStatusViews, RouteTables
from parachute_hub.app.metrics import Tally, build_metrics
from parachute_hub.app.move_in import build_move_in, move_in_part
from parachute_hub.app.night_updates import night_updates
from parachute_hub.app.notices import build_notices
from parachute_hub.app.problems import build_problems
from parachute_hub.app.reach import build_reach
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.app.runtime import ModuleRuntime, build_engine
from parachute_hub.app.site_map import (
    HubVaults,
    admin_parts,
    attended,
    configuration_of,
    front_visitor,
    public_parts,
    vaults_of,
)
from parachute_hub.app.vault_exports import VaultExports
from parachute_hub.app.vault_room import vault_care
from parachute_hub.migration.home import is_older
from parachute_hub.modules.state.disk_space import Disk, Reserve
from parachute_hub.oauth import assemble as oauth_of
from parachute_hub.oauth.assemble import OAuth
from parachute_hub.oauth.authorization.browser_session import PageSessions
from parachute_hub.oauth.clients.metadata_fetch import DocumentFetcher
from parachute_hub.proxy.front import Backend
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.cookies import Jar
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import Gate, later
from parachute_hub.store.audit import Audit
from parachute_hub.store.database import Database, DatabaseTooNew, DatabaseUnusable
from parachute_hub.store.rows import Act
from parachute_hub.store.settings import StoredSettings
from parachute_hub.system.disk_probe import PROBE_SECONDS, DiskProbe
from parachute_hub.system.executors import WriterThread
from parachute_hub.system.heap import give_back
from parachute_hub.system.home import DATABASE, HomeTooNew
from parachute_hub.system.loading import lazily
from parachute_hub.system.reactor_lag import LagProbe
from parachute_hub.system.timers import every

with lazily():
    from parachute_hub.app import links_app, space

PRUNE_SECONDS = 3600.0
TRIM_SECONDS = 300.0
_log = Logger()


async def compose(core: ProcessContext) -> Composition:
    """Create every object in order of dependency, and open the site."""
    # SQLite can only open where it can write, so release the disk reserve first.
    reserve = Reserve(Disk(core.settings.home), lambda text: _log.warn("{text}", text=text))
    reserve.check()
    try:
        database = Database.open(
            core.settings.home / DATABASE, executor=WriterThread(core.reactor, "database"), on_full=reserve.make_room
        )
    except DatabaseTooNew as error:
        raise HomeTooNew(str(error)) from None
    except DatabaseUnusable as error:
        return await _without_database(core, error)
    core.phase.database = lambda: _describe(database)

    origin = HubOrigin(
        StoredSettings(database), database.write, _configured(core), note=Audit(database).note, clock=time.time
    )
    engine = build_engine(core, origin)
    probe = DiskProbe(
        core.settings.home / "hub" / "probe", in_thread=engine.modules.files.outside.in_thread, clock=core.reactor
    )
    core.phase.disk = probe.state
    resolve = partial(_resolve, core)
    oauth = _oauth(core, engine, database, origin, resolve)
    introduce(engine.elsewhere, oauth.issuer.for_service)
    hash_threads = HashThreads(core.reactor)
    sealer = Sealer.from_file(core.settings.home / "hub" / KEY_FILE, secrets.token_bytes)
    tally = Tally()
    vaults = vaults_of(core, engine)
    exports = VaultExports(Agent(core.reactor, connectTimeout=5), oauth.issuer, database.write, engine.sleeper.reach)
    accounts = _accounts(core, engine, database, oauth, origin, sealer, hash_threads, tally.acted, vaults, exports)
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
    audit.follow(engine.bus, accounts)
    await oauth.boot()
    await _recover(engine)

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
        *admin_parts(core, engine, accounts, oauth, who, streams=streams, configuration=configuration, vaults=vaults),
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
    core.root.open(attended(parts, accounts, who), accounts.gate, accounts.prover)
    for line in await accounts.boot(core.settings.initial_admin, core.settings.reset_owner):
        _log.info("", module_line=line)
    _warn_of_any_host(hosts, oauth.issuer.issuer)
    tables = RouteTables(
        engine.installed_modules, hosts, lambda: oauth.issuer.issuer, lambda: accounts.gate.closed, core.reactor.seconds
    )
    lag = LagProbe(clock=core.reactor, now=time.monotonic)
    return Composition(
        backend=Backend(
            table=tables.table,
            began=_attending(lag, engine),
            modules=ModuleStatusViews(engine.supervisor, engine.sleeper, engine.elsewhere),
            tokens=ProxyGuard(oauth.guard, tally.refused),
            has_session=accounts.recogniser.has_session,
            visitors=ProxyVisitors(accounts.recogniser, oauth.issuer),
            room=care.room,
        ),
        settings=core.settings,
        engine=engine,
        lag=lag,
        in_place=core.in_place,
        left=core.left,
        timers=(
            engine.sleeper.start,
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
        closing=(hash_threads.stop, engine.modules.files.outside.files.stop, database.close),
    )


def _configured(core: ProcessContext) -> Configured:
    settings = core.settings
    return Configured(origin=settings.origin, source=settings.origin_source, local=settings.local_origins)


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


def _accounts(
    core: ProcessContext,
    engine: ModuleRuntime,
    database: Database,
    oauth: OAuth,
    origin: HubOrigin,
    sealer: Sealer,
    threads: HashThreads,
    acted: Callable[[Act], None],
    vaults: HubVaults,
    exports: VaultExports,
) -> Accounts:
    return accounts_of.build(
        database,
        acted=acted,
        sealer=sealer,
        # The key alone does not distinguish hubs: containers may share a port number, and a copied home has the same
        # key.
        jar=Jar(sealer.tag(f"cookies of port {core.settings.port}")),
        hasher=Hasher(threads.run),
        older_hub=is_older(core.settings.home),
        caller=RequestCaller(),
        origin=origin,
        installs=WizardInstalls(engine.modules),
        self_check=self_check(core.health.instance, core.reactor),
        watch=oauth.connections,
        links=lambda signed_in: [("Connected apps", "Apps that may read or write your notes.", "/account/apps")],
        apps=lambda user_id: [app.in_short() for app in oauth.connections.of_user(user_id)],
        verifier=ProcessVerifier(core.reactor),
        vaults=vaults,
        exports=exports,
        clock=time.time,
        random=secrets.token_bytes,
    )


def _attending(lag: LagProbe, engine: ModuleRuntime) -> Callable[[], None]:
    """Tells those who rest while nobody uses the hub that a request begins."""

    def began() -> None:
        lag.attend()
        engine.supervisor.attend()

    return began


def _running(work: Callable[[], Coroutine[Any, Any, None]]) -> "Deferred[None]":
    return Deferred.fromCoroutine(work())


async def _recover(engine: ModuleRuntime) -> None:
    for job in await engine.modules.recover():
        _log.warn("{kind} of {short} was interrupted. {text}", kind=job.kind, short=job.short, text=job.error or "")


def _warn_of_any_host(hosts: AllowedHosts, issuer: str) -> None:
    if not hosts():
        _log.warn(
            "No public address is configured; accepting any Host header. Finish {page}, or set PARACHUTE_HUB_ORIGIN.",
            page=f"{issuer}/admin/setup",
        )


def _describe(database: Database) -> str:
    trouble = database.trouble()
    return "ok" if trouble is None else f"error: {trouble}"


# --- a damaged database: the hub still runs its modules and reports the problem


class _NoAccounts(Gate):
    """Answers only what needs no account; everything else gets an explanation of the database problem."""

    _OPEN = (b"/", b"/hub.html", b"/health", b"/api/ready", b"/.well-known/parachute.json", b"/robots.txt")

    def __init__(self, why: str) -> None:
        self._why = why

    def check(self, method: bytes, path: bytes, html: bool) -> Refused | None:
        """503 with the way out."""
        return None if path in self._OPEN else Refused(503, "db_unavailable", self._why)


async def _without_database(core: ProcessContext, error: DatabaseUnusable) -> Composition:
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
    await _recover(engine)
    core.root.open(public_parts(core, engine, origins, Authenticator([])), _NoAccounts(str(error)))
    lag = LagProbe(clock=core.reactor, now=time.monotonic)
    return Composition(
        backend=Backend(
            table=tables.table,
            modules=ModuleStatusViews(engine.supervisor, engine.sleeper, engine.elsewhere),
            began=_attending(lag, engine),
        ),
        settings=core.settings,
        engine=engine,
        lag=lag,
        in_place=core.in_place,
        left=core.left,
        closing=(engine.modules.files.outside.files.stop,),
    )
