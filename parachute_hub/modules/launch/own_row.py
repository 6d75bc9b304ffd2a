"""Which of a module's words about itself count: a three-way merge of its row in services.json."""

from collections.abc import Mapping
from typing import Any

from parachute_hub.modules.definition.model import ServiceRow

_OWN_FIELDS = ("version", "displayName", "tagline", "health", "uis")


def merged(known: ServiceRow, told: ServiceRow, base: ServiceRow | None, paths: tuple[str, ...]) -> ServiceRow:
    """The hub's row with the fields that the module changed.

    `known` is the row in services.json, `told` the module's own copy, and `base` that copy when the hub last looked at
    it. A field that is the same in `told` and `base` stays as it is in `known`: the module may not have seen an edit.
    `paths` are those of `told` that it may have.
    """
    changed: dict[str, Any] = {
        name: told.raw[name] for name in _OWN_FIELDS if name in told.raw and _differs(name, told.raw, base)
    }
    if paths and (base is None or told.paths != base.paths):
        changed["paths"] = list(paths)
    return ServiceRow.parse({**known.to_json(), "name": told.name, **changed})


def _differs(name: str, told: Mapping[str, Any], base: ServiceRow | None) -> bool:
    return base is None or name not in base.raw or base.raw[name] != told[name]
