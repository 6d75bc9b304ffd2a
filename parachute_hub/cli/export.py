"""`parachute export` and `import`: a vault's notes as a folder of Markdown files, and back."""

import errno
import json
import os
import sys
import tarfile
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from attrs import field

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.commands import show
from parachute_hub.cli.grammar import Words, path_of
from parachute_hub.cli.kinds import VAULTS
from parachute_hub.cli.note_files import FileNames, front_matter, note_of, safe_part, title_of
from parachute_hub.cli.vault_client import VaultRefused, open_vault
from parachute_hub.cli.which_hub import client_of
from parachute_hub.system.records import define

_MARK = ".parachute-export.json"
_PAGE = 100
_HEAD_BYTES = 64 * 1024
_PIECE = 256 * 1024
_MOST_PASSES = 5
_FORMATS = (".zip", ".tar", ".tgz", ".tar.gz", ".json", ".ndjson", ".md", ".markdown")


class ReadsVault(Protocol):
    """A vault's API, for reading."""

    def get(self, path: str) -> Any:
        """JSON. Raises VaultRefused."""

    def save(self, path: str) -> Iterator[bytes]:
        """The bytes of a file. Raises VaultRefused."""


def add_words(words: Words) -> None:
    """Add `export` and `import` to the grammar."""
    out = words.add("export", export, "Write a vault's notes to a folder of Markdown files, with attachments.")
    out.add_argument("folder", type=path_of, help="a new folder; after an interruption, the same one again")
    text = "Bring notes into a vault: a folder of Markdown, an Obsidian vault, or an export."
    back = words.add("import", bring, text)
    back.add_argument("source", type=path_of, help="a folder, or a file: zip, tar, notes.json, NDJSON, Markdown")
    back.add_argument(
        "--conflict",
        choices=("keep", "replace", "copy"),
        default="keep",
        help="when a note is there with another text: keep it, replace it, or add a second one",
    )
    for sub in (out, back):
        vault = sub.add_argument("--vault", default="default", help="the vault's name [default]")
        vault.completer = VAULTS.offered  # type: ignore[attr-defined]


def export(arguments: Namespace) -> int:
    """Write every note and attachment. An interrupted export goes on where it stopped."""
    folder = Path(arguments.folder).absolute()
    with open_vault(client_of(arguments), arguments.vault, "read") as vault:
        writer = FolderWriter(folder, arguments.vault)
        try:
            writer.begin()
            write_notes(vault, writer, _teller(arguments, "notes"))
            writer.end()
        except OSError as error:
            raise _disk_trouble(error, writer) from None
    told = {"folder": str(folder), "notes": writer.notes, "attachments": writer.attachments}
    show(arguments, told, f"Wrote {writer.notes} notes and {writer.attachments} attachments to {folder}.")
    return 0


def bring(arguments: Namespace) -> int:
    """Send a folder or file to the vault's import. Exit code 1 if something in it could not be read."""
    source = Path(arguments.source).absolute()
    if not source.exists():
        raise CommandError(f"There is no {source}.", code=2)
    if source.is_file() and not source.name.lower().endswith(_FORMATS):
        raise CommandError(f"{source.name} is none of {', '.join(_FORMATS)}.", code=2)
    folded = source.is_dir() or source.suffix.lower() in (".md", ".markdown")
    with open_vault(client_of(arguments), arguments.vault, "write") as vault:
        try:
            path = f"api/import?format=auto&conflict={arguments.conflict}"
            report = vault.send(path, _packed(source) if folded else _pieces(source))
        except VaultRefused as error:
            if error.status not in (404, 405):
                raise
            raise CommandError(
                f"The vault {arguments.vault} cannot import. Update it, or install the reference vault, which can."
            ) from None
    problems = report.get("problems") or []
    counts = ("created", "replaced", "unchanged", "skipped", "attachments")
    lines = [", ".join(f"{report.get(name, 0)} {name}" for name in counts) + "."]
    lines += [f"  {one['name']}: {one['message']}" for one in problems]
    if report.get("skipped"):
        lines.append("Skipped notes are there with another text. Use --conflict replace or copy to bring them in.")
    show(arguments, report, "\n".join(lines))
    return 1 if problems else 0


