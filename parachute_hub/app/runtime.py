"""The module runtime: modules on disk, the supervisor, and the roster of installed modules."""

import random
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from parachute_hub.accounts.model import Origins
from parachute_hub.admin.modules_bodies import Room
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.discovery import ModuleLinks, placed
from parachute_hub.app.elsewhere import build_links, build_mover
from parachute_hub.app.fresh_launcher import FreshLauncher
from parachute_hub.app.installed import InstalledModules
from parachute_hub.app.log_heads import LogHeads
from parachute_hub.app.restart_in_place import heed_signals
from parachute_hub.confinement.gateway import Gateway
from parachute_hub.confinement.kernel import Confiner, Kernel
from parachute_hub.elsewhere.links import Links
from parachute_hub.events import Bus, Event, JobChanged, LogHead, ModuleChanged, Notice, NumberedEvent, RegistryChanged
from parachute_hub.modules import assembly
from parachute_hub.modules.definition import permissions
from parachute_hub.modules.definition.catalog import PERCENT, BadCatalog, Catalog, load
from parachute_hub.modules.launch.environment import BaseEnvironment
from parachute_hub.modules.launch.fence import ModuleFence
from parachute_hub.modules.launch.pages_seen import PageChecks
from parachute_hub.modules.packages import bun as bun_program
from parachute_hub.modules.state.allowances import KnownAllowances
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.supervise.context import SupervisorContext
from parachute_hub.supervise.memory.cgroup import Cgroup
from parachute_hub.supervise.memory.module_groups import ModuleGroups
from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.supervise.process.probe import ask_busy
from parachute_hub.supervise.process.process_tags import new_life
from parachute_hub.supervise.sleeping import Sleeper
from parachute_hub.supervise.supervisor import Supervisor
from parachute_hub.system.executors import WriterThread
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.pinned import loopback_agent
from parachute_hub.system.public_addresses import is_nearby, is_public
from parachute_hub.system.reactor_lag import LagProbe
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import Rest

if TYPE_CHECKING:
    from collections.abc import Callable

    from parachute_hub.elsewhere.moving import Mover

_log = Logger()


@frozen(kw_only=True)
class ModuleRuntime:
    """The objects that run modules. `modules` installs and removes them, `launcher` builds their command lines,
    `confiner` starts them confined, `sleeper` ends those that nobody uses. `elsewhere` links them to other machines,
    `mover` moves them there and back.
    """

    bus: Bus
    launcher: FreshLauncher
    supervisor: Supervisor
    sleeper: Sleeper
    modules: assembly.ModuleServices
    installed_modules: InstalledModules
    confiner: Confiner
    links: ModuleLinks
    elsewhere: Links
    mover: "Callable[[], Mover]"


