"""A hostile module program behind a real hub, next to the reference vault: what it reaches with and without
confinement.
"""

import io
import json
import os
import socket
import sys
import tarfile
import time
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.doctor import examine
from parachute_hub.confinement.kernel import Kernel
from parachute_hub.confinement.rules import missing
from parachute_hub.modules.launch.fence import CANNOT
from tests.live.harness import HubProcess, fetch, hub, packed_examples, registry
from tests.live.modules_rig import module
from tests.live.ports import free_port
from tests.modules.homes import write
from tests.requirements import requires, right

HOSTILE = Path(__file__).with_name("hostile")

# Attempts that succeed without confinement, whoever runs the hub, and fail with it.
CLOSED: Final = (
    "read the database",
    "read the operator token",
    "read the hub's records",
    "read services.json",
    "list the home",
    "write services.json",
    "replace services.json",
    "make a file in the home",
    "make a folder in the home",
    "cut the hub's file by its path",
    "remove a file of the home",
    "read another's secret",
    "write another's secret",
    "read another's program",
    "write another's program",
    "write its own program",
    "reach it by a symbolic link",
    "reach it by a hard link",
    "reach it by a rename",
    "watch a folder",
    "read outside the home",
    "write outside the home",
    "write the shared scratch folder",
    "read another's environment",
    "reach the disk through another",
    "signal the hub",
    "signal another",
    "limit the hub",
    "slow the hub down",
    "pin the hub to a processor",
    "listen on another port",
    "listen on any port",
    "reach a UNIX socket",
    "listen on a UNIX socket",
    "listen on an abstract socket",
    "open a netlink socket",
    "share memory by System V",
)
# Attempts that fail with confinement. Without it the machine or the hub's user decides.
CLOSED_ANYHOW: Final = (
    "read the accounts' key",
    "set an extended attribute",
    "read the hub's environment",
    "read the hub's memory",
    "reach the disk through the hub",
    "trace another",
    "read another's memory",
    "take a descriptor of another",
    "open a raw socket",
    "open an MPTCP socket",
    "send with TCP Fast Open",
    "mount",
    "make a namespace",
    "use the keyring",
    "load a BPF program",
    "use userfaultfd",
    "use io_uring",
    "measure other programs",
)
# What stays open either way; docs/operations.md says so.
OPEN: Final = (
    "see that a file is there",
    "see what another program was called with",
    "reach the hub by its port",
)
OWN: Final = ("write its data", "start a program", "end its own child", "use SQLite")
_BAITS = ("bait", "bait2", "bait3", "bait4")
# What a kernel without the rest of Landlock leaves open.
_SINCE: Final = {4: ("listen on another port", "listen on any port"), 6: ("signal the hub", "signal another")}


