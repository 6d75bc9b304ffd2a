from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition import row_fields
from parachute_hub.modules.definition.model import ServiceRow

ROW: dict[str, Any] = {"name": "toy", "port": 6666, "paths": ["/toy"], "health": "/x", "version": "1"}


class Fields(SynchronousTestCase):
    def test_every_field_has_one_who_decides_it(self) -> None:
        self.assertEqual(set(row_fields.DECIDED_BY), {field.name for field in attrs.fields(ServiceRow)})

    def test_what_others_decide_is_taken_from_them(self) -> None:
        claimed = ServiceRow.parse(
            {**ROW, "publicExposure": "allowed", "installDir": "/tmp/x", "stripPrefix": True, "websocket": True}
        )
        row = row_fields.settled(claimed, 2000, "loopback")
        wanted = {"record": (2000, "loopback"), "package": (None, None), "nobody": (None,)}
        self.assertEqual((row.port, row.public_exposure), wanted["record"])
        self.assertEqual((row.strip_prefix, row.websocket), wanted["package"])
        self.assertEqual((row.install_dir,), wanted["nobody"])
        kept = [name for name, who in row_fields.DECIDED_BY.items() if who in ("row", "hub")]
        self.assertEqual([getattr(row, name) for name in kept], [getattr(claimed, name) for name in kept])

    def test_a_row_adds_paths_below_its_own_and_takes_none_away(self) -> None:
        for case, paths, short, said, extra, wanted in (
            ("below", ["/toy/a"], "toy", ("/toy",), (), ("/toy", "/toy/a")),
            ("nothing", [], "toy", ("/toy",), (), ("/toy",)),
            ("another's", ["/vault/default", "/admin", "/toys"], "toy", ("/toy",), (), ("/toy",)),
            ("granted by the catalog", [], "surface", ("/surface", "/.p"), ("/.p",), ("/surface", "/.p")),
            ("granted by nobody", ["/.p"], "surface", ("/surface", "/.p"), (), ("/surface",)),
            ("vaults", ["/vault/a", "/vault/b"], "vault", ("/vault/default",), (), ("/vault/a", "/vault/b")),
            ("no vault yet", [], "vault", ("/vault/default",), (), ()),
        ):
            with self.subTest(case):
                found, _ = row_fields.served(ServiceRow.parse({**ROW, "paths": paths}), short, said, extra)
                self.assertEqual(found, wanted)
