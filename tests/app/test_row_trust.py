"""Planted rows of services.json: what they change in what the hub runs, serves and opens."""

import json
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.discovery import ModuleLinks, advertised
from parachute_hub.app.installed import LOOK_SECONDS, InstalledModules, mounts_of
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.launch.launcher import ModuleLauncher
from parachute_hub.supervise.model import CannotLaunch
from tests.app.test_discovery import FakePages
from tests.modules.homes import Home, package, put, write
from tests.support.at_once import at_once

VAULT: dict[str, Any] = {
    "name": "parachute-vault",
    "port": 1940,
    "paths": ["/vault/default"],
    "health": "/vault/default/health",
    "version": "0.3.9",
}
SCRIBE: dict[str, Any] = {
    "name": "parachute-scribe",
    "port": 1943,
    "paths": ["/scribe"],
    "health": "/scribe/health",
    "version": "0.5.1",
}
# What each planted row tried, and how it stands in the file: in the place of the module's own row, or before all.
EDITED: dict[str, dict[str, Any]] = {
    "another port": {**SCRIBE, "port": 6666},
    "another program": {**SCRIBE, "installDir": "PLANTED"},
    "no credentials any more": {**SCRIBE, "publicExposure": "allowed"},
    "closed to the public": {**SCRIBE, "publicExposure": "loopback"},
    "its API opened as a health path": {**SCRIBE, "health": "/scribe/v1/audio/transcriptions"},
    "its path taken away": {**SCRIBE, "paths": []},
    "a path of the vault": {**SCRIBE, "paths": ["/scribe", "/vault/default"]},
    "a path of the hub": {**SCRIBE, "paths": ["/scribe", "/admin", "/.parachute"]},
    "paths that are not stripped": {**SCRIBE, "stripPrefix": False},
    "WebSocket allowed": {**SCRIBE, "websocket": True},
    "its API closed as an app": {
        **SCRIBE,
        "uis": {"x": {"displayName": "X", "path": "/scribe", "audience": "operator"}},
    },
}
PLANTED: dict[str, dict[str, Any]] = {
    "a first-party name that is not installed": {
        "name": "parachute-notes",
        "port": 1942,
        "paths": ["/notes"],
        "health": "/notes/health",
        "version": "1",
        "installDir": "PLANTED",
    },
    "a module of its own": {**VAULT, "name": "own", "port": 1951, "paths": ["/own"], "installDir": "PLANTED"},
    "the short name of one that is installed": {**SCRIBE, "name": "scribe", "port": 6666, "installDir": "PLANTED"},
    "the port of one that is installed": {**SCRIBE, "name": "other", "paths": ["/other"]},
    "a place of the hub's": {**VAULT, "name": "admin", "port": 1952, "paths": ["/admin"]},
}


class Attacks(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp(), Catalog())
        for short, name in (("vault", "@openparachute/vault"), ("scribe", "@openparachute/scribe")):
            files = package(name, manifestName=f"parachute-{short}", startCmd=["./server.ts"])
            del files[".parachute/module.json"]
            command = {"name": name, "version": "1.0.0", "bin": {f"parachute-{short}": "server.ts"}}
            files["package.json"] = json.dumps(command)
            put(self.home.store, short, files, "1.0.0")
            self.home.store.activate(short, name, "1.0.0")
        self.home.records.change("vault", package="@openparachute/vault", row="parachute-vault", port=1940)
        self.home.records.change("scribe", package="@openparachute/scribe", row="parachute-scribe", port=1943)
        self.planted = write(self.home.path.resolve() / "vault" / "evil", package("@evil/x", startCmd=["./server.ts"]))
        self.clock = Clock()
        self.told: list[str] = []
        self.installed_modules = InstalledModules(
            self.home.directory, self.told.append, self.clock.seconds, lambda short: None
        )
        self.links = ModuleLinks(self.installed_modules, FakePages())
        self.launcher = ModuleLauncher(
            directory=self.home.directory,
            around=self.home.around,
            find_bun=lambda: Path("/opt/bun"),
        )

    def effect(self, *rows: dict[str, Any]) -> dict[str, Any]:
        """What is run and served with these rows in the file."""
        text = json.dumps({"services": rows}).replace("PLANTED", str(self.planted))
        (self.home.path / "services.json").write_text(text)
        self.clock.advance(LOOK_SECONDS)
        modules = self.installed_modules.modules()
        return {
            "runs": {short: self.launched(short) for short in ("vault", "scribe", "notes", "own", "other", "admin")},
            "serves": sorted(mounts_of(modules), key=lambda mount: mount.top),
            "sandboxed": {module.short: module.sandboxed for module in modules},
            "advertises": {found.name: found.mounts for found in advertised(modules, self.links)},
        }

    def launched(self, short: str) -> object:
        try:
            launch = at_once(self.launcher.launch(short))
        except CannotLaunch:
            return None
        return (launch.argv, launch.cwd, launch.port)

    def test_no_planted_row_changes_what_is_run_served_or_trusted(self) -> None:
        usual = self.effect(VAULT, SCRIBE)
        self.assertEqual([mount.prefix for mount in usual["serves"]], [b"/scribe", b"/vault/default"])
        attacks = {
            **{case: (VAULT, row) for case, row in EDITED.items()},
            **{case: (row, VAULT, SCRIBE) for case, row in PLANTED.items()},
        }
        for case, rows in attacks.items():
            with self.subTest(case):
                self.assertEqual(self.effect(*rows), usual)

    def test_what_a_row_does_give(self) -> None:
        """Vaults and texts."""
        row = {**VAULT, "paths": ["/vault/default", "/vault/work"], "version": "9", "tagline": "T", "displayName": "V"}
        self.effect(row, SCRIBE)
        vault = self.installed_modules.modules()[0]
        self.assertEqual(self.installed_modules.vaults(), ("default", "work"))
        self.assertEqual((vault.row.version, vault.row.tagline, vault.row.display_name), ("9", "T", "V"))
