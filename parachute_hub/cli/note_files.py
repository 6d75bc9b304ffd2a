"""Notes as Markdown files: names that every system can keep, and front matter that loses nothing.

The format is that of the reference vault's own `markdown` export (examples/vault/API.md), which its import reads: each
line of the front matter is JSON, and so YAML. The text after it is the note, byte for byte.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

_UNSAFE = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
# Windows keeps these for devices, with any ending.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_MOST_BYTES = 150
_MOST_PARTS = 20
_HEAD = "---\nparachute: 1\n"


def front_matter(note: Mapping[str, Any]) -> str:
    """The lines before the text, from a note as the vault's API gives it."""
    in_text = note.get("textTags") or ()
    fields = {
        "id": note["id"],
        "path": note.get("path"),
        "created": note.get("createdAt"),
        "updated": note.get("updatedAt") or note.get("createdAt"),
        "tags": [tag for tag in note.get("tags") or () if tag not in in_text],
    }
    if note.get("pinned"):
        fields["pinned"] = True
    if note.get("metadata"):
        fields["metadata"] = note["metadata"]
    # As in JavaScript: only then is each line the same in both.
    lines = [
        f"{name}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n" for name, value in fields.items()
    ]
    return f"{_HEAD}{''.join(lines)}---\n"


def note_of(head: str) -> tuple[str, str] | None:
    """Id and time of the last change in the front matter of an exported file; None for any other file."""
    if not head.startswith(_HEAD):
        return None
    found = {}
    for line in head[len(_HEAD) :].split("\n"):
        name, colon, value = line.partition(": ")
        if not colon:
            break
        try:
            found[name] = json.loads(value)
        except ValueError:
            return None
    note_id, updated = found.get("id"), found.get("updated")
    return (note_id, updated) if isinstance(note_id, str) and isinstance(updated, str) else None


def title_of(content: str) -> str:
    """The first line with words, without the marks of a heading."""
    for line in content.splitlines():
        words = line.strip().lstrip("#").strip()
        if words:
            return words
    return ""


class FileNames:
    """Gives each note a path of its own, also where case does not matter and a folder may not be named like a file."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def keep(self, path: str) -> None:
        """A file that is there already."""
        *folders, _ = path.split("/")
        for depth in range(len(folders)):
            self._folders.add(_key("/".join(folders[: depth + 1])))
        self._files.add(_key(path))

    def free(self, path: str, ending: str) -> str:
        """A free path below the folder for a note's path, in parts that are safe everywhere."""
        *folders, last = [part for part in map(safe_part, path.split("/")) if part][-_MOST_PARTS:] or ["note"]
        above = ""
        for folder in folders:
            above = f"{self._numbered(above + folder, '', self._files)}/"
        found = self._numbered(above + last, ending, self._files | self._folders)
        self.keep(found)
        return found

    @staticmethod
    def _numbered(base: str, ending: str, taken: set[str]) -> str:
        number, found = 1, base + ending
        while _key(found) in taken:
            number += 1
            found = f"{base} ({number}){ending}"
        return found


def safe_part(part: str) -> str:
    """One part of a path for any file system; empty for one of dots and spaces alone.

    >>> safe_part("a: b?"), safe_part(".."), safe_part("NUL.txt"), safe_part(" x. ")
    ('a- b-', '', 'NUL.txt-', 'x')
    """
    plain = _UNSAFE.sub("-", part.encode("utf-8", "replace").decode()).strip().lstrip(".").rstrip(". ").strip()
    plain = plain.encode()[:_MOST_BYTES].decode("utf-8", "ignore").rstrip(". ")
    return f"{plain}-" if _DEVICE.fullmatch(plain) else plain


def _json(value: Any) -> str:
    """As JavaScript writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _key(path: str) -> str:
    return normalize("NFC", path).casefold()
