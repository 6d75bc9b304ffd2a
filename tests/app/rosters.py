"""Installed modules for tests: rows and packages in a folder, and a frozen clock."""

import json
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.installed import LOOK_SECONDS, InstalledModules
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.records import RecordsFile
from parachute_hub.modules.state.services_file import ServicesFile
from parachute_hub.modules.state.store import Store


def row(name: str, port: int, *paths: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "port": port, "paths": list(paths), "health": "/health", "version": "1.0.0", **more}


class RosterCase(SynchronousTestCase):
    """Installed modules of a home folder. `live` maps modules to the ports they listen on."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.home.mkdir()
        self.notices: list[str] = []
        self.records = RecordsFile(self.home / "hub" / "modules.json")
        self.store = Store(self.home / "modules")
        directory = ModuleDirectory(
            services=ServicesFile(self.home / "services.json"),
            records=self.records,
            catalog=Catalog(),
            store=self.store,
        )
        self.clock = Clock()
        self.live: dict[str, int] = {}
        self.installed_modules = InstalledModules(directory, self.notices.append, self.clock.seconds, self.live.get)

    def register(self, *rows: dict[str, Any], folders: dict[str, str] | None = None) -> None:
        """Install modules, write their rows, and let the cache expire."""
        for found in rows:
            short = Catalog().short_of(found["name"])
            if not self.records.known(short):
                package = Catalog().get(short)
                name = package.package if package else f"@toys/{short}"
                self.records.change(short, package=name, row=found["name"], port=found["port"])
                if short in (folders or {}):
                    self.store.link_folder(name, Path((folders or {})[short]))
        self.written(*rows)

    def written(self, *rows: dict[str, Any]) -> None:
        """Write rows as any program could, and let the cache expire."""
        (self.home / "services.json").write_text(json.dumps({"services": rows}))
        self.clock.advance(LOOK_SECONDS)

    def package(self, short: str, **manifest: Any) -> str:
        folder = self.home.resolve() / "packages" / short
        (folder / ".parachute").mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"name": short, "version": "1.0.0"}))
        told = {"name": short, "manifestName": short, "port": 1950, "paths": [f"/{short}"], "health": "/health"}
        (folder / ".parachute" / "module.json").write_text(json.dumps({**told, **manifest}))
        return str(folder)