def packed(folder: Path) -> bytes:
    """A package as a registry serves it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.add(path, f"package/{path.relative_to(folder)}")
    return out.getvalue()


def catalog(folder: Path) -> Path:
    """The reference modules, and the hostile one among them."""
    examples = packed_examples()
    modules = json.loads(examples.read_bytes())["modules"]
    for each in modules:
        if "source" in each:
            each["source"] = str(examples.parent / each["source"])
    pack = folder / "hostile.tgz"
    pack.write_bytes(packed(HOSTILE))
    modules.append(
        {
            "short": "hostile",
            "package": "@toys/hostile",
            "displayName": "Hostile",
            "tagline": "Means harm",
            "source": str(pack),
        }
    )
    target = folder / "catalog.json"
    target.write_text(json.dumps({"modules": modules}))
    return target


class Harm:
    """The hub with both modules, and the hostile one's targets."""

    def __init__(self, test: SynchronousTestCase, isolation: str) -> None:
        self.folder = Path(test.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.hub: HubProcess = hub(
            test, catalog=catalog(self.folder), environment={"PARACHUTE_ISOLATION": isolation}
        ).start()
        for short in ("vault", "hostile"):
            self.hub.install(short)
        self.home = self.hub.home
        self.secret = self.home / "vault" / ".env"
        self.secret.write_text("STOLEN=yes\n")
        self.outside = self.folder / "outside"
        self.outside.write_text("private")
        for bait in _BAITS:
            (self.home / bait).write_text("bait")
            (self.home / bait).chmod(0o600)
        listener = socket.socket(socket.AF_UNIX)
        test.addCleanup(listener.close)
        self.socket = os.path.relpath(self.folder / "socket")
        listener.bind(self.socket)
        listener.listen()

    def targets(self) -> dict[str, Any]:
        process = self.hub.process
        assert process is not None
        return {
            "home": str(self.home),
            "hub": process.pid,
            "sibling": self.hub.module("vault")["pid"],
            "hubPort": self.hub.port,
            "freePort": free_port(),
            "secret": str(self.secret),
            "program": str(self.home / "modules" / "node_modules" / "@openparachute" / "vault" / "package.json"),
            "socket": str(self.folder / "socket"),
            "outside": str(self.outside),
        }

    def says(self, path: str) -> Any:
        """The hostile module's answer, asked on its own port."""
        port = self.hub.module("hostile")["port"]
        reply = fetch(f"http://127.0.0.1:{port}/hostile/{path}", method="POST", body=self.targets())
        assert reply.status == 200, (reply, self.hub.log()[-1500:])
        return reply.json()


@requires(right("to confine programs"))
class HostileModuleTests(SynchronousTestCase):
    timeout = 240

    def test_confined(self) -> None:
        """It gets nothing of others, its own things work, and the owner is told that it is confined."""
        harm = Harm(self, "required")
        abi = Kernel.find().abi
        open_here = {name for since, names in _SINCE.items() if abi < since for name in names}
        database = (harm.home / "parachute.db").read_bytes()
        found = harm.says("try")
        for name in (*CLOSED, *CLOSED_ANYHOW):
            if name not in open_here:
                self.assertNotEqual(found.pop(name), "got", name)
        for name in (*OPEN, *OWN):
            self.assertEqual(found.pop(name), "got", name)
        self.assertEqual({name for name in found if name not in open_here}, set(), "attempts that no table names")
        bait = (harm.home / "bait3").stat()
        self.assertEqual(bait.st_mode & 0o777, 0o600, "the mode of the hub's file")
        self.assertGreater(bait.st_mtime, 1, "the time of the hub's file")
        self.assertEqual([(harm.home / name).read_text() for name in _BAITS], ["bait"] * 4)
        self.assertEqual((harm.home / "parachute.db").read_bytes()[:100], database[:100])
        for short in ("hostile", "vault"):
            self.assertIn(harm.hub.module(short)["isolation"]["state"], ("on", "partly"), short)
        self.hub_is_not_its_deputy(harm)

    def hub_is_not_its_deputy(self, harm: Harm) -> None:
        """What it places where the hub reads does not make the hub read or write for it."""
        before = {row["name"]: row for row in json.loads((harm.home / "services.json").read_bytes())["services"]}
        harm.says("steal")
        pid = harm.hub.module("hostile")["pid"]
        harm.hub.client.call("POST", "/api/modules/hostile/restart", {})
        harm.hub.wait_for(
            lambda: (now := harm.hub.module("hostile"))["state"] == "ready" and now["pid"] != pid, "it to run again"
        )
        after = {row["name"]: row for row in json.loads((harm.home / "services.json").read_bytes())["services"]}
        self.assertEqual(after["parachute-vault"], before["parachute-vault"])
        mine = {**before["toys-hostile"], "version": "6.6.6"}
        self.assertEqual(after["toys-hostile"], mine)
        self.assertNotIn("STOLEN", harm.says("environment"))

    def test_not_confined(self) -> None:
        """The attempts are real: as the hub's user it gets everything."""
        harm = Harm(self, "off")
        found = harm.says("try")
        for name in (*CLOSED, *OPEN, *OWN):
            self.assertEqual(found[name], "got", name)
        self.assertEqual((harm.home / "bait3").stat().st_mode & 0o777, 0o777)
        self.assertEqual(harm.hub.module("hostile")["isolation"]["state"], "off")


@requires(right("to confine programs"))
class HogTests(SynchronousTestCase):
    """The small form of the proof `hogs`."""

    timeout = 120

    def test_a_module_without_descriptors_takes_none_of_others(self) -> None:
        harm = Harm(self, "required")
        port = harm.hub.module("hostile")["port"]
        self.assertEqual(fetch(f"http://127.0.0.1:{port}/hostile/hog/descriptors", method="POST").status, 200)
        for _ in range(20):
            self.assertEqual(fetch(f"{harm.hub.url}/health").status, 200)
            self.assertIn(fetch(f"{harm.hub.url}/vault/default/health").status, (200, 401))
            time.sleep(0.05)
        self.assertEqual(harm.hub.module("vault")["state"], "ready")


@requires(right("to confine programs"))
class DependencyTests(SynchronousTestCase):
    timeout = 120

    def test_a_separated_module_finds_what_it_imports(self) -> None:
        """bun looks through the folders above the package, of which it may see its own version's only."""
        top = Path(self.mktemp()).absolute()
        helper = {
            "package.json": '{"name": "@toys/helper", "version": "1.0.0"}',
            "index.ts": 'export const word = "found"',
        }
        server = (
            'import { word } from "@toys/helper"\n'
            'Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.PORT), fetch: () => new Response(word) })\n'
        )
        needy = module("needy", server=server)
        described = {**json.loads(needy["package.json"]), "dependencies": {"@toys/helper": "1.0.0"}}
        packs = top / "packs"
        packs.mkdir(parents=True)
        for name, files in (("helper", helper), ("needy", {**needy, "package.json": json.dumps(described)})):
            (packs / f"{name}.tgz").write_bytes(packed(write(top / name, files)))
        offered = {"short": "needy", "package": described["name"], "displayName": "Needy", "tagline": "Needs another"}
        (top / "catalog.json").write_text(json.dumps({"modules": [offered]}))
        variables = {"PARACHUTE_ISOLATION": "required", "BUN_CONFIG_REGISTRY": registry(self, packs)}
        running = hub(self, catalog=top / "catalog.json", environment=variables).start()
        running.install("needy")
        self.assertNotEqual(running.module("needy")["isolation"]["state"], "off")
        self.assertEqual(fetch(f"http://127.0.0.1:{running.module('needy')['port']}/").body, b"found")


class OldKernelTests(SynchronousTestCase):
    """A kernel without Landlock, imitated by a filter that answers its calls with ENOSYS."""

    timeout = 120

    def running(self, isolation: str) -> HubProcess:
        program = (sys.executable, "-m", "tests.live.old_kernel", sys.executable, "-m", "parachute_hub")
        found = hub(
            self, catalog=packed_examples(), environment={"PARACHUTE_ISOLATION": isolation}, program=program
        ).start()
        self.assertEqual(found.client.call("GET", "/api/modules")["isolation"]["why"], CANNOT)
        return found

    def test_modules_run_and_everybody_is_told(self) -> None:
        """The module, `parachute doctor` and the installation say it."""
        found = self.running("auto")
        done = found.install("notes")
        self.assertIn("Modules are not separated here", "\n".join(done["log"]))
        self.assertEqual(found.module("notes")["isolation"], {"state": "off", "missing": [*missing(0)], "why": CANNOT})
        told = [each["text"] for each in examine(found.home, found.client) if each["key"] == "separation"]
        self.assertEqual(told, [f"{CANNOT} Notes can read and change everything on this hub."])

    def test_where_it_is_required_nothing_is_started(self) -> None:
        found = self.running("required")
        with self.assertRaisesRegex(CommandError, "cannot separate modules.*PARACHUTE_ISOLATION"):
            found.install("notes")
        self.assertNotIn("notes", [each["short"] for each in found.client.call("GET", "/api/modules")["supervised"]])
        told = [each["text"] for each in examine(found.home, found.client) if each["key"] == "separation"]
        self.assertEqual(told, [f"{CANNOT} Modules would run without."])


@requires(right("to confine programs"))
class InstalledBeforeTests(SynchronousTestCase):
    """Modules that were installed while nothing was separated; no one that ran may be dead afterwards."""

    timeout = 120

    def test_the_first_separated_start_works_or_falls_back_and_says_so(self) -> None:
        top = Path(self.mktemp()).absolute()
        outside = top / "outside"
        serve = (
            'Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.PORT), fetch: () => new Response("ok") })\n'
        )
        needs = f'await Bun.file("{outside}").text()\n'
        offered = []
        for number, (short, server) in enumerate((("modest", serve), ("needy", needs + serve))):
            files = module(short, server=server, port=2711 + number)
            (top / f"{short}.tgz").parent.mkdir(exist_ok=True)
            (top / f"{short}.tgz").write_bytes(packed(write(top / short, files)))
            offered.append({"short": short, "package": f"@toys/{short}", "source": f"{short}.tgz"})
        outside.write_text("what it needs")
        (top / "catalog.json").write_text(json.dumps({"modules": offered}))
        running = hub(self, catalog=top / "catalog.json", environment={"PARACHUTE_ISOLATION": "off"}).start()
        for short in ("modest", "needy"):
            running.install(short)
        running.stop()
        running.environment = {**running.environment, "PARACHUTE_ISOLATION": "auto"}
        running.start()
        for short, state in (("modest", "on"), ("needy", "off")):
            running.wait_for(lambda one=short: running.module(one)["state"] == "ready", f"{short} to run")
            self.assertIn(running.module(short)["isolation"]["state"], (state, "partly" if state == "on" else state))
        self.assertIn("was installed before", running.module("needy")["isolation"]["why"])
        # It runs before that is written down.
        running.wait_for(lambda: running.module("needy")["settings"]["isolation"] == "off", "it to be kept")
        running.wait_for(
            lambda: (
                "separation:needy" in {one["key"] for one in running.client.call("GET", "/api/problems")["problems"]}
            ),
            "the problem to be listed",
        )
