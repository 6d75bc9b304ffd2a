"""How bun is really called, and our static server running on it."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import treq
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.process import reapAllProcesses
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.definition.entry_point import STATIC_SERVER
from parachute_hub.modules.definition.names import BadName, parse_spec
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.packages import bun
from parachute_hub.modules.packages.bun import ADD, Bun, BunFailed, NoBun
from parachute_hub.modules.packages.facts import PackageFacts
from parachute_hub.modules.packages.fetcher import MIN_AGE_SECONDS, guess_short
from parachute_hub.site.errors import Refused
from tests.live.modules_rig import CLOCK, Rig, run
from tests.live.ports import free_port
from tests.modules.definition.test_names import HOSTILE
from tests.modules.homes import at_once, write

RECORDING = """#!/usr/bin/env python3
import json, os, sys, time
def adjustment():
    return open("/proc/self/oom_score_adj").read().strip() if os.path.exists("/proc/self/oom_score_adj") else None
# The hub lowers both once it has the number of the process.
patience = time.monotonic() + 20
while sys.argv[1] == "add" and (os.nice(0) == 0 or adjustment() == "0") and time.monotonic() < patience:
    time.sleep(0.01)
with open(os.environ["TMPDIR"] + "/calls", "a") as calls:
    print(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ),
        "nice": os.nice(0), "oom": adjustment(), "leader": os.getsid(0) == os.getpid(),
        "stdin": sys.stdin.read()}), file=calls)
