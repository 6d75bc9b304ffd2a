"""Rows of services.json, and module manifests."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from attrs import evolve, field

from parachute_hub.modules.definition import names, validation
from parachute_hub.modules.definition.idle import Idle
from parachute_hub.modules.definition.permissions import Permissions
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.system.records import frozen

UNPROVEN = "0.0.0-linked"
"""The version in a row until its module has reported one."""

EXPOSURES = ("allowed", "loopback", "auth-required")
MANIFEST_LIMIT = 64 * 1024
NAME_BYTES = 128
MOST_PATHS = 1000

_UI_STATUS = {"pending-oauth": "pending", "disabled": "inactive"}
_UI_STATUSES = ("active", "pending", "inactive", "failing")
_AUDIENCES = ("public", "hub-users", "operator", "surface")
_FOCUS = ("core", "experimental", "deprecated")


@frozen(kw_only=True)
class SubUnit:
    """One entry of a row's `uis`: an app below the module's own mount."""

    slug: str
    display_name: str
    path: str
    tagline: str | None = None
    icon_url: str | None = None
    version: str | None = None
    oauth_client_id: str | None = None
    status: str | None = None
    audience: str | None = None
    scopes_required: tuple[str, ...] = ()


@frozen(kw_only=True)
class ServiceRow:
    """One row of services.json. `raw` is the original JSON; unknown fields and their order are preserved.

    `port` is on 127.0.0.1. `paths` are mounts, the main one first. `health` is a path on the module itself.
    """

    name: str
    port: int
    paths: tuple[str, ...]
    health: str
    version: str
    display_name: str | None = None
    tagline: str | None = None
    public_exposure: str | None = None
    install_dir: str | None = None
    strip_prefix: bool | None = None
    websocket: bool | None = None
    uis: tuple[SubUnit, ...] = ()
    last_start_error: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] = field(factory=dict, eq=False, repr=False)

    @classmethod
    def parse(cls, raw: object) -> Self:
        """Parse a row. Raises Invalid."""
        row = validation.mapping(raw, "")
        error = row.get("lastStartError")
        return cls(
            name=_row_name(row.get("name"), "name"),
            port=validation.port(row.get("port"), "port"),
            paths=_paths(row.get("paths"), "paths"),
            health=validation.rooted(row.get("health"), "health"),
            version=validation.any_text(row.get("version"), "version"),
            display_name=_optional(row, "displayName", validation.any_text),
            tagline=_optional(row, "tagline", validation.any_text),
            public_exposure=_optional(row, "publicExposure", _exposure),
            install_dir=_optional(row, "installDir", validation.path_text),
            strip_prefix=_optional(row, "stripPrefix", validation.flag),
            websocket=_optional(row, "websocket", validation.flag),
            uis=_sub_units(row.get("uis")),
            last_start_error=error if _is_start_error(error) else None,
            raw=row,
        )

    @property
    def is_vault(self) -> bool:
        """True for the vault's row, or one instance's row in the older format with a row per instance."""
        return self.name == "parachute-vault" or self.name.startswith("parachute-vault-")

    def with_fields(self, **changes: Any) -> Self:
        """A copy with other values; `raw` is kept."""
        return evolve(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """The row as JSON: known fields over the original, in the original order."""
        known = {
            "name": self.name,
            "port": self.port,
            "paths": list(self.paths),
            "health": self.health,
            "version": self.version,
            "displayName": self.display_name,
            "tagline": self.tagline,
            "publicExposure": self.public_exposure,
            "installDir": self.install_dir,
            "stripPrefix": self.strip_prefix,
            "websocket": self.websocket,
            "lastStartError": dict(self.last_start_error) if self.last_start_error else None,
        }
        return {
            **{name: value for name, value in self.raw.items() if known.get(name, value) is not None},
            **{name: value for name, value in known.items() if value is not None},
        }


@frozen(kw_only=True)
class Dependency:
    """Another module that this one can use."""

    short: str
    optional: bool = False
    scopes: tuple[str, ...] = ()


@frozen(kw_only=True)
class Manifest:
    """`.parachute/module.json` of a package. `raw` is the whole document, including fields the hub ignores."""

    name: str
    manifest_name: str
    port: int
    paths: tuple[str, ...]
    health: str
    display_name: str | None = None
    tagline: str | None = None
    start_cmd: tuple[str, ...] | None = None
    init: tuple[str, ...] | None = None
    strip_prefix: bool | None = None
    websocket: bool | None = None
    scopes: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    config_schema: Mapping[str, Any] | None = None
    management_url: str | None = None
    ui_url: str | None = None
    config_ui_url: str | None = None
    focus: str | None = None
    permissions: Permissions | None = None
    idle: Idle | None = None
    raw: Mapping[str, Any] = field(factory=dict, eq=False, repr=False)

    @classmethod
    def parse(cls, value: object) -> Self:
        """Parse a manifest. Raises Invalid."""
        raw = validation.mapping(value, "")
        name = validation.text(raw.get("name"), "name")
        if not names.is_short(name):
            raise Invalid("name", "must be lower case letters, digits and dashes, and start with a letter")
        return cls(
            name=name,
            manifest_name=_row_name(raw.get("manifestName"), "manifestName"),
            port=validation.port(raw.get("port"), "port"),
            paths=_paths(raw.get("paths"), "paths"),
            health=validation.rooted(raw.get("health"), "health"),
            display_name=_optional(raw, "displayName", validation.any_text),
            tagline=_optional(raw, "tagline", validation.any_text),
            start_cmd=_optional(raw, "startCmd", _start_cmd),
            init=_optional(raw, "init", _init),
            strip_prefix=_optional(raw, "stripPrefix", validation.flag),
            websocket=_optional(raw, "websocket", validation.flag),
            scopes=_scopes(raw.get("scopes"), name),
            dependencies=_dependencies(raw.get("dependencies")),
            config_schema=_optional(raw, "configSchema", _config_schema),
            management_url=_optional(raw, "managementUrl", _url),
            ui_url=_optional(raw, "uiUrl", _url),
            config_ui_url=_optional(raw, "configUiUrl", _url),
            focus=_optional(raw, "focus", lambda value, at: validation.one_of(value, at, _FOCUS)),
            permissions=_optional(raw, "permissions", Permissions.parse),
            idle=_optional(raw, "idle", Idle.parse),
            raw=raw,
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Parse a manifest file of at most 64 KiB. Raises Invalid."""
        return cls.parse(validation.parse_object(content, "module.json", MANIFEST_LIMIT))


