"""A registry that fails in each way: its own message within a minute, nothing half-installed, a retry works."""

import json
import os
import socket
from pathlib import Path
from typing import Any, get_args

from twisted.internet.process import ProcessReader, reapProcessHandlers
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from parachute_hub.jobs.model import Job
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.site.errors import Refused
from tests.live.modules_rig import CLOCK, Rig, module, run
from tests.live.modules_victim import Elsewhere
from tests.live.test_oauth_fetch import certificate
from tests.support.npm import Fault

TOY = InstallRequest(short="toy", package="@toys/toy")
BALLAST = {"ballast": os.urandom(300_000).hex()}
WORDS = {
    "refused": "The connection to the registry was lost",
    "404": "does not have this package",
    "500": "The registry reported an error",
    "stall": "stopped sending",
    "integrity": "download was damaged or incomplete",
    "truncated": "download was damaged or incomplete",
}


class BlackHole:
    """A port whose queue is full: the kernel drops each further SYN."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._waiting = [socket.socket() for _ in range(3)]
        for one in self._waiting:
            one.setblocking(False)
            one.connect_ex(self._listener.getsockname())

    async def close(self) -> None:
        for one in (*self._waiting, self._listener):
            one.close()


class Faults(TestCase):
    timeout = 90

    def setUp(self) -> None:
        self.rig = Rig.start(stall_seconds=1)
        self.rig.registry.publish({**module(), **BALLAST})

    def tearDown(self) -> Any:
        return run(lambda test: test.stop())(self)

    async def stop(self) -> None:
        """End everything. The reactor hears of a process that ended a moment later than others see it."""
        await self.rig.stop()
        while reapProcessHandlers or any(isinstance(one, ProcessReader) for one in CLOCK.getReaders()):
            await deferLater(CLOCK, 0.02)

    async def install(self, request: InstallRequest = TOY) -> Job:
        return await self.rig.done(self.rig.modules.installer.install(request))

    async def bun_is_gone(self) -> None:
        while children():
            await deferLater(CLOCK, 0.02)

    def assert_nothing(self) -> None:
        self.assertEqual(self.rig.files.directory.services.read().rows, ())
        self.assertFalse(self.rig.files.directory.records.known("toy"))
        self.assertIsNone(self.rig.files.directory.store.locate("@toys/toy"))
        store = self.rig.home / "modules" / "store"
        self.assertEqual([path for path in store.glob("*/*")], [])

    @run
    async def test_each_fault_has_its_message(self) -> None:
        for fault in get_args(Fault):
            if fault in ("none", "slow"):
                continue
            # bun keeps what a registry said for some minutes; each fault must be met afresh.
            self.rig.modules.disk.clear_cache()
            self.rig.registry.fault = fault
            job = await self.install()
            self.assertEqual(job.outcome, "failed", job)
            self.assertIn(WORDS[fault], job.error or "", fault)
            self.assertLess((job.finished_at or 0) - job.started_at, 60)
            self.assert_nothing()
        self.rig.registry.fault = "slow"
        self.assertEqual((await self.install()).status, "succeeded")

    @run
    async def test_no_registry_at_all(self) -> None:
        await self.rig.registry.close()
        job = await self.install()
        self.assertIn("refuses connections", job.error or "")
        self.assert_nothing()

    @run
    async def test_a_registry_that_drops_what_it_is_sent(self) -> None:
        """bun alone waits for more than four minutes."""
        await self.rig.stop()
        hole = BlackHole()
        self.addCleanup(hole.close)
        self.rig = Rig.start(registry=hole)  # type: ignore[arg-type]
        job = await self.install()
        self.assertIn("The registry at 127.0.0.1 did not answer within 10 s", job.error or "")
        self.assertLess((job.finished_at or 0) - job.started_at, 20)
        self.assert_nothing()
        await self.bun_is_gone()

    @run
    async def test_a_cancelled_install_leaves_nothing_and_bun_is_gone(self) -> None:
        self.rig.registry.fault = "stall"
        job = self.rig.modules.installer.install(TOY)
        while not any(path.startswith("-/") for path in self.rig.registry.asked):
            await deferLater(CLOCK, 0.02)
        self.assertTrue(children())
        again = self.rig.modules.installer.install(TOY)
        self.assertEqual(again.id, job.id)
        with self.assertRaises(Refused) as caught:
            self.rig.modules.remover.uninstall("toy")
        self.assertEqual((caught.exception.status, caught.exception.detail), (409, {"operation_id": job.id}))
        self.rig.modules.jobs.cancel(job.id)
        job = await self.rig.done(job)
        self.assertEqual((job.status, job.outcome), ("failed", "cancelled"))
        self.assert_nothing()
        await self.bun_is_gone()

    @run
    async def test_too_slow_is_ended(self) -> None:
        await self.rig.stop(registry=False)
        self.rig = Rig.start(registry=self.rig.registry, limit_seconds=0.7)
        self.rig.registry.fault = "stall"
        job = await self.install()
        self.assertIn("was stopped after 1 s", job.error or "")
        self.assert_nothing()

    @run
    async def test_scripts_of_packages_never_run(self) -> None:
        """Neither its own nor a dependency's, nor the build that a binding.gyp asks for without any script."""
        stages = ("preinstall", "install", "postinstall", "prepare")
        scripts = {"scripts": {stage: f"touch {self.rig.home}/canary" for stage in stages}}
        left = {"name": "left", "version": "1.0.0", **scripts}
        gyp = f"{{'targets': [{{'target_name': 'x', 'variables': {{'v': '<!(touch {self.rig.home}/canary)'}}}}]}}"
        self.rig.registry.publish({"package.json": json.dumps(left), "index.js": ""})
        self.rig.registry.publish({"package.json": '{"name": "built", "version": "1.0.0"}', "binding.gyp": gyp})
        files = module()
        described = {
            **json.loads(files["package.json"]),
            **scripts,
            "dependencies": {"left": "1.0.0", "built": "1.0.0"},
        }
        described["trustedDependencies"] = ["left", "built"]
        self.rig.registry.publish({**files, "package.json": json.dumps(described)})
        self.assertEqual((await self.install()).status, "succeeded")
        self.assertNotEqual(list((self.rig.home / "modules" / "store").rglob("built/binding.gyp")), [])
        self.assertEqual(list(self.rig.home.rglob("canary")), [])

    @run
    async def test_packages_that_cannot_be_used(self) -> None:
        plain = {"package.json": module()["package.json"], "server.ts": ""}
        for files, words in (
            (plain, "is not a Parachute module"),
            (module(paths=["/admin"]), 'The path "/admin" belongs to the hub'),
            (module(paths=["/vault"]), "is not below /toy"),
            (module(name="other"), 'calls itself "other"'),
            (module(port=0), "port: must be a whole number"),
            (module(startCmd=["../../evil"]), "neither a command or file of its package nor a program"),
        ):
            self.rig.registry.publish(files)
            self.rig.modules.disk.clear_cache()
            job = await self.install()
            self.assertIn(words, job.error or "", job)
            self.assert_nothing()

    @run
    async def test_a_full_disk_is_told_before_anything_is_fetched(self) -> None:
        self.rig.registry.publish(module(version="2.0.0", server="//" + "x" * 1000))
        full = Rig.start(home=Path(self.mktemp()).absolute(), registry=self.rig.registry)
        object.__setattr__(full.modules.installer.fetcher, "free_bytes", lambda: 1000)
        try:
            job = await full.done(full.modules.installer.install(TOY))
            self.assertIn("There is not enough disk space: 64 MiB are needed and 0 MiB are free", job.error or "")
        finally:
            await full.stop(registry=False)


