"""services.json, the list of modules, which modules also write without a lock.

Reads are lenient, row by row, and never write. Writes re-read the file first, validate what changes, and are atomic. An
unreadable file is renamed, never overwritten.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeAlias

from attrs import evolve, field
from twisted.internet.defer import Deferred

from parachute_hub.modules.definition.model import ServiceRow
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.state.legacy_rows import heal
from parachute_hub.modules.state.salvage import salvage
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import (
    NotRegular,
    TooLarge,
    WriteFile,
    atomic_write,
    make_sure,
    private_folder,
    read_bounded,
)
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

SIZE_LIMIT = 4 * 1024 * 1024
MOST_ROWS = 256
"""Maximum number of rows used, since lookups are linear."""
MOST_ASIDE = 20
"""Number of damaged files kept."""
MOST_PROBLEMS = 20
"""Number of problems reported per read."""
_Stamp: TypeAlias = tuple[int, int, int] | None


class RegistryRefused(Exception):
    """A change to services.json was rejected, or the file cannot be written. The text says why."""


@frozen
class Problem:
    """Something unusable in the file. `row` is the row's name or position."""

    row: str
    text: str

    def __str__(self) -> str:
        return f"services.json, {self.row}: {self.text}" if self.row else f"services.json: {self.text}"


@frozen
class Registry:
    """The file's content. `unusable` rows cannot be parsed and are preserved as they are.

    `root` holds the other keys of the document. `corrupt`: the document as a whole is invalid. `lossy`: rewriting it
    would lose content. `unreadable`: the OS refused to open it.
    """

    rows: tuple[ServiceRow, ...] = ()
    problems: tuple[Problem, ...] = ()
    unusable: tuple[Any, ...] = field(default=(), repr=False)
    root: Mapping[str, Any] = field(factory=dict, repr=False)
    corrupt: bool = False
    lossy: bool = False
    unreadable: bool = False

    @property
    def unusable_names(self) -> tuple[str, ...]:
        """The names of the unusable rows that have one."""
        return tuple(name for name in map(_name_of, self.unusable) if name)

    def row(self, name: str) -> ServiceRow | None:
        return next((row for row in self.rows if row.name == name), None)

    def kept_of(self, earlier: Iterable[ServiceRow]) -> tuple[ServiceRow, ...]:
        """Rows of an earlier read that are missing only because the file or row is damaged."""
        damaged, names = self.corrupt or self.unreadable, {*self.unusable_names}
        kept: list[ServiceRow] = []
        for row in earlier:
            if damaged or row.name in names:
                with contextlib.suppress(Invalid):
                    check_against(row, (*self.rows, *kept))
                    kept.append(row)
        return tuple(kept)

    def with_row(self, row: ServiceRow) -> Self:
        """Replace the row with the same name, usable or not, or append it."""
        if self.row(row.name) is None:
            return evolve(self, rows=(*self.rows, row), unusable=self._unusable_but(row.name))
        return evolve(self, rows=tuple(row if old.name == row.name else old for old in self.rows))

    def with_rows(self, rows: Iterable[ServiceRow]) -> Self:
        found = self
        for row in rows:
            found = found.with_row(row)
        return found

    def without(self, name: str) -> Self:
        """Remove all rows with this name, usable or not."""
        rows = tuple(row for row in self.rows if row.name != name)
        return evolve(self, rows=rows, unusable=self._unusable_but(name))

    def _unusable_but(self, name: str) -> tuple[Any, ...]:
        return tuple(raw for raw in self.unusable if _name_of(raw) != name)

    def to_bytes(self) -> bytes:
        """The document, indented by two spaces, with a final newline."""
        services = [*(row.to_json() for row in self.rows), *self.unusable]
        return strict_json.write({**self.root, "services": services}, indent=2) + b"\n"


def parse(content: bytes) -> Registry:
    """Parse leniently: usable rows, and a problem for each unusable one. Never raises."""
    if not content.strip():
        return Registry(problems=(Problem("", "the file is empty"),), corrupt=True)
    try:
        reading = strict_json.read(content, limit=SIZE_LIMIT)
        document = reading.value
        services = document.get("services") if isinstance(document, dict) else None
        if not isinstance(services, list):
            raise BadJson('must be an object with a list "services"')
    except BadJson as error:
        found = usable(salvage(content))
        told = Problem("", f"the file {error}; {len(found.rows)} rows could be read")
        return evolve(found, problems=(told, *found.problems), unusable=(), corrupt=True)
    found = usable(services)
    root = {name: value for name, value in document.items() if name != "services"}
    repairs = tuple(Problem("", text) for text in reading.repairs)
    return evolve(found, problems=(*repairs, *found.problems), root=root, lossy=reading.lossy)


def usable(raw_rows: Iterable[object]) -> Registry:
    """Split raw rows into usable and unusable ones, with reasons."""
    healed, problems = heal(raw_rows)
    notes = [Problem(name, text) for name, text in problems]
    rows: list[ServiceRow] = []
    unusable: list[Any] = []
    for index, raw in enumerate(healed):
        try:
            if len(rows) >= MOST_ROWS:
                raise Invalid("", f"the hub uses {MOST_ROWS} rows, and this is one more")
            row = ServiceRow.parse(raw)
            check_against(row, rows)
        except Invalid as error:
            notes.append(Problem(_label(raw, index), str(error)))
            unusable.append(raw)
        else:
            rows.append(row)
    if len(notes) > MOST_PROBLEMS:
        more = Problem("", f"there are {len(notes) - MOST_PROBLEMS} more problems")
        notes = [*notes[:MOST_PROBLEMS], more]
    return Registry(rows=tuple(rows), unusable=tuple(unusable), problems=tuple(notes))


