"""What an archive holds: a header, the files of the home, and a manifest with the hash of each file.

The archive is a tar file, compressed with zstd and encrypted with age. Its members, in this order:

- `parachute-backup.json`, the header: who made it, when, and which modules it belongs to;
- `home/...`, the files, databases first;
- `manifest.ndjson`, one JSON line for each file. An archive without it was cut short.
"""

import re
from collections.abc import Mapping
from typing import Any, Self

from attrs import asdict, field
from attrs.validators import and_, deep_iterable, ge, instance_of, le, matches_re, optional

from parachute_hub.system import strict_json
from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import from_compact, to_compact

FORMAT = 1
HEADER = "parachute-backup.json"
MANIFEST = "manifest.ndjson"
FOLDER = "home/"
SUFFIX = ".tar.zst.age"
HEADER_BYTES = 1024 * 1024
LINE_BYTES = 8192
MOST_FILES = 500_000

_TEXT = instance_of(str)
_TIME: Any = and_(instance_of((int, float)), ge(0), le(1e11))
_NAME = re.compile(r"parachute-([0-9a-f]{8})-(\d{8}T\d{6}Z)\.tar\.zst\.age")


class BadArchive(Exception):
    """The archive cannot be used. The text says why."""


@frozen(kw_only=True)
class ModuleInfo:
    """A module in the header. `integrity` is the hash of its package, if it came from a registry."""

    short: str = field(validator=matches_re(r"[a-z][a-z0-9-]{0,63}"))
    package: str | None = field(default=None, validator=optional(_TEXT))
    version: str | None = field(default=None, validator=optional(_TEXT))
    integrity: str | None = field(default=None, validator=optional(_TEXT))


@frozen(kw_only=True)
class Header:
    """The first member of an archive. `created_at` is in epoch seconds, `size` in bytes."""

    id: str = field(validator=_TEXT)
    created_at: float = field(validator=_TIME)
    hub_version: str = field(validator=_TEXT)
    hub_id: str = field(validator=matches_re(r"[0-9a-f]{8}"))
    schema: int = field(validator=[instance_of(int), ge(0)])
    origin: str = field(validator=_TEXT)
    programs: bool = field(default=False, validator=instance_of(bool))
    files: int = field(default=0, validator=[instance_of(int), ge(0)])
    size: int = field(default=0, validator=[instance_of(int), ge(0)])
    modules: tuple[ModuleInfo, ...] = field(default=(), validator=deep_iterable(instance_of(ModuleInfo)))

    def to_json(self) -> dict[str, Any]:
        """The form used in the archive and the API."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, raw: object) -> Self:
        """Raises BadArchive."""
        if not isinstance(raw, Mapping) or not isinstance(raw.get("format"), int):
            raise BadArchive("This is not a backup of a Parachute hub.")
        if raw["format"] > FORMAT:
            raise BadArchive("This backup was made by a newer hub. Update this hub first, then restore.")
        try:
            values = {key: value for key, value in raw.items() if key != "format"}
            return cls(**{**values, "modules": tuple(ModuleInfo(**module) for module in raw["modules"])})
        except (TypeError, ValueError, KeyError) as error:
            raise BadArchive("The header of this backup cannot be read.") from error

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Raises BadArchive."""
        try:
            return cls.from_json(strict_json.read(content, limit=HEADER_BYTES).value)
        except strict_json.BadJson as error:
            raise BadArchive("The header of this backup cannot be read.") from error


@frozen
class Entry:
    """One file. `size` is in bytes, `sha256` in hexadecimal; `database` marks a copy made by SQLite."""

    path: str = field(validator=_TEXT)
    size: int = field(validator=instance_of(int))
    sha256: str = field(validator=_TEXT)
    database: bool = field(default=False, validator=instance_of(bool))

    def line(self) -> bytes:
        """The manifest line."""
        return strict_json.write(asdict(self)) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Raises BadArchive."""
        try:
            return cls(**strict_json.read_strictly(line, limit=LINE_BYTES))
        except (strict_json.BadJson, TypeError) as error:
            raise BadArchive("The list of files in this backup cannot be read. Choose another one.") from error


def scratch_prefix(pid: int) -> str:
    """How the folder with temporary files of the worker with this process id begins."""
    return f"backup-{pid}-"


def is_safe(path: str) -> bool:
    """True if a member's path stays inside the target folder.

    >>> [is_safe(path) for path in ("vault/a.db", "/etc/passwd", "a/../../b", "", "a//b", "a/./b", "a\\0b")]
    [True, False, False, False, False, False, False]
    """
    parts = path.split("/")
    return "\0" not in path and all(part not in ("", ".", "..") for part in parts) and len(path) < 4096


def archive_name(hub_id: str, at: float) -> str:
    """The name of an archive created by this hub at a time in epoch seconds.

    >>> archive_name("0123abcd", 0)
    'parachute-0123abcd-19700101T000000Z.tar.zst.age'
    """
    return f"parachute-{hub_id}-{to_compact(at)}{SUFFIX}"


def parse_name(name: str) -> tuple[str, float] | None:
    """The hub id and time in an archive's name; None if it is not one.

    >>> parse_name("parachute-0123abcd-19700101T000000Z.tar.zst.age"), parse_name("photo.jpg")
    (('0123abcd', 0.0), None)
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        return found[1], from_compact(found[2])
    except ValueError:
        return None
