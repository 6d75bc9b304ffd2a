"""The catalog: built in, or from a file that modules cannot write."""

import json
import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.catalog import BadCatalog, Catalog, load

HELLO = {
    "short": "hello",
    "package": "@x/hello",
    "displayName": "Hello",
    "tagline": "Hi",
    "focus": "core",
    "memoryMB": 30,
}


EXAMPLES = Path(__file__).parents[3] / "examples"


class Built(SynchronousTestCase):
    def test_the_reference_modules_say_of_themselves_what_their_catalog_says(self) -> None:
        """The catalog's words are shown before an installation, the module's own afterwards."""
        for entry in load(EXAMPLES / "catalog.json", Path(self.mktemp())).entries:
            manifest = json.loads((EXAMPLES / entry.short / ".parachute" / "module.json").read_text())
            self.assertEqual(manifest["tagline"], entry.tagline)

    def test_the_published_modules(self) -> None:
        catalog = Catalog()
        self.assertEqual(
            [entry.short for entry in catalog.entries], ["vault", "notes", "scribe", "surface", "agent", "runner"]
        )
        self.assertEqual(catalog.short_of("parachute-vault"), "vault")
        self.assertEqual(catalog.short_of("parachute-vault-work"), "vault")
        self.assertEqual(catalog.short_of("parachute-lens"), "notes")
        self.assertEqual(catalog.short_of("parachute-other"), "other")
        self.assertEqual(catalog.short_of("plain"), "plain")


class FromFile(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.home = Path(self.mktemp())
        self.home.mkdir()

    def write(self, *modules: Any, name: str = "catalog.json") -> Path:
        path = self.folder / name
        path.write_text(json.dumps({"modules": modules}))
        return path

    def refusal(self, *modules: Any) -> str:
        with self.assertRaises(BadCatalog) as caught:
            load(self.write(*modules), self.home)
        return str(caught.exception)

    def test_it_takes_the_place_of_the_table_but_keeps_what_the_table_knows(self) -> None:
        vault = {"short": "vault", "package": "@mine/vault", "source": "packs/vault.tgz", "reference": True}
        catalog = load(self.write(HELLO, vault), self.home)
        hello, mine = catalog.entries
        self.assertEqual((hello.manifest_name, hello.memory_mb, hello.port), ("parachute-hello", 30, None))
        self.assertEqual((mine.package, mine.port, mine.focus), ("@mine/vault", 1940, "core"))
        self.assertEqual(mine.source, self.folder / "packs" / "vault.tgz")
        self.assertEqual((hello.reference, mine.reference), (False, True))
        self.assertIsNotNone(catalog.get("scribe"))
        self.assertIsNone(catalog.offers("@openparachute/scribe"))

    def test_refusals_name_the_place(self) -> None:
        for changes, text in (
            ({"short": "A"}, "modules[0].short: must be lower case"),
            ({"package": "--trust"}, "modules[0].package: must be the name of an npm package"),
            ({"exposure": "all"}, "modules[0].exposure: must be one of"),
            ({"memoryMB": 0}, "modules[0].memoryMB: must be a whole number"),
            ({"static": "yes"}, "modules[0].static: must be true or false"),
            ({"focus": "x"}, "modules[0].focus"),
        ):
            self.assertIn(text, self.refusal({**HELLO, **changes}))
        self.assertIn("two entries have the same short", self.refusal(HELLO, {**HELLO, "package": "@y/z"}))
        self.assertIn("modules[0]: must be an object", self.refusal("x"))

    def test_withdrawn_versions_and_the_newest_hub(self) -> None:
        told = {**HELLO, "withdrawn": {"1.1.0": "It loses notes."}}
        path = self.folder / "whole.json"
        for document, hub in (({"modules": [told], "hub": "2.0.0"}, "2.0.0"), ({"modules": [told]}, None)):
            path.write_text(json.dumps(document))
            catalog = load(path, self.home)
            self.assertEqual((catalog.hub, catalog.withdrawn("@x/hello", "1.1.0")), (hub, "It loses notes."))
            self.assertIsNone(catalog.withdrawn("@x/hello", "1.0.0"))
        for wrong in ({"modules": [{**told, "withdrawn": ["1.1.0"]}]}, {"modules": [told], "hub": "the newest one"}):
            path.write_text(json.dumps(wrong))
            with self.assertRaises(BadCatalog):
                load(path, self.home)

    def test_a_file_that_others_may_write_is_refused(self) -> None:
        path = self.write(HELLO)
        path.chmod(0o666)
        with self.assertRaises(BadCatalog):
            load(path, self.home)
        path.chmod(0o644)
        inside = self.home / "catalog.json"
        inside.write_bytes(path.read_bytes())
        for place in (inside, self.folder / "link.json"):
            if place.name == "link.json":
                os.symlink(inside.absolute(), place)
            with self.assertRaises(BadCatalog) as caught:
                load(place, self.home)
            self.assertIn("inside the hub's home", str(caught.exception))

    def test_a_missing_file_is_reported(self) -> None:
        with self.assertRaises(BadCatalog) as caught:
            load(self.folder / "none.json", self.home)
        self.assertIn("No such file", str(caught.exception))
