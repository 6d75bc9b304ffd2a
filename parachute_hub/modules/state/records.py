"""The hub's own record of each module: `<home>/hub/modules.json`, which modules never write.

services.json is shared with the modules, so enabled state, owner's settings and version history are kept here.
"""

from collections.abc import Callable, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Any, Self, TypeAlias

from attrs import asdict, evolve
from twisted.internet.defer import Deferred

from parachute_hub.modules.definition import names, validation
from parachute_hub.modules.definition.model import EXPOSURES
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.state.link import Link
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import Unsynced, WriteFile, atomic_write, private_folder, read_bounded
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen

FILE_LIMIT = 1024 * 1024
CHANNELS = ("latest", "rc")
MOST_SLEEP_MINUTES = 7 * 24 * 60
LOG_SIZES = (1, 2, 5, 10)
"""Megabytes that each log may take; the second is the default."""

MOST_PATHS = 50


class RecordsRefused(Exception):
    """The file cannot be read or written. The text says why and what to do."""


@frozen(kw_only=True)
class Record:
    """One module's record.

    `wanted` is whether it is enabled. `autostart` False keeps an enabled module from starting with the hub. `row` is
    the name of its row in services.json. `previous` is the folder name of the previous version, kept for a rollback.
    `linked` is a folder run instead of a package. `env` is added to its environment. `memory_limit` is in
    bytes, `cpu_limit` in percent of one processor: None for the catalog's, 0 for no limit.
    `sleep_after` is in minutes; None keeps the module running while nobody uses it.
    `smol` passes --smol to bun. `pin` prevents upgrades; `night` installs them
    at night. `trusted` marks a package outside the catalog whose pages
    the owner has exempted from the sandbox. `without_optional` leaves out its optional dependencies. `registry_keys`
    gives it the hub's keys to the package registry. `port` is its port on 127.0.0.1. `exposure` is the owner's
    choice, None for the catalog's. `isolation` is `on` once the module has run confined, and `off` if it cannot
    (`isolation_why`) or the owner wants it so; None if it has not been tried. `may_read` and `may_change` are paths
    outside the home that the owner has opened to it. `link` is set while it runs on another machine.
    """

    wanted: bool = True
    autostart: bool = True
    package: str | None = None
    row: str | None = None
    previous: str | None = None
    linked: str | None = None
    env: Mapping[str, str] | None = None
    memory_limit: int | None = None
    cpu_limit: int | None = None
    smol: bool = True
    pin: bool = False
    night: bool = False
    trusted: bool = False
    registry_keys: bool = False
    without_optional: bool = False
    port: int | None = None
    exposure: str | None = None
    isolation: str | None = None
    isolation_why: str | None = None
    sleep_after: int | None = None
    may_read: tuple[str, ...] = ()
    may_change: tuple[str, ...] = ()
    link: Link | None = None

    @classmethod
    def parse(cls, raw: object) -> Self:
        """Parse a record. Raises Invalid."""
        given = validation.mapping(raw, "")
        blank = cls()
        values: dict[str, Any] = {
            name: validation.flag(given.get(name, getattr(blank, name)), name)
            for name in ("wanted", "autostart", "smol", "pin", "night", "trusted", "registry_keys", "without_optional")
        }
        for name in ("package", "row", "previous", "linked", "isolation_why"):
            values[name] = None if given.get(name) is None else validation.path_text(given[name], name)
        if given.get("isolation") is not None:
            values["isolation"] = validation.one_of(given["isolation"], "isolation", ("on", "off"))
        for name in ("may_read", "may_change"):
            values[name] = paths(given.get(name), name)
        for name in ("memory_limit", "cpu_limit"):
            values[name] = None if given.get(name) is None else validation.amount(given[name], name, 0, 1 << 53)
        sleep = given.get("sleep_after")
        if sleep is not None:
            sleep = sleep_minutes(sleep)
        port, exposure = given.get("port"), given.get("exposure")
        return cls(
            **values,
            sleep_after=sleep,
            env=variables(given.get("env")),
            port=None if port is None else validation.port(port, "port"),
            exposure=None if exposure is None else validation.one_of(exposure, "exposure", EXPOSURES),
            link=None if given.get("link") is None else Link.parse(given["link"]),
        )

    def to_json(self) -> dict[str, Any]:
        """Every field that differs from the default."""
        blank = Record()
        differing = asdict(self, recurse=False, filter=lambda attribute, value: value != getattr(blank, attribute.name))
        if self.env:
            differing["env"] = dict(self.env)
        if self.link is not None:
            differing["link"] = self.link.to_json()
        return differing


