"""What a module sees of the home, and which of its changes the hub accepts."""

import json
import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.launch.views import Views
from parachute_hub.supervise.model import CannotLaunch
from tests.modules.homes import Home


class ViewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(str(Path(self.mktemp()).absolute()))
        self.home.register("toys-toy", displayName="Toy", publicExposure="auth-required", installDir="/pkg")
        self.home.register("parachute-vault", 1940, paths=["/vault/default"])
        self.views = Views(home=self.home.path, directory=self.home.directory)

    def says(self, short: str, *rows: dict[str, Any]) -> None:
        """The module writes its copy as modules do: a new file, renamed."""
        copy = self.views.folder(short) / "services.json"
        fresh = copy.with_name("services.json.tmp-1")
        fresh.write_text(json.dumps({"services": rows}))
        os.replace(fresh, copy)
        self.views.collect_all()

    def row(self, name: str = "toys-toy") -> dict[str, Any]:
        row = self.home.services.read().row(name)
        assert row is not None
        return row.to_json()

    def test_a_view_holds_the_module_and_nothing_else(self) -> None:
        (self.home.path / "toy").mkdir()
        (self.home.path / "toy" / "note").write_text("x")
        view = self.views.prepare("toy")
        self.assertEqual((view / "toy" / "note").read_text(), "x")
        self.assertEqual(json.loads((view / "services.json").read_bytes())["services"][0], self.row())
        self.assertTrue((view / "tmp").is_dir() and (view / ".bun").is_dir())
        self.assertEqual(self.views.prepare("toy"), view)

    def test_its_own_words_are_taken_over(self) -> None:
        self.views.prepare("toy")
        units = {"one": {"displayName": "One", "path": "/toy/one"}}
        mine = {**self.row(), "version": "2.0.0", "tagline": "New", "health": "/toy/h", "uis": units}
        self.says("toy", {**mine, "paths": ["/toy", "/toy/two"]})
        self.assertEqual(self.row(), {**mine, "paths": ["/toy", "/toy/two"]})

    def test_what_is_not_its_own_stays(self) -> None:
        """Other rows, port, path, exposure, program, new rows, missing rows."""
        self.views.prepare("toy")
        before, vault = self.row(), self.row("parachute-vault")
        for what, rows in (
            ("another's row", [before, {**vault, "version": "9", "paths": ["/vault/evil"]}]),
            ("its port", [{**before, "port": 1940}]),
            ("its exposure", [{**before, "publicExposure": "allowed"}]),
            ("its program", [{**before, "installDir": "/evil"}]),
            ("another's path", [{**before, "paths": ["/vault/x", "/admin"]}]),
            ("a new row", [before, {**before, "name": "parachute-notes", "port": 5}]),
            ("no row", []),
            ("a row that nobody can read", [{"name": "toys-toy"}]),
        ):
            self.says("toy", *rows)
            self.assertEqual((self.row(), self.row("parachute-vault")), (before, vault), what)
            self.assertEqual(len(self.home.services.read().rows), 2, what)

    def test_a_vault_may_have_a_row_for_each_instance(self) -> None:
        self.views.prepare("vault")
        more = {**self.row("parachute-vault"), "name": "parachute-vault-work", "paths": ["/vault/work"]}
        self.says("vault", self.row("parachute-vault"), more)
        self.assertEqual(self.row("parachute-vault-work")["paths"], ["/vault/work"])

    def test_a_copy_that_is_no_file_is_not_followed(self) -> None:
        view = self.views.prepare("toy")
        elsewhere = self.home.path / "elsewhere"
        elsewhere.write_text(json.dumps({"services": [{**self.row(), "version": "9"}]}))
        (view / "services.json").unlink()
        (view / "services.json").symlink_to(elsewhere)
        self.views.collect_all()
        self.assertEqual(self.row()["version"], "1.0.0")
        self.views.prepare("toy")
        self.assertFalse((view / "services.json").is_symlink())

    def test_data_elsewhere(self) -> None:
        """On another disk it is the owner's choice; in the home it is another module's data."""
        disk = self.home.path.parent / "disk"
        disk.mkdir()
        place = self.home.path / "toy"
        place.symlink_to(disk)
        self.assertEqual(self.views.data("toy"), disk)
        for target in (self.home.path / "vault", self.home.path, self.home.path / "hub", Path("/")):
            place.unlink()
            place.symlink_to(target)
            with self.assertRaises(CannotLaunch) as caught:
                self.views.data("toy")
            self.assertEqual(caught.exception.error_type, "bad_data_folder", str(target))
