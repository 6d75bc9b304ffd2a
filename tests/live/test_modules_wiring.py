"""The reference vault and scribe, installed in either order, find each other, and scribe requires a token."""

import json
from pathlib import Path
from typing import Any

import treq
from twisted.trial.unittest import TestCase

from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.launch.environment import parse_dotenv
from parachute_hub.modules.operations.install import InstallRequest
from tests.live.modules_rig import Rig, run
from tests.live.ports import free_port
from tests.modules.homes import write
from tests.support.npm import files_of

EXAMPLES = Path(__file__).parents[2] / "examples"
PORTS = {"vault": free_port(), "scribe": free_port()}


class Together(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.rig = Rig.start(catalog=Catalog())
        rows = []
        for short, port in PORTS.items():
            self.rig.registry.publish(files_of(EXAMPLES / short))
            manifest = json.loads((EXAMPLES / short / ".parachute" / "module.json").read_text())
            # A module that was there keeps its port: tests stay away from those of the table.
            row = {"name": manifest["manifestName"], "port": port, "paths": manifest["paths"]}
            rows.append(
                {**row, "health": manifest["health"], "version": "0.0.0-linked", "stripPrefix": short == "scribe"}
            )
        self.rows = rows

    def tearDown(self) -> Any:
        return run(lambda test: test.rig.stop())(self)

    async def install(self, short: str) -> None:
        document = (
            json.loads(self.rig.files.directory.services.path.read_text())
            if self.rig.files.directory.services.path.exists()
            else {"services": []}
        )
        document["services"] += [row for row in self.rows if row["name"] == f"parachute-{short}"]
        write(self.rig.home, {"services.json": json.dumps(document)})
        self.rig.files.directory.records.change(short, port=PORTS[short])
        request = InstallRequest(short=short, package=f"@openparachute/{short}")
        job = await self.rig.done(self.rig.modules.installer.install(request))
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual(self.rig.files.directory.services.read().row(f"parachute-{short}") is not None, True)

    def env(self, short: str) -> dict[str, str]:
        return parse_dotenv((self.rig.home / short / ".env").read_text())

    def pid(self, short: str) -> int | None:
        status = self.rig.supervisor.status(short)
        return status.pid if status else None

    async def models(self, token: str | None) -> int:
        headers: Any = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await treq.get(f"http://127.0.0.1:{PORTS['scribe']}/v1/models", headers=headers, persistent=False)
        await answer.content()
        return int(answer.code)

    @run
    async def test_vault_first(self) -> None:
        await self.install("vault")
        alone = self.pid("vault")
        await self.install("scribe")
        token = self.env("scribe")["SCRIBE_AUTH_TOKEN"]
        self.assertEqual(self.env("vault")["SCRIBE_URL"], f"http://127.0.0.1:{PORTS['scribe']}")
        self.assertEqual(self.env("vault")["SCRIBE_AUTH_TOKEN"], token)
        self.assertNotEqual(self.pid("vault"), alone)
        self.assertEqual((await self.models(None), await self.models(token)), (401, 200))
        together = self.pid("vault")
        await self.rig.done(self.rig.modules.remover.uninstall("scribe"))
        self.assertNotIn("SCRIBE_URL", self.env("vault"))
        self.assertNotEqual(self.pid("vault"), together)

    @run
    async def test_scribe_first_is_closed_from_its_first_moment(self) -> None:
        await self.install("scribe")
        token = self.env("scribe")["SCRIBE_AUTH_TOKEN"]
        self.assertEqual((await self.models(None), await self.models(token)), (401, 200))
        await self.install("vault")
        self.assertEqual(self.env("vault")["SCRIBE_AUTH_TOKEN"], token)
