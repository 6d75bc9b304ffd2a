"""JSON Schemas (draft 7) of module.json, services.json and the catalog, for editors and other tools.

The readers in this folder decide; `tests/modules/definition/test_json_schemas.py` compares the schemas with them.
"""

import json
from collections.abc import Collection
from pathlib import Path

NAMES = ("module", "services", "catalog")
_FOLDER = Path(__file__).with_name("schemas")


def text(name: str) -> bytes | None:
    """The schema as it is published; None if there is none of this name."""
    return (_FOLDER / f"{name}.json").read_bytes() if name in NAMES else None


def manifest_fields() -> Collection[str]:
    """The names of the fields of module.json."""
    found: dict[str, object] = json.loads((_FOLDER / "module.json").read_bytes())["properties"]
    return found
