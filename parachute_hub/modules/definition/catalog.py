"""The catalog of available modules: built in, or read from a file."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, field

from parachute_hub.modules.definition import names, validation
from parachute_hub.modules.definition.model import EXPOSURES
from parachute_hub.modules.definition.permissions import Permissions
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.system.records import frozen

FILE_LIMIT = 256 * 1024
MEGABYTES = (64, 1 << 20)
PERCENT = (5, 100_000)
"""The smallest and largest limits of a module, in MiB and in percent of one processor."""
_FOCUS = ("core", "experimental", "deprecated")


class BadCatalog(Exception):
    """The catalog file is invalid. The text names the file, the field and the rule."""


@frozen(kw_only=True)
class CatalogEntry:
    """One available module. `source` is a tarball to install instead of asking the registry.

    `port`, `paths`, `health`, `strip_prefix` and `start_cmd` are defaults for old packages without a manifest.
    `mounts` are prefixes the module may claim besides `/<short>`. `ignores_port` means that it always binds `port`.
    `memory_mb` is an estimate. `memory_limit_mb` and `cpu_limit`, in percent of one processor, are what it may use
    unless the owner or its manifest says otherwise. `fetches_packages` means that it runs `bun add` itself.
    `hosts_apps` lets its row name apps (`uis`) with an audience of their own. `reference` marks the hub's own reference
    modules. `permissions` are those of a package that declares none. `first_config` is written to its config.json
    before its first start if it has none; `{hub}` stands for the hub's address on this machine and `{vault}` for the
    name of the first vault. `withdrawn` versions must not be used any more, each with a sentence that says why.
    """

    short: str
    package: str
    manifest_name: str
    display_name: str
    tagline: str = ""
    focus: str = "experimental"
    exposure: str | None = None
    static: bool = False
    memory_mb: int | None = None
    memory_limit_mb: int | None = None
    cpu_limit: int | None = None
    source: Path | None = None
    port: int | None = None
    paths: tuple[str, ...] = ()
    health: str | None = None
    strip_prefix: bool | None = None
    start_cmd: tuple[str, ...] | None = None
    mounts: tuple[str, ...] = ()
    ignores_port: bool = False
    fetches_packages: bool = False
    hosts_apps: bool = True
    reference: bool = False
    permissions: Permissions | None = None
    first_config: Mapping[str, str | bool] | None = None
    withdrawn: Mapping[str, str] = field(factory=dict)


BUILT_IN: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        short="vault",
        package="@openparachute/vault",
        manifest_name="parachute-vault",
        display_name="Vault",
        tagline="Keeps your notes, and lets your AI read and write them",
        focus="core",
        port=1940,
        paths=("/vault/default",),
        health="/vault/default/health",
        start_cmd=("parachute-vault", "serve"),
        memory_mb=128,
        hosts_apps=False,
    ),
    CatalogEntry(
        short="notes",
        package="@openparachute/notes",
        manifest_name="parachute-notes",
        display_name="Notes",
        tagline="Write and find your notes in the browser",
        focus="core",
        static=True,
        port=1942,
        paths=("/notes",),
        health="/notes/health",
        memory_mb=32,
        # A server of plain files: what takes more is broken.
        memory_limit_mb=256,
        cpu_limit=100,
        permissions=Permissions(network="none"),
        hosts_apps=False,
    ),
    CatalogEntry(
        short="scribe",
        package="@openparachute/scribe",
        manifest_name="parachute-scribe",
        display_name="Scribe",
        tagline="Turns speech into text",
        focus="core",
        exposure="auth-required",
        port=1943,
        paths=("/scribe",),
        health="/scribe/health",
        strip_prefix=True,
        start_cmd=("parachute-scribe", "serve"),
        memory_mb=96,
        # It hands recordings to local programs in files that are named /tmp/scribe-*.
        permissions=Permissions(
            folders=("/tmp",),  # noqa: S108
            programs=("ffmpeg", "onnx-asr", "parakeet-mlx", "whisper-ctranslate2", "claude"),
        ),
        hosts_apps=False,
    ),
    CatalogEntry(
        short="surface",
        package="@openparachute/surface",
        manifest_name="parachute-surface",
        display_name="Surface",
        tagline="Hosts small web apps on top of your vault",
        focus="core",
        port=1946,
        paths=("/surface", "/.parachute"),
        health="/surface/healthz",
        strip_prefix=False,
        start_cmd=("parachute-surface", "serve"),
        mounts=("/.parachute",),
        ignores_port=True,
        fetches_packages=True,
        memory_mb=96,
        permissions=Permissions(programs=("git",)),
        # Where it registers the apps that it serves; by default port 1939.
        first_config={"hub_url": "{hub}"},
    ),
    CatalogEntry(
        short="agent",
        package="@openparachute/agent",
        manifest_name="parachute-agent",
        display_name="Agent",
        tagline="Lets you chat with Claude Code sessions on this machine",
        exposure="auth-required",
        port=1941,
        paths=("/agent",),
        health="/health",
        strip_prefix=True,
        start_cmd=("parachute-agent",),
        memory_mb=96,
        permissions=Permissions(programs=("claude", "bwrap", "rg", "socat", "git")),
    ),
    CatalogEntry(
        short="runner",
        package="@openparachute/runner",
        manifest_name="parachute-runner",
        display_name="Runner",
        tagline="Runs jobs from your vault with Claude Code on a schedule",
        exposure="auth-required",
        port=1945,
        paths=("/runner", "/.parachute"),
        health="/runner/healthz",
        strip_prefix=False,
        start_cmd=("parachute-runner", "serve"),
        mounts=("/.parachute",),
        ignores_port=True,
        memory_mb=64,
        permissions=Permissions(programs=("claude",)),
        hosts_apps=False,
        # It needs some token to start; its settings page takes the real one.
        first_config={
            "vault_url": "{hub}",
            "vault_name": "{vault}",
            "vault_token": "set one in the settings",
            "disabled": True,
        },
    ),
)
_TABLE: Mapping[str, CatalogEntry] = {entry.short: entry for entry in BUILT_IN}
_ALIASES: Mapping[str, str] = {"parachute-lens": "notes"}


@frozen
class Catalog:
    """The available modules, in order. `hub` is the newest version of the hub itself, where the catalog names it."""

    entries: tuple[CatalogEntry, ...] = BUILT_IN
    hub: str | None = None
    _by_short: Mapping[str, CatalogEntry] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_by_short", {entry.short: entry for entry in self.entries})

    def get(self, short: str) -> CatalogEntry | None:
        """The entry with this short name. Built-in modules stay known when a file replaces the catalog."""
        return self._by_short.get(short) or _TABLE.get(short)

    def offers(self, package: str) -> CatalogEntry | None:
        """The catalog entry for this package, if it is on offer."""
        return next((entry for entry in self.entries if entry.package == package), None)

    def withdrawn(self, package: str, version: str) -> str | None:
        """Why this version must not be used any more; None if it may."""
        entry = self.offers(package)
        return entry.withdrawn.get(version) if entry else None

    def source(self, package: str) -> Path | None:
        """The tarball from which this package is installed, if it has one."""
        entry = self.offers(package)
        return entry.source if entry else None

    def names(self, row_name: str, entry: CatalogEntry) -> bool:
        """True if a row with this name belongs to the entry, by its current or a former name."""
        return row_name == entry.manifest_name or _ALIASES.get(row_name) == entry.short

    def short_of(self, row_name: str) -> str:
        """The short name for a row: from the catalog, else the row's name without `parachute-`."""
        if row_name in _ALIASES:
            return _ALIASES[row_name]
        if row_name.startswith("parachute-vault-"):
            return "vault"
        known = next((entry.short for entry in (*self.entries, *BUILT_IN) if entry.manifest_name == row_name), None)
        return known or row_name.removeprefix("parachute-")


