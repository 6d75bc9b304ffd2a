"""`/.well-known/parachute.json`: what this hub serves, for modules and clients."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import field, frozen
from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.site.area import area, as_json

SEED_VERSION = "0.0.0-linked"

_CORS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, OPTIONS",
}


@frozen(kw_only=True)
class Advertised:
    """One installed module in the document: its row, completed from its manifest.

    `management_url` is as in the manifest; `ui_url` and the `uis` entries are resolved against the origin here.
    """

    name: str
    version: str
    paths: tuple[str, ...]
    display_name: str | None = None
    tagline: str | None = None
    management_url: str | None = None
    ui_url: str | None = None
    uis: Mapping[str, Mapping[str, Any]] = field(factory=dict)

    @property
    def is_vault(self) -> bool:
        """Vault rows are listed once per vault."""
        return self.name == "parachute-vault" or self.name.startswith("parachute-vault-")


def document(modules: Iterable[Advertised], origin: str) -> dict[str, Any]:
    """The document for one origin (no trailing slash). Optional keys are omitted, never null."""
    vaults: list[dict[str, Any]] = []
    services: list[dict[str, Any]] = []
    buckets: dict[str, list[dict[str, Any]]] = {}
    for module in modules:
        if module.is_vault:
            for path in module.paths:
                services.append(_service(module, path, origin))
                if module.version != SEED_VERSION:
                    vaults.append(_vault(module, path, origin))
            continue
        path = module.paths[0] if module.paths else "/"
        entry = _service(module, path, origin)
        services.append(entry)
        bucket = buckets.setdefault(module.name.removeprefix("parachute-"), [])
        bucket.append({"url": entry["url"], "version": module.version})
    # A module may have the same name as one of the document's own keys.
    own: dict[str, Any] = {"vaults": vaults, "services": services}
    return own | {name: found for name, found in buckets.items() if name not in own}


def vault_name(module_name: str, path: str) -> str:
    """The vault that a row's path refers to.

    >>> vault_name("parachute-vault", "/vault/work"), vault_name("parachute-vault-home", "/x")
    ('work', 'home')
    """
    parts = path.split("/")
    if len(parts) >= 3 and parts[1] == "vault" and parts[2]:
        return parts[2]
    return module_name.removeprefix("parachute-vault-") if "-vault-" in module_name else "default"


def resolve(value: str, mount: str, origin: str) -> str:
    """An absolute URL from a manifest field: absolute, relative to the root, or relative to the mount."""
    if value.startswith(("http://", "https://")):
        return value
    if value.startswith("/"):
        return origin + value
    return f"{origin}{mount.rstrip('/')}/{value}"


def _vault(module: Advertised, path: str, origin: str) -> dict[str, Any]:
    entry = {"name": vault_name(module.name, path), "url": origin + path.rstrip("/"), "version": module.version}
    return entry | _given(managementUrl=module.management_url)


def _service(module: Advertised, path: str, origin: str) -> dict[str, Any]:
    mount = path.rstrip("/")
    ui = None
    if module.ui_url is not None:
        # Old vaults declare "/admin" and mean a path below their mount.
        own = module.ui_url.strip("/") if module.is_vault and module.ui_url.rstrip("/") == "/admin" else module.ui_url
        ui = resolve(own, mount, origin)
    uis = [_sub_unit(slug, unit, origin) for slug, unit in module.uis.items()]
    return {
        "name": module.name,
        "url": origin + mount if mount else origin + "/",
        "path": path,
        "version": module.version,
        "infoUrl": f"{origin}{mount}/.parachute/info",
    } | _given(displayName=module.display_name, tagline=module.tagline, uiUrl=ui, uis=uis or None)


def _sub_unit(slug: str, unit: Mapping[str, Any], origin: str) -> dict[str, Any]:
    path = str(unit.get("path", "/"))
    icon = unit.get("iconUrl")
    return {
        "name": slug,
        "displayName": unit.get("displayName", slug),
        "path": path,
        "url": origin + path,
    } | _given(
        tagline=unit.get("tagline"),
        iconUrl=resolve(str(icon), path, origin) if icon else None,
        version=unit.get("version"),
        oauthClientId=unit.get("oauthClientId"),
        status=unit.get("status"),
    )


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


class WellKnown:
    """`GET /.well-known/parachute.json`: public, built for each request, never cached."""

    app: Klein = area()

    def __init__(self, modules: Callable[[], Iterable[Advertised]], origin: Callable[[], str]) -> None:
        self._modules = modules
        self._origin = origin

    @app.route("/.well-known/parachute.json", methods=["GET", "HEAD", "OPTIONS"])
    def parachute(self, request: IRequest) -> bytes:
        """The document; 204 for a preflight."""
        for name, value in _CORS.items():
            request.setHeader(name, value)
        if request.method == b"OPTIONS":
            request.setResponseCode(204)
            return b""
        return as_json(request, document(self._modules(), self._origin()))
