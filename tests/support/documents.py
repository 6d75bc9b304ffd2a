"""Reads tables, links and file names from the repository's Markdown, so that tests can compare them with the code."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"`([^`]+)`")
_BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_REFERENCE = re.compile(r"\bdocs/[\w./-]*\w")
_PATH = re.compile(r"(bench|deploy|docs|examples|parachute_hub|tests|tools|web)/[\w./-]+")
_OUTSIDE = ("http://", "https://", "mailto:", "/")


def rows(page: str, header: str) -> list[list[str]]:
    """The cells of the table in `docs/<page>` whose header line begins with `header`."""
    lines = iter((ROOT / "docs" / page).read_text().splitlines())
    for line in lines:
        if line.startswith(header):
            break
    else:
        raise LookupError(f"docs/{page} has no table that begins with {header!r}")
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def names(text: str) -> list[str]:
    """What a text sets in code type, without code blocks."""
    return _CODE.findall(_BLOCK.sub("", text))


def named(page: str, header: str) -> dict[str, list[str]]:
    """The table's rows by the names in their first cell; a row with several names counts for each."""
    return {name: row for row in rows(page, header) for name in names(row[0])}


def spoken(seconds: float) -> str:
    """A length of time as the pages write it.

    >>> spoken(60), spoken(900), spoken(86400), spoken(30 * 86400)
    ('60 seconds', '15 minutes', '24 hours', '30 days')
    """
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:g} {unit}s"
    return "24 hours" if seconds == 86400 else f"{seconds:g} seconds"


@cache
def tracked() -> tuple[str, ...]:
    """Every tracked file of the repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(name for name in listed.stdout.splitlines() if (ROOT / name).is_file())


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Name and content of each tracked file with one of these suffixes."""
    for name in tracked():
        if name.endswith(suffixes):
            yield name, (ROOT / name).read_text()


def broken_links(pages: Mapping[str, str]) -> list[str]:
    """Relative links of Markdown pages (name: text) that lead to no file."""
    return [
        f"{page} links to {target}"
        for page, text in pages.items()
        for target in _LINK.findall(text)
        if not target.startswith(_OUTSIDE) and "<" not in target and not (ROOT / page).parent.joinpath(target).exists()
    ]


def broken_references(sources: Mapping[str, str]) -> list[str]:
    """Mentions of `docs/...` in files (name: text) that name no page. `docs/decisions/050` stands for one decision."""
    return [
        f"{name} refers to {mention}"
        for name, text in sources.items()
        for mention in _REFERENCE.findall(text)
        if not (ROOT / mention).exists() and not list(ROOT.glob(f"{mention}-*.md"))
    ]


def missing_files(pages: Mapping[str, str]) -> list[str]:
    """Whole paths in code type (`tests/support/documents`, with or without `.py`) that lead to no file, on pages (name:
    text).
    """
    return [
        f"{page} names {name}"
        for page, text in pages.items()
        for name in names(text)
        if _PATH.fullmatch(name) and not any((ROOT / f"{name}{end}").exists() for end in ("", ".py"))
    ]


def unknown_files(text: str) -> list[str]:
    """Names in code type that look like a file or folder of the repository (`proxy/plan`, `plan`) and are none."""
    package = ROOT / "parachute_hub"
    folders = {path.name for top in (package, ROOT / "tests") for path in top.rglob("*") if path.is_dir()}
    known = (
        {path.stem for path in package.rglob("*.py")}
        | folders
        | {path.name for path in ROOT.iterdir()}
        | {"parachute", "twistd"}
    )
    unknown = []
    for name in names(text):
        bare = name.rstrip("/")
        if re.fullmatch(r"[a-z_]+", bare):
            found = bare in known
        elif re.fullmatch(r"[a-z_]+(/[a-z_]+)+(\.[A-Za-z]+)?", bare):
            places = (package / bare, package / f"{bare}.py", ROOT / bare, package / Path(bare).with_suffix(".py"))
            found = any(place.exists() for place in places)
        else:
            continue
        if not found:
            unknown.append(name)
    return unknown
