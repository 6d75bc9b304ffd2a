"""Which rights a rule gives, and what rules may not open."""

import doctest

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.confinement import rules
from parachute_hub.confinement.rules import exposed, missing, rights_on


class RightsTests(SynchronousTestCase):
    def test_examples(self) -> None:
        self.assertEqual(doctest.testmod(rules).failed, 0)

    def test_rights(self) -> None:
        for what, abi, write, folder, wanted in (
            ("read a folder", 7, False, True, 0b1101),
            ("read a file", 7, False, False, 0b0101),
            ("change a folder, all versions' rights", 7, True, True, 0xFFFF & ~(1 << 6 | 1 << 11)),
            ("change a folder, the first version", 1, True, True, 0x1FFF & ~(1 << 6 | 1 << 11)),
            ("change a file", 7, True, False, 0b111 | 1 << 14 | 1 << 15),
        ):
            self.assertEqual(rights_on(abi, write=write, folder=folder), wanted, what)

    def test_what_is_missing(self) -> None:
        self.assertEqual(missing(7), ())
        self.assertEqual(missing(5), ("signals to other programs",))
        self.assertIn("files", missing(0))

    def test_what_would_be_exposed(self) -> None:
        for what, opened, wanted in (
            ("the home itself", ["/h"], "/h"),
            ("above the home", ["/"], "/h"),
            ("a module's folder", ["/h/vault", "/usr"], None),
            ("the hub's folder", ["/h/hub"], "/h/hub"),
            ("a folder with a similar name", ["/h2", "/h/hubs"], None),
        ):
            self.assertEqual(exposed(opened, ["/h", "/h/hub"]), wanted, what)