def _row_name(value: object, at: str) -> str:
    """The row's name, which becomes a file and folder name."""
    name = validation.text(value, at)
    if not name.isprintable() or len(name.encode("utf-8", "replace")) > NAME_BYTES:
        raise Invalid(at, f"must be at most {NAME_BYTES} bytes of printable characters")
    if any(part in ("", ".", "..") for part in name.removeprefix("parachute-").split("/")):
        raise Invalid(at, "must not hold empty or dotted parts between slashes")
    return name


def _paths(value: object, at: str) -> tuple[str, ...]:
    paths = validation.texts(value, at)
    if len(paths) > MOST_PATHS:
        raise Invalid(at, f"must be at most {MOST_PATHS} paths")
    return paths


def _optional(raw: Mapping[str, Any], name: str, check: Callable[[object, str], Any]) -> Any:
    value = raw.get(name)
    return None if value is None else check(value, name)


def _exposure(value: object, at: str) -> str:
    return validation.one_of(value, at, EXPOSURES)


def _is_start_error(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(name), str) for name in ("error_type", "error_description")
    )


def _sub_units(value: object) -> tuple[SubUnit, ...]:
    if value is None:
        return ()
    return tuple(_sub_unit(slug, entry) for slug, entry in validation.mapping(value, "uis").items())


def _sub_unit(slug: str, value: object) -> SubUnit:
    at = f"uis.{slug}"
    raw = validation.mapping(value, at)
    wanted = {name: raw.get(name) for name in ("tagline", "iconUrl", "version", "oauthClientId")}
    for name, content in wanted.items():
        if content is not None:
            validation.any_text(content, f"{at}.{name}")
    status = raw.get("status")
    if status is not None:
        status = validation.one_of(_UI_STATUS.get(str(status), status), f"{at}.status", _UI_STATUSES)
    return SubUnit(
        slug=slug,
        display_name=validation.text(raw.get("displayName"), f"{at}.displayName"),
        path=validation.rooted(raw.get("path"), f"{at}.path"),
        tagline=wanted["tagline"],
        icon_url=wanted["iconUrl"],
        version=wanted["version"],
        oauth_client_id=wanted["oauthClientId"],
        status=status,
        audience=_audience(raw, at),
        scopes_required=_scope_patterns(raw.get("scopes_required"), f"{at}.scopes_required"),
    )


