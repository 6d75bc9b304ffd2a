"""Putting the hub together: every collaborator is made and handed to its users here, and nowhere else."""

import random
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from parachute_hub.core import Core, stamp
from parachute_hub.events import Bus, ModuleChanged, Notice, Numbered, RegistryChanged
from parachute_hub.modules import assembly
from parachute_hub.modules import bun as bun_program
from parachute_hub.modules.catalog import BadCatalog, Catalog, load
from parachute_hub.modules.environment import Surroundings
from parachute_hub.proxy.model import Refusal
from parachute_hub.proxy.routes import Mount, Table
from parachute_hub.roster import Roster, States, Tables, advertised, tiles
from parachute_hub.site.about import About, AboutHub, Ready
from parachute_hub.site.frontpage import FrontPage
from parachute_hub.site.operator import OperatorRecogniser, ensure_operator_token
from parachute_hub.site.root import Open, Part
from parachute_hub.site.wellknown import WellKnown
from parachute_hub.site.who import Who
from parachute_hub.supervise.supervisor import Supervisor

_log = Logger()


class Composition:
    """The hub put together; `hub.Running`."""

    def __init__(
        self, core: Core, roster: Roster, supervisor: Supervisor, modules: assembly.Modules, tables: Tables
    ) -> None:
        self._core = core
        self._roster = roster
        self._supervisor = supervisor
        self._modules = modules
        self._tables = tables
        self._states = States(supervisor)
        self._watches: tuple[LoopingCall, ...] = ()

    def table(self) -> Table:
        """The routes of this moment."""
        return self._tables.table()

    def view(self, short: str) -> Any:
        """A module's state, for the proxy."""
        return self._states.view(short)

    def refusal(self, mount: Mount, path: bytes, token: str) -> Refusal | None:
        """Why a token must not pass."""
        return None

    def has_session(self, cookie: bytes) -> bool:
        """Whether this Cookie header names a signed-in browser."""
        return False

    async def start(self) -> None:
        """Start every module that is wanted, all at once."""
        if self._core.settings.safe_mode:
            for short in self._roster.shorts():
                self._supervisor.hold(short, "Safe mode: the hub runs without modules. Unset PARACHUTE_SAFE_MODE.")
        else:
            self._supervisor.boot(self._modules.files.to_start())
        self._watches = self._modules.watch()

    async def stop(self) -> None:
        """End jobs and undo them, stop the modules, then close what is open."""
        for watch in self._watches:
            watch.stop()
        await self._modules.jobs.stop()
        await self._supervisor.stopService()


async def compose(core: Core) -> Composition:
    """Make everything, in the order in which it depends on each other, and open the site."""
    settings = core.settings
    bus = Bus()
    bus.subscribe(tell_notices)
    on_disk = assembly.files(outside(core, bus))
    supervisor = Supervisor(
        reactor=core.reactor,
        launcher=on_disk.launcher,
        desired=on_disk.records,
        home=settings.home,
        emit=lambda status: bus.emit(ModuleChanged(status.short, status.to_json())),
        log_line=lambda short, line: _log.info("", module_line=f"[{short}] {line}"),
        log_folder=settings.home / "hub" / "logs",
        mask=core.mask,
        random=random.random,
    )
    modules = assembly.assemble(on_disk, supervisor)
    roster = Roster(on_disk.directory, lambda text: bus.emit(Notice("registry", text)))
    bus.subscribe(lambda numbered: roster.forget() if isinstance(numbered.event, RegistryChanged) else None)
    tables = Tables(roster, lambda: hosts(settings.origins), lambda: settings.issuer, lambda: False)
    composition = Composition(core, roster, supervisor, modules, tables)
    for job in await modules.recover():
        _log.warn("{kind} of {short} was interrupted; {text}", kind=job.kind, short=job.short, text=job.error or "")
    core.root.open(site_parts(core, bus, roster, supervisor, modules), Open())
    return composition


def outside(core: Core, bus: Bus) -> assembly.Outside:
    """What the modules package is given of the rest."""
    settings = core.settings
    return assembly.Outside(
        reactor=core.reactor,
        around=surroundings(core),
        catalog=catalog_of(core),
        find_bun=lambda: bun_program.find(settings.bun, settings.passed_on.get("PATH")),
        emit=bus.emit,
        mask=core.mask,
        know_secret=core.mask.know,
        now=time.time,
        new_id=lambda: str(uuid4()),
        in_thread=lambda function, *args: deferToThreadPool(
            core.reactor, core.reactor.getThreadPool(), function, *args
        ),
        hub_port=settings.port,
        env_channel=settings.channel,
    )


def tell_notices(numbered: Numbered) -> None:
    """What an operator should read goes to the log, too."""
    if isinstance(numbered.event, Notice):
        _log.warn("{text}", text=numbered.event.text)


def site_parts(core: Core, bus: Bus, roster: Roster, supervisor: Supervisor, modules: assembly.Modules) -> list[Part]:
    """Every area of the hub's own site with the paths that it answers."""
    settings = core.settings
    began = time.monotonic()
    who = Who([OperatorRecogniser(ensure_operator_token(settings.home / "operator.token"))])

    def states() -> list[tuple[str, str]]:
        return [(status.short, status.state.value) for status in supervisor.all()]

    def is_static(short: str) -> bool:
        entry = modules.files.directory.entry(short)
        return entry is not None and entry.static

    about = AboutHub(started_at=stamp(time.time()), source=source_of(settings.home, settings.platform))
    return [
        Part(("/",), FrontPage(lambda: tiles(roster, supervisor, is_static)).app.resource()),
        Part(("/hub.html",), FrontPage(lambda: tiles(roster, supervisor, is_static)).app.resource()),
        Part(("/health",), core.health),
        Part(("/api/ready",), Ready(states).app.resource()),
        Part(("/api/hub",), About(about, who, lambda: time.monotonic() - began).app.resource()),
        Part(
            ("/.well-known/parachute.json",),
            WellKnown(lambda: advertised(roster.modules()), settings.issuer).app.resource(),
        ),
    ]


def catalog_of(core: Core) -> Catalog:
    """The catalog that was asked for; a wrong one is told, and the built-in one offered instead."""
    try:
        return load(core.settings.catalog, core.settings.home)
    except BadCatalog as error:
        _log.error("{why} The built-in catalog is offered instead.", why=str(error))
        return Catalog()


def surroundings(core: Core) -> Surroundings:
    """What modules and the installer are told of the world."""
    settings = core.settings
    return Surroundings(
        home=settings.home,
        user_home=settings.user_home,
        issuer=settings.issuer,
        origins=settings.origins,
        passed_on=settings.passed_on,
        registry=settings.registry_variables,
        module_variables=settings.module_variables,
    )


def hosts(origins: tuple[str, ...]) -> list[str]:
    """The Host values of these origins.

    >>> hosts(("https://hub.example.com", "http://127.0.0.1:1939"))
    ['hub.example.com', '127.0.0.1:1939']
    """
    return [origin.partition("://")[2] for origin in origins]


def source_of(home: Path, platform: str) -> str:
    """Where the program came from, in the API's words (modules.md 5.10)."""
    return "container" if home == Path("/parachute") or platform != "local" else "unknown"
