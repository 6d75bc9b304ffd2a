"""The versioned store: switched by rename, with no links that lead outside."""

import json
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.state.store import BadPackage
from tests.modules.homes import Home, package, put, write


class Versions(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp())
        self.store = self.home.store
        for version in ("1.0.0", "2.0.0"):
            put(self.store, "toy", package(version=version), version)

    def test_the_link_of_the_deploy_document(self) -> None:
        self.store.activate("toy", "@toys/toy", "1.0.0")
        link = self.home.path / "modules" / "node_modules" / "@toys" / "toy"
        self.assertEqual(os.readlink(link), "../../store/toy/1.0.0/node_modules/@toys/toy")
        self.assertEqual((self.home.path / "modules" / "bin" / "toy-toy").read_text(), "serve()")
        self.store.activate("toy", "@toys/toy", "2.0.0")
        self.assertEqual(self.store.active("toy", "@toys/toy"), "2.0.0")
        self.assertEqual(self.store.locate("@toys/toy"), link)
        self.assertEqual(os.listdir(link.parent), ["toy"])

    def test_deactivate_takes_the_commands_along_but_no_others(self) -> None:
        other = write(self.home.path / "modules" / "bin", {"other": "x"}) / "other"
        self.store.activate("toy", "@toys/toy", "1.0.0")
        self.store.deactivate("@toys/toy")
        self.store.deactivate("@toys/toy")
        self.assertIsNone(self.store.locate("@toys/toy"))
        self.assertEqual(os.listdir(other.parent), ["other"])

    def test_no_command_takes_the_name_of_an_interpreter(self) -> None:
        files = package(version="3.0.0")
        commands = {"sh": "server.ts", "bun": "server.ts", "node": "server.ts", "toy-toy": "server.ts"}
        files["package.json"] = json.dumps({**json.loads(files["package.json"]), "bin": commands})
        put(self.store, "toy", files, "3.0.0")
        self.store.activate("toy", "@toys/toy", "3.0.0")
        self.assertEqual(os.listdir(self.home.path / "modules" / "bin"), ["toy-toy"])

    def test_a_version_that_is_there_gets_a_second_folder(self) -> None:
        self.assertEqual(self.store.free_name("toy", "1.0.0"), "1.0.0~2")
        self.assertEqual(self.store.free_name("toy", "3.0.0"), "3.0.0")

    def test_what_is_not_there_cannot_be_activated(self) -> None:
        with self.assertRaises(BadPackage):
            self.store.activate("toy", "@toys/toy", "9.9.9")
        self.assertIsNone(self.store.active("toy", "@toys/toy"))

    def test_a_foreign_folder_is_not_replaced(self) -> None:
        write(self.home.path / "modules" / "node_modules" / "@toys" / "toy", {"package.json": "{}"})
        with self.assertRaises(BadPackage):
            self.store.activate("toy", "@toys/toy", "1.0.0")
        self.assertEqual(os.listdir(self.home.path / "modules" / "node_modules" / "@toys"), ["toy"])

    def test_prune_keeps_what_is_named(self) -> None:
        put(self.store, "toy", package(), "3.0.0")
        self.assertEqual(self.store.prune("toy", {"3.0.0", "1.0.0", None}), ("2.0.0",))
        self.assertEqual(sorted(self.store.versions("toy")), ["1.0.0", "3.0.0"])

    def test_hide_reveal_forget(self) -> None:
        self.store.hide("toy")
        self.assertEqual(self.store.versions("toy"), ())
        self.store.reveal("toy")
        self.store.reveal("toy")
        self.assertEqual(len(self.store.versions("toy")), 2)
        self.store.hide("toy")
        self.store.forget("toy")
        self.assertEqual(os.listdir(self.home.path / "modules" / "store"), [])

    def test_the_sweep_of_a_boot(self) -> None:
        self.store.incoming("toy", "abc")
        self.store.incoming("never", "def")
        write(self.home.path / "modules" / "store" / ".removed-gone" / "1.0.0", {"x": ""})
        half = self.store.link("@toys/toy").with_name(".toy.123.tmp")
        half.parent.mkdir(parents=True, exist_ok=True)
        os.symlink("nowhere", half)
        self.assertEqual(len(self.store.sweep()), 3)
        self.assertFalse(half.is_symlink())
        self.assertEqual(len(self.store.versions("toy")), 2)
        self.assertEqual(self.store.sweep(), ())

    def test_packages_of_the_older_hub_are_found(self) -> None:
        place = self.home.path / "modules" / "install" / "global" / "node_modules" / "@old" / "mod"
        write(place, package("@old/mod"))
        self.assertEqual(self.store.locate("@old/mod"), place)
        self.assertIsNone(self.store.active("mod", "@old/mod"))


class Verify(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp())
        self.incoming = self.home.store.incoming("toy", "test")
        self.folder = write(self.incoming / "node_modules" / "@toys" / "toy", package())

    def refusal(self, name: str = "@toys/toy") -> str:
        with self.assertRaises(BadPackage) as caught:
            self.home.store.verify(self.incoming, name)
        return str(caught.exception)

    def test_no_dependency_is_trusted_with_scripts(self) -> None:
        """Without the list bun trusts some hundred names of its own."""
        self.assertEqual(json.loads((self.incoming / "package.json").read_text())["trustedDependencies"], [])

    def test_an_honest_package(self) -> None:
        os.symlink("../@toys/toy/server.ts", self.incoming / "node_modules" / ".link")
        self.assertEqual(self.home.store.verify(self.incoming, "@toys/toy").package.version, "1.0.0")

    def test_links_that_lead_out(self) -> None:
        for target in ("/etc/passwd", "../../../../../../../../../etc", str(Path.cwd())):
            (self.folder / "link").unlink(missing_ok=True)
            os.symlink(target, self.folder / "link")
            self.assertIn("a link that leads out of it", self.refusal())

    def test_files_that_run_as_another_user(self) -> None:
        (self.folder / "server.ts").chmod(0o4755)
        self.assertIn("a file that runs as another user: node_modules/@toys/toy/server.ts", self.refusal())

    def test_pipes_and_devices_are_refused(self) -> None:
        os.mkfifo(self.folder / "pipe")
        self.assertIn("neither a file nor a folder", self.refusal())

    def test_another_package_or_none(self) -> None:
        self.assertIn("is not the package @toys/other", self.refusal("@toys/other"))
        (self.folder / "package.json").write_text('{"name": "@toys/toy", "version": "../../x"}')
        self.assertIn("version is not one that can name a folder", self.refusal())
        (self.folder / "package.json").write_text('{"name": "evil", "version": "1.0.0"}')
        self.assertIn("is not the package", self.refusal())
        (self.folder / "package.json").write_text("{")
        self.assertIn("package.json cannot be used", self.refusal())