print("a line with pvt_secretsecret")
sys.exit(1)
"""


class Late:
    """A reactor that returns from starting a process only when the process has ended."""

    def spawnProcess(self, *words: Any, **options: Any) -> Any:
        process = CLOCK.spawnProcess(*words, **options)
        while process.pid is not None:
            reapAllProcesses()
        return process

    def callLater(self, *words: Any) -> Any:
        return CLOCK.callLater(*words)


class PackageFactsTests(TestCase):
    timeout = 60

    @run
    async def test_the_registry_tells_sizes_and_releases(self) -> None:
        """By two runs of bun; a version that is not there has no facts."""
        rig = Rig.start()
        try:
            for version in ("1.0.0", "1.1.0"):
                manifest = {"name": "@toys/told", "version": version, "dependencies": {"other": "1.0.0"}}
                release = rig.registry.publish({"package.json": json.dumps(manifest), "x": "y" * 5_000})
            asking = PackageFacts(
                bun=rig.modules.bun, folder=rig.home, catalog=Catalog(), in_thread=at_once, now=lambda: 0.0
            )
            facts = await asking.of("@toys/told", "1.1.0")
            self.assertEqual((facts.version, facts.dependencies, facts.included), ("1.1.0", 1, False))
            self.assertEqual((facts.download, facts.unpacked), (len(release.tarball), release.unpacked))
            self.assertEqual({one.version for one in facts.releases}, {"1.0.0", "1.1.0"})
        finally:
            await rig.stop()


class Arguments(TestCase):
    timeout = 60

    @run
    async def test_whatever_is_asked_for_the_arguments_are_the_template(self) -> None:
        folder = Path(self.mktemp()).absolute()
        fake = write(folder, {"bun": RECORDING}) / "bun"
        fake.chmod(0o755)
        rig = Rig.start(find_bun=lambda: fake)
        try:
            begun = []
            for text in (*HOSTILE, "@good/one@1.2.3", "good@next"):
                job = self.asked(rig, text)
                if job is not None:
                    begun.append((await rig.done(job)).log)
            # The question beside an install is dropped when the install ends first, so one is asked for itself.
            with self.assertRaises(BunFailed):
                await rig.modules.bun.info("@good/one@1.2.3", "dist", rig.home, 20.0)
            calls = [json.loads(line) for line in (rig.home / "tmp" / "calls").read_text().splitlines()]
        finally:
            await rig.stop()
        added = [call for call in calls if call["argv"][0] == "add"]
        for call in calls:
            call["folder"] = call["argv"].pop(1)
        given = [*ADD, f"--minimum-release-age={MIN_AGE_SECONDS}", "--"]
        self.assertEqual([call["argv"] for call in added], [[*given, "@good/one@1.2.3"], [*given, "good@next"]])
        for call, short in zip(added, ("one", "good"), strict=True):
            self.assertRegex(call["folder"], f"^--cwd={rig.home}/modules/store/{short}/.incoming-[0-9a-f]+$")
        self.assertEqual(calls[-1]["argv"], ["info", "--json", "--", "@good/one@1.2.3", "dist"])
        self.assertEqual(calls[-1]["folder"], f"--cwd={rig.home}")
        for call in added:
            self.assertIn("--ignore-scripts", call["argv"])
            self.assertEqual((call["nice"], call["oom"], call["leader"], call["stdin"]), (10, "800", True, ""))
            self.assertEqual(call["env"]["BUN_INSTALL"], str(rig.home / "modules"))
            self.assertNotIn("PARACHUTE_HOME", call["env"])
        self.assertIn("a line with pvt_***", begun[0])

    def asked(self, rig: Rig, text: str) -> Any:
        """As the API asks; None when the name is refused."""
        try:
            spec = parse_spec(text)
        except BadName:
            return None
        try:
            wanted = InstallRequest(short=guess_short(spec.name), package=spec.name, version=spec.version)
            return rig.modules.installer.install(wanted)
        except Refused:
            return None

    def test_where_bun_is_found(self) -> None:
        folder = write(Path(self.mktemp()).absolute(), {"bun": "", "not": ""})
        (folder / "bun").chmod(0o755)
        self.assertEqual(bun.find(str(folder / "bun")), folder / "bun")
        with self.assertRaises(NoBun) as caught:
            bun.find(str(folder / "not"))
        self.assertIn("PARACHUTE_BUN names", str(caught.exception))
        real = bun.find(None)
        self.assertTrue(stat.S_IXUSR & real.stat().st_mode)
        self.assertGreater(real.stat().st_size, 1_000_000)

    @run
    async def test_what_cannot_be_run_fails_in_words(self) -> None:
        folder = write(Path(self.mktemp()).absolute(), {"bun": "#!/nowhere/at/all\n"})
        (folder / "bun").chmod(0o755)
        program = Bun(CLOCK, lambda: folder / "bun", lambda _: {"PATH": os.environ["PATH"]}, str)
        with self.assertRaises(BunFailed) as caught:
            await program.info("x", "dist-tags", folder, 5.0)
        self.assertIn("exit code 127", str(caught.exception))

    @run
    async def test_a_bun_that_was_done_before_we_looked(self) -> None:
        """On a busy machine it can end while it is being started: Twisted then reaps it within spawnProcess."""
        folder = write(Path(self.mktemp()).absolute(), {"bun": "#!/bin/sh\necho '{}'\n"})
        (folder / "bun").chmod(0o755)
        program = Bun(Late(), lambda: folder / "bun", lambda _: {"PATH": os.environ["PATH"]}, str)
        self.assertEqual(await program.info("x", "dist-tags", folder, 5.0), {})


class StaticServer(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.folder = write(
            Path(self.mktemp()).absolute(),
            {
                "dist/index.html": '<html><head lang="en"><title>x</title></head>'
                '<a href="/notes/in"></a><a href="/out"></a><a href="//other.test/"></a><img src="/a.png">',
                "dist/app.js": "console.log(1)",
                "dist/a b/ü.txt": "deep",
                "dist/x.webmanifest": '{"start_url": "/", "scope": "/notes/", "name": "n"}',
                "dist/.parachute/info": '{"name": "notes"}',
                "secret": "outside",
            },
        )
        self.port = free_port()
        program = Bun(CLOCK, lambda: bun.find(None), lambda _: {"PATH": os.environ["PATH"]}, str)
        words = ["--port", str(self.port), "--mount", "/notes/", "--folder", str(self.folder / "dist")]
        self.ended = Deferred.fromCoroutine(
            program.run(["run", str(STATIC_SERVER), *words], self.folder, lambda line: None, 25.0)
        )

    def tearDown(self) -> Any:
        self.ended.addErrback(lambda failure: failure.trap(CancelledError))
        self.ended.cancel()
        return self.ended

    async def get(self, path: str) -> tuple[int, str, str]:
        for _ in range(200):
            try:
                answer = await treq.get(f"http://127.0.0.1:{self.port}{path}", persistent=False)
                break
            except Exception:
                await deferLater(CLOCK, 0.02)
        kind = answer.headers.getRawHeaders("content-type", [""])[0]
        return answer.code, kind.partition(";")[0], (await answer.text())

    @run
    async def test_files_are_compressed_and_asked_for_again_only_when_changed(self) -> None:
        async def ask(**headers: str) -> Any:
            sent: Any = {name.replace("_", "-"): value for name, value in headers.items()}
            return await treq.get(f"http://127.0.0.1:{self.port}/notes/big.js", headers=sent, persistent=False)

        text = "let x = 1\n" * 1000
        (self.folder / "dist/big.js").write_text(text)
        await self.get("/notes/health")
        for _ in range(2):
            answer = await ask(Accept_Encoding="gzip")
            size = answer.headers.getRawHeaders("content-length", ["?"])
            self.assertEqual((await answer.content()).decode(), text)
            self.assertEqual(answer.headers.getRawHeaders("cache-control"), ["no-cache"])
            self.assertLess(int(size[0]) if size[0].isdigit() else 0, 1000)
        etag = answer.headers.getRawHeaders("etag")[0]
        kept = await ask(If_None_Match=etag)
        self.assertEqual((kept.code, await kept.content()), (304, b""))
        (self.folder / "dist/big.js").write_text(text + "changed\n")
        fresh = await ask(If_None_Match=etag, Accept_Encoding="gzip")
        self.assertEqual((fresh.code, (await fresh.content()).decode()), (200, text + "changed\n"))
        part = await ask(Range="bytes=0-3", Accept_Encoding="gzip")
        self.assertEqual((part.code, await part.content()), (206, b"let "))

    @run
    async def test_the_app_below_its_mount(self) -> None:
        self.assertEqual(await self.get("/notes/health"), (200, "application/json", '{"status":"ok"}'))
        status, kind, shell = await self.get("/notes/")
        self.assertEqual((status, kind), (200, "text/html"))
        self.assertIn('<head lang="en"><meta name="parachute-mount" content="/notes">', shell)
        for link in ('href="/notes/in"', 'href="/notes/out"', 'href="//other.test/"', 'src="/notes/a.png"'):
            self.assertIn(link, shell)
        self.assertEqual((await self.get("/notes/some/route"))[2], shell)
        self.assertEqual((await self.get("/notes"))[2], shell)
        self.assertEqual((await self.get("/notes/app.js"))[1:], ("text/javascript", "console.log(1)"))
        self.assertEqual((await self.get("/notes/a%20b/%C3%BC.txt"))[2], "deep")
        self.assertEqual((await self.get("/notes/.parachute/info"))[1:], ("application/json", '{"name": "notes"}'))
        manifest = await self.get("/notes/x.webmanifest")
        self.assertEqual(manifest[1], "application/manifest+json")
        self.assertEqual(json.loads(manifest[2]), {"start_url": "/notes/", "scope": "/notes/", "name": "n"})
        for path in ("/notes/..%2f..%2fsecret", "/notes/%2e%2e/secret", "/notes/a%5c..%5csecret", "/notes/%00"):
            status, _, text = await self.get(path)
            self.assertNotIn("outside", text)
            self.assertIn(status, (200, 403), path)
        self.assertEqual((await self.get("/notes/%zz"))[0], 400)
