"""What a registry, a package or the user's own settings may do to an install, with the real bun."""

import json
from typing import Any

from twisted.trial.unittest import TestCase

from parachute_hub.jobs.model import Job
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.system.timestamps import to_the_second
from tests.live.modules_rig import CLOCK, PORT, Rig, ask, module, run
from tests.modules.homes import write
from tests.support.npm import Signer

NOW = to_the_second(CLOCK.seconds())


def depends(on: dict[str, str], version: str = "1.0.0") -> dict[str, str]:
    files = module(version=version)
    return {**files, "package.json": json.dumps({**json.loads(files["package.json"]), "dependencies": on})}


def plain(name: str, **more: Any) -> dict[str, str]:
    return {"package.json": json.dumps({"name": name, "version": "1.0.0", **more})}


class Supply(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.rig = Rig.start()

    def tearDown(self) -> Any:
        return run(lambda test: test.rig.stop())(self)

    async def install(self, **more: Any) -> Job:
        request = InstallRequest(short="toy", package="@toys/toy", **more)
        return await self.rig.done(self.rig.modules.installer.install(request))

    async def refused(self, words: str, **more: Any) -> None:
        job = await self.install(**more)
        self.assertEqual((job.status, job.outcome), ("failed", "failed"), job.log)
        self.assertIn(words, job.error or "")
        self.assertEqual(self.rig.files.directory.shorts(), ())
        self.assertEqual([*(self.rig.home / "modules" / "store").glob("toy/*")], [])

    @run
    async def test_the_version_is_the_registrys_word(self) -> None:
        self.rig.registry.publish(module(version="9.9.9"), version="1.0.0")
        await self.refused("calls itself version 9.9.9, but the registry says 1.0.0")

    @run
    async def test_what_cannot_be_verified_is_refused(self) -> None:
        self.rig.registry.publish(module(), integrity=False)
        await self.refused("no integrity hash")
        self.rig.registry.publish(plain("left"), integrity=False)
        self.rig.registry.publish(depends({"left": "1.0.0"}, "1.0.1"))
        await self.refused('no integrity hash for "left"', version="1.0.1")

    @run
    async def test_dependencies_come_from_the_registry_or_by_https(self) -> None:
        self.rig.registry.publish(plain("left"))
        elsewhere = self.rig.registry.url.replace("127.0.0.1", "localhost") + "-/left/1.0.0.tgz"
        self.rig.registry.publish(plain("deep", dependencies={"left": elsewhere}))
        cases = {
            "1.0.0": ({"left": elsewhere}, "by https from public addresses"),
            "1.0.1": ({"deep": "1.0.0"}, "by https from public addresses"),
            "1.0.2": ({"left": "git+https://127.0.0.1:9/x.git"}, "could not be fetched"),
        }
        for version, (on, _) in cases.items():
            self.rig.registry.publish(depends(on, version))
        for version, (on, words) in cases.items():
            with self.subTest(str(on)):
                await self.refused(words, version=version)

    @run
    async def test_the_persons_own_settings_decide_nothing(self) -> None:
        """A scanner configured there would break every install, and a registry there would be someone else's."""
        nowhere = "http://127.0.0.1:9/"
        for folder in (self.rig.home / "user", self.rig.home, self.rig.home / "modules"):
            write(folder, {".bunfig.toml": f'[install]\nregistry = "{nowhere}"\n[install.security]\nscanner = "x"\n'})
            write(folder, {"bunfig.toml": f'[install]\nregistry = "{nowhere}"\n'})
            write(folder, {".npmrc": f"registry={nowhere}\n@toys:registry={nowhere}\n"})
        self.rig.registry.publish(module())
        job = await self.install()
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual((await ask(PORT, "/toy"))["version"], "1.0.0")

    @run
    async def test_a_package_json_above_takes_no_install_over(self) -> None:
        self.rig.registry.publish(module())
        workspace = json.dumps({"name": "evil", "workspaces": ["modules/store/**", "modules/store/*/.*"]})
        write(self.rig.home, {"package.json": workspace})
        await self.refused("where none belongs")

    @run
    async def test_signatures_count_where_the_registry_publishes_keys(self) -> None:
        self.rig.registry.signer = Signer(forged=True)
        self.rig.registry.publish(module())
        await self.refused("has an invalid signature")
        self.rig.registry.signer = Signer()
        self.rig.modules.installer.fetcher.registry._keys.clear()  # type: ignore[attr-defined]
        job = await self.install()
        self.assertEqual(job.status, "succeeded", job)
        self.assertIn("@toys/toy 1.0.0 is signed by the registry.", job.log)


class Strangers(TestCase):
    """Packages from outside the catalog."""

    timeout = 60

    def setUp(self) -> None:
        self.rig = Rig.start(catalog=Catalog(()))

    def tearDown(self) -> Any:
        return run(lambda test: test.rig.stop())(self)

    async def install(self, **more: Any) -> Job:
        request = InstallRequest(short="toy", package="@toys/toy", version="2.0.0", **more)
        return await self.rig.done(self.rig.modules.installer.install(request))

    @run
    async def test_a_release_of_today_waits_unless_it_is_wanted(self) -> None:
        self.rig.registry.publish(module(version="2.0.0"), published=NOW)
        job = await self.install()
        self.assertIn("published less than three days ago", job.error or "")
        self.assertEqual((job.error_detail or {}).get("error_type"), "too_new")
        job = await self.install(allow_new=True)
        self.assertEqual(job.status, "succeeded", job)

    @run
    async def test_so_does_one_with_a_dependency_of_today(self) -> None:
        self.rig.registry.publish(plain("left"), published=NOW)
        files = depends({"left": "1.0.0"})
        manifest = {**json.loads(files["package.json"]), "version": "2.0.0"}
        self.rig.registry.publish({**files, "package.json": json.dumps(manifest)})
        job = await self.install()
        self.assertIn("published less than three days ago", job.error or "")


class Bombs(TestCase):
    """Packages that unpack to more than they declare."""

    timeout = 60

    def setUp(self) -> None:
        self.rig = Rig.start()

    def tearDown(self) -> Any:
        return run(lambda test: test.rig.stop())(self)

    def size(self) -> int:
        files = (path for path in self.rig.home.rglob("*") if path.is_file() and not path.is_symlink())
        return sum(path.stat().st_size for path in files)

    async def refused(self, files: dict[str, bytes | str], words: str) -> int:
        self.rig.registry.publish(files, sized=False)
        request = InstallRequest(short="toy", package="@toys/toy")
        job = await self.rig.done(self.rig.modules.installer.install(request))
        self.assertEqual(job.status, "failed", job)
        self.assertIn(words, job.error or "")
        return self.size()

    @run
    async def test_one_large_file(self) -> None:
        """The kernel stops the write."""
        self.rig.modules.bun.file_bytes = 8 << 20
        size = await self.refused({**module(), "zeros": bytes(64 << 20)}, "holds a file of more than 512 MiB")
        self.assertLess(size, 24 << 20)

    @run
    async def test_many_files(self) -> None:
        fetcher = self.rig.modules.installer.fetcher
        object.__setattr__(fetcher, "most_bytes", 16 << 20)
        many: dict[str, bytes | str] = {f"zeros/{number}": bytes(8 << 20) for number in range(40)}
        await self.refused({**module(), **many}, "were written while it was unpacked")
