"""Putting the hub together: every collaborator is made and handed to its users here, and nowhere else."""

import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from parachute_hub.accounts import assemble as accounts_of
from parachute_hub.accounts.assemble import Accounts
from parachute_hub.accounts.sessions import csrf
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.setup.public_origin import Configured, HubOrigin
from parachute_hub.accounts.signin.passwords import Hasher, HashThreads
from parachute_hub.admin.stream_api import Streams
from parachute_hub.app.adapters import (
    FixedOrigins,
    InstalledResources,
    ProxyGuard,
    ProxyVisitors,
    WizardInstalls,
    self_check,
)
from parachute_hub.app.context import Core
from parachute_hub.app.installed import States, Tables
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.app.runtime import Engine, build_engine
from parachute_hub.app.site_map import admin_parts, public_parts, recorded
from parachute_hub.modules.state.disk_space import Disk, Reserve
from parachute_hub.oauth import assemble as oauth_of
from parachute_hub.oauth.assemble import OAuth
from parachute_hub.oauth.authorization.browser_session import Visits
from parachute_hub.oauth.clients.metadata_fetch import DocumentFetcher
from parachute_hub.proxy.audience import NoVisitors, Visitors
from parachute_hub.proxy.model import HasSession, NoGuard, TokenGuard
from parachute_hub.proxy.routes import Table
from parachute_hub.site.auth import Who
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import Gate
from parachute_hub.store.database import Database, DatabaseUnusable
from parachute_hub.store.settings import StoredSettings
from parachute_hub.system.reactor_lag import LagProbe
from parachute_hub.system.timers import every

TEND_SECONDS = 3600.0
DATABASE = "parachute.db"
_log = Logger()


class Composition:
    """The hub put together; `hub.Running`."""

    def __init__(self, core: Core, engine: Engine, tables: Tables) -> None:
        self._core = core
        self._engine = engine
        self._tables = tables
        self._states = States(engine.supervisor)
        self._lag = LagProbe(clock=core.reactor, now=time.monotonic)
        self.tokens: TokenGuard = NoGuard()
        self.has_session: HasSession = lambda cookie, secure: False
        self.visitors: Visitors = NoVisitors()
        self.watches: list[LoopingCall] = []
        self.leaving: list[Callable[[], Any]] = []
        self.closing: list[Callable[[], Any]] = []

    def table(self) -> Table:
        """The routes of this moment."""
        return self._tables.table()

    def view(self, short: str) -> Any:
        """A module's state, for the proxy."""
        return self._states.view(short)

    async def start(self) -> None:
        """Start every module that is wanted, all at once."""
        engine = self._engine
        engine.supervisor.startService()
        self._lag.startService()
        if self._core.settings.safe_mode:
            for short in engine.roster.shorts():
                engine.supervisor.hold(short, "Safe mode: the hub runs without modules. Unset PARACHUTE_SAFE_MODE.")
        else:
            engine.supervisor.boot(engine.modules.files.to_start())
        self.watches += engine.modules.watch()

    async def stop(self) -> None:
        """End jobs and undo them, stop the modules, then close what is open."""
        for leave in self.leaving:
            leave()
        for watch in self.watches:
            watch.stop()
        await self._engine.modules.jobs.stop()
        self._lag.stopService()
        await self._engine.supervisor.stopService()
        for close in self.closing:
            close()


async def compose(core: Core) -> Composition:
    """Make everything, in the order in which it depends on each other, and open the site."""
    # A database opens only where it can write.
    Reserve(Disk(core.settings.home), lambda text: _log.warn("{text}", text=text)).check()
    try:
        database = Database.open(core.settings.home / DATABASE)
    except DatabaseUnusable as error:
        return await _without_database(core, error)
    core.phase.database = lambda: _told(database)
    moved: list[Callable[[str], None]] = []
    origin = HubOrigin(StoredSettings(database), _configured(core), lambda issuer: moved[0](issuer))
    engine = build_engine(core, origin)
    oauth = _oauth(core, engine, database, origin)
    threads = HashThreads(core.reactor)
    accounts = _accounts(core, engine, database, oauth, origin, threads)
    hosts = _Hosts(core, accounts)
    moved.append(lambda issuer: _move(engine, oauth, hosts, issuer))
    seconds = core.reactor.seconds
    tables = Tables(engine.roster, hosts, lambda: oauth.issuer.issuer, lambda: accounts.gate.closed, seconds)
    await oauth.boot()
    await _recover(engine)
    composition = Composition(core, engine, tables)
    composition.tokens = ProxyGuard(oauth.guard)
    composition.has_session = accounts.recogniser.has_session
    composition.visitors = ProxyVisitors(accounts.recogniser, oauth.issuer)
    streams = Streams(core.reactor)
    composition.leaving.append(streams.end)
    composition.closing += [threads.stop, database.close]
    composition.watches += [
        every(core.reactor, TEND_SECONDS, accounts.prune, "Tidying up accounts"),
        every(core.reactor, TEND_SECONDS, lambda: Deferred.fromCoroutine(oauth.tend()), "Tidying up tokens and keys"),
    ]
    who = Who([oauth.bearers, accounts.recogniser])
    visits = Visits(
        sessions=accounts.recogniser,
        proofs=accounts.step_up,
        browsers=Browser(caller=accounts.caller, origins=origin, random=secrets.token_bytes),
        csrf_token=csrf.token_for,
    )
    parts = [
        *public_parts(core, engine, origin, who),
        *admin_parts(core, engine, accounts, oauth, who, streams=streams),
        *accounts.parts,
        *oauth.parts(visits=visits, sessions=accounts.recogniser, step_up=accounts.step_up),
    ]
    core.root.open(recorded(parts, accounts, who), accounts.gate)
    for line in await accounts.boot(core.settings.initial_admin, core.settings.reset_owner):
        _log.info("", module_line=line)
    if not hosts():
        _log.warn(
            "Nobody has said at which address this hub is reached, so it answers to any name. "
            "Finish {page}, or set PARACHUTE_HUB_ORIGIN.",
            page=f"{oauth.issuer.issuer}/admin/setup",
        )
    return composition


