"""Homes, stores and packages for these tests."""

import json
from pathlib import Path
from typing import Any

from parachute_hub.modules.definition.catalog import Catalog, CatalogEntry
from parachute_hub.modules.launch.environment import BaseEnvironment
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.records import RecordsFile
from parachute_hub.modules.state.services_file import ServicesFile
from parachute_hub.modules.state.store import Store

TOY = CatalogEntry(short="toy", package="@toys/toy", manifest_name="toys-toy", display_name="Toy")


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def package(name: str = "@toys/toy", version: str = "1.0.0", **manifest: Any) -> dict[str, str]:
    """The files of a module's package."""
    short = name.rpartition("/")[2]
    told = {
        "name": short,
        "manifestName": f"toys-{short}",
        "port": 2711,
        "paths": [f"/{short}"],
        "health": f"/{short}/health",
        "startCmd": [f"toy-{short}", "serve"],
        **manifest,
    }
    return {
        "package.json": json.dumps({"name": name, "version": version, "bin": {f"toy-{short}": "server.ts"}}),
        ".parachute/module.json": json.dumps(told),
        "server.ts": "serve()",
    }


def put(store: Store, short: str, files: dict[str, str], folder: str) -> None:
    """A version in the store, as an install leaves it."""
    name = json.loads(files["package.json"])["name"]
    incoming = store.incoming(short, "test")
    write(incoming / "node_modules" / name, files)
    store.admit(short, incoming, folder)


async def at_once(function: Any, *args: Any) -> Any:
    """Replaces a thread."""
    return function(*args)


class Home:
    """A home, empty unless it was there, with the files that modules have."""

    def __init__(self, home: str, catalog: Catalog | None = None) -> None:
        self.path = Path(home)
        self.path.mkdir(exist_ok=True)
        self.problems: list[str] = []
        self.services = ServicesFile(self.path / "services.json", on_problem=self.problems.append)
        self.records = RecordsFile(self.path / "hub" / "modules.json", on_problem=self.problems.append)
        self.store = Store(self.path / "modules")
        self.catalog = catalog or Catalog((TOY, *Catalog().entries))
        self.directory = ModuleDirectory(
            services=self.services, records=self.records, catalog=self.catalog, store=self.store
        )
        self.around = BaseEnvironment(
            home=self.path,
            user_home=self.path / "user",
            issuer="https://hub.test",
            origins=("https://hub.test", "http://127.0.0.1:1939"),
            passed_on={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
            registry={"BUN_CONFIG_REGISTRY": "http://registry.test/"},
            module_variables={"PARACHUTE_ENV_TOY_API_KEY": "from the hub"},
        )

    def register(self, name: str = "toys-toy", port: int = 2711, *, installed: bool = True, **fields: Any) -> None:
        """Write a row, and the record that an installation leaves."""
        raw = {"name": name, "port": port, "paths": ["/toy"], "health": "/toy/health", "version": "1.0.0", **fields}
        content = json.loads(self.services.path.read_bytes()) if self.services.path.exists() else {"services": []}
        content["services"].append(raw)
        self.services.path.write_text(json.dumps(content))
        if installed:
            short = self.directory.short_of(name)
            self.records.change(short, row=name, port=port)
