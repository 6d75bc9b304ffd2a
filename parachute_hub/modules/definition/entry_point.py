"""The command that runs a package: its manifest's startCmd, or the static file server for packages of plain files."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from parachute_hub.modules.definition import manifests
from parachute_hub.modules.definition.catalog import CatalogEntry
from parachute_hub.modules.definition.model import Manifest, ServiceRow
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.supervise.model import CannotLaunch
from parachute_hub.system.records import frozen

# Never looked up among a package's own commands, since other programs rely on these names.
PROGRAMS = frozenset({"bash", "bun", "bunx", "env", "node", "npm", "npx", "python3", "sh"})
STATIC_SERVER = Path(__file__).with_name("static_server.ts")


@frozen
class Command:
    """A command line. `program` is an absolute path; None means the hub's bun."""

    program: str | None
    arguments: tuple[str, ...]


def entry_of(
    folder: Path,
    manifest: Manifest | None,
    short: str,
    row: ServiceRow,
    known: CatalogEntry | None,
    path: str | None = None,
) -> Command:
    """The command that runs the package in `folder`; `path` is the hub's own PATH. Raises CannotLaunch."""
    words = manifest.start_cmd if manifest and manifest.start_cmd else known and known.start_cmd
    if words:
        return command_of(short, folder, words, path)
    if (known and known.static) or os.path.isfile(folder / "dist" / "index.html"):
        mount = row.paths[0].rstrip("/") if row.paths else f"/{short}"
        options = ("--port", str(row.port), "--mount", mount, "--folder", str(folder / "dist"))
        return Command(None, ("run", str(STATIC_SERVER), *options))
    raise CannotLaunch("no_start_cmd", f"{short} cannot be started: its module.json has no startCmd.")


def command_of(short: str, folder: Path, words: Sequence[str], path: str | None) -> Command:
    """A program of this machine, else a command of the package, else a file in it. Raises CannotLaunch.

    A program that belongs to an npm package counts only without one of the module's own: somebody installed another
    version of the module for all of this machine.
    """
    name, rest = words[0], tuple(words[1:])
    if name == "bun":
        return Command(None, rest)
    program = shutil.which(name, path=path) if "/" not in name else None
    foreign = program is not None and "node_modules" in Path(os.path.realpath(program)).parts
    file = _own(short, folder, name) if name not in PROGRAMS and (program is None or foreign) else None
    if file is not None:
        return Command(None, ("run", file, *rest))
    if program is None:
        raise CannotLaunch(
            "missing_dependency",
            f'{short} is started by "{name}", which is neither a command or file of its package nor a program of this '
            "machine. Install that program, then start the module again.",
            {"binary": name, "why": None},
        )
    return Command(os.path.abspath(program), rest)


def _own(short: str, folder: Path, command: str) -> str | None:
    """The command's file: one of the package's bins, else a path in the package. Raises CannotLaunch."""
    try:
        package = manifests.read_package(folder)
    except Invalid as error:
        raise CannotLaunch("missing_package", f"The package.json of {short} cannot be used: {error}.") from None
    bins = package.bins if package else {}
    file = manifests.inside(folder, bins.get(command, command))
    # The path through the active link rather than the version's folder, as docs/deploy.md documents it.
    return None if file is None else str(folder / file.relative_to(folder.resolve()))
