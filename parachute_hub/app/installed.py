"""The installed modules as the rest of the hub sees them, and the mounts for the proxy.

Built from services.json, manifests and the catalog, and rebuilt when one of them changes.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import takewhile

from attrs import evolve

from parachute_hub.elsewhere.links import Links
from parachute_hub.modules.definition.catalog import CatalogEntry
from parachute_hub.modules.definition.links import ICON, INFO
from parachute_hub.modules.definition.model import Manifest, ServiceRow, SubUnit
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.link import Link
from parachute_hub.proxy.model import ModuleView
from parachute_hub.proxy.routes import Audience, Mount, Table
from parachute_hub.site.well_known import vault_name
from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.supervise.sleeping import NoRoom, Sleeper
from parachute_hub.supervise.supervisor import Supervisor
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import FailureLog

# Audience of a sub-unit; a surface does its own checks.
_AUDIENCES: Mapping[str | None, Audience] = {
    None: "hub-users",
    "hub-users": "hub-users",
    "operator": "operator",
    "public": "public",
    "surface": "public",
}
# A path segment that all parsers interpret the same way.
_PLAIN_SEGMENT = re.compile(r"(?!\.)[0-9A-Za-z_.~-]+\Z").match
# The proxy asks on each request; a stat for each would be wasted.
LOOK_SECONDS = 0.05
_MOST_REFUSED = 20
_TABLE = "Building the route table"


@frozen(kw_only=True)
class Installed:
    """One row with everything that belongs to it. `paths` are the granted mounts.

    `port` is where the running process listens; the assigned port when none runs. `health` is the package's path.
    `upstream` is the host, with its port, of one on another machine that this hub does not steer.
    """

    short: str
    row: ServiceRow
    port: int
    manifest: Manifest | None
    paths: tuple[str, ...]
    strip: bool
    websocket: bool
    health: str | None
    exposure: str
    sandboxed: bool
    static: bool
    upstream: str = ""


class InstalledModules:
    """The installed modules. `notice` reports each refused claim, once while it lasts.

    Changes to services.json are seen within LOOK_SECONDS by the clock `seconds`. `live_port` returns the verified port
    of a running module.
    """

    def __init__(
        self,
        directory: ModuleDirectory,
        notice: Callable[[str], None],
        seconds: Callable[[], float],
        live_port: Callable[[str], int | None],
    ) -> None:
        self._directory = directory
        self._notice = notice
        self._seconds = seconds
        self._live_port = live_port
        self._look_at = 0.0
        self._told: frozenset[str] = frozenset()
        self._modules: tuple[Installed, ...] | None = None
        self._good: dict[str, Installed] = {}
        self._stale = False
        self._failures = FailureLog()

    def modules(self) -> tuple[Installed, ...]:
        """All usable rows in file order. Returns the same object while nothing changes; never raises.

        Unreadable parts keep their last good state.
        """
        now = self._seconds()
        if self._modules is None or (now >= self._look_at and (self._stale or self._directory.services.changed())):
            self._modules = self._renewed()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
        return self._modules

    def forget(self) -> None:
        """Rebuild on the next call: a package or setting changed without a change to services.json."""
        self._modules = None

    def settle(self, short: str) -> None:
        """Rebuild if the module's process now listens on a different port."""
        port = self._live_port(short)
        if port is not None and any(module.short == short and module.port != port for module in self._modules or ()):
            self.forget()

    def shorts(self) -> tuple[str, ...]:
        """The installed modules, each once."""
        return tuple(dict.fromkeys(module.short for module in self.modules()))

    def vaults(self) -> tuple[str, ...]:
        """Vault names, the default one first."""
        return tuple(
            dict.fromkeys(
                vault_name(module.row.name, path)
                for module in self.modules()
                if module.row.is_vault
                for path in module.paths
                if path.startswith("/vault/")
            )
        )

    def _renewed(self) -> tuple[Installed, ...]:
        self._stale = False
        try:
            found = tuple(self._read())
        except Exception:
            self._stale = True
            self._failures.failed("Reading the modules")
            return tuple(self._good.values())
        self._failures.worked("Reading the modules")
        self._good = {module.row.name: module for module in found}
        return found

    def _read(self) -> Iterator[Installed]:
        refused: list[str] = []
        for row in self._directory.installed():
            task = f"Reading the module of {row.name}"
            try:
                module, wrong = self._installed(row)
            except Exception:
                self._stale = True
                self._failures.failed(task)
                if row.name in self._good:
                    yield self._good[row.name]
                continue
            self._failures.worked(task)
            refused += [f"{row.name} in services.json: {text}" for text in wrong[:_MOST_REFUSED]]
            yield module
        for text in refused:
            if text not in self._told:
                self._notice(text)
        self._told = frozenset(refused)

    def _installed(self, row: ServiceRow) -> tuple[Installed, tuple[str, ...]]:
        directory = self._directory
        short = directory.short_of(row.name)
        entry = directory.entry(short)
        manifest = directory.manifest(short)
        paths, wrong = directory.mounts(row)
        if entry is not None and not entry.hosts_apps and row.uis:
            row, wrong = row.with_fields(uis=()), (*wrong, "It does not host apps, so its uis are ignored.")
        module = Installed(
            short=short,
            row=row,
            port=self._live_port(short) or row.port,
            manifest=manifest,
            paths=paths,
            strip=_strip(manifest, entry),
            websocket=bool(manifest and manifest.websocket),
            health=manifest.health if manifest else entry.health if entry else None,
            exposure=row.public_exposure or (entry.exposure if entry else None) or "allowed",
            static=entry is not None and entry.static,
            sandboxed=not directory.is_first_party(short) and not directory.records.get(short).trusted,
            upstream=_upstream(directory.records.get(short).link),
        )
        return module, wrong


