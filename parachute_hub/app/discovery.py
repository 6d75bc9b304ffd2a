"""Presents installed modules to others: links to their pages, discovery entries, front-page tiles."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from parachute_hub.app.installed import Installed, InstalledModules
from parachute_hub.modules.definition.links import ICON, Links, links_of, main_mount
from parachute_hub.modules.launch.pages_seen import ModuleAddress
from parachute_hub.site.front_page import Tile
from parachute_hub.site.well_known import INFO_PAGES, Advertised, MountLinks
from parachute_hub.supervise.model import Status

VAULT_PAGE = "/admin/vaults"
NOTES = "notes"


def links_at(module: Installed, path: str) -> Links:
    """The links of the module's manifest, at one of its mounts."""
    return links_of(module.manifest, path, vault=module.row.is_vault, static=module.static)


class Pages(Protocol):
    """The part of `PagesSeen` used here."""

    def offered(self, short: str, link: str | None) -> str | None:
        """The link, if it leads to a page."""

    def look(self, short: str, links: Iterable[str]) -> None:
        """Check these links now."""


class ModulePorts(Protocol):
    """What is needed of the supervisor."""

    def status(self, short: str) -> Status | None:
        """What is known of a module."""

    def owned_port(self, short: str) -> int | None:
        """The port of the module's own process."""


class ModuleLinks:
    """The links to offer: those that lead to a page (`PagesSeen`), consistent across pages and the API."""

    def __init__(self, installed_modules: InstalledModules, seen: Pages) -> None:
        self._installed_modules = installed_modules
        self._seen = seen

    def of(self, module: Installed, path: str | None = None) -> Links:
        """At the main mount, or at this one. A module without a card at its mount is described by the hub."""
        links = links_at(module, main_mount(module.paths) if path is None else path)
        offered = partial(self._seen.offered, module.short)
        return Links(
            ui=offered(links.ui),
            management=offered(links.management),
            config_ui=offered(links.config_ui),
            info=offered(links.info) or f"{INFO_PAGES}{module.row.name}",
            icon=offered(links.icon),
        )

    def by_short(self, short: str) -> Links:
        """The same by name; empty for a module that is not installed."""
        found = next((module for module in self._installed_modules.modules() if module.short == short), None)
        return Links() if found is None else self.of(found)

    def look(self, short: str) -> None:
        """A module became ready: check its links."""
        for module in self._installed_modules.modules():
            if module.short == short:
                for path in module.paths:
                    self._seen.look(short, links_at(module, path).all())


def placed(installed_modules: InstalledModules, supervisor: ModulePorts) -> Callable[[str], ModuleAddress | None]:
    """Where to reach each running module for page checks."""

    def where(short: str) -> ModuleAddress | None:
        port = supervisor.owned_port(short)
        found = [module for module in installed_modules.modules() if module.short == short]
        if port is None or not found:
            return None
        return ModuleAddress(
            port=port, mounts=tuple(path for module in found for path in module.paths), strip=found[0].strip
        )

    return where


def advertised(modules: Iterable[Installed], links: ModuleLinks) -> list[Advertised]:
    """The modules for `/.well-known/parachute.json`."""
    return [
        Advertised(
            name=module.row.name,
            version=module.row.version,
            mounts=tuple(_mounted(module, path, links) for path in _advertised_paths(module)),
            display_name=(module.manifest and module.manifest.display_name) or module.row.display_name,
            tagline=module.row.tagline,
            uis={
                unit.slug: {
                    "displayName": unit.display_name,
                    "path": unit.path,
                    "tagline": unit.tagline,
                    "iconUrl": unit.icon_url,
                    "version": unit.version,
                    "oauthClientId": unit.oauth_client_id,
                    "status": unit.status,
                }
                for unit in module.row.uis
            },
        )
        for module in modules
    ]


def _advertised_paths(module: Installed) -> tuple[str, ...]:
    """A vault's row lists its vaults; for other modules the first mount counts."""
    if module.row.is_vault:
        return module.row.paths
    return (module.paths or module.row.paths)[:1]


def _mounted(module: Installed, path: str, links: ModuleLinks) -> MountLinks:
    offered = links.of(module, path)
    management = offered.management or (VAULT_PAGE if module.row.is_vault else None)
    return MountLinks(path=path, info=offered.info, ui=offered.ui, management=management)


def tiles(installed_modules: InstalledModules, supervisor: ModulePorts, links: ModuleLinks) -> list[Tile]:
    """The front page's tiles: the modules with a page of their own, and the apps that they host for the hub's users."""
    made = []
    for module in installed_modules.modules():
        status = supervisor.status(module.short)
        state = status.state.value if status else "stopped"
        offered = links.of(module)
        made += [
            Tile(name=unit.display_name, tagline=unit.tagline or "", state=state, url=unit.path, icon=unit.icon_url)
            for unit in module.row.uis
            if unit.audience != "operator"
        ]
        # A settings page is opened from the hub's page, which issues its token.
        page = offered.ui if offered.ui != offered.config_ui else None
        if page is None or not page.startswith("/"):
            continue
        made.append(
            Tile(
                name=(module.manifest and module.manifest.display_name) or module.row.display_name or module.short,
                tagline=module.row.tagline or (module.manifest and module.manifest.tagline) or "",
                state=state,
                url=page,
                icon=f"{main_mount(module.paths)}{ICON}",
                writes=f"{page}#/new" if module.short == NOTES else None,
            )
        )
    return made
