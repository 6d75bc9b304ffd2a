"""From row and package to a process."""

import json
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.entry_point import STATIC_SERVER
from parachute_hub.modules.launch.launcher import ModuleLauncher
from parachute_hub.modules.packages.bun import NoBun
from parachute_hub.supervise.model import LASTING, CannotLaunch, Launch
from tests.modules.homes import Home, package, put, write
from tests.support.at_once import at_once
from tests.support.processes import no_descriptor_left

BUN = Path("/opt/bun/bin/bun")


def no_bun() -> Path:
    raise NoBun("bun was not found.")


class Launches(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp())
        self.launcher = ModuleLauncher(directory=self.home.directory, around=self.home.around, find_bun=lambda: BUN)

    def installed(self, version: str = "1.0.0", **manifest: Any) -> None:
        put(self.home.store, "toy", package(version=version, **manifest), version)
        self.home.store.activate("toy", "@toys/toy", version)

    def refusal(self, short: str = "toy") -> CannotLaunch:
        with self.assertRaises(CannotLaunch) as caught:
            at_once(self.launcher.launch(short))
        refusal: CannotLaunch = caught.exception
        return refusal

    def test_the_command_is_resolved_in_the_package(self) -> None:
        self.installed()
        self.home.register()
        write(self.home.path / "toy", {".env": "API_KEY=from the file\nPORT=1\nA=1\n"})
        link = self.home.path / "modules" / "node_modules" / "@toys" / "toy"
        launch = at_once(self.launcher.launch("toy"))
        self.assertEqual(launch.argv, (str(BUN), "--smol", "run", str(link / "server.ts"), "serve"))
        self.assertEqual((launch.cwd, launch.port, launch.health), (str(link), 2711, "/toy/health"))
        self.assertEqual((launch.env["API_KEY"], launch.env["A"], launch.env["PORT"]), ("from the hub", "1", "2711"))
        self.assertTrue((self.home.path / "tmp").is_dir())

    def test_words_of_a_start_command(self) -> None:
        """Bun, a program on this machine, or a command or file of the package; never a package's own `sh`.

        What somebody installed from npm for the whole machine does not replace the module's own version.
        """
        tools = self.home.path / "tools"
        write(tools, dict.fromkeys(("node", "sh", "clock"), "#!/bin/sh\n"))
        elsewhere = write(self.home.path / "bun" / "node_modules" / "@toys" / "toy", {"toy": "#!/bin/sh\n"})
        for tool in (*tools.iterdir(), elsewhere / "toy"):
            tool.chmod(0o755)
        (tools / "toy").symlink_to(elsewhere.absolute() / "toy")
        around = evolve(self.home.around, passed_on={"PATH": str(tools)})
        launcher = evolve(self.launcher, around=around)
        own = str(self.home.path / "modules" / "node_modules" / "@toys" / "toy" / "server.ts")
        self.home.register()
        for number, (words, argv) in enumerate(
            (
                (["toy", "serve"], (str(BUN), "--smol", "run", own, "serve")),
                (["clock", "serve"], (str(tools.absolute() / "clock"), "serve")),
                (["./clock"], (str(BUN), "--smol", "run", own.replace("server.ts", "clock"))),
                (["server.ts"], (str(BUN), "--smol", "run", own)),
                (["bun", "server.ts"], (str(BUN), "--smol", "server.ts")),
                (["node", "server.js"], (str(tools.absolute() / "node"), "server.js")),
                (["sh", "-c", "true"], (str(tools.absolute() / "sh"), "-c", "true")),
            )
        ):
            version = f"1.0.{number}"
            files = package(version=version, startCmd=words)
            bins = dict.fromkeys(("toy", "clock", "sh", "bun", "node"), "server.ts")
            files["clock"] = "serve()"
            files["package.json"] = json.dumps({**json.loads(files["package.json"]), "bin": bins})
            put(self.home.store, "toy", files, version)
            self.home.store.activate("toy", "@toys/toy", version)
            self.assertEqual(at_once(launcher.launch("toy")).argv, argv, words)

    def test_a_program_that_is_not_here(self) -> None:
        self.installed(startCmd=["no-such-program", "run"])
        self.home.register()
        refusal = self.refusal()
        self.assertEqual(refusal.error_type, "missing_dependency")
        self.assertIn("Install that program", refusal.description)

    def test_where_the_modules_are_that_it_depends_on(self) -> None:
        """Installed ones, at the hub's address."""
        self.installed(dependencies={"vault": {"optional": True}, "scribe": {}})
        self.home.register()
        self.assertEqual({name for name in at_once(self.launcher.launch("toy")).env if name.endswith("_URL")}, set())
        self.home.register("parachute-vault", 1940, paths=["/vault/default"])
        env = at_once(self.launcher.launch("toy")).env
        told = {name: value for name, value in env.items() if name.endswith("_URL")}
        self.assertEqual(told, {"PARACHUTE_VAULT_URL": "https://hub.test/vault/default"})

    def test_a_module_that_fetches_packages_itself(self) -> None:
        """It gets the registry's address without credentials, unless the owner allows them, and keeps its downloads."""
        secret = "https://ann:pw@npm.test/all/?key=x"
        registry = {"BUN_CONFIG_REGISTRY": secret, "npm_config_registry": "not an address", "BUN_CONFIG_TOKEN": "hush"}
        launcher = evolve(self.launcher, around=evolve(self.home.around, registry=registry))
        for short, package_name in (("toy", "@toys/toy"), ("surface", "@openparachute/surface")):
            files = package(name=package_name)
            put(self.home.store, short, files, "1.0.0")
            self.home.store.activate(short, package_name, "1.0.0")
        self.home.register()
        self.home.register("parachute-surface", 1946, paths=["/surface"])
        env = at_once(launcher.launch("surface")).env
        told = {name: value for name, value in env.items() if "CONFIG" in name.upper()}
        self.assertEqual(told, {"BUN_CONFIG_REGISTRY": "https://npm.test/all/"})
        self.assertEqual(env["BUN_INSTALL"], str(self.home.path / "surface" / ".bun"))
        self.home.records.change("surface", registry_keys=True)
        env = at_once(launcher.launch("surface")).env
        self.assertEqual({name: env.get(name) for name in registry}, registry)
        stranger = at_once(launcher.launch("toy")).env
        self.assertEqual([name for name in stranger if "CONFIG" in name.upper()], [])
        self.assertEqual(stranger["BUN_INSTALL"], str(self.home.path / "modules"))
        # Another package under the name is not vouched for.
        self.home.records.change("surface", package="@toys/toy")
        self.assertNotIn("BUN_CONFIG_REGISTRY", at_once(launcher.launch("surface")).env)

    def test_the_owners_settings_reach_the_process(self) -> None:
        self.installed()
        self.home.register()
        self.home.records.change("toy", smol=False, env={"B": "2"})
        launch = at_once(self.launcher.launch("toy"))
        self.assertEqual(launch.argv[1], "run")
        self.assertEqual(launch.env["B"], "2")

    def test_a_stamped_folder_of_an_old_version_is_not_run(self) -> None:
        self.installed("1.0.0")
        old = self.home.store.folder("toy", "@toys/toy", "1.0.0")
        self.installed("2.0.0")
        self.home.register(installDir=str(old))
        self.assertEqual(
            json.loads(Path(at_once(self.launcher.launch("toy")).cwd, "package.json").read_text())["version"], "2.0.0"
        )

    def test_a_folder_that_only_the_row_names_is_not_run(self) -> None:
        place = write(self.home.path / "toy" / "planted", package("@toys/toy", startCmd=["./server.ts"]))
        self.home.register(installDir=str(place))
        self.assertEqual(self.refusal().error_type, "missing_package")

    def test_a_row_without_a_record_is_not_run(self) -> None:
        self.installed()
        self.home.register(installed=False)
        self.assertEqual(self.refusal().error_type, "not_installed")

    def test_a_package_of_the_older_hub_runs_from_where_it_is(self) -> None:
        older = self.home.path / "modules" / "install" / "global" / "node_modules" / "@old" / "mod"
        place = write(older, package("@old/mod", startCmd=["./server.ts"]))
        self.home.register("parachute-mod")
        self.home.records.change("mod", package="@old/mod")
        self.assertEqual(at_once(self.launcher.launch("mod")).argv[-1], str(place / "server.ts"))

    def test_mere_files_are_served_by_ours(self) -> None:
        notes = package("@openparachute/notes")
        del notes[".parachute/module.json"]
        put(self.home.store, "notes", notes, "1.0.0")
        self.home.store.activate("notes", "@openparachute/notes", "1.0.0")
        self.home.register("parachute-notes", 1942, paths=["/notes/"])
        launch = at_once(self.launcher.launch("notes"))
        link = self.home.path / "modules" / "node_modules" / "@openparachute" / "notes"
        self.assertEqual(
            launch.argv[2:],
            ("run", str(STATIC_SERVER), "--port", "1942", "--mount", "/notes", "--folder", str(link / "dist")),
        )

    def test_what_is_missing_is_named(self) -> None:
        self.assertEqual(self.refusal().error_type, "not_installed")
        self.home.register()
        refusal = self.refusal()
        self.assertEqual((refusal.error_type, refusal.detail["package"]), ("missing_package", "@toys/toy"))
        self.installed("1.0.0", startCmd=["ffmpeg"])
        self.assertEqual((self.refusal().error_type, self.refusal().detail["binary"]), ("missing_dependency", "ffmpeg"))
        self.installed("2.0.0", startCmd=["../../../../../../../../etc/passwd"])
        self.assertEqual(self.refusal().error_type, "missing_dependency")
        self.installed("3.0.0", startCmd=None)
        self.assertEqual(self.refusal().error_type, "no_start_cmd")
        self.installed("4.0.0", displayName=5)
        self.assertIn("displayName: must be a string", self.refusal().description)

    def test_a_manifest_that_cannot_be_read_now_is_not_faulty(self) -> None:
        self.installed()
        self.home.register()
        at_once(self.launcher.launch("toy"))
        with no_descriptor_left(), self.assertRaises(CannotLaunch) as caught:
            self.launcher.manifest("toy", self.home.store.folder("toy", "@toys/toy", "1.0.0"))
        self.assertIn("Too many open files", caught.exception.description)
        self.assertNotIn(caught.exception.error_type, LASTING)

    def test_without_bun_nothing_is_launched(self) -> None:
        self.installed()
        self.home.register()
        launcher = ModuleLauncher(directory=self.home.directory, around=self.home.around, find_bun=no_bun)
        with self.assertRaises(CannotLaunch) as caught:
            at_once(launcher.launch("toy"))
        self.assertEqual(
            (caught.exception.error_type, caught.exception.detail["binary"]), ("missing_dependency", "bun")
        )

    def test_rebuilt_for_every_launch(self) -> None:
        self.installed()
        self.home.register()
        first = at_once(self.launcher.launch("toy"))
        write(self.home.path / "toy", {".env": "NEW=1\n"})
        second = at_once(self.launcher.launch("toy"))
        self.assertIsInstance(second, Launch)
        self.assertNotIn("NEW", first.env)
        self.assertEqual(second.env["NEW"], "1")