def _configured(core: Core) -> Configured:
    settings = core.settings
    return Configured(
        origin=settings.origin,
        source=settings.origin_source,
        local=settings.local_origins,
    )


def _oauth(core: Core, engine: Engine, database: Database, origin: HubOrigin) -> OAuth:
    async def resolve(host: str) -> list[str]:
        found = await deferToThreadPool(core.reactor, core.reactor.getThreadPool(), _addresses, host)
        return list(found)

    return oauth_of.build(
        database,
        home=core.settings.home,
        issuer=origin.issuer(),
        origins=origin.bound(),
        resources=InstalledResources(engine.roster),
        documents=DocumentFetcher(reactor=core.reactor, clock=core.reactor, resolve=resolve),
        clock=core.reactor,
        random=secrets.token_bytes,
        off_thread=engine.modules.files.outside.in_thread,
    )


def _addresses(host: str) -> list[str]:
    """Every address of a name, from the system's resolver. Blocks."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)))


def _accounts(
    core: Core, engine: Engine, database: Database, oauth: OAuth, origin: HubOrigin, threads: HashThreads
) -> Accounts:
    return accounts_of.build(
        database,
        folder=core.settings.home / "hub",
        hasher=Hasher(threads.run),
        caller=RequestCaller(),
        origin=origin,
        installs=WizardInstalls(engine.modules),
        self_check=self_check(core.health.instance, core.reactor),
        watch=oauth.connections,
        links=lambda signed_in: [("Connected apps", "Apps that may read or write your notes.", "/account/apps")],
        clock=time.time,
        random=secrets.token_bytes,
    )


class _Hosts:
    """The Host values that are ours. Until the owner has said how the hub is reached, any will do."""

    def __init__(self, core: Core, accounts: Accounts) -> None:
        self._origin = accounts.origin
        self._setup = accounts.setup
        self._settled = core.settings.origin is not None
        self._hosts: tuple[str, ...] = ()
        self.refresh()

    def __call__(self) -> Sequence[str]:
        """Empty for any. Asked for each request, so it is kept."""
        if not self._settled:
            self._settled = self._setup.progress.reached
        return self._hosts if self._settled else ()

    def origins(self) -> Sequence[str]:
        """With their schemes."""
        return self._origin.bound()

    def refresh(self) -> None:
        """The origins are others now."""
        self._hosts = tuple(origin.partition("://")[2] for origin in self._origin.bound())


async def _recover(engine: Engine) -> None:
    for job in await engine.modules.recover():
        _log.warn("{kind} of {short} was interrupted. {text}", kind=job.kind, short=job.short, text=job.error or "")


def _move(engine: Engine, oauth: OAuth, hosts: _Hosts, issuer: str) -> None:
    """The hub is reached at another address: sign with it, and start modules anew, which know it from their start."""
    hosts.refresh()
    oauth.move(issuer, hosts.origins())
    for status in engine.supervisor.all():
        engine.supervisor.restart_for(status.short, "The hub's address has changed. It is being restarted.")


def _told(database: Database) -> str:
    trouble = database.trouble()
    return "ok" if trouble is None else f"error: {trouble}"


# --- a hub whose database is damaged still runs its modules, and says what is wrong


class _NoAccounts(Gate):
    """Only what needs no account is answered; the rest says what is wrong with the database."""

    _OPEN = (b"/", b"/hub.html", b"/health", b"/api/ready", b"/.well-known/parachute.json")

    def __init__(self, why: str) -> None:
        self._why = why

    def check(self, method: bytes, path: bytes, html: bool) -> Refused | None:
        """503 with the way out."""
        return None if path in self._OPEN else Refused(503, "db_unavailable", self._why)


async def _without_database(core: Core, error: DatabaseUnusable) -> Composition:
    _log.critical("{why}", why=str(error))
    core.phase.database = lambda: "error: unusable"
    origins = FixedOrigins(core.settings)
    engine = build_engine(core, origins)
    tables = Tables(
        engine.roster,
        lambda: [one.partition("://")[2] for one in origins.bound()],
        origins.issuer,
        lambda: False,
        core.reactor.seconds,
    )
    await _recover(engine)
    core.root.open(public_parts(core, engine, origins, Who([])), _NoAccounts(str(error)))
    return Composition(core, engine, tables)
