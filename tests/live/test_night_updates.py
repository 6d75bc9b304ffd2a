"""Updates at night and withdrawn versions, with a real registry, bun and module."""

from typing import Any

from twisted.trial.unittest import TestCase

from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.operations.night_updates import HOURS, NightUpdates
from parachute_hub.modules.operations.upgrade import UpgradeRequest
from tests.live.modules_rig import BROKEN, PORT, Rig, ask, entry, module, run


class NightTests(TestCase):
    timeout = 90

    def setUp(self) -> None:
        catalog = Catalog((entry(withdrawn={"1.1.0": "It loses notes."}),))
        self.rig = Rig.start(catalog=catalog)
        self.now = 864_000.0
        modules = self.rig.modules
        self.updates = NightUpdates(
            directory=modules.files.directory,
            availability=modules.availability,
            upgrader=modules.upgrader,
            jobs=modules.jobs,
            channel=modules.files.channel,
            now=lambda: self.now,
            hour=lambda now: HOURS[0],
        )

    def tearDown(self) -> Any:
        return run(lambda test: test.rig.stop())(self)

    async def night(self) -> None:
        """The next one, until nothing is under way any more. It is looked at every minute."""
        self.now += 86400
        for _ in range(3):
            self.now += 60
            await self.updates.tick()
            job = self.rig.modules.jobs.active("toy")
            if job is not None:
                await self.rig.done(job)

    async def version(self) -> str:
        return str((await ask(PORT, "/toy"))["version"])

    @run
    async def test_withdrawn_versions_are_left_out_and_good_ones_come_at_night(self) -> None:
        modules, registry = self.rig.modules, self.rig.registry
        registry.publish(module())
        job = await self.rig.done(modules.installer.install(InstallRequest(short="toy", package="@toys/toy")))
        self.assertEqual(job.status, "succeeded", job)
        (self.rig.home / "toy" / "note").write_text("mine")
        await modules.files.directory.records.change("toy", night=True)

        registry.publish(module(version="1.1.0"))
        await self.night()
        self.assertEqual(await self.version(), "1.0.0")
        named = await self.rig.done(modules.upgrader.upgrade(UpgradeRequest(short="toy", version="1.1.0")))
        assert named.error_detail is not None and named.error is not None
        self.assertEqual((named.status, named.error_detail["error_type"]), ("failed", "withdrawn"))
        self.assertIn("It loses notes.", named.error)
        self.assertEqual(await self.version(), "1.0.0")

        registry.publish(module(version="1.2.0"))
        await self.night()
        self.assertEqual(await self.version(), "1.2.0")
        self.assertIsNotNone(modules.snapshots.copied_at("toy"))

        registry.publish(module(version="1.3.0", server=BROKEN))
        await self.night()
        await self.night()
        self.assertEqual(await self.version(), "1.2.0")
        tried = [job for job in modules.jobs.all() if job.params.get("version") == "1.3.0"]
        self.assertEqual([job.status for job in tried], ["failed"])
        self.assertEqual((self.rig.home / "toy" / "note").read_text(), "mine")