def build_engine(
    core: ProcessContext, origins: Origins, variables: Callable[[], Mapping[str, str]] = dict
) -> ModuleRuntime:
    """Create the engine without starting anything. `variables` are more `PARACHUTE_ENV_*` for modules."""
    bus = Bus()
    bus.subscribe(_tell)
    bus.subscribe(partial(end_rest, core.rest))
    kernel = Kernel.find()
    confiner = Confiner(kernel=kernel, forbidden=_forbidden(core.settings.home))
    on_disk = assembly.files(_outside(core, bus, origins, confiner))
    launcher = FreshLauncher(on_disk.launcher, origins, variables)
    counters = Cgroup.find()
    heads = LogHeads(core.reactor, bus.emit)

    def log_line(short: str, line: str) -> None:
        heads.heard(short, line)
        _log.info("", module_short=short, module_line=line)

    links_there = build_links(
        core, on_disk, origins, partial(_resolve, core.reactor), lambda short: supervisor.look_soon(short)
    )
    supervisor = Supervisor(
        SupervisorContext(
            reactor=core.reactor,
            launcher=launcher,
            desired=on_disk.directory.records,
            home=core.settings.home,
            emit=lambda status: bus.emit(ModuleChanged(status.short, status.to_json())),
            log_line=log_line,
            log_folder=core.settings.home / "hub" / "logs",
            log_writer=core.log_writer,
            log_bytes=on_disk.directory.records.log_bytes,
            mask=core.mask,
            random=random.random,
            memory_limit=core.settings.memory_limit,
            confiner=confiner,
            under_way=core.front.under_way,
            sleeps=lambda short: _may_sleep(on_disk.directory, short) is not None,
            allowance=KnownAllowances(on_disk.directory).of,
            counters=counters,
            groups=ModuleGroups.prepare(counters),
            rest=core.rest,
            life=core.left.life if core.left is not None else new_life(),
            far=links_there.machine,
        )
    )
    installed_modules = InstalledModules(
        on_disk.directory,
        lambda text: bus.emit(Notice("registry", text)),
        core.reactor.seconds,
        supervisor.owned_port,
    )
    seen = PageChecks(
        agent=loopback_agent(core.reactor),
        clock=core.reactor,
        where=placed(installed_modules, supervisor),
        changed=lambda: bus.emit(RegistryChanged()),
    )
    links = ModuleLinks(installed_modules, seen)
    modules = assembly.assemble(on_disk, supervisor, free_memory=lambda: supervisor.container().free)
    sleeper = Sleeper(
        modules=supervisor,
        after=partial(_may_sleep, on_disk.directory),
        requests=lambda short: core.front.metrics.of(short).requests,
        under_way=core.front.under_way,
        busy=partial(ask_busy, core.reactor),
        claimed=lambda short: modules.jobs.active(short) is not None,
        clock=core.reactor,
    )
    bus.subscribe(lambda numbered: _follow(installed_modules, links, on_disk.fence, supervisor, numbered.event))
    return ModuleRuntime(
        bus=bus,
        launcher=launcher,
        supervisor=supervisor,
        sleeper=sleeper,
        modules=modules,
        installed_modules=installed_modules,
        confiner=confiner,
        links=links,
        elsewhere=links_there,
        mover=build_mover(core, links_there, modules, supervisor),
    )


async def start_modules(core: ProcessContext, engine: ModuleRuntime) -> None:
    """Undo operations that were interrupted, then start all enabled modules at once."""
    for job in await engine.modules.recover():
        _log.warn("{kind} of {short} was interrupted. {text}", kind=job.kind, short=job.short, text=job.error or "")
    # What ends this hub waited until it has the modules of the one before, so that it can stop them.
    heed_signals()
    core.stops(engine.supervisor.stopService)
    engine.supervisor.startService()
    if core.settings.safe_mode:
        for short in engine.installed_modules.shorts():
            engine.supervisor.hold(short, "Safe mode: the hub runs without modules. Unset PARACHUTE_SAFE_MODE.")
    else:
        engine.supervisor.boot(engine.modules.files.to_start(), core.left.modules if core.left is not None else ())


def _may_sleep(directory: ModuleDirectory, short: str) -> float | None:
    """The seconds without use after which the owner lets a module sleep."""
    if short == "scribe" and "vault" in directory.shorts():
        return None  # The vault asks it directly, so that the hub does not see its use.
    record = directory.records.get(short)
    minutes = None if record.link is not None and record.link.active else record.sleep_after
    return None if minutes is None else minutes * 60.0


def _tell(numbered: NumberedEvent) -> None:
    """Log notices for the operator."""
    if isinstance(numbered.event, Notice):
        _log.warn("{text}", text=numbered.event.text)


def attending(lag: LagProbe, engine: ModuleRuntime) -> Callable[[], None]:
    """Tells those who rest while nobody uses the hub that a request begins."""

    def began() -> None:
        lag.attend()
        engine.supervisor.attend()

    return began


def end_rest(rest: Rest, numbered: NumberedEvent) -> None:
    """A change of anything makes the hub attentive. A line in a module's log is none: some write one each minute."""
    if not isinstance(numbered.event, LogHead):
        rest.attend()


