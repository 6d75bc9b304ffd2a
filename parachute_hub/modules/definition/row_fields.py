"""Which fields of a services.json row count, given that every module can write every row.

`docs/security.md` has the same table for readers.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from parachute_hub.modules.definition import mounts
from parachute_hub.modules.definition.model import ServiceRow

Decider: TypeAlias = Literal["row", "record", "package", "hub", "nobody"]
"""The row itself; the hub's record of the module; the installed package and the catalog; the hub; nobody reads it."""

DECIDED_BY: Mapping[str, Decider] = {
    "name": "record",
    "port": "record",
    "paths": "row",
    "health": "row",
    "version": "row",
    "display_name": "row",
    "tagline": "row",
    "public_exposure": "record",
    "install_dir": "nobody",
    "strip_prefix": "package",
    "websocket": "package",
    "uis": "row",
    "last_start_error": "hub",
    "raw": "nobody",
}


def settled(row: ServiceRow, port: int | None, exposure: str | None) -> ServiceRow:
    """The row with the fields that the hub's record decides; those that the package decides are blank.

    Records from earlier versions of the hub have no port until the next boot.
    """
    return row.with_fields(
        port=port or row.port, public_exposure=exposure, install_dir=None, strip_prefix=None, websocket=None
    )


def served(
    row: ServiceRow, short: str, said: Iterable[str], extra: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The mounts of a module, and the reasons for rejecting others that its row claims.

    A row can add paths below the module's own, but not remove the package's (`said`). A vault's mounts are its vaults,
    which only the row lists. `extra` are paths that the catalog grants its own package.
    """
    good, refused = mounts.allowed(row.paths, short, extra)
    if short == "vault":
        return good, refused
    own, _ = mounts.allowed(said, short, extra)
    return tuple(dict.fromkeys((*own, *good))), refused
