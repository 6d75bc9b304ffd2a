"""The areas of the hub's site: their paths and collaborators."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import psutil
from attrs import evolve
from klein import Klein
from twisted.internet.defer import succeed
from twisted.web.iweb import IRequest

from parachute_hub.accounts.assemble import Accounts
from parachute_hub.accounts.model import Origins
from parachute_hub.accounts.sessions.csrf import token_for
from parachute_hub.accounts.sessions.policy import is_limited
from parachute_hub.accounts.validation import vault_name_problem
from parachute_hub.admin.app_files import AdminApp
from parachute_hub.admin.audit_trail import Attempts, Refusals
from parachute_hub.admin.people_parts import people_parts
from parachute_hub.admin.restart_api import RestartArea
from parachute_hub.admin.stream_api import EventsArea, Streams
from parachute_hub.app.adapters import ModuleTokens
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.discovery import advertised, tiles
from parachute_hub.app.hub_vaults import HubVaults
from parachute_hub.app.runtime import ModuleRuntime, room_of
from parachute_hub.app.self_check import self_check
from parachute_hub.modules.definition import json_schemas
from parachute_hub.modules.launch.configuration import Configuration
from parachute_hub.oauth.assemble import OAuth
from parachute_hub.site.about import About, AboutHub, Ready, installed_as
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.conventions import PREFIXES, Conventions
from parachute_hub.site.front_page import FrontPage, Visitor
from parachute_hub.site.root import MountedArea, later
from parachute_hub.site.well_known import INFO_PAGES, SCHEMAS, WellKnown, document
from parachute_hub.supervise.output.log_files import read_log
from parachute_hub.system.loading import lazily
from parachute_hub.system.pinned import loopback_agent
from parachute_hub.system.timestamps import to_the_second

with lazily():
    from parachute_hub.admin import (
        disk_api,
        logs_api,
        modules_api,
        modules_view,
        overview_api,
        package_api,
        vaults_api,
    )
    from parachute_hub.modules.packages import facts
    from parachute_hub.oauth.tokens import account_vaults


def public_parts(
    core: ProcessContext,
    engine: ModuleRuntime,
    origins: Origins,
    who: Authenticator,
    visitor: Callable[[IRequest], Visitor | None] = lambda request: None,
) -> list[MountedArea]:
    """The areas that need no account. `visitor` tells the front page who is signed in."""
    began = time.monotonic()

    def states() -> list[tuple[str, str]]:
        return [(status.short, status.state.value) for status in engine.supervisor.all()]

    clone = (Path(__file__).parents[2] / "pyproject.toml").is_file()
    source = installed_as(core.settings.home, core.settings.platform, clone=clone)
    about = AboutHub(started_at=to_the_second(time.time()), source=source)
    front = FrontPage(lambda: tiles(engine.installed_modules, engine.supervisor, engine.links), visitor)
    return [
        MountedArea(("/", "/hub.html"), front.app.resource()),
        MountedArea(("/health",), core.health),
        MountedArea(PREFIXES, Conventions(origin=origins.issuer, clock=time.time).app.resource()),
        MountedArea(("/api/ready",), Ready(states).app.resource()),
        MountedArea(("/api/hub",), About(about, who, lambda: time.monotonic() - began).app.resource()),
        MountedArea(
            ("/.well-known/parachute.json", INFO_PAGES.rstrip("/"), SCHEMAS.rstrip("/"), "/.parachute"),
            WellKnown(
                lambda: advertised(engine.installed_modules.modules(), engine.links), origins.issuer, json_schemas.text
            ).app.resource(),
        ),
    ]


def admin_parts(
    core: ProcessContext,
    engine: ModuleRuntime,
    accounts: Accounts,
    oauth: OAuth,
    who: Authenticator,
    *,
    streams: Streams,
    configuration: Configuration,
    vaults: HubVaults,
    sizes: Callable[[Iterable[str]], Awaitable[Mapping[str, int]]],
) -> list[MountedArea]:
    """The areas for administration. `sizes` are bytes of vaults."""
    files = engine.modules.files
    in_thread, done = files.outside.in_thread, accounts.trail.done

    def latest(package: str) -> str | None:
        return engine.modules.availability.latest(package, files.channel())

    def logs() -> "logs_api.Logs":
        read = partial(read_log, core.settings.home / "hub" / "logs")
        return logs_api.Logs(read=read, in_thread=in_thread, streams=streams)

    def modules() -> Klein:
        view = modules_view.ModulesView(
            directory=files.directory,
            supervisor=engine.supervisor,
            latest=latest,
            drift=engine.modules.ports.kind,
            copied_at=engine.modules.snapshots.copied_at,
            adoptable=engine.modules.adoption.source,
            links=engine.links.by_short,
            isolation=files.fence.machine,
        )
        return modules_api.ModulesArea(
            who=who,
            step_up=accounts.step_up,
            modules=engine.modules,
            supervisor=engine.supervisor,
            view=view,
            configuration=configuration,
            logs=logs(),
            room=partial(room_of, engine),
            done=done,
        ).app

    def packages() -> Klein:
        known = facts.PackageFacts(
            bun=engine.modules.bun,
            folder=files.outside.around.installer,
            catalog=files.outside.catalog,
            in_thread=in_thread,
            now=files.outside.now,
        )
        return package_api.PackageArea(
            who=who,
            catalog=files.outside.catalog,
            latest=lambda package: engine.modules.availability.ask(package, files.channel()),
            facts=known,
        ).app

    def overview() -> Klein:
        return overview_api.OverviewApi(
            who=who,
            memory=lambda: succeed(_measured(engine)),
            disk=engine.modules.disk,
            # Includes modules that are not installed, since an uninstalled one may have left data.
            installed=lambda: dict.fromkeys(
                (*engine.installed_modules.shorts(), *(entry.short for entry in files.outside.catalog.entries))
            ),
            in_thread=in_thread,
            clock=core.reactor.seconds,
            past=engine.supervisor.memory,
        ).app

    def known() -> Sequence[Mapping[str, Any]]:
        told = document(advertised(engine.installed_modules.modules(), engine.links), accounts.origin.issuer())
        return cast(Sequence[Mapping[str, Any]], told["vaults"])

    def own_vaults() -> Klein:
        return account_vaults.AccountVaultsArea(
            bearers=oauth.bearers,
            minting=oauth.minting,
            known=known,
            maker=accounts.deletions,
            problem=vault_name_problem,
            done=done,
        ).app

    def all_vaults() -> Klein:
        return vaults_api.VaultsApi(
            who=who,
            step_up=accounts.step_up,
            known=known,
            maker=accounts.deletions,
            sizes=sizes,
            done=done,
            owners=lambda: {vault: user.called for user in accounts.people.all() for vault in user.own},
            deletions=accounts.deletions,
            quotas=accounts.quotas,
        ).app

    records = files.directory.records
    core.hub_log.room = records.log_bytes

    def hub_log() -> Klein:
        return logs_api.HubLogArea(who=who, logs=logs(), ring=core.hub_log.ring, sizes=records, done=done).app

    events = EventsArea(who=who, bus=engine.bus, streams=streams, boot=core.health.instance)
    return [
        later(("/api/modules",), (modules_api, modules_view, logs_api), modules),
        later(
            ("/api/modules/disk",),
            disk_api,
            lambda: disk_api.DiskArea(who=who, modules=engine.modules, in_thread=in_thread, done=done).app,
        ),
        later(("/api/packages",), (package_api, facts), packages),
        later(("/api/hub/logs",), logs_api, hub_log),
        MountedArea(("/api/hub/restart",), RestartArea(who=who, restart=core.in_place, done=done).app.resource()),
        MountedArea(("/api/events",), events.app.resource()),
        later(("/api/overview",), overview_api, overview),
        later(("/vaults",), vaults_api, all_vaults),
        later(("/account/vaults",), account_vaults, own_vaults),
        MountedArea(("/admin",), AdminApp()),
        *people_parts(
            accounts,
            who,
            vaults.names,
            apps=oauth.connections.connected_names,
            reach=self_check(core.health.instance, core.reactor),
        ),
    ]


def front_visitor(accounts: Accounts) -> Callable[[IRequest], Visitor | None]:
    """Who is signed in, for the front page; someone with a temporary password is led to a new one."""

    def visitor(request: IRequest) -> Visitor | None:
        found = accounts.recogniser.signed_in(request)
        if found is None:
            return None
        accounts.recogniser.refuse_temporary(request, found)
        return Visitor(
            name=found.user.called,
            is_admin=found.user.is_admin,
            csrf=token_for(found.token),
            phone=accounts.origin.issuer().startswith("https://") and not is_limited(found.session),
        )

    return visitor


def configuration_of(core: ProcessContext, engine: ModuleRuntime, oauth: OAuth) -> Configuration:
    """Reads and changes the settings of modules."""
    return Configuration(
        home=core.settings.home,
        directory=engine.modules.files.directory,
        files=engine.modules.files.outside.files,
        agent=loopback_agent(core.reactor),
        clock=core.reactor,
        tokens=ModuleTokens(oauth.issuer),
        reach=engine.sleeper.reach,
        listens=engine.supervisor.owned_port,
    )


def attended(parts: Iterable[MountedArea], accounts: Accounts, who: Authenticator) -> list[MountedArea]:
    """The same areas, which act on behalf of the caller, and whose refused and failed attempts are recorded."""
    clock, refusals, note = accounts.clock, Refusals(accounts.clock), accounts.trail.note
    return [
        evolve(
            part,
            resource=Attempts(
                part.resource, who=who, note=note, caller=accounts.caller, clock=clock, refusals=refusals
            ),
        )
        for part in parts
    ]


def _measured(engine: ModuleRuntime) -> "overview_api.Memory":
    """The supervisor's last measurement; a page triggers none."""
    container = engine.supervisor.container()
    latest = {status.short: engine.supervisor.memory(status.short) for status in engine.supervisor.all() if status.pid}
    modules = {
        short: history.recent[-1] * 1024 for short, history in latest.items() if history is not None and history.recent
    }
    shares = {short: used.share for short in latest if (used := engine.supervisor.processor(short)) is not None}
    return overview_api.Memory(
        limit=container.limit,
        used=container.used,
        hub=psutil.Process().memory_info().rss,
        modules=modules,
        shares=shares,
    )
