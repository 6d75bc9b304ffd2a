"""A home of the older hub: packages run where they are, and move into our store when upgraded."""

import json
import subprocess
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.operations.upgrade import UpgradeRequest
from parachute_hub.modules.packages import bun
from parachute_hub.supervise.model import ModuleState
from tests.live.modules_rig import BROKEN, PORT, Rig, ask, module, run
from tests.modules.homes import write


class OlderHome(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.rig = Rig.start()
        self.rig.registry.publish(module())

    def tearDown(self) -> Any:
        return run(lambda test: test.rig.stop())(self)

    async def older(self) -> Path:
        """What `bun add -g` and the older hub leave behind."""
        modules = self.rig.home / "modules"
        place = modules / "install" / "global" / "node_modules" / "@toys" / "toy"
        write(place, module())
        write(modules / "bin", {"toy-toy": "older"})
        row = {
            "name": "toys-toy",
            "port": PORT,
            "paths": ["/toy"],
            "health": "/toy/health",
            "version": "1.0.0",
            "kind": "api",
            "lastStartError": {"error_type": "x", "error_description": "old"},
        }
        write(self.rig.home, {"services.json": json.dumps({"services": [row]}), "hub.db": "not ours"})
        write(self.rig.home / "toy", {"note": "mine"})
        await self.rig.modules.recover()
        return place

    @run
    async def test_it_runs_where_it_is_and_moves_at_its_next_upgrade(self) -> None:
        place = await self.older()
        self.assertEqual(self.rig.files.to_start(), ("toy",))
        status = await self.rig.supervisor.start("toy")
        self.assertEqual(status.state, ModuleState.READY, status)
        self.assertEqual((await ask(PORT, "/toy"))["cwd"], str(place))
        self.rig.registry.publish(module(version="2.0.0", server=BROKEN))
        job = await self.rig.done(self.rig.modules.upgrader.upgrade(UpgradeRequest(short="toy")))
        self.assertEqual(job.outcome, "failed")
        self.assertEqual((await ask(PORT, "/toy"))["cwd"], str(place))
        self.rig.registry.publish(module(version="2.0.1"))
        job = await self.rig.done(self.rig.modules.upgrader.upgrade(UpgradeRequest(short="toy")))
        self.assertEqual(job.status, "succeeded", job)
        answer = await ask(PORT, "/toy")
        self.assertEqual(answer["version"], "2.0.1")
        self.assertIn("/modules/store/toy/2.0.1/", answer["cwd"])
        row = json.loads((self.rig.home / "services.json").read_text())["services"][0]
        self.assertEqual((row["kind"], row["version"], row["port"]), ("api", "2.0.1", PORT))
        self.assertNotIn("lastStartError", row)
        self.assertEqual((self.rig.home / "hub.db").read_text(), "not ours")
        self.assertEqual((self.rig.home / "modules" / "bin" / "toy-toy").read_text(), "older")
        # And back to where the older hub's bun put it, with its data, and forward again.
        write(self.rig.home / "toy", {"note": "written by 2.0.1"})
        job = await self.rig.done(self.rig.modules.upgrader.rollback("toy", restore_data=True))
        self.assertEqual(job.status, "succeeded", job)
        answer = await ask(PORT, "/toy")
        self.assertEqual((answer["version"], answer["cwd"]), ("1.0.0", str(place)))
        self.assertEqual((self.rig.home / "toy" / "note").read_text(), "mine")
        job = await self.rig.done(self.rig.modules.upgrader.rollback("toy"))
        self.assertEqual((job.status, (await ask(PORT, "/toy"))["version"]), ("succeeded", "2.0.1"), job)

    @run
    async def test_a_package_that_is_gone_is_installed_again_on_its_port(self) -> None:
        place = await self.older()
        subprocess.run(["rm", "-r", str(place)], check=True)
        status = await self.rig.supervisor.start("toy")
        assert status.start_error is not None
        self.assertEqual(status.start_error["error_type"], "missing_package")
        job = await self.rig.done(self.rig.modules.installer.install(InstallRequest(short="toy", package="@toys/toy")))
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual((await ask(PORT, "/toy"))["version"], "1.0.0")
        self.assertEqual((self.rig.home / "toy" / "note").read_text(), "mine")

    @run
    async def test_a_real_global_install_is_found(self) -> None:
        """bun's own global layout, created by bun."""
        modules = self.rig.home / "modules"
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.rig.home),
            "BUN_INSTALL": str(modules),
            "BUN_INSTALL_BIN": str(modules / "bin"),
            "BUN_CONFIG_REGISTRY": self.rig.registry.url,
        }
        command = [str(bun.find(None)), "add", "-g", "@toys/toy"]
        await deferToThread(subprocess.run, command, env=environment, check=True, capture_output=True)
        located = self.rig.files.directory.store.locate("@toys/toy")
        self.assertEqual(located, modules / "install" / "global" / "node_modules" / "@toys" / "toy")


class Neighbours(TestCase):
    """Two modules of different age, and a row written by a module."""

    timeout = 60

    def setUp(self) -> None:
        self.rig = Rig.start()

    def tearDown(self) -> Any:
        return run(lambda test: test.rig.stop())(self)

    @run
    async def test_a_busy_port_and_a_module_that_registers_itself(self) -> None:
        registering = """
const path = `${process.env.PARACHUTE_HOME}/services.json`
const document = await Bun.file(path).json()
for (const row of document.services) if (row.name === "toys-other") {
  Object.assign(row, { version: "9.9.9-own", installDir: import.meta.dir, mine: 1 })
}
await Bun.write(path, JSON.stringify(document))
Bun.serve({ port: Number(process.env.PORT), hostname: "127.0.0.1", fetch: () => Response.json({}) })
"""
        self.rig.registry.publish(module())
        self.rig.registry.publish(module("other", server=registering))
        for short in ("toy", "other"):
            request = InstallRequest(short=short, package=f"@toys/{short}")
            job = await self.rig.done(self.rig.modules.installer.install(request))
            self.assertEqual(job.status, "succeeded", job)
        toy, other = self.rig.files.directory.services.read().rows
        self.assertNotEqual(toy.port, other.port)
        self.assertIn(f"It uses port {other.port}, since it cannot have {PORT}.", job.log)
        self.assertEqual(other.version, "1.0.0")
        self.assertEqual(other.raw["mine"], 1)
        self.assertIn("/modules/store/other/1.0.0/", other.install_dir or "")
        self.rig.registry.publish(module("other", version="1.1.0"))
        job = await self.rig.done(self.rig.modules.upgrader.upgrade(UpgradeRequest(short="other")))
        self.assertEqual(job.status, "succeeded", job)
        answer = await ask(other.port, "/other")
        self.assertEqual(answer["version"], "1.1.0")
