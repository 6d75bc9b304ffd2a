"""Ports, mounts, environments, messages: decisions without a disk."""

import doctest
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition import mounts, ports
from parachute_hub.modules.definition.model import ServiceRow
from parachute_hub.modules.definition.mounts import RESERVED, BadMount
from parachute_hub.modules.definition.ports import NoPort, choose
from parachute_hub.modules.launch import environment
from parachute_hub.modules.launch.environment import (
    BaseEnvironment,
    change_dotenv,
    for_installer,
    for_module,
    parse_dotenv,
)
from parachute_hub.modules.packages import updates
from parachute_hub.modules.packages.bun_errors import explain
from parachute_hub.modules.packages.updates import pick
from parachute_hub.modules.state import disk_space, salvage

AROUND = BaseEnvironment(
    home=Path("/home"),
    user_home=Path("/root"),
    issuer="https://hub.test",
    origins=("https://hub.test", "http://127.0.0.1:1939"),
    passed_on={"PATH": "/usr/bin", "HTTPS_PROXY": "http://proxy.test", "NODE_ENV": "development"},
    registry={"NPM_CONFIG_REGISTRY": "http://packs.test", "npm_config__authToken": "secret"},
    module_variables={"PARACHUTE_ENV_MY_MOD_KEY": "k", "PARACHUTE_ENV_MY_KEY": "other"},
)


class Texts(SynchronousTestCase):
    def test_examples(self) -> None:
        for module in (updates, disk_space, environment, mounts, ports, salvage):
            self.assertEqual(doctest.testmod(module).failed, 0, module.__name__)


class Ports(SynchronousTestCase):
    def test_the_own_port_when_it_is_free(self) -> None:
        self.assertEqual(choose(2000, (), lambda port: False).port, 2000)
        self.assertIsNone(choose(2000, (), lambda port: False).note)

    def test_never_the_hubs_nor_a_port_of_the_table_for_another(self) -> None:
        choice = choose(1939, (), lambda port: False)
        self.assertEqual(choice.port, 1941)
        self.assertEqual(choice.note, "It uses port 1941, since it cannot have 1939.")

    def test_the_next_ones_when_it_is_busy(self) -> None:
        self.assertEqual(choose(1940, {1941}, lambda port: port in (1940, 1944)).port, 1945)
        self.assertEqual(choose(1940, range(1940, 1950), lambda port: port < 1953).port, 1953)
        self.assertIsNone(choose(None, range(1940, 1950), lambda port: port < 1953).note)

    def test_none_is_free(self) -> None:
        with self.assertRaises(NoPort):
            choose(None, (), lambda port: True)


class Mounts(SynchronousTestCase):
    def test_only_below_the_own_name(self) -> None:
        mounts.check("/toy", "toy")
        mounts.check("/toy/a/b/", "toy")
        mounts.check("/.parachute", "surface", ("/.parachute",))
        for path in ("/", "", "toy", "/toys", "/other", "/toy/../admin", "/toy//x", "/toy/./x", "/TOY", "/toy\\x"):
            with self.assertRaises(BadMount, msg=path):
                mounts.check(path, "toy")
        for path in ("/toy/%2e%2e", "/toy?x", "/toy#x", "/toy x", "/toy\x00", "/tøy", "//toy", "/.parachute"):
            with self.assertRaises(BadMount, msg=path):
                mounts.check(path, "toy")

    def test_what_published_modules_list_besides_is_passed_over(self) -> None:
        """`/.parachute` at the root is the hub's; claiming it neither grants it nor excludes the module."""
        self.assertEqual(mounts.allowed(("/runner", "/.parachute", "/"), "runner"), (("/runner",), ()))
        self.assertEqual(mounts.claims(("/.parachute/", "/runner/x")), ("/runner/x",))

    def test_no_module_gets_a_path_of_the_hub_by_its_name(self) -> None:
        for segment in RESERVED - {""}:
            with self.assertRaises(BadMount, msg=segment):
                mounts.check(f"/{segment}", segment)
            with self.assertRaises(BadMount, msg=segment):
                mounts.check(f"/{segment}/below", segment)

    @settings(deadline=None, max_examples=200, derandomize=True)
    @given(st.text(alphabet="/.ad%min\\toy 2e", max_size=14))
    def test_whatever_is_allowed_stays_below(self, path: str) -> None:
        try:
            mounts.check(path, "toy")
        except BadMount:
            return
        self.assertTrue(path.startswith("/toy"))
        self.assertTrue(set(path.rstrip("/").split("/")[1:]).isdisjoint({"", ".", ".."}))

    def test_a_row(self) -> None:
        row = ServiceRow(name="x", port=1, paths=("/", "/toy/", "/toy", "/admin"), health="/", version="1")
        good, refused = mounts.allowed(row.paths, "toy")
        self.assertEqual(good, ("/toy",))
        self.assertEqual(refused, ('The path "/admin" belongs to the hub.',))


