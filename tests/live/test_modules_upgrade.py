"""Upgrade, rollback and uninstall on real processes: the new version works, or the old one is back with its data."""

import json
import os
from itertools import cycle
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from parachute_hub.jobs.model import Job
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.operations.upgrade import UpgradeRequest
from parachute_hub.supervise.model import ModuleState
from tests.live.modules_rig import BROKEN, PORT, Rig, ask, entry, module, run
from tests.support.npm import pack

HANGS = "Bun.serve({ port: 0, fetch: () => new Response() })"
DIES_SOON = """
const port = Number(process.env.PORT)
Bun.serve({ port, hostname: "127.0.0.1", fetch: () => {
  setTimeout(() => process.exit(1), 20)
  return new Response("ok")
} })
"""
SPOILS = """
await Bun.write(`${process.env.PARACHUTE_HOME}/toy/note`, "spoiled")
process.exit(1)
"""


BROKEN_UPGRADES = int(os.environ.get("BROKEN_UPGRADES", "3"))
"""How many versions that do not work are tried; `make faults` wants a hundred."""


class Upgrades(TestCase):
    timeout = 60 + 5 * BROKEN_UPGRADES

    def setUp(self) -> None:
        self.rig = Rig.start(settle_seconds=0.6)

    def tearDown(self) -> Any:
        return run(lambda test: test.rig.stop())(self)

    async def install(self) -> None:
        self.rig.registry.publish(module())
        request = InstallRequest(short="toy", package="@toys/toy")
        job = await self.rig.done(self.rig.modules.installer.install(request))
        self.assertEqual(job.status, "succeeded", job)
        (self.rig.home / "toy" / "note").write_text("mine")

    async def upgrade(self, **options: Any) -> Job:
        return await self.rig.done(self.rig.modules.upgrader.upgrade(UpgradeRequest(short="toy", **options)))

    async def version(self) -> str:
        return str((await ask(PORT, "/toy"))["version"])

    async def assert_old(self, versions: tuple[str, ...] = ("1.0.0",)) -> None:
        """Everything is as it was before."""
        self.assertEqual(await self.version(), "1.0.0")
        row = self.rig.files.directory.services.read().row("toys-toy")
        assert row is not None
        self.assertEqual((row.version, row.port), ("1.0.0", PORT))
        self.assertEqual(tuple(sorted(self.rig.files.directory.store.versions("toy"))), versions)
        self.assertEqual(self.rig.files.directory.store.active("toy", "@toys/toy"), "1.0.0")
        self.assertTrue(self.rig.files.directory.records.wanted("toy"))
        self.assertEqual((self.rig.home / "toy" / "note").read_text(), "mine")

    @run
    async def test_there_and_back(self) -> None:
        await self.install()
        self.rig.registry.publish(module(version="1.1.0"))
        job = await self.upgrade()
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual(await self.version(), "1.1.0")
        self.assertEqual(self.rig.files.directory.services.read().rows[0].version, "1.1.0")
        self.assertEqual(sorted(self.rig.files.directory.store.versions("toy")), ["1.0.0", "1.1.0"])
        (self.rig.home / "toy" / "note").write_text("newer")
        job = await self.rig.done(self.rig.modules.upgrader.rollback("toy"))
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual(await self.version(), "1.0.0")
        self.assertEqual((self.rig.home / "toy" / "note").read_text(), "newer")
        job = await self.rig.done(self.rig.modules.upgrader.rollback("toy", restore_data=True))
        self.assertIn("No data of toy 1.1.0 is kept", job.error or "")
        went = "toy went from 1.1.0 to 1.0.0."
        self.assertEqual(
            self.rig.activity()[-2:], [("module-rollback", "ok", went), ("module-rollback", "failed", job.error)]
        )
        job = await self.rig.done(self.rig.modules.upgrader.rollback("toy"))
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual(await self.version(), "1.1.0")

    @run
    async def test_data_comes_back_when_it_is_asked_for(self) -> None:
        await self.install()
        self.rig.registry.publish(module(version="1.1.0"))
        await self.upgrade()
        (self.rig.home / "toy" / "note").write_text("newer")
        job = await self.rig.done(self.rig.modules.upgrader.rollback("toy", restore_data=True))
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual((self.rig.home / "toy" / "note").read_text(), "mine")

    @run
    async def test_data_comes_back_also_after_a_rollback_without_it(self) -> None:
        await self.install()
        self.rig.registry.publish(module(version="1.1.0"))
        await self.upgrade()
        (self.rig.home / "toy" / "note").write_text("newer")
        await self.rig.done(self.rig.modules.upgrader.rollback("toy"))
        job = await self.rig.done(self.rig.modules.upgrader.restore("toy"))
        self.assertEqual(job.status, "succeeded", job)
        await self.assert_old(("1.0.0", "1.1.0"))
        acts = (
            ("module-install", ""),
            ("module-upgrade", "toy went from 1.0.0 to 1.1.0."),
            ("module-rollback", "toy went from 1.1.0 to 1.0.0."),
            ("module-restore-data", ""),
        )
        self.assertEqual(self.rig.activity(), [(act, "ok", why) for act, why in acts])

    @run
    async def test_an_upgrade_that_fails_leaves_the_data_of_the_version_before(self) -> None:
        await self.install()
        self.rig.registry.publish(module(version="1.1.0"))
        await self.upgrade()
        (self.rig.home / "toy" / "note").write_text("newer")
        for number in range(2):
            self.rig.registry.publish(module(version=f"2.0.{number}", server=BROKEN))
            self.assertEqual((await self.upgrade()).outcome, "failed")
        self.assertEqual(len(list((self.rig.home / "hub" / "snapshots" / "toy").iterdir())), 2)
        job = await self.rig.done(self.rig.modules.upgrader.rollback("toy", restore_data=True))
        self.assertEqual(job.status, "succeeded", job)
        await self.assert_old(("1.0.0", "1.1.0"))

    @run
    async def test_versions_that_do_not_work_are_taken_back(self) -> None:
        await self.rig.stop()
        self.rig = Rig.start(late=3.0, gate_seconds=3.0, settle_seconds=2.0)
        await self.install()
        broken = ((BROKEN, "cannot find my legs"), (HANGS, "did not answer within"), (DIES_SOON, "toy does not work"))
        for number, (server, words) in zip(range(BROKEN_UPGRADES), cycle(broken)):
            self.rig.registry.publish(module(version=f"2.0.{number}", server=server))
            job = await self.upgrade()
            self.assertEqual(job.outcome, "failed", job)
            self.assertIn(words, "\n".join((*job.log, job.error or "")))
            self.assertIn("toy 1.0.0 is active again.", job.error or "")
            await self.assert_old()

    @run
    async def test_a_failed_version_that_spoiled_data_leaves_a_copy(self) -> None:
        await self.install()
        self.rig.registry.publish(module(version="2.0.0", server=SPOILS))
        job = await self.upgrade()
        self.assertEqual(job.outcome, "failed")
        self.assertEqual(await self.version(), "1.0.0")
        self.assertEqual((self.rig.home / "toy" / "note").read_text(), "spoiled")
        job = await self.rig.done(self.rig.modules.upgrader.restore("toy"))
        self.assertEqual(job.status, "succeeded", job)
        await self.assert_old()

    @run
    async def test_nothing_newer_older_and_pinned(self) -> None:
        await self.install()
        job = await self.upgrade()
        self.assertEqual((job.status, "is the newest version" in job.log[-1]), ("succeeded", True))
        job = await self.upgrade(version="1.0.0")
        self.assertEqual(job.log[-1], "toy 1.0.0 is installed already. Nothing was changed.")
        self.rig.registry.publish(module(version="0.9.0"))
        job = await self.upgrade(version="0.9.0")
        self.assertIn("0.9.0 is older than toy 1.0.0", job.error or "")
        job = await self.upgrade(version="7.7.7")
        self.assertIn("There is no such version", job.error or "")
        self.rig.files.directory.records.change("toy", pin=True)
        self.assertIn("is pinned to 1.0.0", (await self.upgrade()).error or "")
        await self.assert_old()
        self.rig.files.directory.records.change("toy", pin=False)
        job = await self.upgrade(version="0.9.0", allow_downgrade=True)
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual(await self.version(), "0.9.0")

    @run
    async def test_a_tarball_of_the_catalog_is_an_upgrade_only_when_it_is_newer(self) -> None:
        await self.rig.stop()
        tarball = Path(f"{self.mktemp()}.tgz").absolute()
        tarball.write_bytes(pack(module()))
        self.rig = Rig.start(catalog=Catalog((entry(source=tarball),)), settle_seconds=0.6)
        request = InstallRequest(short="toy", package="@toys/toy", source=tarball)
        self.assertEqual((await self.rig.done(self.rig.modules.installer.install(request))).status, "succeeded")
        status = self.rig.supervisor.status("toy")
        for options in ({}, {"allow_new": True, "allow_downgrade": True}):
            job = await self.upgrade(**options)
            self.assertEqual(job.log[-1], "toy 1.0.0 is the newest version. Nothing was changed.", options)
        self.assertIs(self.rig.supervisor.status("toy"), status)
        self.assertEqual(os.listdir(self.rig.home / "modules" / "store" / "toy"), ["1.0.0"])
        tarball.write_bytes(pack(module(version="1.1.0")))
        self.assertEqual((await self.upgrade()).status, "succeeded")
        self.assertEqual(await self.version(), "1.1.0")

    @run
    async def test_a_module_that_is_off_stays_off(self) -> None:
        await self.install()
        await self.rig.supervisor.stop("toy")
        self.rig.registry.publish(module(version="1.1.0"))
        job = await self.upgrade()
        self.assertEqual(job.status, "succeeded", job)
        status = self.rig.supervisor.status("toy")
        assert status is not None
        self.assertEqual(status.state, ModuleState.STOPPED)
        self.assertFalse(self.rig.files.directory.records.wanted("toy"))

    @run
    async def test_a_package_that_claims_more_than_before(self) -> None:
        await self.install()
        self.rig.registry.publish(module(version="2.0.0", paths=["/toy", "/admin"]))
        self.assertIn('"/admin" belongs to the hub', (await self.upgrade()).error or "")
        self.rig.registry.publish(module(version="2.0.1", manifestName="parachute-vault"))
        self.assertIn('calls itself "parachute-vault"', (await self.upgrade()).error or "")
        await self.assert_old()

    @run
    async def test_uninstall_and_its_data(self) -> None:
        await self.install()
        job = await self.rig.done(self.rig.modules.remover.delete_data("toy"))
        self.assertIn("is still installed", job.error or "")
        job = await self.rig.done(self.rig.modules.remover.uninstall("toy"))
        self.assertEqual(job.status, "succeeded", job)
        self.assertIn("Its data is kept in", job.log[-1])
        self.assertEqual(json.loads((self.rig.home / "services.json").read_text()), {"services": []})
        self.assertIsNone(self.rig.supervisor.status("toy"))
        self.assertFalse(self.rig.files.directory.records.known("toy"))
        self.assertEqual(list((self.rig.home / "modules" / "store").iterdir()), [])
        self.assertEqual(list((self.rig.home / "modules" / "bin").iterdir()), [])
        self.assertEqual((self.rig.home / "toy" / "note").read_text(), "mine")
        job = await self.rig.done(self.rig.modules.remover.delete_data("toy"))
        self.assertEqual(job.status, "succeeded", job)
        self.assertFalse((self.rig.home / "toy").exists())