def _label(raw: object, index: int) -> str:
    name = _name_of(raw)
    return f'row "{name[:60]}"' if name else f"row {index + 1}"


def _name_of(raw: object) -> str | None:
    name = raw.get("name") if isinstance(raw, dict) else None
    return name if isinstance(name, str) else None


def check_against(row: ServiceRow, others: Iterable[ServiceRow]) -> None:
    """Reject a duplicate name. Ports may repeat, since the hub's records decide them. Raises Invalid."""
    if any(other.name == row.name for other in others):
        raise Invalid("name", f'there is another row "{row.name}"')


def with_port(registry: Registry, name: str, port: int) -> Registry:
    """The registry with this port in the named row, if there is one."""
    row = registry.row(name)
    return registry if row is None or row.port == port else registry.with_row(row.with_fields(port=port))


class ServicesFile:
    """The file on disk. `on_problem` reports unusable content, `on_change` a changed file."""

    def __init__(
        self,
        path: Path,
        *,
        files: FileWriter | None = None,
        write: WriteFile = atomic_write,
        on_problem: Callable[[str], None] = lambda text: None,
        on_change: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.path = path
        self._files = files or FileWriter()
        self._replace = write
        self._on_problem = on_problem
        self._on_change = on_change
        self._now = now
        self._stamp: _Stamp = None
        self._registry = Registry()
        self._standing: tuple[ServiceRow, ...] = ()
        self._told: frozenset[str] = frozenset()

    def changed(self) -> bool:
        """True if the file changed since the last read. Costs one stat."""
        return self._stat() != self._stamp

    def read(self) -> Registry:
        """The current content. Never fails, never writes; returns the same object while the file is unchanged.

        Each problem is reported once while it persists.
        """
        stamp = self._stat()
        if stamp != self._stamp:
            self._registry = self._load()
            self._standing = (*self._registry.rows, *self._registry.kept_of(self._standing))
            self._stamp = stamp
            texts = frozenset(str(problem) for problem in self._registry.problems)
            for problem in self._registry.problems:
                if str(problem) not in self._told:
                    self._on_problem(str(problem))
            self._told = texts
            self._on_change()
        return self._registry

    def standing(self) -> tuple[ServiceRow, ...]:
        """The effective rows: the current content, plus the last good state of damaged parts.

        Returns the same object while the file is unchanged.
        """
        self.read()
        return self._standing

    def stand_in(self, rows: Iterable[ServiceRow]) -> None:
        """Also use these rows while the file is damaged."""
        self._standing = (*self._standing, *self.read().kept_of(rows))

    def update(self, change: Callable[[Registry], Registry]) -> "Deferred[Registry]":
        """Re-read, change, validate the changes and write atomically and durably; fires with the new content.

        Damaged parts are restored, and the damaged file is kept under another name. Fails with RegistryRefused, leaving
        the file unchanged. `change` runs on the writer's thread.
        """
        return self._files.change(lambda: self._rewrite(change), self._rewritten)

    def _rewritten(self, aside: str | None) -> Registry:
        if aside is not None:
            self._on_problem(
                f"services.json could not be read as a whole. It was kept as {aside}; rows that could be read stay."
            )
        return self.read()

    def _rewrite(self, change: Callable[[Registry], Registry]) -> str | None:
        """What `update` does, on the writer's thread. Returns the name of the damaged file that was kept, if any."""
        before = self._load()
        if before.unreadable:
            raise RegistryRefused(f"{before.problems[0]}. Repair that first. Nothing was changed.")
        after = change(before.with_rows(before.kept_of(self._standing)))
        # Keep a copy of content that rewriting would lose.
        spoilt = before.corrupt or before.lossy or len(after.unusable) < len(before.unusable)
        for row in after.rows:
            others = [other for other in after.rows if other is not row]
            if row not in before.rows:
                try:
                    check_against(ServiceRow.parse(row.to_json()), others)
                except Invalid as error:
                    raise RegistryRefused(f'The row "{row.name}" was not written: {error}.') from None
        try:
            if after.to_bytes() == before.to_bytes() and not spoilt:
                # A module may have written it just now, without syncing.
                with contextlib.suppress(FileNotFoundError):
                    make_sure(self.path)
                return None
            aside = self._set_aside() if spoilt and os.path.lexists(self.path) else None
            private_folder(self.path.parent)
            self._replace(self.path, after.to_bytes(), mode=0o600)
        except OSError as error:
            raise RegistryRefused(f"services.json could not be written: {error.strerror}.") from error
        return aside

    def _set_aside(self) -> str:
        """Keep a timestamped copy of the unreadable original, which stays in place until it is replaced. Returns its
        name.
        """
        aside = self.path.with_name(f"services.json.corrupt-{self._now():%Y%m%dT%H%M%S%f}")
        (os.link if os.path.isfile(self.path) else os.rename)(self.path, aside)
        for older in sorted(self.path.parent.glob("services.json.corrupt-*"))[:-MOST_ASIDE]:
            with contextlib.suppress(OSError):
                older.unlink()
        return aside.name

    def _load(self) -> Registry:
        try:
            content = read_bounded(self.path, SIZE_LIMIT)
        except FileNotFoundError:
            # Between two steps of a program that removes the file and writes it anew.
            gone = (Problem("", "the file is missing"),) if self._standing else ()
            return Registry(problems=gone, corrupt=bool(gone))
        except NotRegular:
            return Registry(problems=(Problem("", "it is not a regular file"),), corrupt=True)
        except TooLarge:
            return Registry(problems=(Problem("", "the file is larger than 4 MiB"),), corrupt=True)
        except OSError as error:
            return Registry(problems=(Problem("", f"the file cannot be read: {error.strerror}"),), unreadable=True)
        return parse(content)

    def _stat(self) -> _Stamp:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)
