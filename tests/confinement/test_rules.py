"""Which rights a rule gives, and what rules cannot open."""

import doctest
import struct

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.confinement import rules
from parachute_hub.confinement.rules import (
    BIND_TCP,
    CONNECT_TCP,
    LIST,
    READ,
    Rules,
    all_rights,
    exposed,
    missing,
    port_rights,
    rights_on,
    ruleset,
)


class RightsTests(SynchronousTestCase):
    def test_docstring_examples_hold(self) -> None:
        self.assertEqual(doctest.testmod(rules).failed, 0)

    def test_each_version_restricts_its_rights(self) -> None:
        for what, rights, folder, wanted in (
            ("read a folder", READ, True, 0b1101),
            ("read a file", READ, False, 0b0101),
            ("list a folder", LIST, True, 0b1000),
            ("list a file", LIST, False, 0),
            ("change a folder, all versions' rights", all_rights(7), True, 0xFFFF & ~(1 << 6 | 1 << 11)),
            ("change a folder, the first version", all_rights(1), True, 0x1FFF & ~(1 << 6 | 1 << 11)),
            ("change a file", all_rights(7), False, 0b111 | 1 << 14 | 1 << 15),
        ):
            self.assertEqual(rights_on(rights, folder=folder), wanted, what)

    def test_each_version_is_asked_for_what_it_knows(self) -> None:
        """Files, ports and scopes; a newer version than the hub knows gets the newest."""
        mine = Rules(reads=(), writes=(), bind=(9, 8, 9), connect=())
        anywhere = Rules(reads=(), writes=(), bind=(8,), connect=None)
        unlimited = Rules(reads=(), writes=(), bind=None, connect=None)
        bind = (BIND_TCP, (8, 9))
        for abi, given, files, network, scopes, ports in (
            (1, mine, 0x1FFF, None, None, ()),
            (2, mine, 0x3FFF, None, None, ()),
            (3, mine, 0x7FFF, None, None, ()),
            (4, mine, 0x7FFF, BIND_TCP | CONNECT_TCP, None, (bind, (CONNECT_TCP, ()))),
            (5, mine, 0xFFFF, BIND_TCP | CONNECT_TCP, None, (bind, (CONNECT_TCP, ()))),
            (6, mine, 0xFFFF, BIND_TCP | CONNECT_TCP, 3, (bind, (CONNECT_TCP, ()))),
            (7, anywhere, 0xFFFF, BIND_TCP, 3, ((BIND_TCP, (8,)),)),
            (99, unlimited, 0xFFFF, 0, 3, ()),
        ):
            words = [word for word in (files, network, scopes) if word is not None]
            self.assertEqual(ruleset(abi, given), struct.pack(f"={len(words)}Q", *words), abi)
            self.assertEqual(port_rights(abi, given), ports, abi)

    def test_unrestricted_parts_are_named(self) -> None:
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
