"""512 MB for all: a module that takes more ends, and the hub does not."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from parachute_hub.testing.npm import pack
from tests.live.container.box import Box
from tests.live.container.case import ContainerTestCase
from tests.live.container.journey import OWNER, install, processes, wait_ready
from tests.live.harness import PACKS, packed_examples

# Answers its health, and takes memory without end once it is asked for /scribe/eat.
_EATER = """
const eaten = [];
Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch(request) {
    if (new URL(request.url).pathname.endsWith("/eat")) {
      setInterval(() => eaten.push(Buffer.alloc(8 << 20, 1)), 5);
    }
    return Response.json({ status: "ok" });
  },
});
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
    """The eater comes under scribe's name: the image's own catalog offers it."""

    def installed(self, memory: int) -> Box:
        packed_examples()
        folder = TemporaryDirectory(prefix="parachute-packs-")
        self.addCleanup(folder.cleanup)
        packs = Path(folder.name)
        (packs / "vault.tgz").write_bytes(next(PACKS.glob("vault-*.tgz")).read_bytes())
        files = {
            "package.json": json.dumps(_PACKAGE),
            ".parachute/module.json": json.dumps(_MANIFEST),
            "server.ts": _EATER,
        }
        (packs / "eater.tgz").write_bytes(pack(files))
        network = self.network()
        variables = {**OWNER, **self.registry(network, packs)}
        box = self.box(self.disk(), network, variables=variables, memory=memory)
        box.wait_phase("up")
        for short in ("vault", "scribe"):
            install(box, short)
        wait_ready(box, "vault", "scribe", seconds=60)
        return box

    def test_the_eater_dies_and_nobody_else(self) -> None:
        box = self.installed(512 << 20)
        (hub,) = processes(box, "twistd")
        (vault,) = processes(box, "parachute-vault")
        (eater,) = processes(box, "parachute-scribe")
        self.assertEqual(box.request("GET", "/scribe/eat").status, 200)
        self.wait_until(lambda: not Path(f"/proc/{eater}").exists(), 60)
        self.assertEqual((processes(box, "twistd"), processes(box, "parachute-vault")), ([hub], [vault]))
        self.assertEqual(box.request("GET", "/health").status, 200)
        wait_ready(box, "vault", "scribe", seconds=120)
        self.assertNotEqual(processes(box, "parachute-scribe"), [eater])
