"""512 MB in total: a module that uses more is killed, the hub is not."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.live.container.case import ContainerTestCase
from tests.live.container.journey import install, wait_ready
from tests.live.harness import OWNER, PACKS, packed_examples
from tests.support.npm import pack

# Answers its health, and takes memory without end once it finds the file `eat` in its folder.
_EATER = """
import { existsSync, unlinkSync } from "node:fs";
const sign = process.env.PARACHUTE_HOME + "/scribe/eat";
const eaten = [];
Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch: () => Response.json({ status: "ok" }),
});
setInterval(() => {
  if (existsSync(sign)) {
    unlinkSync(sign);
    setInterval(() => eaten.push(Buffer.alloc(8 << 20, 1)), 5);
  }
}, 50);
"""
_PACKAGE = {
    "name": "@openparachute/scribe",
    "version": "6.6.6",
    "type": "module",
    "bin": {"parachute-scribe": "server.ts"},
}
_MANIFEST = {
    "name": "scribe",
    "manifestName": "parachute-scribe",
    "displayName": "Eater",
    "tagline": "Eats memory",
    "port": 1943,
    "paths": ["/scribe"],
    "health": "/scribe/health",
    "startCmd": ["parachute-scribe"],
}


class MemoryTests(ContainerTestCase):
    """At the limit and well below it."""

    def test_three_modules_and_their_installs_leave_room(self) -> None:
        """Half of the memory stays free for page cache and larger notes."""
        packed_examples()
        machine = self.machine()
        hub = self.container(machine=machine, variables={**OWNER, **self.registry(machine, PACKS)})
        hub.wait_phase("up")
        highest = 0
        for short in ("vault", "notes", "scribe"):
            install(hub, short)
            highest = max(highest, hub.group.anonymous())
        wait_ready(hub, "vault", "notes", "scribe")
        self.assertLess(highest, 256 << 20)
        self.assertEqual(hub.group.oom_kills(), 0)

    def test_the_eater_dies_and_nobody_else(self) -> None:
        """It is named scribe, because the image's catalog offers that."""
        packed_examples()
        machine = self.machine()
        hub = self.container(machine=machine, variables={**OWNER, **self.registry(machine, self.packs())})
        hub.wait_phase("up")
        for short in ("vault", "scribe"):
            install(hub, short)
        wait_ready(hub, "vault", "scribe")
        spared = [*hub.processes("-P -m parachute_hub"), *hub.processes("@openparachute/vault/")]
        (eater,) = hub.processes("@openparachute/scribe/")
        self.assertEqual(hub.run("touch", "/parachute/scribe/eat", user=1000).returncode, 0)
        refused: list[int] = []

        def eaten() -> bool:
            """Meanwhile the sibling goes on answering."""
            status = hub.request("GET", "/vault/default/health").status
            refused.extend([status] if status not in (200, 401) else [])
            return not Path(f"/proc/{eater}").exists()

        self.wait_until(eaten, 60)
        self.assertEqual(refused, [])
        wait_ready(hub, "vault", "scribe")
        self.assertEqual(len(spared), 2)
        self.assertEqual(
            [*hub.processes("-P -m parachute_hub"), *hub.processes("@openparachute/vault/")], spared, hub.log()
        )
        self.assertEqual(len(hub.processes("@openparachute/scribe/")), 1)

    def packs(self) -> Path:
        """A folder with the real vault's pack and the eater's."""
        folder = TemporaryDirectory(prefix="parachute-packs-")
        self.addCleanup(folder.cleanup)
        packs = Path(folder.name)
        vault = max(PACKS.glob("vault-*.tgz"), key=lambda path: path.stat().st_mtime)
        (packs / "vault.tgz").write_bytes(vault.read_bytes())
        files = {
            "package.json": json.dumps(_PACKAGE),
            ".parachute/module.json": json.dumps(_MANIFEST),
            "server.ts": _EATER,
        }
        (packs / "eater.tgz").write_bytes(pack(files))
        return packs