class Unreachable(TestCase):
    """Registries that cannot be reached."""

    timeout = 90

    async def refusal(self, url: str) -> tuple[str, str]:
        """The error and message of a failed install from there; nothing of it is left."""
        rig: Rig = Rig.start(registry=Elsewhere(url), stall_seconds=1)  # type: ignore[arg-type]
        try:
            job = await rig.done(rig.modules.installer.install(TOY))
            self.assertEqual(job.outcome, "failed", job)
            self.assertLess((job.finished_at or 0) - job.started_at, 60)
            self.assertEqual(rig.files.directory.services.read().rows, ())
            self.assertEqual(list((rig.home / "modules" / "store").glob("*/*")), [])
            return (job.error_detail or {})["error_type"], job.error or ""
        finally:
            await rig.stop(registry=False)

    @run
    async def test_a_name_that_nobody_knows(self) -> None:
        kind, words = await self.refusal("http://registry.invalid/")
        self.assertEqual(kind, "no_such_host", words)
        self.assertIn("The registry's host name could not be found. Check the network", words)

    @run
    async def test_a_certificate_that_nobody_vouches_for(self) -> None:
        port = CLOCK.listenSSL(0, Site(Resource()), certificate("127.0.0.1").options(), interface="127.0.0.1")
        try:
            kind, words = await self.refusal(f"https://127.0.0.1:{port.getHost().port}/")
        finally:
            await port.stopListening()
        self.assertEqual(kind, "tls", words)
        self.assertIn("The registry's certificate cannot be trusted", words)


def children() -> list[str]:
    """Command lines of bun installers that descend from us."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == os.getpid() and b"add" in words:
            found.append(" ".join(word.decode() for word in words))
    return found
