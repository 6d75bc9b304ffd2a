"""A newer version of a module that runs on another machine."""

import json
import shutil
import tarfile
from pathlib import Path

from parachute_hub.cli.progress import ProgressPrinter, follow
from tests.live.harness import hub, packed_examples
from tests.live.host_rig import host
from tests.live.test_links_paired import PairedCase, paths, write


def newer(packs: Path, version: str) -> None:
    """Offer the vault of this catalog in another version, with the same code."""
    catalog = json.loads((packs / "catalog.json").read_text())
    vault = next(entry for entry in catalog["modules"] if entry["short"] == "vault")
    folder = packs / "unpacked"
    with tarfile.open(packs / vault["source"]) as pack:
        pack.extractall(folder, filter="data")
    about = folder / "package" / "package.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "version": version}))
    vault["source"] = f"vault-{version}.tgz"
    with tarfile.open(packs / vault["source"], "w:gz") as pack:
        pack.add(folder / "package", "package")
    shutil.rmtree(folder)
    (packs / "catalog.json").write_text(json.dumps(catalog))


class UpgradeTests(PairedCase):
    def setUp(self) -> None:
        self.packs = Path(self.mktemp()).absolute()
        shutil.copytree(packed_examples().parent, self.packs)
        self.there = host(self, self.packs / "catalog.json").start()
        self.hub = hub(self, catalog=self.packs / "catalog.json").start()
        self.hub.install("vault")
        minted = self.hub.client.call("POST", "/api/auth/mint-token", {"scope": "vault:default:admin"})
        self.token = str(minted["token"])

    def test_it_reaches_the_other_machine_and_keeps_the_notes(self) -> None:
        self.pair()
        self.assertEqual(write(self.hub, self.token, "kept"), 201)
        self.move("there")
        newer(self.packs, "99.0.0")
        for process in (self.hub, self.there):
            process.stop()
        self.there.start()
        self.hub.start()
        self.ready()
        begun = self.hub.client.call("POST", "/api/modules/vault/upgrade", {})
        follow(self.hub.client, begun["operation_id"], ProgressPrinter(quiet=True))
        self.ready()
        module = self.hub.module("vault")
        self.assertEqual((module["installed_version"], module["pid"]), ("99.0.0", None))
        self.assertEqual(module["elsewhere"]["version"], "99.0.0")
        self.assertEqual(paths(self.hub, self.token), ["kept"])
