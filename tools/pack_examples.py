"""Packs the reference modules in `examples/` and writes a catalog that installs them from those packs.

    python -m tools.pack_examples OUT [BUN]

makes `OUT/<name>-<version>.tgz` for each module and `OUT/catalog.json`. A pack that is newer than its sources is kept.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from parachute_hub.system.atomic_files import atomic_write
from tools.locks import locked

EXAMPLES = Path(__file__).parent.parent / "examples"


def pack(folder: Path, out: Path, bun: Path) -> Path:
    """One module's tarball for a registry."""
    manifest: dict[str, Any] = json.loads((folder / "package.json").read_text())
    target = out / f"{manifest['name'].rpartition('/')[2]}-{manifest['version']}.tgz"
    if target.exists() and target.stat().st_mtime > max(path.stat().st_mtime for path in _sources(folder)):
        return target
    if "build" in manifest.get("scripts", {}):
        run([str(bun), "run", "build"], folder)
    # A registry that serves this folder would go on offering the earlier version.
    for earlier in out.glob(f"{target.name.rpartition('-')[0]}-*.tgz"):
        earlier.unlink()
    with packable(folder) as whole:
        run([str(bun), "pm", "pack", "--quiet", "--filename", str(target)], whole)
    return target


@contextmanager
def packable(folder: Path) -> Iterator[Path]:
    """The folder, or a copy with files in place of links: packing leaves links out, and the kit is linked."""
    if not any(path.is_symlink() for path in _sources(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="parachute-pack-") as temporary:
        copy = Path(temporary, folder.name)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("node_modules"))
        yield copy


def _sources(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not {"dist", "node_modules"} & {*path.parts}]


def run(words: list[str], folder: Path) -> None:
    """Run a tool in a folder; on failure show its output."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed in {folder}:\n{done.stdout}{done.stderr}")


def pack_all(out: Path, bun: Path | None = None) -> Path:
    """Pack every module of the examples catalog; the path of the catalog that names the packs."""
    with locked(out):
        return _pack_all(out, bun or _find())


def _find() -> Path:
    # The build backend packs where none of the hub's dependencies is installed, and brings its bun.
    from parachute_hub.modules.packages.bun import find

    return find(None)


def _pack_all(out: Path, bun: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    catalog: dict[str, list[dict[str, Any]]] = json.loads((EXAMPLES / "catalog.json").read_text())
    for entry in catalog["modules"]:
        folder = EXAMPLES / entry["short"]
        if folder.is_dir():
            entry["reference"] = True
            entry["source"] = pack(folder, out, bun).name
    catalog["modules"] = [entry for entry in catalog["modules"] if "source" in entry]
    target = out / "catalog.json"
    text = json.dumps(catalog, indent=2) + "\n"
    if not target.exists() or target.read_text() != text:
        atomic_write(target, text.encode())
    return target


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    pack_all(Path(sys.argv[1]).absolute(), *map(Path, sys.argv[2:]))
