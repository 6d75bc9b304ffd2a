"""What a module sees of the home, and which of its changes the hub accepts."""

import errno
import json
import os
from pathlib import Path
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.launch.views import Views
from parachute_hub.modules.state.services_file import ServicesFile
from parachute_hub.supervise.model import CannotLaunch
from tests.modules.homes import Home
from tests.support.at_once import at_once


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
        at_once(self.views.collect_all())

    def row(self, name: str = "toys-toy") -> dict[str, Any]:
        row = self.home.services.read().row(name)
        assert row is not None
        return row.to_json()

    def test_a_view_holds_the_module_and_nothing_else(self) -> None:
        (self.home.path / "toy").mkdir()
        (self.home.path / "toy" / "note").write_text("x")
        view = at_once(self.views.prepare("toy"))
        self.assertEqual((view / "toy" / "note").read_text(), "x")
        self.assertEqual(json.loads((view / "services.json").read_bytes())["services"][0], self.row())
        self.assertTrue((view / "tmp").is_dir() and (view / ".bun").is_dir())
        self.assertEqual(at_once(self.views.prepare("toy")), view)

    def test_its_own_words_are_taken_over(self) -> None:
        at_once(self.views.prepare("toy"))
        units = {"one": {"displayName": "One", "path": "/toy/one"}}
        mine = {**self.row(), "version": "2.0.0", "tagline": "New", "health": "/toy/h", "uis": units}
        self.says("toy", {**mine, "paths": ["/toy", "/toy/two"]})
        self.assertEqual(self.row(), {**mine, "paths": ["/toy", "/toy/two"]})

    def test_an_edit_that_the_module_has_not_seen_stays(self) -> None:
        """The owner edits services.json while it runs, or while the hub is stopped; the module then changes something
        else.
        """
        for what, restarted in (("running", False), ("stopped", True)):
            at_once(self.views.prepare("toy"))
            stale = self.row()
            edit(self.home, "tagline", what)
            if restarted:
                self.views = Views(home=self.home.path, directory=self.home.directory)
                at_once(self.views.prepare("toy"))
            else:
                self.says("toy", {**stale, "version": "3.0.0"})
                self.assertEqual(self.row()["version"], "3.0.0")
            self.assertEqual(self.row()["tagline"], what)

    def test_what_the_module_changes_after_an_edit_counts(self) -> None:
        at_once(self.views.prepare("toy"))
        stale = self.row()
        edit(self.home, "tagline", "the owner's")
        self.says("toy", {**stale, "tagline": "the module's"})
        self.assertEqual(self.row()["tagline"], "the module's")

    def test_a_row_that_was_removed_does_not_come_back_with_a_stale_copy(self) -> None:
        at_once(self.views.prepare("vault"))
        main = self.row("parachute-vault")
        more = {**main, "name": "parachute-vault-work", "paths": ["/vault/work"]}
        self.says("vault", main, more)
        self.home.services.update(lambda registry: registry.without("parachute-vault-work"))
        self.says("vault", {**main, "version": "9"}, more)
        self.assertIsNone(self.home.services.read().row("parachute-vault-work"))
        self.assertEqual(self.row("parachute-vault")["version"], "9")

    def test_words_that_could_not_be_stored_are_tried_again(self) -> None:
        at_once(self.views.prepare("toy"))
        said = {**self.row(), "version": "2"}
        copy = self.views.folder("toy") / "services.json"
        copy.write_text(json.dumps({"services": [said]}))
        full = ServicesFile(self.home.services.path, on_problem=self.home.problems.append, write=full_disk)
        at_once(Views(home=self.home.path, directory=evolve(self.home.directory, services=full)).collect("toy"))
        self.assertEqual(self.row()["version"], "1.0.0")
        at_once(self.views.prepare("toy"))
        self.assertEqual(self.row()["version"], "2")

    def test_what_is_not_its_own_stays(self) -> None:
        """Other rows, port, path, exposure, program, new rows, missing rows."""
        at_once(self.views.prepare("toy"))
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
        at_once(self.views.prepare("vault"))
        more = {**self.row("parachute-vault"), "name": "parachute-vault-work", "paths": ["/vault/work"]}
        self.says("vault", self.row("parachute-vault"), more)
        self.assertEqual(self.row("parachute-vault-work")["paths"], ["/vault/work"])

    def test_a_copy_that_is_no_file_is_not_followed(self) -> None:
        view = at_once(self.views.prepare("toy"))
        elsewhere = self.home.path / "elsewhere"
        elsewhere.write_text(json.dumps({"services": [{**self.row(), "version": "9"}]}))
        (view / "services.json").unlink()
        (view / "services.json").symlink_to(elsewhere)
        at_once(self.views.collect_all())
        self.assertEqual(self.row()["version"], "1.0.0")
        at_once(self.views.prepare("toy"))
        self.assertFalse((view / "services.json").is_symlink())

    def test_links_that_the_module_has_replaced(self) -> None:
        """Scratch folders are made anew; for its data the owner has to say which counts."""
        view = at_once(self.views.prepare("toy"))
        (self.home.path / "vault").mkdir(exist_ok=True)
        for name, target in (("tmp", "/not/there"), (".bun", str(self.home.path / "vault"))):
            (view / name).rmdir()
            (view / name).symlink_to(target)
        (view / "toy").unlink()
        at_once(self.views.prepare("toy"))
        self.assertEqual([(view / name).is_symlink() for name in ("tmp", ".bun", "toy")], [False, False, True])
        (view / "toy").unlink()
        (view / "toy").mkdir()
        with self.assertRaises(CannotLaunch) as caught:
            at_once(self.views.prepare("toy"))
        self.assertIn(f"Move what you need from {view / 'toy'} to {self.home.path / 'toy'}", str(caught.exception))

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


