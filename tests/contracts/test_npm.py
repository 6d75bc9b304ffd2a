"""The tests' small registry answers bun like the public one."""

import json
import os
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from parachute_hub.modules.packages import bun
from parachute_hub.modules.packages.bun import Bun, BunFailed
from tests.support.npm import NpmRegistry

REAL: Any = reactor
# A package that the tests of OAuth use as well, at the version that they use.
NAME, VERSION = "oauth4webapi", "3.8.8"
MISSING = "@parachute-tests-nobody/nothing-here"


class RegistryContract(TestCase):
    timeout = 120

    def setUp(self) -> None:
        self.registry = NpmRegistry(REAL)
        self.registry.publish({"package.json": json.dumps({"name": NAME, "version": VERSION, "type": "module"})})
        self.addCleanup(self.registry.close)

    def test_both_answer_alike(self) -> "Deferred[None]":
        return Deferred.fromCoroutine(self.compare())

    async def compare(self) -> None:
        fake = await self.walk({"BUN_CONFIG_REGISTRY": self.registry.listen()})
        kept = {
            name: value for name, value in os.environ.items() if name.lower().startswith(("bun_config", "npm_config"))
        }
        self.assertEqual(fake, await self.walk({**kept, "HOME": os.environ.get("HOME", "/")}))

    async def walk(self, environment: dict[str, str]) -> list[object]:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true}')
        complete = {"PATH": os.environ["PATH"], "HOME": str(folder), "BUN_INSTALL": str(folder / "bun"), **environment}
        at_work = Bun(REAL, lambda: bun.find(None), lambda where: complete, lambda text: text)
        tags = await at_work.info(NAME, "dist-tags", folder, 60)
        dist = await at_work.info(f"{NAME}@{VERSION}", "dist", folder, 60)
        answers: list[object] = [type(tags), type(tags["latest"])]
        answers += [{name: type(dist[name]).__name__ for name in ("tarball", "integrity")}]
        answers += [dist["integrity"].partition("-")[0], dist["tarball"].endswith(".tgz")]
        for package in (MISSING, f"{NAME}@99.99.99"):
            answers.append(await self.refused(at_work.info(package, "dist", folder, 60)))
            answers.append(await self.refused(at_work.add(folder, package, lambda line: None)))
        await at_work.add(folder, f"{NAME}@{VERSION}", lambda line: None)
        told = json.loads((folder / "node_modules" / NAME / "package.json").read_text())
        return [*answers, told["name"], told["version"]]

    async def refused(self, asked: Any) -> object:
        try:
            return await asked
        except BunFailed as failed:
            return failed.kind
