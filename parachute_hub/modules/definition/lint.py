"""Checks a module folder before publishing: `parachute module check DIR`."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from parachute_hub.modules.definition import json_schemas, manifests, mounts, names
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.definition.entry_point import entry_of
from parachute_hub.modules.definition.manifests import Package
from parachute_hub.modules.definition.model import Manifest, ServiceRow
from parachute_hub.modules.definition.ports import CANONICAL, HUB_PORT
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.definition.versions import Version
from parachute_hub.supervise.model import CannotLaunch
from parachute_hub.system.records import frozen

_SOURCES = (".ts", ".tsx", ".js", ".mjs", ".cjs", ".py", ".json", ".html")
_MOST_SOURCE = 16 * 1024 * 1024
_NETWORK_WORDS = ("fetch(", "http", "connect(", "WebSocket")


@frozen
class LintFinding:
    """One problem and its location."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def check(folder: Path) -> list[LintFinding]:
    """All problems; an empty list means that the hub would install the module."""
    findings: list[LintFinding] = []
    package = manifest = None
    try:
        package = manifests.read_package(folder)
        if package is None:
            findings.append(LintFinding("package.json", "is missing; it needs at least name, version and bin"))
    except Invalid as error:
        findings.append(LintFinding("package.json", str(error)))
    try:
        manifest = manifests.read_manifest(folder)
        if manifest is None:
            findings.append(LintFinding(".parachute/module.json", "is missing; docs/module-author.md shows one"))
    except Invalid as error:
        findings.append(LintFinding(".parachute/module.json", str(error)))
    if package is not None:
        findings += _package(package)
    if manifest is not None:
        findings += _manifest(manifest)
        findings += _misspelt(manifest)
        findings += _start(folder, manifest)
        findings += _unused(folder, manifest)
    return findings


def _package(package: Package) -> Iterator[LintFinding]:
    if not names.is_package(package.name):
        yield LintFinding("package.json", f'name: "{package.name}" is not the name of an npm package')
    if Version.parse(package.version) is None:
        yield LintFinding(
            "package.json", "version: must be a semantic version such as 1.2.3, or upgrades are never offered"
        )


def _manifest(manifest: Manifest) -> Iterator[LintFinding]:
    where = ".parachute/module.json"
    if manifest.name in names.FOLDERS_OF_THE_HUB | mounts.RESERVED:
        yield LintFinding(where, f'name: "{manifest.name}" is kept for the hub')
    known = Catalog().get(manifest.name)
    if not manifest.paths:
        yield LintFinding(where, f"paths: is empty, so nothing is served; the usual mount is /{manifest.name}")
    for path in mounts.claims(manifest.paths):
        try:
            mounts.check(path, manifest.name, known.mounts if known else ())
        except mounts.BadMount as error:
            yield LintFinding(where, f"paths: {error}")
    if manifest.port == HUB_PORT or (manifest.port in CANONICAL and known is None):
        yield LintFinding(
            where, f"port: {manifest.port} belongs to the hub or to another module; choose one above 1949"
        )


def _misspelt(manifest: Manifest) -> Iterator[LintFinding]:
    """Fields that are ignored, with a name like one that is not."""
    known = {name.lower(): name for name in json_schemas.manifest_fields()}
    for name in manifest.raw:
        meant = get_close_matches(name.lower(), known, n=1, cutoff=0.8)
        if name not in known.values() and meant:
            yield LintFinding(".parachute/module.json", f'{name}: is ignored; did you mean "{known[meant[0]]}"?')


def _unused(folder: Path, manifest: Manifest) -> Iterator[LintFinding]:
    """Permissions that the package's own files do not use."""
    asked = manifest.permissions
    if asked is None:
        return
    text = "\n".join(_sources(folder))
    where = ".parachute/module.json"
    hosts = asked.network if isinstance(asked.network, tuple) else ()
    for name in (*(host.removeprefix("*.") for host in hosts), *asked.programs):
        if name not in text:
            yield LintFinding(where, f"permissions: requests {name}, which no file of the package uses")
    if asked.network == "any" and not any(word in text for word in _NETWORK_WORDS):
        yield LintFinding(where, 'permissions: requests the network, but nothing uses it; set "network": "none"')


def _sources(folder: Path) -> Iterator[str]:
    """The package's own source files, without dependencies."""
    left = _MOST_SOURCE
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        manifest = inside[-2:] == (".parachute", "module.json")
        if manifest or path.suffix not in _SOURCES or "node_modules" in inside or left <= 0 or not path.is_file():
            continue
        content = path.read_bytes()[:left]
        left -= len(content)
        yield content.decode("utf-8", "replace")


def _start(folder: Path, manifest: Manifest) -> Iterator[LintFinding]:
    """Apply the same rule that starts the module."""
    row = ServiceRow(
        name=manifest.manifest_name, port=manifest.port, paths=manifest.paths, health=manifest.health, version="0"
    )
    known = Catalog().get(manifest.name)
    if known is not None and known.static and not (folder / "dist" / "index.html").is_file():
        yield LintFinding("dist/index.html", "is missing; build the app before you pack it")
    try:
        entry_of(folder, manifest, manifest.name, row, known if known and known.static else None)
    except CannotLaunch as error:
        yield LintFinding(".parachute/module.json", f"startCmd: {error.description}")
