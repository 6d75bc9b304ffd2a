"""Published packages: each reference module's pack is complete and valid, and runs without writing into itself."""

import json
import os
import tarfile
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue

from parachute_hub.modules.definition import catalog, manifests
from tests.support.examples import EXAMPLES, ExampleTestCase, bun
from tools.pack_examples import packable

NAMES = ("hello", "notes", "scribe", "vault")


class PackageTests(ExampleTestCase):
    """Packs of `examples/`, as a registry would get them."""

    async def unpack(self, name: str) -> Path:
        """Unpack the module into its own folder."""
        packs = Path(self.mktemp()).resolve()
        packs.mkdir()
        tarball = packs / "module.tgz"
        words = ["pm", "pack", "--quiet", "--filename", str(tarball)]
        # No bun on PATH: the pack's own scripts must find the one that runs them.
        env = {"PATH": "/usr/bin:/bin", "HOME": str(packs)}
        with packable(EXAMPLES / name) as whole:
            _out, err, code = await getProcessOutputAndValue(bun(), words, env=env, path=str(whole))
        self.assertEqual(code, 0, err)
        with tarfile.open(tarball) as archive:
            archive.extractall(packs)
        return packs / "package"

    async def test_each_pack_is_valid_and_complete(self) -> None:
        offered = {entry.short: entry for entry in catalog.load(EXAMPLES / "catalog.json", self.home).entries}
        self.assertEqual(sorted(offered), list(NAMES))
        for name in NAMES:
            folder = await self.unpack(name)
            manifest, package = manifests.read_manifest(folder), manifests.read_package(folder)
            assert manifest is not None and package is not None
            self.assertEqual((manifest.name, package.name), (name, offered[name].package))
            self.assertEqual(manifest.tagline, offered[name].tagline)
            self.assertNotIn("dependencies", json.loads((folder / "package.json").read_text()))
            for needed in ("LICENSE", "README.md", ".parachute/icon.svg"):
                self.assertTrue((folder / needed).is_file(), needed)
            if manifest.start_cmd:
                self.assertIsNotNone(manifests.inside(folder, package.bins[manifest.start_cmd[0]]))
            else:
                info = json.loads((folder / "dist/.parachute/info").read_text())
                self.assertEqual((info["name"], info["version"]), (manifest.manifest_name, package.version))

    async def test_a_module_leaves_its_package_as_it_is(self) -> None:
        folder = await self.unpack("vault")

        def content() -> dict[str, bytes]:
            files = (path for path in folder.rglob("*") if path.is_file())
            return {os.fspath(path.relative_to(folder)): path.read_bytes() for path in files}

        before = content()
        vault = await self.serve(str(folder / "src/cli.ts"), "serve")
        self.assertEqual((await vault.ask("GET", "/health")).status, 200)
        self.assertEqual(await vault.process.signal("TERM"), 0)
        self.assertEqual(content(), before)
        self.assertEqual(sorted(path.name for path in self.home.iterdir()), ["services.json", "vault"])
