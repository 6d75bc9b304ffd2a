"""Validates names before they reach bun, a path or a page: npm packages, versions, modules and vaults."""

import re

from parachute_hub.system.records import frozen

_PACKAGE = re.compile(r"(?:@[a-z0-9][a-z0-9._-]{0,213}/)?[a-z0-9][a-z0-9._-]{0,213}", re.ASCII)
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}", re.ASCII)
_SHORT = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}", re.ASCII)
_NOT_PACKAGES = frozenset({"node_modules", "favicon.ico"})

FOLDERS_OF_THE_HUB = frozenset({"hub", "modules", "tmp", "well-known", "logs", "backups"})
"""Names reserved in the home folder, where each module has its data in `<home>/<short>`."""


class BadName(ValueError):
    """An invalid name. The text says which, and what a valid one looks like."""


@frozen
class PackageSpec:
    """A package as the user requests it. `version` is an exact version or a tag; None means the channel's newest."""

    name: str
    version: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


def is_package(name: str) -> bool:
    """True for the name of an npm package that bun cannot read as anything else."""
    return (
        _PACKAGE.fullmatch(name) is not None
        and len(name) <= 214
        and ".." not in name
        and name.rpartition("/")[2] not in _NOT_PACKAGES
    )


def is_version(text: str) -> bool:
    """True for a version such as `1.2.3-rc.1` or a tag such as `next`."""
    return _VERSION.fullmatch(text) is not None and ".." not in text


def is_short(text: str) -> bool:
    """True for a valid short name of a module, such as `vault`."""
    return _SHORT.fullmatch(text) is not None


def is_variable(text: str) -> bool:
    """True for a valid environment variable name."""
    return _VARIABLE.fullmatch(text) is not None


def parse_spec(text: str) -> PackageSpec:
    """Parse `name`, `name@version` or `name@tag`. Raises BadName.

    >>> parse_spec("@openparachute/vault@0.4.0")
    PackageSpec(name='@openparachute/vault', version='0.4.0')
    >>> parse_spec("--trust")
    Traceback (most recent call last):
    ...
    parachute_hub.modules.definition.names.BadName: "--trust" is not the name of an npm package. Give it as name, ...
    """
    at = text.find("@", 1)
    name, version = (text, None) if at < 0 else (text[:at], text[at + 1 :])
    if not is_package(name):
        raise BadName(f"{_shown(text)} is not the name of an npm package. Give it as name, name@version or name@tag.")
    if version is not None and not is_version(version):
        raise BadName(f"{_shown(version)} is not a version or a tag. Give an exact version such as 1.2.3, or a tag.")
    return PackageSpec(name, version)


def _shown(text: str) -> str:
    short = text if len(text) <= 60 else text[:57] + "..."
    return '"' + short.encode("ascii", "backslashreplace").decode().replace('"', "'") + '"'
