"""Modules as shown in `GET /api/modules`."""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from attrs import field

from parachute_hub.modules.definition import manifests
from parachute_hub.modules.definition.catalog import CatalogEntry
from parachute_hub.modules.definition.links import Links
from parachute_hub.modules.definition.model import Manifest, ServiceRow, SubUnit
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.definition.versions import is_newer
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.records import Record
from parachute_hub.site.errors import Refused
from parachute_hub.supervise.model import Allowance, Isolation, ModuleState, Status
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import FailureLog
from parachute_hub.system.timestamps import to_the_second

_FOCUS_ORDER = {"core": 0, "experimental": 1, "deprecated": 2}
_MOST_UNUSABLE = 20
_FIRST = {"vault": 0, "scribe": 1}
_NO_STATUS: dict[str, Any] = {
    "state": None,
    "reason": None,
    "since": None,
    "restarts": 0,
    "next_retry_at": None,
    "last_exit": None,
    "pid": None,
    "started_at": None,
    "supervisor_status": None,
    "supervisor_start_error": None,
    "reports": [],
    "warnings": [],
    "elsewhere": None,
}


class Watches(Protocol):
    """The part of the supervisor that the view uses."""

    def status(self, short: str) -> Status | None: ...

    def all(self) -> list[Status]: ...


@frozen(kw_only=True)
class ModulesView:
    """Builds the listing. `latest` returns the newest known version of a package without waiting for the registry.

    `drift` returns the kind of port drift, `copied_at` the time of the last data snapshot (epoch seconds), `links` the
    links that lead to a page, `adoptable` package and folder of a module that this hub did not install, `isolation` how
    this machine separates modules.
    """

    directory: ModuleDirectory
    supervisor: Watches
    latest: Callable[[str], str | None]
    drift: Callable[[str], str | None]
    copied_at: Callable[[str], float | None]
    adoptable: Callable[[str], "tuple[str, Path | None] | None"]
    links: Callable[[str], Links]
    isolation: Callable[[], Isolation]
    _failures: FailureLog = field(factory=FailureLog, init=False)

    def listing(self) -> dict[str, Any]:
        """The whole response except the channel."""
        modules = sorted((found for short in self._shorts() if (found := self._told(short))), key=_order)
        supervised = [
            {
                name: module[name]
                for name in (
                    "short",
                    "installed",
                    "installed_version",
                    "supervisor_status",
                    "pid",
                    "supervisor_start_error",
                )
            }
            for module in modules
            if module["supervisor_status"] is not None
        ]
        return {
            "modules": modules,
            "supervised": supervised,
            "supervisor_available": True,
            "isolation": self.isolation().to_json(),
        }

    def _told(self, short: str) -> dict[str, Any] | None:
        """One module; None, with a log entry, if that fails, so that the others are still listed."""
        told: list[dict[str, Any]] = []
        self._failures.attempt(f"Describing {short}", lambda: told.append(self.module(short)))
        return told[0] if told else None

    def module(self, short: str) -> dict[str, Any]:
        """One module, installed or on offer."""
        row, entry = self.directory.row(short), self.directory.entry(short)
        record = self.directory.records.get(short)
        unusable = row is None and bool(self.directory.unusable_rows(short))
        folder = self.directory.folder(short) if row else None
        manifest = _manifest(folder)
        package = self.directory.package_of(short)
        placed = _package(folder)
        installed = (placed and placed.version) or (row.version if row else None)
        reference = placed.reference if placed else bool(row is None and entry and entry.reference)
        latest = self.latest(package) if package and not record.linked else None
        status = self.supervisor.status(short)
        copied = self.copied_at(short)
        links = self.links(short)
        focus = (manifest and manifest.focus) or (entry.focus if entry else "experimental")
        stray = self.adoptable(short)
        return {
            "short": short,
            "package": package or short,
            "edition": "reference" if reference else "published",
            "found": None if stray is None else {"package": stray[0], "folder": stray[1] and str(stray[1])},
            **_words(short, row, entry, manifest),
            "focus": focus,
            "available": package is not None,
            "available_to_install": self._offered(short) and focus != "deprecated",
            "installed": row is not None or unusable,
            "row_unusable": unusable,
            "installed_version": installed if row else None,
            "latest_version": latest,
            "upgrade_available": row is not None and not record.pin and is_newer(latest, installed),
            **(status.to_json() if status else {**_NO_STATUS, "port": row.port if row else None}),
            "port_drift": self.drift(short),
            "install_dir": str(folder) if folder else None,
            "fetches_packages": bool((vouched := self.directory.vouched(short)) and vouched.fetches_packages),
            "vaults": len(self.directory.mounts(row)[0]) if row is not None and row.is_vault else None,
            "uis": [_sub_unit(unit) for unit in row.uis] if row else [],
            "management_url": links.management or links.ui,
            "config_ui_url": links.config_ui,
            "icon_url": links.icon,
            "settings_token": self._has_own_token(short, record, manifest),
            "memory_mb": entry.memory_mb if entry else None,
            "limits": _limits(self.directory.allowance(short), self.directory.usual_allowance(short)),
            "first_party": self.directory.is_first_party(short),
            "missing": row is not None and folder is None,
            "permissions": self.directory.permissions(short).to_json(),
            "idle": manifest.idle.to_json() if manifest and manifest.idle else None,
            "dependencies": _dependencies(manifest, self._shorts()) if manifest else [],
            "settings": settings_json(record),
            "data_copy_at": None if copied is None else to_the_second(copied),
        }

    def _has_own_token(self, short: str, record: Record, manifest: Manifest | None) -> bool:
        """Whether its settings page can use a token. A sandboxed page is nobody's, so it gets none."""
        sandboxed = not (self.directory.is_first_party(short) or record.trusted)
        return manifest is not None and f"{short}:admin" in manifest.scopes and not sandboxed

    def packages(self) -> list[str]:
        """The packages of installed modules, except linked folders."""
        here = (short for short in self.directory.shorts() if not self.directory.records.get(short).linked)
        return [package for short in here if (package := self.directory.package_of(short))]

    def _shorts(self) -> list[str]:
        offered = (entry.short for entry in self.directory.catalog.entries)
        watched = (status.short for status in self.supervisor.all())
        unusable = (self.directory.short_of(name) for name in self.directory.services.read().unusable_names)
        strangers = (self.directory.short_of(row.name) for row in self.directory.strangers())
        strays = islice(strangers, _MOST_UNUSABLE)
        return list(
            dict.fromkeys((*offered, *self.directory.shorts(), *watched, *strays, *islice(unusable, _MOST_UNUSABLE)))
        )

    def _offered(self, short: str) -> bool:
        return any(entry.short == short for entry in self.directory.catalog.entries)


