"""The Dockerfile's properties, as reported by the engine that built it."""

import tomllib
from pathlib import Path
from typing import Any

import yaml

from parachute_hub.settings import fold
from tests.live import engine
from tests.live.container.case import ContainerTestCase
from tests.live.engine import ENGINE, MEBIBYTE, ROOT
from tests.requirements import program, requires
from tools.podman import Podman


class ImageTests(ContainerTestCase):
    """It matches render.yaml, fly.toml and compose.yaml, which tests/test_deploy_files.py compares."""

    def setUp(self) -> None:
        self.image: dict[str, Any] = engine.configuration(engine.image())
        self.env = dict(line.split("=", 1) for line in self.image["Env"])
        (self.render,) = yaml.safe_load((ROOT / "render.yaml").read_text())["services"]
        self.fly = tomllib.loads((ROOT / "fly.toml").read_text())
        self.compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["hub"]

    def test_platform_variables_repeat_those_of_the_image(self) -> None:
        repeated = {name: value for name, value in self.fly["env"].items() if name in self.env}
        self.assertEqual(repeated, {name: self.env[name] for name in repeated})

    def test_the_disk_is_the_home_everywhere(self) -> None:
        home = self.env["PARACHUTE_HOME"]
        self.assertEqual(list(self.image["Volumes"]), [home])
        self.assertEqual((self.render["disk"]["mountPath"], self.fly["mounts"]["destination"]), (home, home))
        self.assertEqual(self.compose["volumes"], [f"parachute-home:{home}"])
        for name in ("BUN_INSTALL", "BUN_INSTALL_BIN", "TMPDIR"):
            self.assertTrue(self.env[name].startswith(f"{home}/"), name)

    def test_one_port(self) -> None:
        settings = fold({}, {"HOME": "/", **self.env})
        self.assertEqual(list(self.image["ExposedPorts"]), [f"{settings.port}/tcp"])
        self.assertEqual(self.fly["http_service"]["internal_port"], settings.port)
        self.assertEqual(self.compose["ports"], [f"127.0.0.1:{settings.port}:{settings.port}"])
        self.assertEqual(settings.listen, f"tcp:{settings.port}:interface=0.0.0.0")

    def test_it_waits_for_its_predecessor_as_long_as_platforms_wait_for_its_end(self) -> None:
        """A redeploy may start the new container first."""
        self.assertEqual((self.fly["kill_signal"], self.image["StopSignal"]), ("SIGTERM", "SIGTERM"))
        self.assertGreaterEqual(fold({}, {"HOME": "/", **self.env}).lock_wait, 30)

    def test_it_checks_its_health(self) -> None:
        self.assertEqual(self.image["Healthcheck"]["Test"], ["CMD", "docker-entrypoint.sh", "healthcheck"])

    def test_signals_reach_the_whole_group(self) -> None:
        self.assertEqual(self.image["Entrypoint"][:2], ["tini", "-g"])
        self.assertEqual(self.image["Cmd"], ["python", "-P", "-m", "parachute_hub"])

    def test_a_module_cannot_put_a_command_before_the_image_s_own(self) -> None:
        self.assertEqual(self.env["PATH"].split(":")[-1], self.env["BUN_INSTALL_BIN"])
        self.assertFalse(self.image["WorkingDir"].startswith(self.env["PARACHUTE_HOME"]))

    def test_nothing_of_this_machine_stays_in_it(self) -> None:
        """Build steps got certificates and settings of package clients."""
        script = "id -u; find /run/authorities.crt /etc/pip.conf ~root/.bunfig.toml -size +0 2>/dev/null || true"
        root = self.container(options=("--entrypoint=sh",), command=("-c", script))
        self.assertEqual((root.ended(), root.log()), (0, "0\n"))

    def test_the_build_context_is_only_what_is_copied(self) -> None:
        left_out = {".git/config", "examples/vault/src/cli.ts", "tests/__init__.py", ".venv/pyvenv.cfg", ".env"}
        left_out |= {"parachute_hub/static/admin/x.js", "web/node_modules/x/y.js", "twisted/plugins/dropin.cache"}
        copied = {"parachute_hub/tap.py", "web/src/main.tsx", "requirements.lock", "docker-entrypoint.sh"}
        context = self.folder()
        for name in left_out | copied:
            path = context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        (context / ".dockerignore").write_text((ROOT / ".dockerignore").read_text())
        out, file = self.folder(), self.folder() / "Containerfile"
        file.write_text("FROM scratch\nCOPY . /context/\n")
        Podman().run("build", f"--file={file}", f"--output=type=local,dest={out}", str(context))
        self.assertEqual({str(path.relative_to(out / "context")) for path in _files(out)}, copied)


@requires(*ENGINE, program("podman-compose"))
class ComposeTests(ContainerTestCase):
    """compose.yaml unchanged, with the built image."""

    def test_up_and_down(self) -> None:
        machine, project = self.machine(), engine.new_name()
        words = ("podman-compose", f"--project-name={project}", f"--file={ROOT / 'compose.yaml'}")
        machine.podman.run("tag", engine.image(), f"localhost/{project}_hub")
        self.addCleanup(machine.podman.run, "untag", engine.image(), f"localhost/{project}_hub")
        self.addCleanup(machine.podman.run, "network", "rm", f"{project}_default")
        self.addCleanup(machine.podman.command, *words, "down", "--volumes")
        done = machine.podman.command(*words, "up", "--detach", "--no-build")
        hub = machine.adopt(f"{project}_hub_1", port=1939)
        hub.wait_phase("up")
        self.assertEqual(hub.healthcheck(), "healthy", done.stderr)
        self.assertEqual([_owner(pid) for pid in hub.processes("-P -m parachute_hub")], [1000])
        limit = hub.run("cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max").stdout
        self.assertEqual(limit.split(), [str(512 * MEBIBYTE)])
        self.assertEqual(hub.run("touch", "/opt/parachute/x").returncode, 1)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid
