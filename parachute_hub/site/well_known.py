"""`/.well-known/parachute.json` and the cards of hub and modules: what is served here, for modules and clients."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import field
from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub import __version__
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.errors import not_found
from parachute_hub.system.records import frozen

SEED_VERSION = "0.0.0-linked"
INFO_PAGES = "/.well-known/parachute/"
"""Prefix of the cards of modules that have none of their own."""
SCHEMAS = "/.well-known/parachute-schemas/"
"""Prefix of the JSON Schemas for module authors: module.json, services.json, catalog.json."""

_HUB = {
    "name": "parachute-hub",
    "displayName": "Parachute",
    "tagline": "Runs small programs of your own",
    "kind": "hub",
}
_CORS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, OPTIONS",
}


@frozen(kw_only=True)
class MountLinks:
    """One mount of a module and its links: paths on this hub, or http(s) URLs elsewhere."""

    path: str
    info: str
    ui: str | None = None
    management: str | None = None


@frozen(kw_only=True)
class Advertised:
    """One installed module in the document: its row, completed from its manifest."""

    name: str
    version: str
    mounts: tuple[MountLinks, ...]
    display_name: str | None = None
    tagline: str | None = None
    uis: Mapping[str, Mapping[str, Any]] = field(factory=dict)

    @property
    def is_vault(self) -> bool:
        """Vault rows are listed once per vault."""
        return self.name == "parachute-vault" or self.name.startswith("parachute-vault-")


_NOWHERE = MountLinks(path="/", info="/.parachute/info")


def document(modules: Iterable[Advertised], origin: str) -> dict[str, Any]:
    """The document for one origin (no trailing slash). Optional keys are omitted, never null."""
    vaults: list[dict[str, Any]] = []
    services: list[dict[str, Any]] = []
    buckets: dict[str, list[dict[str, Any]]] = {}
    for module in modules:
        if module.is_vault:
            for mounted in module.mounts:
                services.append(_service(module, mounted, origin))
                if module.version != SEED_VERSION:
                    vaults.append(_vault(module, mounted, origin))
            continue
        entry = _service(module, module.mounts[0] if module.mounts else _NOWHERE, origin)
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


def _absolute(link: str | None, origin: str) -> str | None:
    return origin + link if link is not None and link.startswith("/") else link


def _vault(module: Advertised, mounted: MountLinks, origin: str) -> dict[str, Any]:
    path = mounted.path
    entry = {"name": vault_name(module.name, path), "url": origin + path.rstrip("/"), "version": module.version}
    return entry | _given(managementUrl=_absolute(mounted.management, origin))


def _service(module: Advertised, mounted: MountLinks, origin: str) -> dict[str, Any]:
    mount = mounted.path.rstrip("/")
    uis = [_sub_unit(slug, unit, origin) for slug, unit in module.uis.items()]
    return {
        "name": module.name,
        "url": origin + mount if mount else origin + "/",
        "path": mounted.path,
        "version": module.version,
        "infoUrl": _absolute(mounted.info, origin),
    } | _given(
        displayName=module.display_name,
        tagline=module.tagline,
        uiUrl=_absolute(mounted.ui, origin),
        uis=uis or None,
    )


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
        iconUrl=_icon(str(icon), path, origin) if icon else None,
        version=unit.get("version"),
        oauthClientId=unit.get("oauthClientId"),
        status=unit.get("status"),
    )


def _icon(icon: str, path: str, origin: str) -> str | None:
    rooted = icon.startswith(("/", "http://", "https://"))
    return _absolute(icon if rooted else f"{path.rstrip('/')}/{icon}", origin)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


class WellKnown:
    """Public, built for each request, never cached. A card is what a module tells at `/.parachute/info`."""

    app: Klein = area()

    def __init__(
        self,
        modules: Callable[[], Iterable[Advertised]],
        origin: Callable[[], str],
        schema: Callable[[str], bytes | None],
    ) -> None:
        self._modules = modules
        self._origin = origin
        self._schema = schema

    @app.route("/.well-known/parachute.json", methods=["GET", "HEAD", "OPTIONS"])
    def parachute(self, request: IRequest) -> bytes:
        """The document; 204 for a preflight."""
        return self._public(request, lambda: document(self._modules(), self._origin()))

    @app.route("/.parachute/info", methods=["GET", "HEAD", "OPTIONS"])
    def hub(self, request: IRequest) -> bytes:
        """The hub's own card."""
        return self._public(request, lambda: {**_HUB, "version": __version__, "url": self._origin()})

    @app.route("/.well-known/parachute/<name>", methods=["GET", "HEAD", "OPTIONS"])
    def module(self, request: IRequest, name: str) -> bytes:
        """The card of a module that has none at its mount."""
        return self._public(request, lambda: self._card(name))

    @app.route("/.well-known/parachute-schemas/<name>.json", methods=["GET", "HEAD", "OPTIONS"])
    def schema(self, request: IRequest, name: str) -> bytes:
        """The JSON Schema of a file that module authors write."""
        found = self._schema(name)
        if found is None:
            raise not_found("There is no such schema.")
        return self._public(request, lambda: json.loads(found))

    def _card(self, name: str) -> dict[str, Any]:
        for module in self._modules():
            if module.name == name:
                card = {"name": module.name, "displayName": module.display_name or module.name}
                return {**card, "tagline": module.tagline or "", "version": module.version}
        raise not_found("There is no such module.")

    def _public(self, request: IRequest, answer: Callable[[], dict[str, Any]]) -> bytes:
        for name, value in _CORS.items():
            request.setHeader(name, value)
        if request.method == b"OPTIONS":
            request.setResponseCode(204)
            return b""
        return as_json(request, answer())
