"""The life of modules with real files, bun and processes, without the rest of the hub."""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from uuid import uuid4

import treq
from attrs import define
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure

from parachute_hub.admin.audit_events import EventTrail
from parachute_hub.events import Event, NumberedEvent
from parachute_hub.jobs.model import Job
from parachute_hub.modules import assembly
from parachute_hub.modules.assembly import ModuleDependencies, ModuleFiles, ModuleServices
from parachute_hub.modules.definition.catalog import Catalog, CatalogEntry
from parachute_hub.modules.launch.environment import BaseEnvironment
from parachute_hub.modules.packages import bun
from parachute_hub.settings import MODULE_PORTS
from parachute_hub.store.rows import Act
from parachute_hub.supervise.context import SupervisorContext
from parachute_hub.supervise.limits import Timing
from parachute_hub.supervise.supervisor import Supervisor
from parachute_hub.system.executors import WriterThread
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.home import Home
from parachute_hub.system.logs import Masker
from tests.live.ports import free_port, module_ports
from tests.support.npm import NpmRegistry

CLOCK: Any = reactor
T = TypeVar("T")


PORT = free_port()
"""The port of the tiny module; another one in each run, so that runs do not disturb each other."""
SERVER = """
const port = Number(process.env.PORT)
const version = %(version)s
await Bun.write(`${process.env.PARACHUTE_HOME}/%(short)s/started`, version)
Bun.serve({ port, hostname: "127.0.0.1", fetch: (request) => Response.json({
  version, path: new URL(request.url).pathname, cwd: process.cwd(), env: process.env }) })
"""
BROKEN = 'console.log("cannot find my legs"); process.exit(3)'


def module(short: str = "toy", version: str = "1.0.0", server: str | None = None, **manifest: Any) -> dict[str, str]:
    """The files of a tiny module, `@toys/<short>`."""
    package = {"name": f"@toys/{short}", "version": version, "type": "module", "bin": {f"toy-{short}": "server.ts"}}
    told = {
        "name": short,
        "manifestName": f"toys-{short}",
        "port": PORT,
        "paths": [f"/{short}"],
        "health": f"/{short}/health",
        "startCmd": [f"toy-{short}", "serve"],
        **manifest,
    }
    return {
        "package.json": json.dumps(package),
        ".parachute/module.json": json.dumps(told),
        "server.ts": SERVER % {"version": json.dumps(version), "short": short} if server is None else server,
    }


def entry(short: str = "toy", **fields: Any) -> CatalogEntry:
    """The catalog's entry for such a module."""
    return CatalogEntry(
        short=short, package=f"@toys/{short}", manifest_name=f"toys-{short}", display_name=short.title(), **fields
    )


@define
class Rig:
    """The modules part of a hub in a temporary home."""

    home: Path
    registry: NpmRegistry
    files: ModuleFiles
    supervisor: Supervisor
    modules: ModuleServices
    events: list[Event]

    @classmethod
    def start(cls, home: Path | None = None, registry: NpmRegistry | None = None, **options: Any) -> "Rig":
        """Start; `home` and `registry` may be those of an earlier one. Modules are expected to answer within `late`
        seconds.
        """
        home = home or Path(tempfile.mkdtemp(prefix="parachute-modules-"))
        if registry is None:
            registry = NpmRegistry(CLOCK)
            registry.listen()
        events: list[Event] = []
        binary = bun.find(None)
        masker = Masker()
        around = BaseEnvironment(
            home=home,
            user_home=home / "user",
            issuer="http://127.0.0.1:1",
            origins=("http://127.0.0.1:1",),
            passed_on={"PATH": "/usr/local/bin:/usr/bin:/bin"},
            registry={"BUN_CONFIG_REGISTRY": registry.url},
            module_variables={},
        )
        Home(home).prepare()
        catalog = options.pop("catalog", Catalog((entry(), entry("other"))))
        timing = Timing(late=options.pop("late", Timing().late))
        outside = ModuleDependencies(
            reactor=CLOCK,
            around=around,
            catalog=catalog,
            find_bun=options.pop("find_bun", lambda: binary),
            emit=events.append,
            mask=masker,
            know_secret=masker.know,
            now=CLOCK.seconds,
            new_id=lambda: uuid4().hex,
            in_thread=options.pop("in_thread", deferToThread),
            files=options.pop("files", None) or FileWriter(WriterThread(CLOCK, "files")),
            hub_port=1939,
            **{"settle_seconds": 0.3, "gate_seconds": 10.0, **options},
        )
        files = assembly.files(outside)
        supervisor = Supervisor(
            SupervisorContext(
                reactor=CLOCK,
                launcher=files.launcher,
                desired=files.directory.records,
                home=home,
                emit=lambda status: None,
                log_line=lambda short, text: None,
                log_folder=home / "hub" / "logs",
                mask=masker,
                random=Random(1).random,
                timing=timing,
            )
        )
        supervisor.startService()
        modules = assembly.assemble(files, supervisor, free_memory=lambda: None)
        # A module that has no port of its own gets one that no other test run takes.
        object.__setattr__(modules.installer, "hub_ports", {1939, *MODULE_PORTS} - {*module_ports()})
        return cls(home, registry, files, supervisor, modules, events)

    async def stop(self, *, registry: bool = True) -> None:
        """End everything that runs."""
        await self.modules.jobs.stop()
        await self.supervisor.stopService()
        self.files.outside.files.stop()
        if registry:
            await self.registry.close()

    def activity(self) -> list[tuple[str, str, str]]:
        """What the audit log says of the operations so far: act, outcome and reason, the oldest first."""
        acts: list[Act] = []
        trail = EventTrail(note=acts.append, clock=CLOCK.seconds)
        for number, event in enumerate(self.events):
            trail.heard(NumberedEvent(number, event))
        return [(act.action, act.outcome, act.why) for act in acts]

    async def done(self, job: Job) -> Job:
        """The finished job."""
        return await self.modules.jobs.finished(job.id)


async def ask(port: int, path: str) -> Any:
    """A module's response."""
    answer = await treq.get(f"http://127.0.0.1:{port}{path}", persistent=False)
    return await answer.json()


def run(coroutine: Callable[[Any], Any]) -> Callable[[Any], "Deferred[Any]"]:
    """Lets a trial test be an `async def`."""

    def test(self: Any) -> "Deferred[Any]":
        return Deferred.fromCoroutine(coroutine(self))

    test.__name__ = coroutine.__name__
    return test


def by_hand(begin: Callable[[], "Deferred[T]"]) -> T:
    """Run the reactor until it is done and return its result; exits with the failure if it fails."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    outcome: list[T | Failure] = []
    working = begin()
    working.addBoth(outcome.append)
    working.addBoth(lambda _: CLOCK.stop())
    CLOCK.run()
    if isinstance(outcome[0], Failure):
        sys.exit(outcome[0].getTraceback())
    return outcome[0]
