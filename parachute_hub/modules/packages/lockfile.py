"""Verifies bun's lockfile: where each package came from and how its integrity was checked."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from parachute_hub.modules.definition import names
from parachute_hub.modules.packages.tree import TreeNode
from parachute_hub.system import strict_json
from parachute_hub.system.public_addresses import is_public
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

LIMIT = 8 * 1024 * 1024
_HASH = re.compile(r"sha(?:1|256|384|512)-[A-Za-z0-9+/]{16,}={0,2}")
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')
_ADDRESS = re.compile(r"[0-9.]+|\[.*\]|.*:.*")
_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+\Z", re.IGNORECASE)
_LOCAL_SUFFIXES = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".intranet", ".corp", ".home")


class BadLock(Exception):
    """The resolution is rejected. The text says which package and why."""


@frozen
class LockedPackage:
    """A package of the registry. `url` is its tarball, empty for bun's default registry."""

    version: str
    integrity: str
    url: str


def check(content: bytes, package: str, origins: Iterable[str], *, local: bool = False) -> LockedPackage | None:
    """Reject what must not be installed. Returns `package` itself. Raises BadLock.

    Every package needs an integrity hash, and comes from the registry or by https from a public host. `origins` are
    those of the configured registries, which may be private. With `local`, `package` is a local tarball and the result
    is None.
    """
    allowed = frozenset(origins)
    found: LockedPackage | None = None
    for place, raw in _packages(content).items():
        spec, integrity = _texts(raw, place)
        name, _, source = spec[1:].partition("@")
        name = spec[:1] + name
        if local and place == package:
            continue
        locked = _of_registry(source, raw, integrity)
        url = source if locked is None else locked.url
        if locked is None and not source.startswith(("https://", "http://")):
            raise BadLock(f"{_shown(place)} comes from {_shown(source)}, not from the registry, so it is refused.")
        if url and not _acceptable(url, allowed):
            raise BadLock(
                f"{_shown(place)} comes from {_shown(url)}. Packages come by https from public addresses only."
            )
        if not _HASH.fullmatch(integrity):
            raise BadLock(f"The registry gives no integrity hash for {_shown(place)}, so it cannot be verified.")
        if place == package and name == package:
            found = locked
    if found is None and not local:
        raise BadLock(f"The installer resolved a different package than {_shown(package)}.")
    return found


def integrity(content: bytes, package: str) -> str | None:
    """The hash of a package of the registry; None for another one. Raises BadLock."""
    entry = _packages(content).get(package)
    if entry is None:
        return None
    spec, found = _texts(entry, package)
    return None if _of_registry(spec[1:].partition("@")[2], entry, found) is None else found


def tree(content: bytes, system: str, processor: str) -> dict[str, TreeNode]:
    """The packages by place, without those for other machines: `system` as in `linux`, `processor` as in `x64`.

    Raises BadLock.
    """
    found: dict[str, TreeNode] = {}
    for place, raw in _packages(content).items():
        spec, _ = _texts(raw, place)
        name, _, version = spec[1:].partition("@")
        told = raw[2] if len(raw) > 2 and isinstance(raw[2], dict) else {}
        if not (_fits(told.get("os"), system) and _fits(told.get("cpu"), processor)):
            continue
        may_need = _names(told.get("optionalDependencies"))
        needs = tuple(name for name in _names(told.get("dependencies")) if name not in may_need)
        found[place] = TreeNode(name=spec[:1] + name, version=version, needs=needs, may_need=may_need)
    return found


def _fits(value: object, here: str) -> bool:
    """Whether an `os` or `cpu` of a package names this machine: one word or several, `!` before what it is not."""
    words = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    if not words:
        return True
    barred = {word[1:] for word in words if isinstance(word, str) and word.startswith("!")}
    return here not in barred if barred else here in words


def _names(value: object) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, dict) else ()


def _packages(content: bytes) -> Mapping[str, list[object]]:
    text = content.decode("utf-8", "replace")
    plain = _TRAILING_COMMA.sub(lambda match: match[1] or "", text)
    try:
        document = strict_json.read(plain.encode(), limit=LIMIT).value
    except BadJson as error:
        raise BadLock(f"The installer's bun.lock {error}.") from None
    packages = document.get("packages") if isinstance(document, dict) else None
    if not isinstance(packages, dict) or not all(isinstance(entry, list) for entry in packages.values()):
        raise BadLock("The installer's bun.lock holds no packages.")
    return packages


def _texts(entry: list[object], place: str) -> tuple[str, str]:
    """The identifier (`name@version` or `name@url`) and the hash."""
    spec, integrity = (entry[0], entry[-1]) if entry else (None, None)
    if not isinstance(spec, str) or "@" not in spec[1:]:
        raise BadLock(f"The installer's bun.lock does not say what {_shown(place)} is.")
    return spec, integrity if isinstance(integrity, str) else ""


def _of_registry(source: str, entry: list[object], integrity: str) -> LockedPackage | None:
    if not names.is_version(source) or len(entry) != 4 or not isinstance(entry[1], str):
        return None
    return LockedPackage(source, integrity, entry[1])


def _acceptable(url: str, allowed: frozenset[str]) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if origin(url) in allowed:
        return True
    if parts.scheme != "https" or parts.username is not None:
        return False
    if _ADDRESS.fullmatch(host):
        return is_public(host)
    return bool(_NAME.match(host)) and not host.endswith(_LOCAL_SUFFIXES)


def origin(url: str) -> str:
    """Scheme, host and port of a URL.

    >>> origin("http://localhost:4873/x/")
    'http://localhost:4873'
    """
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0]}".lower()


def _shown(text: str) -> str:
    return f'"{text[:120]}"'