def load(path: Path | None, home: Path) -> Catalog:
    """The built-in catalog, or the one in the file. Raises BadCatalog."""
    if path is None:
        return Catalog()
    _refuse_unsafe(path, home)
    try:
        return parse(path.read_bytes(), path.parent)
    except Invalid as error:
        raise BadCatalog(f"The catalog {path} cannot be used: {error}.") from None
    except OSError as error:
        raise BadCatalog(f"The catalog {path} cannot be read: {error.strerror}.") from None


def parse(content: bytes, folder: Path) -> Catalog:
    """The catalog in a file's content; sources are relative to `folder`. Raises Invalid."""
    document = validation.parse_object(content, "the file", FILE_LIMIT)
    modules = document.get("modules")
    if not isinstance(modules, list):
        raise Invalid("modules", "must be a list")
    entries = tuple(_entry(raw, f"modules[{index}]", folder) for index, raw in enumerate(modules))
    hub = document.get("hub")
    if hub is not None and (not isinstance(hub, str) or not names.is_version(hub)):
        raise Invalid("hub", "must be a version such as 1.2.3")
    for name, values in (
        ("short", [entry.short for entry in entries]),
        ("package", [entry.package for entry in entries]),
    ):
        if len(set(values)) < len(values):
            raise Invalid("modules", f"two entries have the same {name}")
    return Catalog(entries, hub)


