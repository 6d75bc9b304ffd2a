"""The command that runs a package: its manifest's startCmd, or the static file server for packages of plain files."""

import os
from pathlib import Path

from parachute_hub.modules.definition import manifests
from parachute_hub.modules.definition.catalog import CatalogEntry
from parachute_hub.modules.definition.model import Manifest, ServiceRow
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.supervise.model import CannotLaunch

STATIC_SERVER = Path(__file__).with_name("static_server.ts")


def entry_of(
    folder: Path, manifest: Manifest | None, short: str, row: ServiceRow, known: CatalogEntry | None
) -> tuple[str, ...]:
    """The file that bun runs, and its arguments. `folder` is the package folder. Raises CannotLaunch."""
    command = manifest.start_cmd if manifest and manifest.start_cmd else known and known.start_cmd
    if command:
        return (_resolve(short, folder, command[0]), *command[1:])
    if (known and known.static) or os.path.isfile(folder / "dist" / "index.html"):
        mount = row.paths[0].rstrip("/") if row.paths else f"/{short}"
        return (str(STATIC_SERVER), "--port", str(row.port), "--mount", mount, "--folder", str(folder / "dist"))
    raise CannotLaunch("no_start_cmd", f"{short} cannot be started: its module.json has no startCmd.")


def _resolve(short: str, folder: Path, command: str) -> str:
    """The command's file: one of the package's bins, else a path in the package. Raises CannotLaunch."""
    try:
        package = manifests.read_package(folder)
    except Invalid as error:
        raise CannotLaunch("missing_package", f"The package.json of {short} cannot be used: {error}.") from None
    bins = package.bins if package else {}
    file = manifests.inside(folder, bins.get(command, command))
    if file is None:
        raise CannotLaunch(
            "missing_dependency",
            f'{short} is started by "{command}", which is neither a command nor a file of its package.',
            {"binary": command, "why": None},
        )
    # The path through the active link rather than the version's folder, as docs/deploy.md documents it.
    return str(folder / file.relative_to(folder.resolve()))
