"""Anything in the files that a module writes: no exception, and nothing that it may not claim."""

import json
import os
from pathlib import Path
from typing import Any

import psutil
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.discovery import ModuleLinks, advertised
from parachute_hub.app.installed import LOOK_SECONDS, InstalledModules, mounts_of
from parachute_hub.modules.definition import manifests
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.launch.environment import change_dotenv, parse_dotenv
from parachute_hub.modules.launch.launcher import ModuleLauncher
from parachute_hub.modules.state.store import BadPackage
from parachute_hub.site.well_known import document
from parachute_hub.supervise.model import CannotLaunch
from tests.app.test_discovery import FakePages
from tests.fuzz.budget import fuzz
from tests.fuzz.inputs import DOTENV, GROWTH_BYTES, MANIFEST, PACKAGE, ROWS, nearly
from tests.modules.homes import Home, package, put, write
from tests.support.at_once import at_once
from tests.system.test_strict_json import as_python_writes


class ModuleFiles(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp())
        put(self.home.store, "toy", package(), "1.0.0")
        self.home.store.activate("toy", "@toys/toy", "1.0.0")
        self.home.register()
        self.folder = self.home.store.folder("toy", "@toys/toy", "1.0.0")
        self.clock = Clock()
        self.told: list[str] = []
        self.roster = InstalledModules(self.home.directory, self.told.append, self.clock.seconds, lambda short: None)
        self.links = ModuleLinks(self.roster, FakePages())
        self.launcher = ModuleLauncher(
            directory=self.home.directory,
            around=self.home.around,
            find_bun=lambda: Path("/opt/bun"),
        )
        self.memory = psutil.Process().memory_info().rss
        self.link = str(self.home.store.link("@toys/toy"))

    def tearDown(self) -> None:
        self.assertLess(psutil.Process().memory_info().rss - self.memory, GROWTH_BYTES)

    def looked_at(self) -> None:
        """All that the hub makes of the files, and what must hold of it."""
        self.clock.advance(LOOK_SECONDS)
        self.roster.forget()
        modules = self.roster.modules()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertLessEqual({module.short for module in modules}, {"toy"})
        for mount in mounts_of(modules):
            self.assertTrue(mount.prefix == b"/toy" or mount.prefix.startswith(b"/toy/"), mount)
            self.assertEqual(
                (mount.short, mount.port, mount.exposure, mount.sandboxed), ("toy", 2711, "allowed", False)
            )
        json.dumps(document(advertised(modules, self.links), "https://hub.test"))
        try:
            launch = at_once(self.launcher.launch("toy"))
        except CannotLaunch as refusal:
            json.dumps(refusal.to_json())
            return
        self.assertEqual((launch.cwd, launch.port), (self.link, 2711))
        self.assertEqual(launch.env["PARACHUTE_HOME"], str(self.home.path))
        self.assertTrue(any(word.startswith(self.link) or word.endswith("static_server.ts") for word in launch.argv))

    def test_services_json(self) -> None:
        self.assertGreater(fuzz(ROWS, self.services_json_is, examples=80), 0)

    def services_json_is(self, rows: list[Any]) -> None:
        self.home.services.path.write_bytes(as_python_writes({"services": rows}))
        self.looked_at()

    def test_module_json(self) -> None:
        more = ("stripPrefix", "websocket", "scopes", "dependencies", "configSchema", "uiUrl", "permissions")
        self.assertGreater(fuzz(nearly(MANIFEST, *more), self.module_json_is, examples=80), 0)

    def module_json_is(self, manifest: Any) -> None:
        (self.folder / ".parachute" / "module.json").write_bytes(as_python_writes(manifest))
        try:
            manifests.read_manifest(self.folder)
        except Invalid as refusal:
            self.assertLess(len(str(refusal)), 2000)
        self.looked_at()

    def test_package_json(self) -> None:
        self.assertGreater(fuzz(nearly(PACKAGE, "dependencies", "scripts"), self.package_json_is, examples=80), 0)

    def package_json_is(self, told: Any) -> None:
        (self.folder / "package.json").write_bytes(as_python_writes(told))
        try:
            self.home.store.activate("toy", "@toys/toy", "1.0.0")
        except (BadPackage, Invalid):
            pass
        for name in os.listdir(self.home.path / "modules" / "bin"):
            self.assertTrue(
                os.path.realpath(self.home.path / "modules" / "bin" / name).startswith(str(self.folder.resolve()))
            )
        self.looked_at()

    def test_dotenv(self) -> None:
        self.assertGreater(fuzz(DOTENV, self.dotenv_is, examples=100), 0)

    def dotenv_is(self, text: str) -> None:
        write(self.home.path / "toy", {".env": ""})
        (self.home.path / "toy" / ".env").write_bytes(text.encode("utf-8", "replace"))
        self.looked_at()
        read = parse_dotenv(text)
        self.assertNotIn("", read)
        changed = parse_dotenv(change_dotenv(text, {"TOKEN": "abc", "GONE": None}))
        self.assertEqual(changed.get("TOKEN"), "abc")
        self.assertNotIn("GONE", changed)