def _refuse_unsafe(path: Path, home: Path) -> None:
    """Reject a catalog file that a module could modify."""
    try:
        found = path.stat()
    except OSError as error:
        raise BadCatalog(f"The catalog {path} cannot be read: {error.strerror}.") from None
    if path.resolve().is_relative_to(home.resolve()):
        raise BadCatalog(f"The catalog {path} is inside the hub's home, where modules can write. Move it elsewhere.")
    if found.st_uid not in (0, os.getuid()) or found.st_mode & stat.S_IWOTH:
        raise BadCatalog(f"The catalog {path} can be written by other users. Make it yours: chmod o-w {path}")


def _entry(value: object, at: str, folder: Path) -> CatalogEntry:
    raw = validation.mapping(value, at)
    short = validation.text(raw.get("short"), f"{at}.short")
    if not names.is_short(short):
        raise Invalid(f"{at}.short", "must be lower case letters, digits and dashes")
    package = validation.text(raw.get("package"), f"{at}.package")
    if not names.is_package(package):
        raise Invalid(f"{at}.package", "must be the name of an npm package")
    # Fields that a catalog file cannot set come from the built-in catalog, else from the package's manifest.
    base = _TABLE.get(short) or CatalogEntry(
        short=short, package=package, manifest_name=f"parachute-{short}", display_name=short
    )
    exposure, memory, source = raw.get("exposure"), raw.get("memoryMB"), raw.get("source")
    asked = raw.get("permissions")
    return evolve(
        base,
        package=package,
        display_name=validation.text(raw.get("displayName", base.display_name), f"{at}.displayName"),
        tagline=validation.any_text(raw.get("tagline", base.tagline), f"{at}.tagline"),
        focus=validation.one_of(raw.get("focus", base.focus), f"{at}.focus", _FOCUS),
        exposure=base.exposure if exposure is None else validation.one_of(exposure, f"{at}.exposure", EXPOSURES),
        static=validation.flag(raw.get("static", base.static), f"{at}.static"),
        memory_mb=base.memory_mb if memory is None else _megabytes(memory, f"{at}.memoryMB"),
        memory_limit_mb=_limit(raw, "memoryLimitMB", base.memory_limit_mb, at),
        cpu_limit=_limit(raw, "cpuLimit", base.cpu_limit, at),
        permissions=base.permissions if asked is None else Permissions.parse(asked, f"{at}.permissions"),
        reference=validation.flag(raw.get("reference", False), f"{at}.reference"),
        source=None if source is None else folder / validation.text(source, f"{at}.source"),
        withdrawn=_withdrawn(raw.get("withdrawn"), f"{at}.withdrawn"),
    )


def _withdrawn(value: object, at: str) -> Mapping[str, str]:
    """Versions with a reason each. Raises Invalid."""
    told = {} if value is None else validation.mapping(value, at)
    return {version: validation.text(why, f"{at}.{version}") for version, why in told.items()}


def _megabytes(value: object, at: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Invalid(at, "must be a whole number of MiB")
    return value


def _limit(raw: Mapping[str, object], name: str, usual: int | None, at: str) -> int | None:
    """A limit; null is without one. Raises Invalid."""
    value = raw.get(name, usual)
    least, most = {"memoryLimitMB": MEGABYTES, "cpuLimit": PERCENT}[name]
    return None if value is None else validation.amount(value, f"{at}.{name}", least, most)