def _follow(
    installed_modules: InstalledModules, links: ModuleLinks, fence: ModuleFence, supervisor: Supervisor, event: Event
) -> None:
    match event:
        case RegistryChanged():
            installed_modules.forget()
        case JobChanged(job) if "finishedAt" in job and job["log"]:
            supervisor.mark(job["short"], job["kind"], job["log"][-1])
        case ModuleChanged(short):
            installed_modules.settle(short)
            status = supervisor.status(short)
            _attend(fence, short, status)
            if status is not None and status.state is ModuleState.READY:
                links.look(short)


def _attend(fence: ModuleFence, short: str, status: Status | None) -> None:
    """Store what a change of status says of a module."""

    async def attend() -> None:
        await fence.views.collect(short)
        if status is not None:
            await fence.follow(status)

    Deferred.fromCoroutine(attend()).addErrback(
        lambda failure: _log.failure("What {short} said of itself could not be stored", failure, short=short)
    )


def _forbidden(home: Path) -> tuple[Path, ...]:
    """Paths that no module may access, whatever its rules: the home itself, and the hub's files."""
    return (
        home,
        *(home / name for name in ("hub", "modules", "parachute.db", "hub.db", "operator.token", "services.json")),
    )


def _outside(core: ProcessContext, bus: Bus, origins: Origins, confiner: Confiner) -> assembly.ModuleDependencies:
    settings = core.settings
    pool = core.reactor.getThreadPool()
    return assembly.ModuleDependencies(
        reactor=core.reactor,
        around=BaseEnvironment(
            home=settings.home,
            user_home=settings.user_home,
            issuer=origins.issuer(),
            origins=tuple(origins.answering()),
            passed_on=settings.passed_on,
            registry=settings.registry_variables,
            module_variables=settings.module_variables,
        ),
        catalog=_catalog(core),
        find_bun=lambda: bun_program.find(settings.bun, settings.passed_on.get("PATH")),
        emit=bus.emit,
        mask=core.mask,
        know_secret=core.mask.know,
        now=time.time,
        new_id=lambda: str(uuid4()),
        in_thread=lambda function, *args: deferToThreadPool(core.reactor, pool, function, *args),
        files=FileWriter(WriterThread(core.reactor, "files")),
        hub_port=settings.port,
        module_ports=settings.module_ports,
        isolation=settings.isolation,
        landlock=confiner.kernel.abi if confiner.kernel.confines else 0,
        confiner=confiner,
        gateway=_gateway(core),
        env_channel=settings.channel,
        rest=core.rest,
    )


def _gateway(core: ProcessContext) -> Gateway:
    gateway = Gateway(
        reactor=core.reactor,
        allows=permissions.allows,
        is_public=is_public,
        is_nearby=is_nearby,
        resolve=partial(_resolve, core.reactor),
    )
    if core.left is not None and core.left.gateway is not None:
        gateway.take_over(core.left.gateway)
    return gateway


async def _resolve(reactor: Any, host: str) -> list[str]:
    """The addresses of a host, in the system's order. Raises OSError."""
    found = await deferToThreadPool(
        reactor, reactor.getThreadPool(), partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    )
    return [str(address[0]) for *_, address in found]


def _catalog(core: ProcessContext) -> Catalog:
    """The configured catalog. If it is invalid, log that and fall back to the built-in one."""
    try:
        return load(core.settings.catalog, core.settings.home)
    except BadCatalog as error:
        _log.error("{why} Using the built-in catalog instead.", why=str(error))
        return Catalog()


def room_of(engine: ModuleRuntime, short: str) -> Room:
    """What this module and the others share. The hub has its part of the memory. Of another machine the hub knows
    nothing: a host decides itself.
    """
    container, directory = engine.supervisor.container(), engine.modules.files.directory
    if directory.elsewhere(short) is not None:
        return Room(ports=directory.ports(), memory=1 << 53, given=0, processors=PERCENT[1] // 100)
    here = (other for other in directory.shorts() if other != short and directory.elsewhere(other) is None)
    given = (directory.records.get(other).memory_limit or 0 for other in here)
    return Room(
        ports=directory.ports(),
        memory=(container.limit or int(psutil.virtual_memory().total)) - container.hub,
        given=sum(given),
        processors=psutil.cpu_count() or 1,
    )
