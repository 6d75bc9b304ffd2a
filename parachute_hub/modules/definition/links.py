"""The URLs of a module's pages, resolved from its manifest for pages, API and discovery."""

from collections.abc import Iterable, Iterator

from parachute_hub.modules.definition.model import Manifest
from parachute_hub.system.records import frozen

INFO = "/.parachute/info"
ICON = "/.parachute/icon.svg"


@frozen(kw_only=True)
class Links:
    """Each is a path on the hub, or an http(s) URL elsewhere.

    `ui` is the module's app, `management` its administration, `config_ui` its settings page, `info` its description as
    JSON, `icon` its picture.
    """

    ui: str | None = None
    management: str | None = None
    config_ui: str | None = None
    info: str = INFO
    icon: str | None = None

    def all(self) -> Iterator[str]:
        """The links that lead to the hub, each once."""
        found = (self.ui, self.management, self.config_ui, self.info, self.icon)
        return iter(dict.fromkeys(link for link in found if link is not None and link.startswith("/")))


def links_of(manifest: Manifest | None, mount: str, *, vault: bool = False, static: bool = False) -> Links:
    """The links of a module at this mount. A package of plain pages (`static`) need not declare them."""
    mount = mount.rstrip("/")
    front = f"{mount}/" if static else None
    if manifest is None:
        return Links(ui=front, info=mount + INFO, icon=mount + ICON)

    def given(value: str | None) -> str | None:
        return None if value is None else resolve(value, mount, vault=vault)

    return Links(
        ui=given(manifest.ui_url) or front,
        management=given(manifest.management_url),
        config_ui=given(manifest.config_ui_url),
        info=mount + INFO,
        icon=mount + ICON,
    )


def resolve(value: str, mount: str, *, vault: bool = False) -> str:
    """A link of a manifest: an address elsewhere, a path on the hub, or a path below the mount.

    >>> resolve("admin/", "/vault/default"), resolve("/scribe/admin", "/scribe"), resolve("https://x.test/", "/x")
    ('/vault/default/admin/', '/scribe/admin', 'https://x.test/')

    Published vaults mean their own page by `/admin`.

    >>> resolve("/admin", "/vault/default", vault=True)
    '/vault/default/admin'
    """
    if vault and value in ("/admin", "/admin/"):
        return mount + value
    if value.startswith(("/", "http://", "https://")):
        return value
    return f"{mount}/{value}"


def main_mount(paths: Iterable[str]) -> str:
    """The mount with the module's pages: the first one, except `/.parachute`."""
    return next((path for path in paths if not path.startswith("/.parachute")), "")
