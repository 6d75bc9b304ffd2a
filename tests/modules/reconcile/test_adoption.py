import json
import os

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.reconcile.adoption import Adoption
from parachute_hub.modules.state.records import RecordsFile
from parachute_hub.site.errors import Refused
from tests.modules.homes import Home, package, write
from tests.support.at_once import at_once

# What services.json of the older hub, 0.7.15, holds with a vault and the surface.
OLDER_ROWS = (
    {
        "name": "parachute-vault",
        "port": 1940,
        "paths": ["/vault/default", "/vault/second"],
        "health": "/health",
        "version": "0.3.6",
        "publicExposure": "loopback",
        "kind": "api",
    },
    {
        "name": "parachute-surface",
        "port": 4711,
        "paths": ["/surface", "/.parachute"],
        "health": "/surface/healthz",
        "version": "0.3.9",
        "installDir": "/nowhere/surface",
        "publicExposure": "allowed",
    },
    {"name": "own", "port": 1950, "paths": ["/own"], "health": "/health", "version": "1", "installDir": "/nowhere"},
)


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp(), Catalog())
        self.busy: set[int] = set()
        self.adoption = Adoption(
            directory=self.home.directory,
            hub_ports=(1939,),
            busy=self.busy.__contains__,
        )

    def rows(self, *rows: object) -> None:
        self.home.services.path.write_text(json.dumps({"services": rows}))

    def refusal(self, short: str) -> str:
        with self.assertRaises(Refused) as caught:
            at_once(self.adoption.adopt(short))
        refused: Refused = caught.exception
        return refused.description


class OlderHomes(Base):
    def test_its_modules_of_the_catalog_get_a_record_and_the_others_wait(self) -> None:
        self.rows(*OLDER_ROWS)
        self.assertEqual(self.home.directory.shorts(), ())
        at_once(self.adoption.count())
        self.assertEqual(self.home.directory.shorts(), ("vault", "surface"))
        self.assertEqual([row.name for row in self.home.directory.strangers()], ["own"])
        vault, surface = self.home.records.get("vault"), self.home.records.get("surface")
        self.assertEqual((vault.port, vault.row, vault.exposure), (1940, "parachute-vault", "loopback"))
        self.assertEqual((surface.port, surface.exposure), (1946, None), "it always listens there")

    def test_it_happens_once(self) -> None:
        at_once(self.adoption.count())
        self.rows(*OLDER_ROWS)
        again = RecordsFile(self.home.path / "hub" / "modules.json")
        self.assertTrue(again.counted)
        at_once(self.adoption.count())
        self.assertEqual(self.home.directory.shorts(), ())

    def test_records_of_before_get_their_port(self) -> None:
        self.home.records.change("toy", package="@toys/toy", row="toys-toy")
        self.home.records.change("two", package="@toys/two", row="toys-two")
        self.rows(
            {"name": "toys-toy", "port": 2711, "paths": ["/toy"], "health": "/h", "version": "1"},
            {"name": "toys-two", "port": 2711, "paths": ["/two"], "health": "/h", "version": "1"},
        )
        self.assertEqual(self.home.directory.shorts(), ("toy", "two"), "they run before, too")
        at_once(self.adoption.count())
        ports = [self.home.records.get(short).port for short in ("toy", "two")]
        self.assertEqual(ports[0], 2711)
        self.assertNotIn(ports[1], (2711, 1939))


class Adopting(Base):
    def setUp(self) -> None:
        super().setUp()
        at_once(self.adoption.count())
        files = package("@toys/own", manifestName="own", startCmd=["./server.ts"])
        self.folder = write(self.home.path.resolve() / "elsewhere", files)

    def test_the_owner_keeps_a_module_and_its_folder_is_the_one_that_was_shown(self) -> None:
        self.rows({**OLDER_ROWS[2], "installDir": str(self.folder)})
        self.assertEqual(self.adoption.source("own"), ("@toys/own", self.folder))
        at_once(self.adoption.adopt("own"))
        record = self.home.records.get("own")
        self.assertEqual((record.port, record.linked, record.package), (1950, str(self.folder), "@toys/own"))
        self.rows({**OLDER_ROWS[2], "installDir": "/nowhere"})
        folder = self.home.directory.folder("own")
        assert folder is not None
        self.assertEqual(os.path.realpath(folder), os.path.realpath(self.folder))
        self.assertFalse(self.home.directory.is_first_party("own"), "its pages stay in the sandbox")

    def test_a_row_with_the_name_of_the_catalog_gives_the_catalogs_package(self) -> None:
        self.rows({**OLDER_ROWS[0], "installDir": str(self.folder)})
        at_once(self.adoption.adopt("vault"))
        self.assertEqual(self.home.directory.package_of("vault"), "@openparachute/vault")
        self.assertIsNone(self.home.directory.folder("vault"), "whatever folder the row names")

    def test_a_port_that_another_has_is_not_given_twice(self) -> None:
        self.rows(OLDER_ROWS[0], {**OLDER_ROWS[2], "port": 1940, "installDir": str(self.folder)})
        at_once(self.adoption.adopt("vault"))
        at_once(self.adoption.adopt("own"))
        self.assertNotIn(self.home.records.get("own").port, (1940, None))

    def test_unsuitable_rows_are_not_adopted(self) -> None:
        self.rows(OLDER_ROWS[2], {**OLDER_ROWS[2], "name": "hub", "installDir": str(self.folder)})
        for short, words in (
            ("own", "names no folder of a module"),
            ("hub", "names no folder of a module"),
            ("gone", "no module gone"),
        ):
            with self.subTest(short):
                self.assertIn(words, self.refusal(short))
        self.rows({**OLDER_ROWS[2], "name": "other", "installDir": str(self.folder)})
        self.assertIn("is not the module other", self.refusal("other"))
        self.assertEqual(self.home.directory.shorts(), ())