def _upstream(link: Link | None) -> str:
    return "" if link is None or link.paired else link.address.origin.partition("://")[2]


def _strip(*speakers: Manifest | CatalogEntry | None) -> bool:
    """Whether the mount is stripped from forwarded paths. First non-None value wins."""
    said = (speaker.strip_prefix for speaker in speakers if speaker is not None)
    return next((word for word in said if word is not None), False)


def mounts_of(modules: Iterable[Installed]) -> list[Mount]:
    """The proxy's mounts, each followed by its sub-units with their own audience."""
    return [mount for module in modules for path in module.paths for mount in _with_parts(module, path)]


def _with_parts(module: Installed, path: str) -> Iterator[Mount]:
    plain = path.rstrip("/")
    whole = Mount(
        short=module.short,
        prefix=path.encode(),
        port=module.port,
        strip=module.strip,
        websocket=module.websocket,
        exposure=module.exposure,  # type: ignore[arg-type]
        sandboxed=module.sandboxed,
        upstream=module.upstream.encode(),
        open_paths=tuple(f"{path}{open_path}".encode() for open_path in (INFO, ICON, _health(module, path))),
    )
    parts: dict[bytes, Mount] = {}
    for unit in sorted(module.row.uis, key=_openness):
        # For ambiguous paths, the audience closes more rather than less, starting at the last unambiguous segment.
        top = "".join(f"/{segment}" for segment in takewhile(_PLAIN_SEGMENT, unit.path.split("/")[1:]))
        audience = _AUDIENCES[unit.audience]
        if audience == "public" and top != unit.path.rstrip("/"):
            continue
        if top == plain or top.startswith(f"{plain}/"):
            part = top[len(plain) :].encode()
            parts.setdefault(part, evolve(whole, part=part, audience=audience, scopes_required=unit.scopes_required))
    return iter((parts.pop(b"", whole), *parts.values()))


def _openness(unit: SubUnit) -> int:
    """On a shared path the stricter audience applies."""
    return ("operator", "hub-users", "public").index(_AUDIENCES[unit.audience])


def _health(module: Installed, path: str) -> str:
    """The health path below a mount. It needs no credentials, so it is taken from the package, never from the row."""
    return (module.health or "").removeprefix(path) or "/health"


class RouteTables:
    """The proxy's route table, cached until one of its inputs changes.

    A change of `hosts` alone is seen within LOOK_SECONDS by the clock `seconds`, since reading them may take a query.
    """

    def __init__(
        self,
        installed_modules: InstalledModules,
        hosts: Callable[[], Iterable[str]],
        issuer: Callable[[], str],
        gated: Callable[[], bool],
        seconds: Callable[[], float],
    ) -> None:
        self._installed_modules = installed_modules
        self._hosts = hosts
        self._issuer = issuer
        self._gated = gated
        self._seconds = seconds
        self._ask_at = 0.0
        self._made_from: tuple[tuple[Installed, ...], str, bool] = ((), "", False)
        self._made_for: tuple[str, ...] = ()
        self._table: Table | None = None
        self._failures = FailureLog()

    def table(self) -> Table:
        """The current table, or the last good one if building fails. Never raises: every request depends on it."""
        try:
            return self._current()
        except Exception:
            self._failures.failed(_TABLE)
        # Without a table the site answers, including /health.
        return self._table or Table.unknown("")

    def _current(self) -> Table:
        made_from = (self._installed_modules.modules(), self._issuer(), self._gated())
        now = self._seconds()
        if self._table is None or now >= self._ask_at or made_from != self._made_from:
            self._ask_at = now + LOOK_SECONDS
            self._table = self._made(*made_from)
        return self._table

    def _made(self, modules: tuple[Installed, ...], issuer: str, gated: bool) -> Table:
        """The same object if nothing changed after all."""
        hosts = () if gated else tuple(self._hosts())
        made_from = (modules, issuer, gated)
        if self._table is not None and made_from == self._made_from and hosts == self._made_for:
            return self._table
        table = Table.build(mounts_of(modules), hosts, issuer, gated)
        self._made_from, self._made_for = made_from, hosts
        self._failures.worked(_TABLE)
        return table


_MOVING = ModuleView("starting", "It is moving to another machine or back.")


class ModuleStatusViews:
    """The proxy's view of each module. Returns the same object until the module's status changes."""

    def __init__(self, supervisor: Supervisor, sleeper: Sleeper, links: Links) -> None:
        self._supervisor = supervisor
        self._sleeper = sleeper
        self._links = links
        self._kept: dict[str, tuple[Status, int | None, ModuleView]] = {}

    def view(self, short: str) -> ModuleView | None:
        """The module's state; None for a module that is not supervised here."""
        if short in self._links.closed:
            return _MOVING
        status = self._supervisor.status(short)
        if status is None:
            return None
        port = self._supervisor.owned_port(short)
        kept = self._kept.get(short)
        if kept is None or kept[0] is not status or kept[1] != port:
            # A module that restarts, or waits for its turn at boot, counts as starting.
            returns = status.state in (ModuleState.STOPPING, ModuleState.STOPPED) and status.start_follows
            state = ModuleState.STARTING if returns else status.state
            remote = self._links.machine(short) if status.elsewhere is not None else None
            view = ModuleView(state.value, status.reason, status.next_retry_at, port, status.wakes, remote)
            kept = self._kept[short] = (status, port, view)
        return kept[2]

    async def wake(self, short: str) -> bool:
        """Wake a module that sleeps; resolves when it answers or cannot be started. False if no memory is left."""
        try:
            await self._sleeper.wake(short)
        except NoRoom:
            return False
        return True
