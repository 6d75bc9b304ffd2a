"""Reads a package's own description: `.parachute/module.json` and `package.json`."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import field

from parachute_hub.modules.definition import names, validation
from parachute_hub.modules.definition.model import MANIFEST_LIMIT, Manifest
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.system.atomic_files import NotRegular, TooLarge, read_bounded
from parachute_hub.system.records import frozen

PACKAGE_LIMIT = 1024 * 1024


@frozen
class Package:
    """The relevant part of `package.json`; `bins` maps commands to files in the package.

    `reference` marks the reference modules of this repository, whose packages have the names of the published ones.
    """

    name: str
    version: str
    bins: Mapping[str, str] = field(factory=dict)
    reference: bool = False


class Unreadable(Invalid):
    """The file may be readable later: too many files are open, or the disk fails."""


def read_manifest(folder: Path) -> Manifest | None:
    """The package's manifest, or None. Raises Invalid, Unreadable included."""
    content = _content(folder / ".parachute" / "module.json", "module.json", MANIFEST_LIMIT)
    return None if content is None else _parsed(content)


# Checks look at the manifests of all modules several times a minute.
_parsed = lru_cache(maxsize=32)(Manifest.from_bytes)


def read_package(folder: Path) -> Package | None:
    """The package's name, version and commands; None if there is no package.json. Raises Invalid."""
    content = _content(folder / "package.json", "package.json", PACKAGE_LIMIT)
    if content is None:
        return None
    raw = validation.parse_object(content, "package.json", PACKAGE_LIMIT)
    name = validation.text(raw.get("name"), "name")
    return Package(
        name,
        validation.text(raw.get("version"), "version"),
        _bins(raw.get("bin"), name),
        reference=raw.get("parachute") == {"edition": "reference"},
    )


def inside(folder: Path, relative: str) -> Path | None:
    """The existing file with this path inside the folder, links followed; None if missing or outside."""
    root = Path(os.path.realpath(folder))
    try:
        target = Path(os.path.realpath(root / relative))
    except (OSError, ValueError):
        # Not a valid file name.
        return None
    return target if target.is_relative_to(root) and os.path.isfile(target) else None


def _bins(value: Any, name: str) -> Mapping[str, str]:
    match value:
        case str():
            return {name.rpartition("/")[2]: value}
        case dict():
            # A command becomes a link in a folder, so its name must be a single path segment.
            return {
                command: file for command, file in value.items() if names.is_package(command) and isinstance(file, str)
            }
        case _:
            return {}


def _content(path: Path, what: str, limit: int) -> bytes | None:
    try:
        return read_bounded(path, limit)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except TooLarge:
        raise Invalid("", f"{what} is larger than {limit // 1024} KiB") from None
    except NotRegular:
        raise Invalid("", f"{what} is not a file") from None
    except OSError as error:
        kind = Invalid if isinstance(error, PermissionError) else Unreadable
        raise kind("", f"{what} cannot be read: {error.strerror}") from None
