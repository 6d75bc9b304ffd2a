"""Composes the links to other machines."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub.accounts.model import Origins
from parachute_hub.app.context import ProcessContext
from parachute_hub.elsewhere.links import Links
from parachute_hub.jobs.runner import Jobs
from parachute_hub.modules.assembly import ModuleFiles, ModuleServices
from parachute_hub.modules.definition import manifests
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.site.errors import Refused
from parachute_hub.supervise.supervisor import Supervisor
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import every

if TYPE_CHECKING:
    from parachute_hub.app.late import Late
    from parachute_hub.elsewhere.linking import Linking
    from parachute_hub.elsewhere.moving import Mover
    from parachute_hub.oauth.assemble import OAuth

_log = Logger()
# It opens nothing anywhere; what counts is the audience.
_SCOPE = "parachute:link"
_OLD_SECONDS = 30 * 24 * 3600.0
_RENEW_SECONDS = 3600.0


@frozen(kw_only=True)
class KnownHere:
    """Implements `elsewhere.machine.Knows`. `origins` are the hub's addresses as of now."""

    directory: ModuleDirectory
    origins: Origins

    def health(self, short: str) -> str:
        """The package's health path."""
        manifest, entry = self.directory.manifest(short), self.directory.entry(short)
        return (manifest.health if manifest else entry.health if entry else None) or "/health"

    def installed(self, short: str) -> tuple[str, str] | None:
        folder = self.directory.folder(short)
        try:
            package = manifests.read_package(folder) if folder else None
        except Invalid:
            return None
        return None if package is None else (package.name, package.version)

    def configuration(self, short: str) -> Mapping[str, Any]:
        """The hub's addresses. Settings travel with the module's data."""
        origins = list(self.origins.answering())
        environment = {"PARACHUTE_HUB_ORIGIN": self.origins.issuer(), "PARACHUTE_HUB_ORIGINS": ",".join(origins)}
        return {"origin": self.origins.issuer(), "settings": {}, "environment": environment}

    def wishes(self, short: str) -> Mapping[str, int | None]:
        """What the owner chose. Scribe is asked by the vault, whose requests its host does not always see."""
        record = self.directory.records.get(short)
        return {
            "memory_limit": record.memory_limit,
            "cpu_limit": record.cpu_limit,
            "sleep_after": None if short == "scribe" else record.sleep_after,
        }

    async def mounted(self, short: str, mounts: list[str]) -> None:
        """Keep its row here up to date: which mounts are granted is decided as for any row."""
        written = self.directory.written(short)
        if len(written) != 1 or not mounts or tuple(mounts) == written[0].paths:
            return
        name = written[0].name
        await self.directory.services.update(
            lambda registry: (
                registry.with_row(row.with_fields(paths=tuple(mounts))) if (row := registry.row(name)) else registry
            )
        )


def build_links(
    core: ProcessContext,
    files: ModuleFiles,
    origins: Origins,
    resolve: Callable[[str], Awaitable[Sequence[str]]],
    failed_there: Callable[[str], None],
) -> Links:
    """The links, before there is a supervisor."""
    return Links(
        reactor=core.reactor,
        resolve=resolve,
        directory=files.directory,
        folder=core.settings.home / "hub" / "links",
        knows=KnownHere(directory=files.directory, origins=origins),
        origin=origins.issuer,
        in_thread=files.outside.in_thread,
        now=time.time,
        failed_there=failed_there,
    )


def introduce(links: Links, oauth: "Late[OAuth]") -> None:
    """Let the issuer, once it is there, make the tokens that show the hub to upstreams."""

    async def mint(audience: str) -> str:
        issuer = (await oauth.soon()).issuer
        return await issuer.for_service((_SCOPE,), lifetime=300.0, audience=audience)

    links.mint = mint


def build_mover(
    core: ProcessContext, links: Links, modules: ModuleServices, supervisor: Supervisor
) -> "Callable[[], Mover]":
    """Moves modules; loaded when something moves, or a move is undone."""

    @cache
    def mover() -> "Mover":
        from parachute_hub.elsewhere.moving import Mover

        return Mover(
            links=links,
            modules=modules,
            supervisor=supervisor,
            home=core.settings.home,
            under_way=core.front.under_way,
            clock=core.reactor,
        )

    async def undo(name: str, given: Mapping[str, Any]) -> None:
        await mover().handlers()[name](given)

    modules.jobs.handle({name: partial(undo, name) for name in ("far_stop", "resume", "unstage")})
    return mover


def renewing(core: ProcessContext, links: Links, jobs: Jobs) -> LoopingCall:
    """Renews certificates that are 30 days old, but not while the module moves."""

    async def renew() -> None:
        for short in links.directory.shorts():
            link = links.link(short)
            old = link is not None and link.paired and links.now() - link.renewed_at >= _OLD_SECONDS
            if old and jobs.active(short) is None:
                try:
                    await linking_of(links).renew(short)
                except Refused as refused:
                    _log.warn("The certificate for {short} was not renewed: {why}", short=short, why=str(refused))

    return every(
        core.reactor, _RENEW_SECONDS, lambda: Deferred.fromCoroutine(renew()), "Renewing certificates of links"
    )


def linking_of(links: Links) -> "Linking":
    from parachute_hub.elsewhere.linking import Linking

    return Linking(links=links, new_id=partial(secrets.token_hex, 8))