def edit(home: Home, name: str, value: str) -> None:
    """The owner changes a field of the module's row by hand."""
    document = json.loads(home.services.path.read_bytes())
    next(row for row in document["services"] if row["name"] == "toys-toy")[name] = value
    home.services.path.write_text(json.dumps(document))


def full_disk(*args: Any, **options: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


FIELDS = ("version", "tagline", "displayName")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["owner", "module"]), st.sampled_from(FIELDS), st.sampled_from(["a", "b", "c"])),
        st.sampled_from([("look", "", ""), ("start", "", ""), ("hub", "", "")]),
    ),
    max_size=25,
)


class OrderTests(SynchronousTestCase):
    @settings(max_examples=60, deadline=None)
    @given(STEPS)
    def test_in_any_order_each_word_of_either_side_counts(self, steps: list[tuple[str, str, str]]) -> None:
        """A field has the value of whoever changed it last; of two unseen changes the module's counts."""
        home = Home(str(Path(self.mktemp()).absolute()))
        home.register("toys-toy", tagline="first", displayName="Toy")
        views = Views(home=home.path, directory=home.directory)
        at_once(views.prepare("toy"))
        copy = views.folder("toy") / "services.json"
        expected = {"version": "1.0.0", "tagline": "first", "displayName": "Toy"}
        seen, said = dict(expected), dict(expected)
        for who, name, value in steps:
            if who == "owner":
                edit(home, name, value)
                expected[name] = value
            elif who == "module":
                said[name] = value
                document = json.loads(copy.read_bytes())
                document["services"][0].update(said)
                copy.write_text(json.dumps(document) + " " * len(steps))
                os.utime(copy, ns=(1, copy.stat().st_mtime_ns + 1))
            else:
                if who == "hub":
                    views = Views(home=home.path, directory=home.directory)
                expected.update({key: said[key] for key in FIELDS if said[key] != seen[key]})
                seen = dict(said)
                if who == "look":
                    at_once(views.collect("toy"))
                else:
                    at_once(views.prepare("toy"))
                    seen, said = dict(expected), dict(expected)
        at_once(views.collect("toy"))
        expected.update({key: said[key] for key in FIELDS if said[key] != seen[key]})
        row = home.services.read().row("toys-toy")
        assert row is not None
        self.assertEqual({key: row.to_json()[key] for key in FIELDS}, expected)
