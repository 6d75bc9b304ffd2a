"""Decides whether a module is confined, and by which rules: its own data, program and port."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from attrs import field

from parachute_hub.confinement.gateway import Gateway
from parachute_hub.confinement.rules import SYSTEM_FOLDERS, Rules, covers, missing, readable_of
from parachute_hub.modules.definition.catalog import CatalogEntry
from parachute_hub.modules.definition.entry_point import STATIC_SERVER
from parachute_hub.modules.definition.model import Manifest, ServiceRow
from parachute_hub.modules.definition.permissions import Permissions
from parachute_hub.modules.launch.views import Views
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.records import MOST_PATHS, RecordsRefused
from parachute_hub.supervise.model import NOT_ISOLATED, CannotLaunch, Isolation, LastExit, ModuleState, Status
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import read_text
from parachute_hub.system.records import define, frozen
from parachute_hub.system.storage_trouble import StorageBusy
from parachute_hub.system.strict_json import BadJson

# Certificate paths in the owner's environment, passed on to modules.
_CERTIFICATES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
_PROJECT_FILES = ("package.json", "tsconfig.json", "bunfig.toml", "bun.lock", "bun.lockb")
_SETTINGS = (".env", "config.json", "config.yaml")
_SETTINGS_LIMIT = 256 * 1024
_PATHS = re.compile(r"(?<![\w:/.])/[\w@%+=.,/-]{2,400}")
CANNOT = "This machine cannot separate modules: its kernel does not have Landlock, or does not let the hub use it."


@frozen(kw_only=True)
class LaunchedModule:
    """A module about to start. `folder` is its package; `bun` runs it, or else `program`."""

    short: str
    row: ServiceRow
    manifest: Manifest | None
    entry: CatalogEntry | None
    folder: Path
    bun: Path
    env: Mapping[str, str] = field(repr=False)
    permissions: Permissions = Permissions()
    program: str | None = None


@define(kw_only=True)
class ModuleFence:
    """Decides on each start. `abi` is the Landlock version, 0 if modules cannot be confined.

    A module installed before confinement existed may rely on what it no longer gets. Its first confined start is
    watched; if it fails, the module is started unconfined and the owner is told.
    """

    mode: Literal["auto", "required", "off"]
    abi: int
    hub_port: int
    directory: ModuleDirectory
    views: Views
    notice: Callable[[str], None]
    user_home: Path = Path("/")
    gateway: Gateway | None = None
    _tries: dict[str, Literal["without", "both failed"]] = field(factory=dict, init=False)
    _earlier: dict[str, LastExit | None] = field(factory=dict, init=False)

    @property
    def confines(self) -> bool:
        """True if modules are confined on this machine."""
        return self.mode != "off" and self.abi > 0

    def machine(self) -> Isolation:
        """How a new module is started here."""
        why = "PARACHUTE_ISOLATION is off." if self.mode == "off" else "" if self.abi else CANNOT
        left = missing(0 if why else self.abi)
        return Isolation(state="off" if why else "partly" if left else "on", missing=left, why=why)

    def isolation(self, short: str) -> Isolation:
        """How a module is started now. Raises CannotLaunch if it must be confined and cannot be."""
        why = self._why_not(short)
        if why is None:
            return self.machine()
        if self.mode == "required":
            raise CannotLaunch(
                NOT_ISOLATED, f"{why} It was not started, because PARACHUTE_ISOLATION says that it must be separated."
            )
        return Isolation(state="off", missing=missing(0), why=why)

    def _why_not(self, short: str) -> str | None:
        if (here := self.machine()).state == "off":
            return here.why
        record = self.directory.records.get(short)
        if record.isolation == "off":
            return record.isolation_why or "You have switched it off for this module."
        if self._tries.get(short) == "without" and self.mode == "auto":
            return f"{short} was installed before modules were separated, and did not start that way."
        return None

    async def follow(self, status: Status) -> None:
        """Watch the first confined start of a module that was installed before."""
        short = status.short
        if (
            self.mode != "auto"
            or not self.abi
            or self.directory.records.get(short).isolation
            or status.isolation is None
        ):
            return
        if status.state is ModuleState.STARTING:
            self._earlier[short] = status.last_exit
        elif status.state is ModuleState.READY:
            await self._proven(short, confined=status.isolation.state != "off")
        elif status.state in (ModuleState.BACKOFF, ModuleState.PARKED) and status.last_exit != self._earlier.get(short):
            # A start for which the machine had no descriptors or memory says nothing about confinement.
            self._failed(short, confined=status.isolation.state != "off")

    async def _proven(self, short: str, *, confined: bool) -> None:
        why = None if confined else self._why_not(short)
        try:
            await self.directory.records.change(short, isolation="on" if confined else "off", isolation_why=why)
        except (RecordsRefused, StorageBusy):
            return  # retried at the next start
        self._tries.pop(short, None)
        if why is not None:
            self.notice(
                f"{why} It runs as before and can read what the hub can read. Upgrade it, then switch its separation "
                "on again on its page."
            )

    def _failed(self, short: str, *, confined: bool) -> None:
        """If it fails unconfined too, confinement is not the cause."""
        tried = self._tries.get(short)
        if confined and tried is None:
            self._tries[short] = "without"
        elif not confined and tried == "without":
            self._tries[short] = "both failed"

    def rules(self, subject: LaunchedModule) -> Rules:
        """The module's rules. Raises CannotLaunch if its data folder is unusable."""
        short = subject.short
        reads = [*SYSTEM_FOLDERS, *readable_of(str(subject.bun)), str(STATIC_SERVER.parent)]
        own, lists = self._program(subject.folder)
        reads += own
        reads += [subject.env[name] for name in _CERTIFICATES if name in subject.env]
        reads += self._programs(subject)
        record = self.directory.records.get(short)
        for path in filter(self._is_elsewhere, record.may_read):
            reads += _with_what_is_beside(path)
        ports = tuple(self._ports(subject))
        return Rules(
            reads=tuple(reads),
            lists=tuple(lists),
            writes=(
                str(self.views.data(short)),
                str(self.views.folder(short)),
                *filter(self._is_elsewhere, record.may_change),
                *self._folders(subject),
            ),
            bind=ports,
            connect=None if subject.permissions.network == "any" else (*ports, *self._reachable(subject)),
        )

    def way_out(self, subject: LaunchedModule, issuer: str) -> dict[str, str]:
        """The proxy variables for a module that may only reach named hosts and the hub at `issuer`."""
        network = subject.permissions.network
        if network == "any" or self.gateway is None:
            return {}
        hosts = () if network == "none" else network
        hub = urlsplit(issuer)
        own = frozenset({(hub.hostname, hub.port or 443)} if hub.hostname and hub.scheme == "https" else ())
        address = self.gateway.admit(subject.short, hosts, own)
        nearby = "127.0.0.1,localhost,::1"
        return {"HTTPS_PROXY": address, "https_proxy": address, "NO_PROXY": nearby, "no_proxy": nearby}

    def _reachable(self, subject: LaunchedModule) -> Iterable[int]:
        """The hub, the proxy, and declared dependencies; the vault also sends recordings to scribe."""
        told = {each.short for each in subject.manifest.dependencies} if subject.manifest else set()
        others = told | ({"scribe"} if subject.short == "vault" else set())
        rows = (self.directory.row(short) for short in others)
        gateway = {self.gateway.port} if self.gateway else set()
        return {self.hub_port} | gateway | {row.port for row in rows if row is not None}

    async def named(self, short: str, values: Mapping[str, Any]) -> bool:
        """Let the module read programs that the owner has just named in its settings; whether there is a new one.

        A program is given as its path, or as a JSON list of its path and its arguments.
        """
        had = self.directory.records.get(short).may_read
        found = [path for value in values.values() for path in _command(value) if self._is_elsewhere(path)]
        new = tuple(dict.fromkeys(path for path in found if path not in had))
        if not new or not self.confines:
            return False
        try:
            await self.directory.records.change(short, may_read=(*had, *new)[-MOST_PATHS:])
        except (RecordsRefused, StorageBusy):
            return False
        self.notice(f"{short} may now run or read {', '.join(new)}, because you named it in its settings.")
        return True

    async def inherit(self, short: str) -> None:
        """Before the first confined start of a module that was installed earlier: what its files name, it keeps."""
        record = self.directory.records.get(short)
        if record.isolation is not None or record.may_read or record.may_change:
            return
        told = "\n".join(_text(self.views.home / short / name) for name in _SETTINGS)
        told += "\n".join((record.env or {}).values())
        named = dict.fromkeys(path.rstrip("/.,") for path in _PATHS.findall(told))
        there = [path for path in named if self._is_elsewhere(path)]
        changes = tuple(path for path in there if os.path.isdir(path))[:MOST_PATHS]
        reads = tuple(path for path in there if os.path.isfile(path))[:MOST_PATHS]
        if not changes and not reads:
            return
        # On a full disk it is tried again with the next start.
        with contextlib.suppress(RecordsRefused, StorageBusy):
            await self.directory.records.change(short, may_read=reads, may_change=changes)
            kept = ", ".join((*changes, *reads))
            self.notice(f"{short} keeps access to {kept}, which its settings name. You can take it away on its page.")

    def _is_elsewhere(self, path: str) -> bool:
        """Whether a path is outside the home and the system, and gives nothing of the home."""
        real, home = Path(os.path.realpath(path)), Path(os.path.realpath(self.views.home))
        apart = not real.is_relative_to(home) and not home.is_relative_to(real)
        return apart and real.exists() and not any(covers(system, str(real)) for system in (*SYSTEM_FOLDERS, "/dev"))

    def _folders(self, subject: LaunchedModule) -> Iterator[str]:
        """The owner's folders it declares. Raises CannotLaunch for one that contains files of the hub.

        One that only the catalog names is left out then: the module may run without.
        """
        by_catalog = subject.entry is not None and subject.permissions == subject.entry.permissions
        home = Path(os.path.realpath(self.views.home))
        for declared in subject.permissions.folders:
            folder = Path(os.path.realpath(self.user_home / declared.removeprefix("~/")))
            if home.is_relative_to(folder) or folder.is_relative_to(home):
                if by_catalog:
                    continue
                raise CannotLaunch(
                    "bad_manifest",
                    f"{subject.short} asks for the folder {declared}, which holds what belongs to the hub. It cannot "
                    "have that folder.",
                )
            if folder.is_dir():
                yield str(folder)

    def _programs(self, subject: LaunchedModule) -> Iterator[str]:
        """The folders of its interpreter and declared programs; system programs may always run."""
        path = subject.env.get("PATH")
        named = (shutil.which(name, path=path) for name in subject.permissions.programs)
        for found in (subject.program, *named):
            if found is not None and not any(covers(system, found) for system in SYSTEM_FOLDERS):
                yield from _with_what_is_beside(found)

    def _program(self, folder: Path) -> tuple[list[str], list[str]]:
        """What may be read and what may be listed: the package, and each parent folder with `node_modules`.

        bun resolves imports there and needs file names and package.json. In the store this is the version's own folder;
        for a linked folder the parents may contain more.
        """
        real = Path(os.path.realpath(folder))
        store = Path(os.path.realpath(self.directory.store.root))
        home = Path(os.path.realpath(self.views.home))
        reads, lists = [str(real)], []
        for above in real.parents:
            if home.is_relative_to(above) or above == store:
                break
            if (above / "node_modules").is_dir():
                if above.is_relative_to(store):
                    reads.append(str(above))
                else:
                    reads += [str(above / name) for name in ("node_modules", *_PROJECT_FILES)]
                    lists.append(str(above))
        return reads, lists

    def _ports(self, subject: LaunchedModule) -> Iterable[int]:
        """Its own port, and ports it declares unless another module has them: some modules ignore the assigned port."""
        others = self.directory.ports() - {subject.row.port}
        told = (subject.manifest and subject.manifest.port, subject.entry and subject.entry.port)
        return {subject.row.port} | ({port for port in told if port} - others - {self.hub_port})


def _with_what_is_beside(path: str) -> Iterator[str]:
    """A file, and of an interpreter or a script what is installed beside it."""
    for program in {Path(path), Path(os.path.realpath(path))}:
        yield str(program)
        prefix = program.parent.parent
        if program.parent.name == "bin" and (prefix / "lib").is_dir():
            yield from (str(prefix / name) for name in ("bin", "lib", "pyvenv.cfg"))


def _command(value: object) -> list[str]:
    """The files of a command line: the program, and arguments that are files."""
    words: object = [value]
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            words = strict_json.read(value.encode(), limit=_SETTINGS_LIMIT).value
        except BadJson:
            return []
    found = [word for word in words if isinstance(word, str) and os.path.isabs(word)] if isinstance(words, list) else []
    if not found or not (os.path.isfile(found[0]) and os.access(found[0], os.X_OK)):
        return []
    return [path for path in found if os.path.isfile(path)]


def _text(path: Path) -> str:
    try:
        return read_text(path, _SETTINGS_LIMIT, links=False)
    except OSError:
        return ""