def _audience(raw: Mapping[str, Any], at: str) -> str | None:
    audience = raw.get("audience")
    if audience is not None:
        return validation.one_of(audience, f"{at}.audience", _AUDIENCES)
    public = raw.get("public")
    return "public" if public is not None and validation.flag(public, f"{at}.public") else None


def _scope_patterns(value: object, at: str) -> tuple[str, ...]:
    patterns = () if value is None else validation.texts(value, at)
    if not all(pattern.strip() for pattern in patterns):
        raise Invalid(at, "must be a list of non-empty strings")
    return patterns


def _start_cmd(value: object, at: str) -> tuple[str, ...]:
    words = validation.texts(value, at)
    if not words or not words[0] or any("\0" in word for word in words):
        raise Invalid(at, "must be a non-empty list of words, such as my-module serve")
    return words


def _init(value: object, at: str) -> tuple[str, ...] | None:
    words = validation.mapping(value, at).get("command")
    return None if words is None else _start_cmd(words, f"{at}.command")


def _scopes(value: object, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    defines = validation.mapping(value, "scopes").get("defines")
    scopes = validation.texts([] if defines is None else defines, "scopes.defines")
    for scope in scopes:
        if not re.fullmatch(re.escape(name) + r":[A-Za-z0-9_.-]+", scope):
            raise Invalid("scopes.defines", f"each must read {name}:<verb>")
    return scopes


def _dependencies(value: object) -> tuple[Dependency, ...]:
    if value is None:
        return ()
    found = []
    for short, entry in validation.mapping(value, "dependencies").items():
        at = f"dependencies.{short}"
        if not names.is_short(short):
            raise Invalid(at, "must be the short name of a module")
        raw = validation.mapping(entry, at)
        scopes = raw.get("scopes")
        found.append(
            Dependency(
                short=short,
                optional=validation.flag(raw.get("optional", False), f"{at}.optional"),
                scopes=validation.texts([] if scopes is None else scopes, f"{at}.scopes"),
            )
        )
    return tuple(found)


def _config_schema(value: object, at: str) -> Mapping[str, Any]:
    schema = validation.mapping(value, at)
    validation.one_of(schema.get("type"), f"{at}.type", ("object",))
    properties = validation.mapping(schema.get("properties"), f"{at}.properties")
    for name, entry in properties.items():
        place = f"{at}.properties.{name}"
        kind = validation.one_of(
            validation.mapping(entry, place).get("type"), f"{place}.type", ("string", "number", "integer", "boolean")
        )
        choices = entry.get("enum")
        if choices is not None and (kind == "boolean" or not isinstance(choices, list) or not choices):
            raise Invalid(f"{place}.enum", "must be a non-empty list, and not for a boolean")
        if not all(fits(choice, kind) for choice in choices or ()):
            raise Invalid(f"{place}.enum", f"each must be a {kind}")
    required = schema.get("required")
    for name in validation.texts([] if required is None else required, f"{at}.required"):
        if name not in properties:
            raise Invalid(f"{at}.required", f'names "{name}", which is not among the properties')
    return schema


def fits(value: object, kind: str) -> bool:
    """True if the value has one of the four types a configuration field can have."""
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, (int, float)) and not isinstance(value, bool)


def _url(value: object, at: str) -> str:
    """An http(s) URL, a path on the hub (`/x`), or a path below the module's mount (`admin/`)."""
    url = validation.text(value, at)
    scheme, host = _scheme_and_host(url) if "//" in url[:9] or ":" in url.split("/", 1)[0] else ("", "")
    if scheme in ("http", "https") and host:
        return url
    relative = not url.startswith("/")
    if scheme or url.startswith("//") or "\\" in url or (relative and ".." in url.split("/")):
        raise Invalid(at, "must be an http(s) address, a path that starts with one /, or a path below the mount")
    return url


def _scheme_and_host(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Such as half of an IPv6 address.
        return ("http", "")
    return parts.scheme, parts.netloc
