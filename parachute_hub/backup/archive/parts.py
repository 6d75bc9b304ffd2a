"""Finds what an unpacked archive has that can be restored alone: the data of each module, and each vault."""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from parachute_hub.system.records import frozen

VAULTS = "vault/data"
_MOST = 1000


@frozen
class Part:
    """The data of the module `short`, or its `vault`; `alias` is another name to restore the vault under."""

    short: str
    vault: str | None = None
    alias: str | None = None

    @property
    def source(self) -> str:
        """Where it lies in the archive, relative to the home.

        >>> Part("scribe").source, Part("vault", "work").source
        ('scribe', 'vault/data/work')
        """
        return self.short if self.vault is None else f"{VAULTS}/{self.vault}"

    @property
    def target(self) -> str:
        """Where it goes, relative to the home.

        >>> Part("vault", "work").target, Part("vault", "work", "old-work").target
        ('vault/data/work', 'vault/data/old-work')
        """
        return self.source if self.alias is None else f"{VAULTS}/{self.alias}"

    @property
    def title(self) -> str:
        """What it is, at the beginning of a sentence.

        >>> Part("vault").title, Part("vault", "work").title, Part("vault", "work", "old").title
        ('The data of vault', 'The vault work', 'The vault work, as old,')
        """
        if self.vault is None:
            return f"The data of {self.short}"
        return f"The vault {self.vault}" + (f", as {self.alias}," if self.alias else "")


def list_parts(home: Path, shorts: Iterable[str]) -> dict[str, dict[str, dict[str, int]]]:
    """`modules` and `vaults` of an unpacked home: `{name: {files, size}}`, sizes in bytes. Blocks."""
    return {
        "modules": {short: _measured(home / short) for short in sorted(shorts)[:_MOST] if (home / short).is_dir()},
        "vaults": {name: _measured(home / VAULTS / name) for name in vault_names(home)},
    }


def vault_names(home: Path) -> list[str]:
    """The vaults in a home: folders with a database. Blocks."""
    try:
        found = sorted(entry.name for entry in os.scandir(home / VAULTS) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
    there = (name for name in found if not name.startswith(".") and (home / VAULTS / name / "vault.db").is_file())
    return list(there)[:_MOST]


def name_vault(folder: Path, name: str) -> None:
    """Write a vault's new name into its settings, `vault.json` or `vault.yaml`, where it has them. Blocks."""
    told = folder / "vault.json"
    if told.is_file():
        told.write_text(json.dumps({**json.loads(told.read_text()), "name": name}, indent=2) + "\n")
    told = folder / "vault.yaml"
    if told.is_file():
        told.write_text(re.sub(r"(?m)^name:.*$", f"name: {name}", told.read_text(), count=1))


def _measured(folder: Path) -> dict[str, Any]:
    files = size = 0
    for below, _, names in os.walk(folder):
        files += len(names)
        size += sum(os.lstat(os.path.join(below, name)).st_size for name in names)
    return {"files": files, "size": size}