def sleep_minutes(value: object) -> int:
    """Minutes without use after which a module sleeps. Raises Invalid."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_SLEEP_MINUTES:
        raise Invalid("sleep_after", f"must be between 1 and {MOST_SLEEP_MINUTES} minutes")
    return value


def paths(value: object, at: str) -> tuple[str, ...]:
    """Absolute paths. Raises Invalid."""
    found = () if value is None else validation.texts(value, at)
    if len(found) > MOST_PATHS:
        raise Invalid(at, f"must be at most {MOST_PATHS} paths")
    for path in found:
        if not validation.path_text(path, at).startswith("/") or ".." in path.split("/") or not path.isprintable():
            raise Invalid(at, "must be absolute paths, such as /srv/notes")
    return tuple(dict.fromkeys(found))


@frozen
class Records:
    """The whole file. `channel` is the owner's release channel, `log_megabytes` the size of each log; None for the
    defaults.

    `counted` is False until the modules of an older hub in this home have records.
    """

    modules: Mapping[str, Record]
    channel: str | None = None
    counted: bool = False
    log_megabytes: int | None = None


def variables(value: object) -> Mapping[str, str] | None:
    """Parse environment variables: valid names, values without NUL. Raises Invalid."""
    if not value:
        return None
    given = validation.mapping(value, "env")
    for name, content in given.items():
        if not names.is_variable(name):
            raise Invalid(f"env.{name[:40]}", "must be letters, digits and underscores, and not start with a digit")
        if not isinstance(content, str) or "\0" in content:
            raise Invalid(f"env.{name}", "must be text")
    return given


_Edit: TypeAlias = Callable[[Records], Records]


class RecordsFile:
    """The file, written by this hub only and cached in memory.

    A change is visible once it is on disk; the Deferreds fire then. `on_change` is called after every change, so that
    the next request sees it. `_stored` is what is on disk and `_latest` what the next change builds on; both belong to
    the thread that writes.
    """

    def __init__(
        self,
        path: Path,
        *,
        files: FileWriter | None = None,
        write: WriteFile = atomic_write,
        on_problem: Callable[[str], None] = lambda text: None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._files = files or FileWriter()
        self._replace = write
        self._on_problem = on_problem
        self._on_change = on_change
        self._ahead: list[_Edit] = []
        self._reserved: dict[str, int] = {}
        self._records = self._known = self._latest = self._stored = Records({})
        try:
            self._records = self._known = self._latest = self._stored = self._load()
        except FileNotFoundError:
            return
        except (OSError, Invalid) as error:
            # Every module then counts as enabled with default settings, which is better than a hub that does not start.
            on_problem(f"{path.name} could not be read ({error}). {self._set_aside()} Default settings are used.")

    @property
    def shown(self) -> Records:
        """What readers see: the same object until something changes."""
        return self._records

    def get(self, short: str) -> Record:
        """The module's record, or a default one."""
        return self._records.modules.get(short, Record())

    def known(self, short: str) -> bool:
        return short in self._records.modules

    @property
    def counted(self) -> bool:
        """True once modules that predate this file have records."""
        return self._records.counted

    def count(self, found: Mapping[str, Record]) -> "Deferred[None]":
        """Store the records of modules that predate this file. Fails with RecordsRefused."""
        return self._write(lambda records: evolve(records, modules={**records.modules, **found}, counted=True))

    def by_row(self, row_name: str) -> str | None:
        """The short name of the module with this row."""
        return next((short for short, record in self._records.modules.items() if record.row == row_name), None)

    @property
    def channel(self) -> str | None:
        """The owner's choice of release channel."""
        return self._records.channel

    @property
    def log_megabytes(self) -> int:
        """What each log of a module, and the hub's own, may take on the disk."""
        return self._records.log_megabytes or LOG_SIZES[1]

    def log_bytes(self) -> int:
        """The same in bytes."""
        return self.log_megabytes << 20

    def choose_log_size(self, megabytes: int) -> "Deferred[None]":
        """One of LOG_SIZES, from the next lines on. Fails with RecordsRefused."""
        return self._write(lambda records: evolve(records, log_megabytes=megabytes))

    def ports(self) -> frozenset[int]:
        """The ports of all modules with a record, and those that are reserved."""
        recorded = {record.port for record in self._records.modules.values() if record.port is not None}
        return frozenset(recorded | {*self._reserved.values()})

    def reserve(self, short: str, port: int) -> None:
        """Keep a port for a module whose record is about to be written, until `release`."""
        self._reserved[short] = port

    def release(self, short: str) -> None:
        self._reserved.pop(short, None)

    def choose_channel(self, channel: str | None) -> "Deferred[None]":
        """Fails with RecordsRefused."""
        return self._write(lambda records: evolve(records, channel=channel))

    def change(self, short: str, **fields: Any) -> "Deferred[None]":
        """Change fields of a record and store it. Fails with RecordsRefused."""
        return self._write(partial(_with_fields, short=short, fields=fields))

    def put(self, short: str, record: Record | None) -> "Deferred[None]":
        """Store a record; None deletes it. Fails with RecordsRefused."""
        return self._write(partial(_with_record, short=short, record=record))

    def wanted(self, short: str) -> bool:
        """True if the module is enabled, which is the default."""
        return self.get(short).wanted

    def want(self, short: str, on: bool) -> "Deferred[None]":
        """Enable or disable the module: at once in memory, then persistently. On a full disk this only lasts until the
        next start, with a warning.
        """

        def edit(records: Records) -> Records:
            wanted = records.modules.get(short, Record()).wanted
            return records if wanted == on else _with_fields(records, short, {"wanted": on})

        def told(trouble: RecordsRefused | None) -> None:
            self._ahead.remove(edit)
            self._show()
            if trouble is not None:
                self._on_problem(f"That {short} is {'on' if on else 'off'} could not be stored. {trouble}")

        self._ahead.append(edit)
        self._show()
        return self._files.change(partial(self._store, edit, insist=True), partial(self._stored_as, told))

    def _set_aside(self) -> str:
        """Rename an unreadable file. Returns a sentence that says where it is."""
        aside = self._path.with_name(f"{self._path.name}.corrupt")
        try:
            self._path.replace(aside)
        except OSError as error:
            return f"It could not be kept as {aside.name}: {error.strerror}."
        return f"It was kept as {aside.name}."

    def _load(self) -> Records:
        document = validation.parse_object(read_bounded(self._path, FILE_LIMIT), "the file", FILE_LIMIT)
        modules = validation.mapping(document.get("modules", {}), "modules")
        channel = document.get("channel")
        return Records(
            {short: Record.parse(raw) for short, raw in modules.items()},
            channel if channel is None else validation.one_of(channel, "channel", CHANNELS),
            counted=document.get("counted") is True,
            log_megabytes=next((size for size in LOG_SIZES if size == document.get("log_megabytes")), None),
        )

    def _write(self, edit: _Edit) -> "Deferred[None]":
        return self._files.change(partial(self._store, edit), partial(self._stored_as, _raise))

    def _store(self, edit: _Edit, *, insist: bool = False) -> tuple[Records, RecordsRefused | None]:
        """Apply the edit to what is on disk. With `insist` it counts in memory even if it could not be written.

        Runs on the writer's thread.
        """
        before, trouble = self._latest, None
        records = edit(before)
        try:
            if records != self._stored:
                private_folder(self._path.parent)
                self._replace(self._path, _to_bytes(records))
            self._latest = self._stored = records
        except OSError as error:
            trouble = RecordsRefused(f"{self._path.name} could not be written: {error.strerror}.")
            trouble.__cause__ = error
            if isinstance(error, Unsynced):
                self._stored = records
            if insist or isinstance(error, Unsynced):
                self._latest = records
        return self._latest, trouble

    def _stored_as(
        self, then: Callable[[RecordsRefused | None], None], outcome: tuple[Records, RecordsRefused | None]
    ) -> None:
        self._known, trouble = outcome
        self._show()
        then(trouble)

    def _show(self) -> None:
        """What readers see: what is known to be on disk, with the edits that take effect before."""
        records = reduce(lambda shown, edit: edit(shown), self._ahead, self._known)
        changed = records != self._records
        self._records = records
        if changed:
            self._on_change()


def _with_fields(records: Records, short: str, fields: Mapping[str, Any]) -> Records:
    return _with_record(records, short, evolve(records.modules.get(short, Record()), **fields))


def _with_record(records: Records, short: str, record: Record | None) -> Records:
    modules = {name: kept for name, kept in records.modules.items() if name != short}
    if record is not None:
        modules[short] = record
    return evolve(records, modules=modules)


def _to_bytes(records: Records) -> bytes:
    document: dict[str, Any] = {"modules": {short: kept.to_json() for short, kept in records.modules.items()}}
    if records.channel is not None:
        document["channel"] = records.channel
    if records.log_megabytes is not None:
        document["log_megabytes"] = records.log_megabytes
    if records.counted:
        document["counted"] = True
    return strict_json.write(document, indent=2) + b"\n"


def _raise(trouble: RecordsRefused | None) -> None:
    if trouble is not None:
        raise trouble
