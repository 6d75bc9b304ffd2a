"""Builds a module's command line and environment from its row and package. Rebuilt for every spawn, so never stale."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import Factory, evolve

from parachute_hub.modules.definition import manifests
from parachute_hub.modules.definition.entry_point import command_of, entry_of
from parachute_hub.modules.definition.links import main_mount
from parachute_hub.modules.definition.model import Manifest
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.launch import environment
from parachute_hub.modules.launch.environment import BaseEnvironment
from parachute_hub.modules.launch.fence import LaunchedModule, ModuleFence
from parachute_hub.modules.packages.bun import NoBun
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.supervise.model import NOT_ISOLATED, CannotLaunch, Launch
from parachute_hub.system.atomic_files import private_folder, read_text
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen
from parachute_hub.system.storage_trouble import StorageBusy


class LaunchGuard(Protocol):
    """Checks preconditions before a module starts."""

    async def before_launch(self, short: str) -> None:
        """Raises CannotLaunch if the module must not start."""


@frozen(kw_only=True)
class ModuleLauncher:
    """Builds launches. `find_bun` raises NoBun. `guard` ensures that scribe has a token. `fence` confines modules; None
    confines nothing.
    """

    directory: ModuleDirectory
    files: FileWriter = Factory(FileWriter)
    around: BaseEnvironment
    find_bun: Callable[[], Path]
    guard: LaunchGuard | None = None
    fence: ModuleFence | None = None

    async def launch(self, short: str, words: Sequence[str] | None = None) -> Launch:
        """Everything needed to spawn the module, or to run `words` as it would run. Raises CannotLaunch."""
        if self.guard is not None:
            await self.guard.before_launch(short)
        row = self.directory.row(short)
        if row is None:
            raise CannotLaunch("not_installed", f"{short} is not installed.")
        record = self.directory.records.get(short)
        if self.directory.elsewhere(short) is not None:
            raise CannotLaunch("elsewhere", f"{short} runs on another machine. Bring it back here first.")
        folder = self.directory.folder(short)
        if folder is None:
            raise CannotLaunch(
                "missing_package",
                f"The package of {short} is missing from the disk. Install {short} again; its data is kept.",
                {"package": self.directory.package_of(short)},
            )
        bun = self._bun()
        await self.files(private_folder, self.around.scratch)
        manifest, known = self.manifest(short, folder), self.directory.entry(short)
        path = self.around.passed_on.get("PATH")
        if words is None:
            command = entry_of(folder, manifest, short, row, known, path)
        else:
            command = command_of(short, folder, words, path)
        own = ("--smol",) if record.smol and command.program is None else ()
        layers = (self._companions(manifest), self._registry(short), self._dotenv(short), record.env or {})
        permissions = self.directory.permissions(short)
        launch = Launch(
            short=short,
            argv=(command.program or str(bun), *own, *command.arguments),
            cwd=str(folder),
            env={
                **environment.for_module(self.around, short, row.port, layers, bun.parent),
                **self._own_packages(short),
            },
            port=row.port,
            health=row.health,
        )
        if self.fence is None:
            return launch
        isolation = self.fence.isolation(short)
        if isolation.state == "off":
            return evolve(launch, isolation=isolation)
        try:
            await self.fence.inherit(short)
            view = await self.fence.views.prepare(short)
        except (OSError, StorageBusy) as error:
            raise CannotLaunch(
                NOT_ISOLATED, f"The folder that {short} sees as its home could not be created: {error}."
            ) from None
        subject = LaunchedModule(
            short=short,
            row=row,
            manifest=manifest,
            entry=known,
            folder=folder,
            bun=bun,
            env=launch.env,
            permissions=permissions,
            program=command.program,
        )
        inside = {
            **environment.inside(launch.env, view),
            **self._own_packages(short),
            **self.fence.way_out(subject, self.around.issuer),
        }
        return evolve(launch, env=inside, rules=self.fence.rules(subject), isolation=isolation)

    def manifest(self, short: str, folder: Path) -> Manifest | None:
        """The manifest of the installed package. Raises CannotLaunch if it is invalid."""
        try:
            return manifests.read_manifest(folder)
        except manifests.Unreadable as error:
            raise CannotLaunch("module_op_failed", f"{short} cannot be started now: {error}.") from None
        except Invalid as error:
            raise CannotLaunch("bad_manifest", f"The module.json of {short} cannot be used: {error}.") from None

    def _fetches(self, short: str) -> bool:
        """True for a catalog module that fetches packages itself."""
        vouched = self.directory.vouched(short)
        return vouched is not None and vouched.fetches_packages

    def _own_packages(self, short: str) -> Mapping[str, str]:
        """Its packages are stored in its own data, not among the hub's."""
        place = self.around.home / short / ".bun"
        return {"BUN_INSTALL": str(place), "BUN_INSTALL_BIN": str(place / "bin")} if self._fetches(short) else {}

    def _registry(self, short: str) -> Mapping[str, str]:
        if not self._fetches(short):
            return {}
        return environment.of_registry(self.around.registry, keys=self.directory.records.get(short).registry_keys)

    def _companions(self, manifest: Manifest | None) -> Mapping[str, str]:
        """The URLs of declared dependencies: `PARACHUTE_<SHORT>_URL` for each."""
        found: dict[str, str] = {}
        for wanted in manifest.dependencies if manifest else ():
            row = self.directory.row(wanted.short)
            if row is not None:
                name = f"PARACHUTE_{wanted.short.upper().replace('-', '_')}_URL"
                found[name] = f"{self.around.issuer}{main_mount(self.directory.mounts(row)[0])}"
        return found

    def _bun(self) -> Path:
        try:
            return self.find_bun()
        except NoBun as error:
            raise CannotLaunch(
                "missing_dependency", str(error), {"binary": "bun", "why": "Modules run on bun."}
            ) from None

    def _dotenv(self, short: str) -> Mapping[str, str]:
        try:
            text = read_text(self.around.home / short / ".env", environment.DOTENV_LIMIT, links=False)
        except OSError:
            return {}
        return environment.parse_dotenv(text)