class Channels(TestCase):
    """A hub whose owner uses release candidates."""

    timeout = 60

    def setUp(self) -> None:
        self.rig = Rig.start(env_channel="rc")

    def tearDown(self) -> Any:
        return run(lambda test: test.rig.stop())(self)

    @run
    async def test_candidates_and_what_comes_after_them(self) -> None:
        self.rig.registry.publish(module())
        self.rig.registry.publish(module(version="1.1.0-rc.1"), tag="rc")
        request = InstallRequest(short="toy", package="@toys/toy", channel=self.rig.files.channel())
        job = await self.rig.done(self.rig.modules.installer.install(request))
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual((await ask(PORT, "/toy"))["version"], "1.1.0-rc.1")
        for version, tag in (("1.1.0-rc.2", "rc"), ("1.1.0", "latest"), ("1.1.0", "latest")):
            self.rig.registry.publish(module(version=version), tag=tag)
            self.rig.modules.disk.clear_cache()
            job = await self.rig.done(self.rig.modules.upgrader.upgrade(UpgradeRequest(short="toy")))
            self.assertEqual(job.status, "succeeded", job)
            self.assertEqual((await ask(PORT, "/toy"))["version"], version)
        self.assertIn("toy 1.1.0 is the newest version. Nothing was changed.", job.log)