class Environments(SynchronousTestCase):
    def test_what_a_module_gets_is_complete_and_nothing_else(self) -> None:
        given = {"PORT": "1", "PARACHUTE_HUB_ORIGIN": "evil", "HOME": "/evil", "A": "dotenv", "KEY": "dotenv", "B": "1"}
        found = for_module(AROUND, "my-mod", 2000, (given, {"A": "owner"}), Path("/opt/bun"))
        self.assertEqual(
            found,
            {
                "LANG": "C.UTF-8",
                "NODE_ENV": "development",
                "PATH": "/opt/bun:/usr/bin:/home/modules/bin",
                "HTTPS_PROXY": "http://proxy.test",
                "A": "owner",
                "B": "1",
                "KEY": "k",
                "HOME": "/home",
                "PORT": "2000",
                "PARACHUTE_HOME": "/home",
                "PARACHUTE_HUB_ORIGIN": "https://hub.test",
                "PARACHUTE_HUB_ORIGINS": "https://hub.test,http://127.0.0.1:1939",
                "BUN_INSTALL": "/home/modules",
                "BUN_INSTALL_BIN": "/home/modules/bin",
                "TMPDIR": "/home/tmp",
            },
        )

    def test_only_the_installer_gets_registry_settings(self) -> None:
        found = for_installer(AROUND, Path("/opt/bun"), 20)
        self.assertEqual(found["NPM_CONFIG_REGISTRY"], "http://packs.test")
        self.assertEqual((found["HOME"], found["XDG_CONFIG_HOME"]), ("/home/hub/installer",) * 2)
        self.assertEqual(found["BUN_INSTALL"], "/home/modules")
        self.assertNotIn("NODE_ENV", found)
        self.assertNotIn("PARACHUTE_HUB_ORIGIN", found)

    @settings(deadline=None, max_examples=150, derandomize=True)
    @given(st.text(alphabet="AB=\"'\n 1", max_size=24), st.sampled_from(["A", "B"]), st.sampled_from([None, "x", ""]))
    def test_a_dotenv_is_changed_where_asked_and_nowhere_else(self, text: str, name: str, value: str | None) -> None:
        before, after = parse_dotenv(text), parse_dotenv(change_dotenv(text, {name: value}))
        others = {key: content for key, content in before.items() if key != name}
        self.assertEqual({key: content for key, content in after.items() if key != name}, others)
        if value is None:
            self.assertNotIn(name, after)


class Complaints(SynchronousTestCase):
    def test_what_bun_really_says(self) -> None:
        for line, kind in (
            ("error: ConnectionRefused downloading package manifest x", "refused"),
            ("error: ConnectionClosed downloading package manifest x", "connection"),
            ("error: DNSResolveFailed downloading package manifest x", "no_such_host"),
            ("error: GET http://127.0.0.1:1/x - 404", "not_found"),
            ("error: GET http://127.0.0.1:1/x - 500", "registry_failed"),
            ("error: GET http://127.0.0.1:1/x - 401", "not_allowed"),
            ("error: IntegrityCheckFailed extracting tarball from x", "integrity"),
            ("error: Timeout downloading tarball x@1.0.0", "stalled"),
            ('error: No version matching "9.9.9" found for specifier "x" (but package exists)', "no_such_version"),
            ("ENOSPC: copying file a.js", "disk_full"),
            ("error: Fail extracting tarball from x", "extract"),
            ("error: UNABLE_TO_VERIFY_LEAF_SIGNATURE: certificate", "tls"),
            ("error: Registry URL must be http:// or https://", "registry_address"),
        ):
            self.assertEqual(explain(["bun add v1.4.4", line], 1, None).kind, kind, line)

    def test_unknown_errors_are_quoted(self) -> None:
        self.assertIn("exit code 7. It said: strange", explain(["strange", ""], 7, None).text)
        self.assertEqual(explain([], None, "SIGKILL").kind, "memory")
        self.assertIn("SIGSEGV", explain([], None, "SIGSEGV").text)


class Channels(SynchronousTestCase):
    def test_rc_never_strands_below_stable(self) -> None:
        tags = {"latest": "1.1.0", "rc": "1.0.0-rc.2"}
        self.assertEqual((pick(tags, "rc"), pick(tags, "latest")), ("1.1.0", "1.1.0"))
        self.assertEqual(pick({"latest": "1.1.0", "rc": "1.2.0-rc.1"}, "rc"), "1.2.0-rc.1")
        self.assertEqual(pick({"latest": "1.1.0"}, "rc"), "1.1.0")
        nothings: tuple[Any, ...] = (None, [], {}, {"latest": 1})
        for nothing in nothings:
            self.assertIsNone(pick(nothing, "rc"))
            self.assertIsNone(pick(nothing, "latest"))