# --- writing a folder


@define
class FolderWriter:
    """The folder of an export. Each file appears whole or not at all. Raises CommandError and OSError."""

    folder: Path
    vault: str
    notes: int = 0
    attachments: int = 0
    _names: FileNames = field(factory=FileNames, init=False)
    _there: dict[str, tuple[str, str]] = field(factory=dict, init=False)
    _gone: set[str] = field(factory=set, init=False)
    _described: list[dict[str, Any]] = field(factory=list, init=False)

    def begin(self) -> None:
        """Make the folder, or find what an interrupted export has written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = self.folder / _MARK
        if mark.exists():
            if json.loads(mark.read_text()).get("vault") != self.vault:
                raise CommandError(f"{self.folder} holds the export of another vault. Choose a new folder.", code=2)
            self._find()
        elif any(self.folder.iterdir()):
            raise CommandError(f"{self.folder} is not empty. Choose a new folder.", code=2)
        else:
            mark.write_text(json.dumps({"vault": self.vault}) + "\n")

    def has(self, note: Mapping[str, Any]) -> bool:
        """True if this version of a note was written before."""
        updated, path = self._there.get(note["id"], ("", ""))
        if not path or updated != (note.get("updatedAt") or note.get("createdAt")):
            return False
        self._gone.discard(path)
        self.notes += 1
        return True

    def write_note(self, note: Mapping[str, Any]) -> None:
        """One note as a file."""
        content = str(note.get("content") or "")
        _, name = self._there.get(note["id"], ("", ""))
        if not name:
            name = self._names.free(f"notes/{note.get('path') or title_of(content) or note['id']}", ".md")
        self._gone.discard(name)
        self._write(name, [front_matter(note).encode("utf-8", "replace"), content.encode("utf-8", "replace")])
        self.notes += 1

    def write_attachment(self, attachment: Mapping[str, Any], content: Iterator[bytes]) -> None:
        """One attachment; one that is there in full is not fetched again."""
        name = f"attachments/{safe_part(str(attachment['id']))}/{safe_part(str(attachment['name'])) or 'file'}"
        target = self.folder / name
        size = attachment.get("size")
        if size is None or not target.is_file() or target.stat().st_size != size:
            self._write(name, content)
        self._described.append(dict(attachment))
        self.attachments += 1

    def end(self) -> None:
        """List the attachments, and mark the export as whole."""
        if self._described:
            listed = json.dumps(self._described, ensure_ascii=False, indent=1) + "\n"
            self._write("attachments/index.json", [listed.encode("utf-8", "replace")])
        for name in self._gone:
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / _MARK).unlink()
        os.sync()

    def _find(self) -> None:
        for path in (self.folder / "notes").rglob("*.md"):
            with path.open(encoding="utf-8", errors="replace") as file:
                found = note_of(file.read(_HEAD_BYTES))
            name = str(path.relative_to(self.folder))
            if found is not None:
                self._there[found[0]] = (found[1], name)
                # Until the vault names the note again.
                self._gone.add(name)
            self._names.keep(name)

    def _write(self, name: str, content: Iterable[bytes]) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name[:40]}.part")
        try:
            with part.open("wb") as file:
                for piece in content:
                    file.write(piece)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def write_notes(vault: ReadsVault, writer: FolderWriter, tell: Callable[[int], None]) -> None:
    """Everything of a vault, one note in memory at a time. Notes that are deleted meanwhile are left out."""
    lists_files = _lists_files(vault)
    for note in _listed(vault):
        if not writer.has(note):
            whole = _unless_gone(vault, f"api/notes/{quote(note['id'], safe='')}")
            if whole is None:
                continue
            writer.write_note(whole)
        tell(writer.notes)
        if not lists_files:
            for attachment in _unless_gone(vault, f"api/notes/{quote(note['id'], safe='')}/attachments") or ():
                _write_file(vault, writer, _published(attachment, note["id"]), f"api/storage/{attachment['path']}")
    if lists_files:
        for attachment in _pages(vault, "api/attachments?"):
            address = attachment.pop("url")
            _write_file(vault, writer, attachment, str(address))


def _write_file(vault: ReadsVault, writer: FolderWriter, attachment: Mapping[str, Any], address: str) -> None:
    try:
        writer.write_attachment(attachment, vault.save(address))
    except VaultRefused as error:
        if error.status != 404:
            raise


def _published(attachment: Mapping[str, Any], note: str) -> dict[str, Any]:
    """The published vault's attachment in the reference vault's words."""
    path = str(attachment["path"])
    kind = attachment.get("mimeType") or "application/octet-stream"
    return {"id": str(attachment["id"]), "note": note, "name": path.rpartition("/")[2], "type": kind, "path": path}


def _lists_files(vault: ReadsVault) -> bool:
    """True for a vault that lists its attachments; the published one only knows those of a note."""
    try:
        return isinstance(vault.get("api/attachments?limit=1"), list)
    except VaultRefused as error:
        if error.status in (404, 405):
            return False
        raise


def _listed(vault: ReadsVault) -> Iterator[dict[str, Any]]:
    """Every note without its text. Listed again until a pass brings nothing new, since notes may come and go."""
    seen: set[str] = set()
    for _ in range(_MOST_PASSES):
        before = len(seen)
        for note in _pages(vault, "api/notes?sort=created&order=asc&include_content=false&"):
            if note["id"] not in seen:
                seen.add(note["id"])
                yield note
        if len(seen) == before:
            return


def _pages(vault: ReadsVault, path: str) -> Iterator[dict[str, Any]]:
    offset = 0
    while True:
        page = vault.get(f"{path}limit={_PAGE}&offset={offset}")
        yield from page
        if len(page) < _PAGE:
            return
        offset += _PAGE


def _unless_gone(vault: ReadsVault, path: str) -> Any:
    try:
        return vault.get(path)
    except VaultRefused as error:
        if error.status == 404:
            return None
        raise


# --- reading a folder


def _pieces(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _packed(source: Path) -> Iterator[bytes]:
    """A folder, or one file, as a tar stream. Hidden files, links and devices stay behind."""
    for name, path in _files(source):
        info = tarfile.TarInfo(name)
        info.size, info.mtime = path.stat().st_size, int(path.stat().st_mtime)
        yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        sent = 0
        for piece in _pieces(path):
            # A file that grows meanwhile ends where it was.
            piece = piece[: info.size - sent]
            sent += len(piece)
            yield piece
        if sent < info.size:
            raise CommandError(f"{path} became shorter while it was read. Run the same command again.")
        yield b"\0" * (-sent % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _files(source: Path) -> Iterator[tuple[str, Path]]:
    if source.is_file():
        yield source.name, source
        return
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield str(path.relative_to(source)), path


def _teller(arguments: Namespace, what: str) -> Callable[[int], None]:
    """Shows progress on a terminal."""
    live = sys.stderr.isatty() and not arguments.json

    def tell(count: int) -> None:
        if live and count % 100 == 0:
            print(f"\r{count} {what}", end="", file=sys.stderr, flush=True)

    return tell


def _disk_trouble(error: OSError, writer: FolderWriter) -> CommandError:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return CommandError(f"{error.filename or writer.folder} cannot be written: {error.strerror}.")
    return CommandError(
        f"The disk is full after {writer.notes} notes. Free some space, then run the same command again: "
        "it goes on where it stopped."
    )
