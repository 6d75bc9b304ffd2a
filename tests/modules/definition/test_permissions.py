"""`permissions` in module.json."""

import doctest
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition import permissions
from parachute_hub.modules.definition.permissions import Permissions, allows
from parachute_hub.modules.definition.validation import Invalid


class PermissionTests(SynchronousTestCase):
    def test_docstring_examples_hold(self) -> None:
        self.assertEqual(doctest.testmod(permissions).failed, 0)

    def test_what_is_read_is_what_is_written(self) -> None:
        for value in (
            {},
            {"network": "none"},
            {"network": ["api.example.com", "*.Example.org"], "memory": 256},
            {"folders": ["~/Notes", "/srv/notes/"], "programs": ["ffmpeg", "whisper-ctranslate2"]},
        ):
            parsed = Permissions.parse(value)
            self.assertEqual(Permissions.parse(parsed.to_json()), parsed, value)
        self.assertEqual(Permissions.parse({}), Permissions(), "absent means the network and nothing else")
        self.assertEqual(Permissions.parse({"network": []}).network, "none")

    def test_invalid_permissions_are_refused(self) -> None:
        cases: tuple[tuple[Any, str], ...] = (
            ([], "permissions"),
            ({"network": "all"}, "permissions.network"),
            ({"network": ["https://x.com"]}, "permissions.network[0]"),
            ({"network": ["x.com:80"]}, "permissions.network[0]"),
            ({"network": ["*"]}, "permissions.network[0]"),
            ({"network": ["127.0.0.1"]}, "permissions.network[0]"),
            ({"network": ["::1"]}, "permissions.network[0]"),
            ({"network": ["169.254.169.254"]}, "permissions.network[0]"),
            ({"network": ["192.168.1.0/24"]}, "permissions.network[0]"),
            ({"network": ["localhost"]}, "permissions.network[0]"),
            ({"network": ["a.com\r\nX: y"]}, "permissions.network[0]"),
            ({"network": ["a.com"] * 51}, "permissions.network"),
            ({"folders": ["/"]}, "permissions.folders[0]"),
            ({"folders": ["~/"]}, "permissions.folders[0]"),
            ({"folders": ["notes"]}, "permissions.folders[0]"),
            ({"folders": ["/a/../b"]}, "permissions.folders[0]"),
            ({"folders": "/a"}, "permissions.folders"),
            ({"programs": ["/bin/sh"]}, "permissions.programs[0]"),
            ({"programs": ["-x"]}, "permissions.programs[0]"),
            ({"memory": 1}, "permissions.memory"),
            ({"memory": True}, "permissions.memory"),
            ({"memory": 64.5}, "permissions.memory"),
            ({"camera": True}, "permissions.camera"),
        )
        for value, at in cases:
            with self.assertRaises(Invalid) as caught:
                Permissions.parse(value)
            self.assertEqual(caught.exception.field, at, value)

    def test_addresses_of_private_networks_may_be_declared(self) -> None:
        self.assertEqual(
            Permissions.parse({"network": ["192.168.1.5", "FD00:0::1"]}).network, ("192.168.1.5", "fd00::1")
        )

    def test_additional_permissions_are_named(self) -> None:
        none, anything = Permissions(network="none"), Permissions()
        hosts = Permissions(network=("a.test", "b.test"))
        more = Permissions(network="none", folders=("~/x",), programs=("git",), memory=999)
        for what, asked, granted, wanted in (
            ("the same", hosts, hosts, ()),
            ("less", none, anything, ()),
            ("hosts where all was", hosts, anything, ()),
            ("another host", hosts, Permissions(network=("a.test",)), ("reach b.test",)),
            ("hosts where nothing was", hosts, none, ("reach a.test", "reach b.test")),
            ("all where hosts were", anything, hosts, ("use the whole network",)),
            ("a folder and a program", more, anything, ("read and change ~/x", "run git")),
        ):
            self.assertEqual(asked.beyond(granted), wanted, what)

    def test_wildcards_match_subdomains(self) -> None:
        for host, wanted in (
            ("api.test", True),
            ("API.test.", True),
            ("x.api.test", False),
            ("a.example.com", True),
            ("example.com", False),
            ("evilexample.com", False),
        ):
            self.assertEqual(allows(("api.test", "*.example.com"), host), wanted, host)