def settings_json(record: Record) -> dict[str, Any]:
    """The hub's settings of a module. Environment values may be secret, so only the names are listed.

    For the previous version, the folder's suffix is removed (`Store.free_name`).
    """
    return {
        "pin": record.pin,
        "updates": "pin" if record.pin else "night" if record.night else "tell",
        "autostart": record.autostart,
        "smol": record.smol,
        "memory_limit": record.memory_limit,
        "cpu_limit": record.cpu_limit,
        "sleep_after": record.sleep_after,
        "env": sorted(record.env or {}),
        "linked": record.linked,
        "previous": record.previous and record.previous.partition("~")[0],
        "trusted": record.trusted,
        "registry_keys": record.registry_keys,
        "isolation": record.isolation,
        "may_read": list(record.may_read),
        "may_change": list(record.may_change),
        "port": record.port,
        "exposure": record.exposure,
    }


def _limits(now: Allowance, usual: Allowance) -> dict[str, int | None]:
    """What holds now, and without the owner's word: bytes, and percent of one processor. None is no limit."""
    return {
        "memory": now.memory,
        "cpu": None if now.processor is None else round(100 * now.processor),
        "usual_memory": usual.memory,
        "usual_cpu": None if usual.processor is None else round(100 * usual.processor),
    }


def state_json(status: Status) -> dict[str, Any]:
    """A state, with the older hub's field names as well."""
    told = status.to_json()
    exit_code = status.last_exit.code if status.last_exit else None
    return {
        **told,
        "status": status.supervisor_status,
        "startedAt": told["started_at"],
        "restartsInWindow": status.restarts,
        "lastExitCode": exit_code,
    }


def moved_json(status: Status) -> dict[str, Any]:
    """The response to start and restart. Raises Refused for a module that cannot be spawned."""
    error = status.start_error
    if error is not None and status.state is not ModuleState.READY:
        known = {"no_start_cmd": (422, "no_start_cmd")}
        code, word = known.get(str(error.get("error_type")), (500, "module_op_failed"))
        raise Refused(code, word, str(error.get("error_description")), detail={"error_detail": dict(error)})
    return {"short": status.short, "state": state_json(status)}


def _words(short: str, row: ServiceRow | None, entry: CatalogEntry | None, manifest: Manifest | None) -> dict[str, str]:
    names = (manifest and manifest.display_name, row and row.display_name, entry and entry.display_name)
    lines = (entry and entry.tagline, row and row.tagline, manifest and manifest.tagline)
    return {
        "display_name": next((name for name in names if name), short),
        "tagline": next((line for line in lines if line), ""),
    }


def _dependencies(manifest: Manifest, present: Iterable[str]) -> list[dict[str, Any]]:
    there = set(present)
    return [
        {"short": wanted.short, "optional": wanted.optional, "known": wanted.short in there}
        for wanted in manifest.dependencies
    ]


def _sub_unit(unit: SubUnit) -> dict[str, Any]:
    return {
        "name": unit.slug,
        "display_name": unit.display_name,
        "path": unit.path,
        "tagline": unit.tagline,
        "icon_url": unit.icon_url,
        "version": unit.version,
        "oauth_client_id": unit.oauth_client_id,
        "status": unit.status,
    }


def _manifest(folder: Path | None) -> Manifest | None:
    try:
        return manifests.read_manifest(folder) if folder else None
    except Invalid:
        return None


def _package(folder: Path | None) -> manifests.Package | None:
    try:
        return manifests.read_package(folder) if folder else None
    except Invalid:
        return None


def _order(module: dict[str, Any]) -> tuple[int, int, str]:
    return (_FOCUS_ORDER.get(module["focus"], 1), _FIRST.get(module["short"], 2), module["short"])
