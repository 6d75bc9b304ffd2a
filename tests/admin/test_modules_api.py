"""The modules API on an in-memory site with a fake supervisor."""

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent, IRequest, IResponse
from twisted.web.resource import Resource
from twisted.web.server import Request
from zope.interface import implementer

from parachute_hub.admin.disk_api import DiskArea
from parachute_hub.admin.logs_api import Logs
from parachute_hub.admin.modules_api import ModulesArea
from parachute_hub.admin.modules_bodies import Room
from parachute_hub.admin.modules_view import ModulesView
from parachute_hub.admin.stream_api import Streams
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.jobs.runner import Work
from parachute_hub.modules import assembly
from parachute_hub.modules.assembly import ModuleDependencies
from parachute_hub.modules.definition.catalog import BUILT_IN, Catalog
from parachute_hub.modules.definition.links import Links
from parachute_hub.modules.launch.configuration import Configuration
from parachute_hub.modules.launch.environment import BaseEnvironment
from parachute_hub.modules.packages.bun import NoBun
from parachute_hub.modules.state.allowances import KnownAllowances
from parachute_hub.site.auth import ADMIN, AUTH, Authenticator, Principal
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import MountedArea, Root
from parachute_hub.supervise.model import Allowance, CannotLaunch, LastExit, ModuleState, Status
from parachute_hub.supervise.output.log_files import read_log
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.logs import Masker
from tests.modules.homes import TOY, at_once, package, put, write
from tests.support.acts import HeardActs
from tests.support.asking import Answer, ask
from tests.support.operators import KnownBearers
from tests.support.supervising import FakeSupervisor

CALLERS = KnownBearers(
    {
        "operator": Principal(kind="operator", name="operator", scopes=frozenset({ADMIN, AUTH})),
        "owner": Principal(kind="session", name="owner", scopes=frozenset({ADMIN, AUTH})),
        "reader": Principal(kind="session", name="reader", scopes=frozenset({AUTH})),
    }
)


class Proofs:
    """Records requested proofs; refuses everyone but the operator."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def prove(self, request: IRequest, principal: Principal, operation: str) -> None:
        self.asked.append(operation)
        if principal.kind != "operator":
            raise Refused(403, "step_up_required", "Repeat your password to do this.")


class ToyServer(Resource):
    """The module's own configuration. Like scribe, it takes a whole form: missing values return to their default,
    except secrets.
    """

    isLeaf = True
    schema = {
        "volume": {"type": "integer"},
        "balance": {"type": "integer"},
        "max_tokens": {"type": "integer"},
        "hidden": {"type": "string", "writeOnly": True},
        "api_token": {"type": "string"},
        "hidden_set": {"type": "boolean", "readOnly": True},
    }

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, Any] = {"volume": 3, "provider_api_key": "hush", "hidden": "hush"}
        self.forms: list[dict[str, Any]] = []
        self.place = "/toy/"
        self.tells: object = None
        self.asked: list[tuple[str, str, str | None]] = []

    def render(self, request: Request) -> bytes:
        path = request.path.decode()
        self.asked.append((request.method.decode(), path, request.getHeader("authorization")))
        if not path.startswith(self.place):
            request.setResponseCode(404)
            return b"{}"
        if path.endswith("/schema"):
            tests = {} if self.tells is None else {"x-test": True}
            return json.dumps({"type": "object", "properties": self.schema, **tests}).encode()
        if request.method == b"POST" and path.endswith("/config/test"):
            return json.dumps(self.tells).encode()
        if request.method == b"PUT":
            form = json.loads(request.content.read() if request.content else b"")
            self.forms.append(form)
            if form.get("volume", 0) > 10:
                request.setResponseCode(400)
                errors = [{"path": "volume", "message": "too loud"}]
                return json.dumps({"error": "validation_failed", "message": "too loud", "errors": errors}).encode()
            self.values = {"volume": 3, "hidden": self.values["hidden"], **form}
        return json.dumps(self.values).encode()


class Tokens:
    async def for_administration(self, short: str, instance: str | None) -> str | None:
        return f"admin-of-{short}-{instance}"


def no_bun() -> Path:
    raise NoBun("bun was not found. Install it.")


@implementer(IAgent)
class AtOnce:
    """Each answer is there when the request returns."""

    def __init__(self, agent: Any) -> None:
        self._agent = agent

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> "Deferred[IResponse]":
        asking: Deferred[IResponse] = self._agent.request(method, uri, headers, bodyProducer)
        self._agent.flush()
        return asking


class ApiCase(SynchronousTestCase):
    def files_writer(self) -> FileWriter:
        return FileWriter()

    async def reach(self, short: str, seconds: float) -> int | None:
        self.used.append(short)
        return self.listening.get(short)

    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()
        (self.home / "hub").mkdir(parents=True)
        self.clock = MemoryReactorClock()
        self.events: list[Any] = []
        self.outside = ModuleDependencies(
            reactor=self.clock,
            around=BaseEnvironment(
                home=self.home,
                user_home=self.home / "user",
                issuer="http://hub.test",
                origins=("http://hub.test",),
                passed_on={},
                registry={},
                module_variables={},
            ),
            catalog=Catalog((TOY, *Catalog().entries)),
            find_bun=no_bun,
            emit=self.events.append,
            mask=Masker(),
            know_secret=lambda secret: None,
            now=self.clock.seconds,
            new_id=iter(f"job-{number}" for number in range(1000)).__next__,
            in_thread=at_once,
            files=self.files_writer(),
            hub_port=1939,
            settle_seconds=0.0,
        )
        self.files = assembly.files(self.outside)
        self.supervisor = FakeSupervisor(want=self.files.directory.records.want)
        self.free_memory: int | None = None
        self.given = 0
        self.listening = {"toy": 2711}
        self.used: list[str] = []
        self.modules = assembly.assemble(self.files, self.supervisor, free_memory=lambda: self.free_memory)
        self.links: dict[str, Links] = {}
        self.proofs, self.heard = Proofs(), HeardActs()
        self.server = ToyServer()
        view = ModulesView(
            directory=self.files.directory,
            supervisor=self.supervisor,
            latest=lambda package: {"@toys/toy": "1.1.0", "@stranger/toy": "1.1.0"}.get(package),
            drift=self.modules.ports.kind,
            copied_at=self.modules.snapshots.copied_at,
            adoptable=self.modules.adoption.source,
            links=lambda short: self.links.get(short, Links()),
            isolation=self.files.fence.machine,
        )
        self.configuration = Configuration(
            home=self.home,
            directory=self.files.directory,
            agent=AtOnce(RequestTraversalAgent(self.server)),
            clock=self.clock,
            tokens=Tokens(),
            reach=self.reach,
            listens=self.listening.get,
        )
        area = ModulesArea(
            who=Authenticator([CALLERS]),
            step_up=self.proofs,
            modules=self.modules,
            supervisor=self.supervisor,
            view=view,
            configuration=self.configuration,
            logs=Logs(
                read=partial(read_log, self.home / "hub" / "logs"), in_thread=at_once, streams=Streams(self.clock)
            ),
            room=lambda short: Room(
                ports=self.files.directory.ports(), memory=1000 << 20, given=self.given, processors=2
            ),
            done=self.heard.done,
        )
        disk = DiskArea(who=Authenticator([CALLERS]), modules=self.modules, in_thread=at_once, done=self.heard.done)
        parts = [
            MountedArea(("/api/modules",), area.app.resource()),
            MountedArea(("/api/modules/disk",), disk.app.resource()),
        ]
        self.resource = Root(parts, is_secure=RequestCaller().is_secure)

    def call(self, method: str, path: str, body: Any = None, who: str = "operator") -> Answer:
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {who}"} if who else {}
        return ask(self.resource, f"/api/modules{path}", method=method, headers=headers, body=content)

    def refusal(self, method: str, path: str, body: Any = None, who: str = "operator") -> tuple[int, str]:
        answer = self.call(method, path, body, who)
        return answer.status, answer.json()["error"]

    def install(self, **manifest: Any) -> None:
        """The toy as an installation leaves it, running."""
        put(self.files.directory.store, "toy", package(**manifest), "1.0.0")
        self.files.directory.store.activate("toy", "@toys/toy", "1.0.0")
        row = {"name": "toys-toy", "port": 2711, "paths": ["/toy"], "health": "/toy/health", "version": "1.0.0"}
        write(self.home, {"services.json": json.dumps({"services": [row]})})
        self.files.directory.records.change("toy", package="@toys/toy", row="toys-toy")
        self.call("POST", "/toy/start")
        self.supervisor.calls.clear()
        self.heard.acts.clear()

    def busy(self, short: str) -> None:
        """A job on it that does not end."""

        async def forever(work: Work) -> None:
            await Deferred()

        self.modules.jobs.start("test", short, {}, forever)

    def module(self, short: str) -> dict[str, Any]:
        listing = self.call("GET", "").json()["modules"]
        return next(module for module in listing if module["short"] == short)


class Doors(ApiCase):
    def test_who_may_do_what(self) -> None:
        self.assertEqual(self.refusal("GET", "", who=""), (401, "unauthenticated"))
        self.assertEqual(self.call("GET", "", who="reader").status, 200)
        for method, path in (
            ("PUT", "/channel"),
            ("POST", "/install"),
            ("POST", "/upgrade-all"),
            ("GET", "/operations"),
            ("GET", "/operations/x"),
            ("POST", "/operations/x/cancel"),
            ("GET", "/disk"),
            ("POST", "/disk/clear"),
            ("POST", "/vault/install"),
            ("POST", "/vault/upgrade"),
            ("POST", "/vault/rollback"),
            ("POST", "/vault/restore-data"),
            ("POST", "/vault/uninstall"),
            ("POST", "/vault/delete-data"),
            ("POST", "/vault/start"),
            ("POST", "/vault/stop"),
            ("POST", "/vault/restart"),
            ("POST", "/vault/heal-port"),
            ("GET", "/vault/logs"),
            ("GET", "/vault/config"),
            ("PUT", "/vault/config"),
            ("GET", "/vault/settings"),
            ("PUT", "/vault/settings"),
        ):
            self.assertEqual(self.refusal(method, path, who="reader"), (403, "insufficient_scope"), path)
        self.assertEqual(self.refusal("DELETE", "/vault/install"), (405, "method_not_allowed"))

    def test_unknown_modules_are_404(self) -> None:
        for path in ("/nobody/install", "/nobody/start", "/nobody/logs", "/..%2f/start", "/--trust/install"):
            method = "GET" if path.endswith("logs") else "POST"
            self.assertEqual(self.call(method, path).status, 404, path)


class Listing(ApiCase):
    def test_what_is_on_offer(self) -> None:
        answer = self.call("GET", "").json()
        self.assertEqual(
            [module["short"] for module in answer["modules"]],
            ["vault", "scribe", "notes", "surface", "agent", "runner", "toy"],
        )
        self.assertEqual((answer["supervised"], answer["supervisor_available"]), ([], True))
        self.assertEqual((answer["module_install_channel"], answer["module_install_channel_fixed"]), ("latest", False))
        vault = answer["modules"][0]
        self.assertEqual(
            (vault["installed"], vault["installed_version"], vault["supervisor_status"]), (False, None, None)
        )
        self.assertTrue(vault["available_to_install"])

    def test_a_channel_fixed_by_the_environment_is_reported_as_fixed(self) -> None:
        """Choosing another one has no effect, and the page must say so."""
        object.__setattr__(self.outside, "env_channel", "latest")
        self.assertEqual(self.call("PUT", "/channel", {"channel": "rc"}).json(), {"channel": "latest"})
        answer = self.call("GET", "").json()
        self.assertEqual((answer["module_install_channel"], answer["module_install_channel_fixed"]), ("latest", True))

    def test_the_version_to_go_back_to_is_a_version(self) -> None:
        """Not its folder name, which differs when a version was fetched twice."""
        self.install()
        self.files.directory.records.change("toy", previous="0.9.0~2")
        self.assertEqual(self.module("toy")["settings"]["previous"], "0.9.0")

    def test_newer_versions_are_asked_for_on_demand(self) -> None:
        """For programs that need the answer, not for page views; a module from a folder is not in a registry."""
        self.install()
        asked: list[list[str]] = []

        async def renew(packages: list[str]) -> None:
            asked.append(packages)

        self.patch(type(self.modules.availability), "renew", lambda _, packages: renew(packages))
        self.call("GET", "")
        self.assertEqual(asked, [])
        self.assertEqual(self.call("GET", "?fresh=1").status, 200)
        self.call("POST", "/upgrade-all")
        self.files.directory.records.change("toy", linked="/somewhere/toy")
        self.call("GET", "?fresh=1")
        self.assertEqual(asked, [["@toys/toy"], ["@toys/toy"], []])

    def test_reference_modules_are_told_from_the_published_ones(self) -> None:
        """By what is installed; before that, by the catalog."""
        vault = evolve(BUILT_IN[0], reference=True)
        object.__setattr__(self.files.directory, "catalog", Catalog((vault, *BUILT_IN[1:])))
        self.install()
        told = {short: self.module(short)["edition"] for short in ("vault", "notes", "toy")}
        self.assertEqual(told, {"vault": "reference", "notes": "published", "toy": "published"})
        folder = self.files.directory.folder("toy")
        assert folder is not None
        file = folder / "package.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "parachute": {"edition": "reference"}}))
        self.assertEqual(self.module("toy")["edition"], "reference")

    def test_one_that_runs(self) -> None:
        self.install(uiUrl="app/", displayName="The Toy")
        toy = self.module("toy")
        self.assertEqual(
            {name: toy[name] for name in ("display_name", "installed_version", "latest_version", "upgrade_available")},
            {
                "display_name": "The Toy",
                "installed_version": "1.0.0",
                "latest_version": "1.1.0",
                "upgrade_available": True,
            },
        )
        self.assertEqual((toy["state"], toy["supervisor_status"], toy["pid"]), ("ready", "running", 4711))
        self.assertEqual((toy["management_url"], toy["config_ui_url"]), (None, None))
        self.assertIsNone(toy["icon_url"])
        self.links["toy"] = Links(ui="/toy/app/", config_ui="/toy/settings", icon="/toy/.parachute/icon.svg")
        toy = self.module("toy")
        self.assertEqual(toy["icon_url"], "/toy/.parachute/icon.svg")
        self.assertEqual((toy["management_url"], toy["config_ui_url"]), ("/toy/app/", "/toy/settings"))
        self.assertEqual(toy["install_dir"], str(self.home / "modules/node_modules/@toys/toy"))
        self.assertEqual(self.call("GET", "").json()["supervised"][0]["short"], "toy")
        self.files.directory.records.change("toy", pin=True)
        self.assertFalse(self.module("toy")["upgrade_available"])

    def test_one_whose_package_is_gone_or_broken(self) -> None:
        self.install()
        self.files.directory.store.deactivate("@toys/toy")
        toy = self.module("toy")
        self.assertEqual((toy["missing"], toy["install_dir"], toy["installed_version"]), (True, None, "1.0.0"))
        write(
            self.files.directory.store.root / "node_modules" / "@toys" / "toy",
            {"package.json": "{", ".parachute/module.json": "["},
        )
        self.assertEqual(self.module("toy")["installed_version"], "1.0.0")

    def test_whose_settings_page_can_use_a_token(self) -> None:
        """A sandboxed page has no origin, so the owner is not asked for a password that would change nothing."""
        self.install(scopes={"defines": ["toy:admin"]})
        self.assertTrue(self.module("toy")["settings_token"])
        self.files.directory.records.change("toy", package="@stranger/toy")
        self.assertFalse(self.module("toy")["settings_token"])
        self.files.directory.records.change("toy", trusted=True, package="@toys/toy")
        self.assertTrue(self.module("toy")["settings_token"])

    def test_a_bad_row_takes_nothing_with_it(self) -> None:
        self.install()
        content = json.loads((self.home / "services.json").read_text())
        content["services"].insert(0, {"name": "bad", "port": 0})
        write(self.home, {"services.json": json.dumps(content)})
        self.assertTrue(self.module("toy")["installed"])


class Installs(ApiCase):
    def test_by_short_name_as_a_job(self) -> None:
        answer = self.call("POST", "/toy/install")
        self.assertEqual(answer.status, 202)
        job_id = answer.json()["operation_id"]
        job = self.call("GET", f"/operations/{job_id}").json()
        self.assertEqual((job["kind"], job["short"], job["status"]), ("install", "toy", "failed"))
        self.assertIn("bun was not found", job["error"])
        self.assertEqual(self.call("GET", "/operations").json()["operations"][0]["id"], job_id)
        self.assertEqual(self.refusal("GET", "/operations/nothing"), (404, "not_found"))

    def test_a_module_that_would_not_fit_into_memory_is_not_fetched(self) -> None:
        for free, words in (
            (100 << 20, "vault needs about 128 MiB of memory and 100 MiB are free"),
            (None, "bun was not found"),
        ):
            self.free_memory = free
            job_id = self.call("POST", "/vault/install").json()["operation_id"]
            self.assertIn(words, self.call("GET", f"/operations/{job_id}").json()["error"])

    def test_channels_and_bodies(self) -> None:
        self.assertEqual(self.refusal("POST", "/toy/install", {"channel": "nightly"}), (400, "invalid_channel"))
        self.assertEqual(self.refusal("POST", "/toy/install", {"version": "../x"}), (400, "invalid_version"))
        self.assertEqual(self.refusal("POST", "/vault/install", {"first_vault": "../x"}), (400, "invalid_vault"))
        self.assertEqual(self.call("POST", "/toy/install", b"{not json").status, 202)
        job = self.modules.jobs.get(self.call("POST", "/toy/install", {"channel": "rc"}).json()["operation_id"])
        self.assertIn("The versions of @toys/toy could not be read", job.error or "", job)

    def test_packages_outside_the_catalog_need_a_proof(self) -> None:
        body = {"package": "@stranger/thing@1.2.3"}
        self.assertEqual(self.refusal("POST", "/install", body, who="owner"), (403, "step_up_required"))
        self.assertEqual(self.call("POST", "/install", body).status, 202)
        self.assertEqual(self.proofs.asked, ["install:@stranger/thing"] * 2)
        self.assertEqual(self.call("POST", "/install", {"package": "@toys/toy"}, who="owner").status, 202)
        for name in ("--trust", "x@file:../..", "", "a b", None, 5):
            self.assertEqual(self.refusal("POST", "/install", {"package": name}), (400, "invalid_package"), name)

    def test_from_this_machine_only_by_its_operator(self) -> None:
        folder = write(Path(self.mktemp()).absolute(), package())
        body = {"source": str(folder)}
        self.assertEqual(self.refusal("POST", "/toy/install", body, who="owner"), (403, "operator_only"))
        for wrong in ("relative", "/not/there", 5):
            self.assertEqual(self.refusal("POST", "/install", {"source": wrong}), (400, "invalid_source"))
        job_id = self.call("POST", "/toy/install", body).json()["operation_id"]
        job = self.call("GET", f"/operations/{job_id}").json()
        self.assertEqual((job["status"], job["short"]), ("succeeded", "toy"), job)
        toy = self.module("toy")
        self.assertEqual((toy["state"], toy["settings"]["linked"], toy["port"]), ("ready", str(folder), None))
        row = self.files.directory.services.read().rows[0]
        self.assertEqual((row.name, row.version, row.port), ("toys-toy", "1.0.0", 2711))

    def test_one_that_runs_is_not_installed_again(self) -> None:
        self.install()
        job = self.modules.jobs.get(self.call("POST", "/toy/install").json()["operation_id"])
        self.assertIn("already installed", " ".join(job.log))

    def test_nothing_is_done_to_a_busy_one(self) -> None:
        """A restart during an upgrade would look like a failing version."""
        self.install()
        self.busy("toy")
        for method, path, body in (
            ("POST", "/toy/install", None),
            ("POST", "/toy/uninstall", None),
            ("POST", "/toy/restart", None),
            ("POST", "/toy/stop", None),
            ("PUT", "/toy/config", {"volume": 5}),
            ("PUT", "/toy/settings", {"env": {"A": "1"}}),
        ):
            self.assertEqual(self.refusal(method, path, body), (409, "operation_in_progress"), path)
        self.assertEqual(self.supervisor.calls, [])

    def test_a_cancelled_operation(self) -> None:
        self.install()
        self.busy("toy")
        (job,) = (job for job in self.modules.jobs.all() if not job.over)
        self.assertEqual(self.call("POST", f"/operations/{job.id}/cancel").json()["outcome"], "cancelled")
        self.assertEqual(self.refusal("POST", f"/operations/{job.id}/cancel"), (409, "too_late"))
        self.assertEqual(self.heard.acts, [("operation-cancelled", "toy")])

    def test_the_channel(self) -> None:
        self.assertEqual(self.call("PUT", "/channel", {"channel": "rc"}).json(), {"channel": "rc"})
        self.assertEqual(self.call("GET", "").json()["module_install_channel"], "rc")
        self.assertEqual(self.refusal("PUT", "/channel", {"channel": "x"}), (400, "invalid_channel"))
        self.assertEqual(self.refusal("PUT", "/channel", b"{"), (400, "invalid_request"))
        self.assertEqual(self.heard.acts, [("channel-changed", "rc")])


class Switching(ApiCase):
    def test_start_stop_restart(self) -> None:
        self.assertEqual(self.refusal("POST", "/toy/start"), (400, "not_installed"))
        self.install()
        answer = self.call("POST", "/toy/restart").json()
        self.assertEqual((answer["short"], answer["state"]["status"], answer["state"]["pid"]), ("toy", "running", 4712))
        answer = self.call("POST", "/toy/stop").json()
        self.assertEqual((answer["stopped"], answer["state"]["status"]), (True, "stopped"))
        self.assertFalse(self.files.directory.records.wanted("toy"))
        self.assertEqual(self.supervisor.calls, [("restart", "toy"), ("stop", "toy")])
        self.call("POST", "/toy/start")
        self.assertEqual(self.heard.acts, [(act, "toy") for act in ("module-restart", "module-stop", "module-start")])

    def test_stopping_what_was_never_started(self) -> None:
        """It is not recorded, or it would count as installed."""
        self.assertEqual(self.call("POST", "/vault/stop").json(), {"short": "vault", "stopped": False})
        self.assertFalse(self.files.directory.records.known("vault"))
        self.assertEqual(self.heard.acts, [])

    def test_failures_in_their_words(self) -> None:
        self.install()
        for error_type, expected in (
            ("no_start_cmd", (422, "no_start_cmd")),
            ("missing_package", (500, "module_op_failed")),
        ):
            error = CannotLaunch(error_type, "What to do.").to_json()
            self.supervisor.outcome["toy"] = Status(
                short="toy", state=ModuleState.PARKED, reason="", since=0.0, start_error=error
            )
            answer = self.call("POST", "/toy/start")
            self.assertEqual((answer.status, answer.json()["error"]), expected)
            self.assertEqual(answer.json()["error_detail"]["error_type"], error_type)
            self.assertEqual(self.heard.acts, [], "a start that failed is no act")

    def test_a_crash_is_a_state_not_an_error(self) -> None:
        self.install()
        exit = LastExit(1, None, False, 0.0)
        self.supervisor.outcome["toy"] = Status(
            short="toy", state=ModuleState.BACKOFF, reason="", since=0.0, last_exit=exit
        )
        state = self.call("POST", "/toy/start").json()["state"]
        self.assertEqual((state["status"], state["lastExitCode"]), ("restarting", 1))

    def test_logs_are_shown_and_followed(self) -> None:
        self.assertEqual(self.refusal("GET", "/toy/logs"), (404, "not_supervised"))
        self.install()
        self.supervisor.say("toy", "hello")
        answer = self.call("GET", "/toy/logs").json()
        entry = {"at": "1970-01-01T00:00:00.000Z", "level": "info", "mark": None, "text": "hello"}
        told = {"short": "toy", "lines": ["[toy] hello\n"], "text": "[toy] hello\n", "entries": [entry]}
        self.assertEqual(answer, told)


class Ports(ApiCase):
    def drifted(self, **status: Any) -> str | None:
        """The toy with this port drift, as listed."""
        told = {"state": ModuleState.DEGRADED, "port": 2711, "pid": 4711, **status}
        self.supervisor.outcome["toy"] = Status(short="toy", reason="", since=0.0, **told)
        self.call("POST", "/toy/start")
        drift: str | None = self.module("toy")["port_drift"]
        return drift

    def row_port(self) -> int:
        rows = json.loads((self.home / "services.json").read_text())["services"]
        port: int = next(row["port"] for row in rows if row["name"] == "toys-toy")
        return port

    def test_one_that_listens_elsewhere_is_looked_for_there(self) -> None:
        self.install()
        self.assertIsNone(self.drifted(state=ModuleState.READY))
        error = {"error_type": "started_but_unbound", "error_description": "It listens on 2999.", "listens": [2999]}
        self.assertEqual(self.drifted(start_error=error), "elsewhere")
        self.supervisor.listening["toy"] = [2999]
        del self.supervisor.outcome["toy"]
        answer = self.call("POST", "/toy/heal-port")
        self.assertEqual((answer.status, answer.json()["state"]["status"]), (200, "running"))
        self.assertIn("2999", answer.json()["text"])
        self.assertEqual((self.row_port(), self.supervisor.calls[-1]), (2999, ("restart", "toy")))
        self.assertEqual(self.heard.acts[-1], ("module-heal-port", "toy"))

    def test_a_foreign_port_changes_nothing(self) -> None:
        """Such as the hub's own, which would loop every request."""
        self.install()
        hub_port = self.outside.hub_port
        error = {"error_type": "started_but_unbound", "error_description": "", "listens": [hub_port]}
        self.drifted(start_error=error)
        self.supervisor.listening["toy"] = [hub_port]
        self.assertEqual(self.refusal("POST", "/toy/heal-port"), (409, "no_drift"))
        self.assertEqual((self.row_port(), self.supervisor.calls[-1]), (2711, ("start", "toy")))

    def test_where_nothing_is_wrong_nothing_is_done(self) -> None:
        self.assertEqual(self.refusal("POST", "/toy/heal-port"), (400, "not_installed"))
        self.install()
        self.drifted(state=ModuleState.READY)
        self.assertEqual(self.refusal("POST", "/toy/heal-port"), (409, "no_drift"))
        self.assertEqual(self.supervisor.calls[-1], ("start", "toy"))

    def test_settings_are_asked_only_where_the_module_itself_listens(self) -> None:
        """A token is sent with the request."""
        self.install()
        del self.listening["toy"]
        self.assertEqual(self.refusal("GET", "/toy/config"), (409, "not_running"))
        self.assertEqual(self.server.asked, [])

    def test_only_a_person_who_asks_keeps_the_module_awake(self) -> None:
        """The hub's own look for missing settings, every five minutes, does not."""
        self.install()
        missing = self.successResultOf(Deferred.fromCoroutine(self.configuration.missing("toy")))
        self.assertEqual((missing, len(self.server.asked), self.used), ([], 2, []))
        self.call("GET", "/toy/config")
        self.assertEqual(set(self.used), {"toy"})


class Leaving(ApiCase):
    def test_uninstall_says_what_stays(self) -> None:
        self.install()
        write(self.home / "toy", {"note": "mine"})
        answer = self.call("POST", "/toy/uninstall").json()
        self.assertEqual(answer["short"], "toy")
        self.assertIn("Its data is kept in", answer["log"][-1])
        self.assertFalse(self.module("toy")["installed"])
        self.assertEqual(self.refusal("POST", "/toy/uninstall"), (500, "module_op_failed"))

    def test_data_goes_only_with_a_proof_and_after_the_module(self) -> None:
        self.install()
        write(self.home / "toy", {"note": "mine"})
        self.assertEqual(self.refusal("POST", "/toy/delete-data", who="owner"), (403, "step_up_required"))
        job_id = self.call("POST", "/toy/delete-data").json()["operation_id"]
        self.assertIn("still installed", self.call("GET", f"/operations/{job_id}").json()["error"])
        self.call("POST", "/toy/uninstall")
        self.call("POST", "/toy/delete-data")
        self.assertFalse((self.home / "toy").exists())
        self.assertEqual(os.listdir(self.home / "tmp"), [])
        for name in ("hub", "modules", "tmp"):
            self.call("POST", f"/{name}/delete-data")
        self.assertTrue((self.home / "hub").is_dir())

    def test_copies_of_data_go_with_it_also_when_they_are_all_that_is_left(self) -> None:
        copy = self.home / "hub" / "snapshots" / "toy" / "one"
        write(copy, {"note": "mine"})
        job_id = self.call("POST", "/toy/delete-data").json()["operation_id"]
        self.assertEqual(self.call("GET", f"/operations/{job_id}").json()["outcome"], "succeeded")
        self.assertFalse(copy.exists())
        self.assertEqual(os.listdir(self.home / "tmp"), [])

    def test_a_session_alone_takes_nothing_away_and_goes_back_to_nothing(self) -> None:
        """A module's page has the session cookie too. The proof names the operation."""
        self.install()
        for path, body, operation in (
            ("/toy/uninstall", {}, "uninstall:toy"),
            ("/toy/rollback", {}, "downgrade:toy"),
            ("/toy/rollback", {"restore_data": True}, "restore-data:toy"),
            ("/toy/upgrade", {"version": "0.1.0", "allow_downgrade": True}, "downgrade:toy"),
            ("/toy/restore-data", {}, "restore-data:toy"),
            ("/vault/install", {"version": "0.0.1"}, "install:@openparachute/vault@0.0.1"),
        ):
            self.proofs.asked.clear()
            self.assertEqual(self.refusal("POST", path, body, who="owner"), (403, "step_up_required"), path)
            self.assertEqual(self.proofs.asked, [operation], path)
        self.assertEqual(self.modules.jobs.all(), [])
        self.assertTrue(self.module("toy")["installed"])
        job_id = self.call("POST", "/toy/rollback").json()["operation_id"]
        self.assertIn("No earlier version", self.call("GET", f"/operations/{job_id}").json()["error"])


class Settings(ApiCase):
    def test_the_hubs_settings_of_a_module_change(self) -> None:
        self.install()
        self.assertEqual(
            self.call("PUT", "/toy/settings", {"pin": True, "autostart": False}, who="owner").json()["pin"], True
        )
        self.assertEqual(self.supervisor.calls, [])
        self.assertEqual(self.files.to_start(), ())
        self.call("PUT", "/toy/settings", {"smol": False})
        self.assertEqual(self.supervisor.calls, [("restart", "toy")])
        record = self.files.directory.records.get("toy")
        self.assertEqual((record.smol, record.pin), (False, True))
        self.assertEqual(self.heard.acts, [("module-settings", "toy")] * 2)

    def test_limits_hold_at_once(self) -> None:
        """No restart. Null is what the catalog or the manifest says, 0 no limit."""
        self.install(permissions={"memory": 300})
        known = KnownAllowances(self.files.directory)
        usual = {"memory": 300 << 20, "cpu": None, "usual_memory": 300 << 20, "usual_cpu": None}
        self.assertEqual(self.module("toy")["limits"], usual)
        for body, memory, processor in (
            ({"memory_limit": 64 << 20, "cpu_limit": 5}, 64 << 20, 0.05),
            ({"cpu_limit": 200}, 64 << 20, 2.0),
            ({"memory_limit": 1000 << 20}, 1000 << 20, 2.0),
            ({"memory_limit": 0, "cpu_limit": 0}, None, None),
            ({"memory_limit": None, "cpu_limit": None}, 300 << 20, None),
        ):
            answer = self.call("PUT", "/toy/settings", body).json()
            self.assertEqual({name: answer[name] for name in body}, body)
            expected = Allowance(memory=memory, processor=processor)
            self.assertEqual(self.files.directory.allowance("toy"), expected, body)
            self.assertEqual(known.of("toy"), expected, body)
            self.assertIs(known.of("toy"), known.of("toy"))
        self.assertEqual(self.supervisor.calls, [])
        self.assertEqual(self.heard.acts, [("module-limits", "toy")] * 5)

    def test_limits_fit_the_machine(self) -> None:
        """Of 1000 MB and two processors. Other modules have 300 MB by the owner's word."""
        self.install()
        self.given = 300 << 20
        for name, value, words in (
            ("memory_limit", (64 << 20) - 1, "at least 64 MB"),
            ("memory_limit", (700 << 20) + 1, "1000 MB of memory for modules. 300 MB of it are other modules' limits"),
            ("memory_limit", -1, "at least 64 MB"),
            ("cpu_limit", 4, "from 5% to 200%"),
            ("cpu_limit", 201, "from 5% to 200%"),
            ("cpu_limit", 12.5, "whole number"),
            ("cpu_limit", False, "whole number"),
        ):
            answer = self.call("PUT", "/toy/settings", {name: value})
            self.assertEqual((answer.status, answer.json()["error"]), (400, "invalid_request"), value)
            self.assertIn(words, answer.json()["error_description"], value)
        self.assertEqual(self.call("PUT", "/toy/settings", {"memory_limit": 700 << 20}).status, 200)
        self.assertEqual(self.heard.acts, [("module-limits", "toy")])

    def test_what_happens_with_updates(self) -> None:
        """Installing whatever a package will be tomorrow needs a proof of presence."""
        self.install()
        night = {"updates": "night"}
        self.assertEqual(self.refusal("PUT", "/toy/settings", night, who="owner"), (403, "step_up_required"))
        for choice, pin, at_night in (("night", False, True), ("pin", True, False), ("tell", False, False)):
            answer = self.call("PUT", "/toy/settings", {"updates": choice})
            record = self.files.directory.records.get("toy")
            self.assertEqual((answer.json()["updates"], record.pin, record.night), (choice, pin, at_night))
        self.assertEqual(self.call("PUT", "/toy/settings", {"updates": "pin"}, who="owner").status, 200)
        self.assertEqual(self.supervisor.calls, [])

    def test_the_environment_is_never_shown(self) -> None:
        self.install()
        self.assertEqual(
            self.refusal("PUT", "/toy/settings", {"env": {"KEY": "hush"}}, who="owner"), (403, "step_up_required")
        )
        self.call("PUT", "/toy/settings", {"env": {"KEY": "hush", "OTHER": "1"}})
        answer = self.call("PUT", "/toy/settings", {"env": {"OTHER": None}})
        self.assertEqual(answer.json()["env"], ["KEY"])
        self.assertNotIn(b"hush", answer.body + self.call("GET", "/toy/settings").body + self.call("GET", "").body)
        self.assertEqual(self.files.directory.records.get("toy").env, {"KEY": "hush"})

    def test_refusals(self) -> None:
        self.install()
        for body in (
            {"pin": 1},
            {"updates": "always"},
            {"memory_limit": 5},
            {"memory_limit": True},
            {"env": {"A=B": "x"}},
            {"env": {"A": 1}},
            {"env": 1},
            {"port": 0},
            {"port": None},
            {"exposure": "everybody"},
        ):
            self.assertEqual(self.refusal("PUT", "/toy/settings", body), (400, "invalid_request"), body)

    def test_a_port_and_who_may_reach_it(self) -> None:
        self.install()
        self.files.directory.records.change("vault", row="parachute-vault", port=1940)
        row = {"name": "parachute-vault", "port": 1940, "paths": [], "health": "/", "version": "1"}
        content = json.loads((self.home / "services.json").read_text())
        content["services"].append(row)
        write(self.home, {"services.json": json.dumps(content)})
        self.assertEqual(self.refusal("PUT", "/toy/settings", {"port": 1940}), (409, "port_taken"))
        self.assertEqual(
            self.refusal("PUT", "/toy/settings", {"exposure": "loopback"}, who="owner"), (403, "step_up_required")
        )
        answer = self.call("PUT", "/toy/settings", {"port": 2712, "exposure": "loopback"}).json()
        self.assertEqual((answer["port"], answer["exposure"]), (2712, "loopback"))
        written = {row.name: row.port for row in self.files.directory.services.read().rows}
        self.assertEqual(written["toys-toy"], 2712, "some modules read theirs there")


class Adopting(ApiCase):
    def test_what_somebody_wrote_into_services_json_runs_only_by_the_owners_word(self) -> None:
        folder = write(self.home.resolve() / "elsewhere", package("@own/own", manifestName="own"))
        row = {"name": "own", "port": 2800, "paths": ["/own"], "health": "/", "version": "1"}
        write(self.home, {"services.json": json.dumps({"services": [{**row, "installDir": str(folder)}]})})
        found = self.module("own")
        self.assertEqual(found["found"], {"package": "@own/own", "folder": str(folder)})
        self.assertEqual((found["installed"], self.files.to_start()), (False, ()))
        self.assertEqual(self.refusal("POST", "/own/start"), (400, "not_installed"))
        self.assertEqual(self.refusal("POST", "/own/adopt", who="owner"), (403, "step_up_required"))
        self.assertEqual(self.files.to_start(), ())
        self.assertEqual(self.call("POST", "/own/adopt").status, 200)
        self.assertEqual((self.supervisor.calls, self.files.to_start()), ([("start", "own")], ("own",)))
        self.assertEqual(self.heard.acts, [("module-adopt", "own")])
        self.assertEqual(self.refusal("POST", "/own/adopt"), (409, "not_adoptable"))


class Configurations(ApiCase):
    def test_through_the_module_itself(self) -> None:
        self.install()
        answer = self.call("GET", "/toy/config").json()
        self.assertEqual((answer["values"], answer["writable"]), ({"volume": 3}, True))
        self.assertEqual(
            self.server.asked,
            [
                ("GET", "/toy/.parachute/config/schema", "Bearer admin-of-toy-None"),
                ("GET", "/toy/.parachute/config", "Bearer admin-of-toy-None"),
            ],
        )
        self.assertEqual(self.refusal("PUT", "/toy/config", {"volume": 5}, who="owner"), (403, "step_up_required"))
        self.assertEqual(self.call("PUT", "/toy/config", {"volume": 5}).json()["values"]["volume"], 5)
        answer_bad = self.call("PUT", "/toy/config", {"volume": 11})
        self.assertEqual((answer_bad.status, answer_bad.json()["errors"][0]["path"]), (400, "volume"))
        self.assertEqual(self.heard.acts, [("module-config", "toy")])

    def test_a_module_tries_its_settings_and_says_what_is_wrong(self) -> None:
        """Only what a person can read comes back, and nothing is asked of a module without a test."""
        self.install()
        self.assertEqual(self.refusal("POST", "/toy/config/test", {}), (404, "no_test"))
        for told, ok, message in (
            ({"ok": True, "message": "Fine."}, True, "Fine."),
            ({"ok": False, "message": "Wrong key."}, False, "Wrong key."),
            ({"ok": "yes", "message": 5, "key": "hush"}, False, "It does not work."),
            ({"ok": True}, True, "It works."),
            ({"ok": False, "message": "x" * 501}, False, "x" * 500),
        ):
            self.server.tells = told
            self.assertEqual(self.call("POST", "/toy/config/test", {}).json(), {"ok": ok, "message": message})
        self.assertEqual(self.heard.acts, [("module-config-tested", "toy")] * 5)
        self.assertEqual(self.server.asked[-1][0::2], ("POST", "Bearer admin-of-toy-None"))

    def test_a_module_that_offers_it_at_its_root_alone(self) -> None:
        self.install()
        self.server.place = "/.parachute/"
        self.assertEqual(self.call("GET", "/toy/config").json()["values"], {"volume": 3})
        self.assertEqual(self.call("PUT", "/toy/config", {"volume": 5}).json()["values"]["volume"], 5)
        self.server.place = "/nowhere"
        self.assertEqual(self.refusal("GET", "/toy/config"), (404, "no_configuration"))

    def test_what_is_not_changed_stays_in_a_module_that_takes_whole_forms(self) -> None:
        """Its values are sent back, except secrets, read-only values and unknown ones."""
        self.install()
        self.server.values |= {"balance": 2, "max_tokens": 9, "api_token": "***", "hidden_set": True}
        answer = self.call("PUT", "/toy/config", {"volume": 5, "hidden": "new"})
        self.assertEqual(self.server.forms, [{"volume": 5, "balance": 2, "max_tokens": 9, "hidden": "new"}])
        self.assertNotIn(b"new", answer.body)
        self.call("PUT", "/toy/config", {"volume": None})
        self.assertEqual(self.server.forms[1], {"balance": 2, "max_tokens": 9})

    def test_a_mount_that_is_stripped(self) -> None:
        self.install(stripPrefix=True)
        self.call("GET", "/toy/config")
        self.assertEqual(self.server.asked[0][1], "/.parachute/config/schema")

    def test_from_the_manifests_schema(self) -> None:
        schema = {
            "type": "object",
            "properties": {
                "LEVEL": {"type": "integer", "default": 1},
                "MODE": {"type": "string", "enum": ["a", "b"]},
                "API_KEY": {"type": "string"},
            },
            "required": ["MODE"],
        }
        self.install(configSchema=schema)
        write(self.home / "toy", {".env": "UNKNOWN=stays\nMODE=a\n"})
        answer = self.call("GET", "/toy/config").json()
        self.assertEqual(answer, {"schema": schema, "values": {"LEVEL": 1, "MODE": "a"}, "writable": True})
        answer = self.call("PUT", "/toy/config", {"LEVEL": 7, "API_KEY": "hush"})
        self.assertEqual(answer.json()["values"], {"LEVEL": 7, "MODE": "a"})
        self.assertNotIn(b"hush", answer.body)
        self.assertEqual((self.home / "toy" / ".env").read_text(), "UNKNOWN=stays\nMODE=a\nLEVEL=7\nAPI_KEY=hush\n")
        self.assertEqual(self.supervisor.calls, [("restart", "toy")])
        for body in ({"LEVEL": "x"}, {"MODE": "c"}, {"MODE": None}, {"OTHER": 1}, {"API_KEY": "two\nlines"}):
            self.assertEqual(self.refusal("PUT", "/toy/config", body), (400, "validation_failed"), body)

    def test_what_cannot_be_stored_is_refused(self) -> None:
        self.install(configSchema={"type": "object", "properties": {"LEVEL": {"type": "integer"}}})
        os.symlink("nowhere", self.home / "toy")
        self.supervisor.calls.clear()
        self.assertEqual(self.refusal("PUT", "/toy/config", {"LEVEL": 7}), (503, "not_saved"))
        self.assertEqual(self.supervisor.calls, [])

    def test_a_module_that_is_not_installed_has_no_configuration(self) -> None:
        self.assertEqual(self.refusal("GET", "/toy/config"), (400, "not_installed"))


class DiskSpace(ApiCase):
    def test_owners_and_clearing(self) -> None:
        self.install()
        write(self.home / "toy", {"note": "x" * 100_000})
        write(self.home / "modules" / "install" / "cache", {"big": "x" * 500_000})
        answer = self.call("GET", "/disk").json()
        owners = {(owner["name"], owner["kind"]): owner["bytes"] for owner in answer["owners"]}
        self.assertGreaterEqual(owners["toy", "data"], 100_000)
        self.assertGreaterEqual(owners["bun", "cache"], 500_000)
        self.assertGreater(answer["total"], answer["free"])
        self.assertEqual(self.call("POST", "/disk/clear").status, 200)
        self.assertFalse((self.home / "modules" / "install" / "cache").exists())
        self.assertEqual(self.heard.acts, [("disk-cleared", "")])
        self.assertTrue(self.module("toy")["install_dir"])


class Everything(ApiCase):
    def test_the_first_vault_is_named_as_in_the_wizard(self) -> None:
        """The same rule applies to both."""
        for name in ("-x", "x", "new", "Mine", 7):
            answer = self.refusal("POST", "/vault/install", {"first_vault": name})
            self.assertEqual(answer, (400, "invalid_vault"), name)
        self.assertEqual(self.call("POST", "/vault/install", {"first_vault": "my_2nd"}).status, 202)

    def test_an_installation_by_package_may_name_its_channel(self) -> None:
        """Like an installation by short name: `parachute install @toys/toy --channel rc`."""
        answer = self.call("POST", "/install", {"package": "@toys/toy", "channel": "rc"})
        self.assertEqual(self.modules.jobs.get(answer.json()["operation_id"]).params["version"], "rc")
        wrong = {"package": "@toys/toy", "channel": "nightly"}
        self.assertEqual(self.refusal("POST", "/install", wrong), (400, "invalid_channel"))

    def test_a_command_of_the_package_needs_a_person(self) -> None:
        """Consent to it is a proof of presence; a decision against it is none."""
        for path, body in (("/install", {"package": "@toys/toy"}), ("/toy/install", {})):
            self.assertEqual(self.refusal("POST", path, {**body, "init": "yes"}), (400, "invalid_request"), path)
            told = self.call("POST", path, {**body, "init": True}, who="owner")
            self.assertEqual((told.status, self.proofs.asked[-1]), (403, "install:@toys/toy"), path)
        answer = self.call("POST", "/toy/install", {"init": False, "allow_new": True, "without_optional": True})
        params = self.modules.jobs.get(answer.json()["operation_id"]).params
        self.assertEqual([params[name] for name in ("init", "allow_new", "without_optional")], [False, True, True])

    def test_upgrade_all_leaves_strangers_out(self) -> None:
        self.install()
        answer = self.call("POST", "/upgrade-all").json()
        self.assertEqual([begun["short"] for begun in answer["operations"]], ["toy"])
        self.files.directory.records.change("toy", package="@stranger/toy")
        self.assertFalse(self.module("toy")["first_party"])
        answer = self.call("POST", "/upgrade-all").json()
        self.assertEqual((answer["operations"], answer["passed_over"]), ([], ["toy"]))

    def test_upgrade_all_leaves_busy_ones_out(self) -> None:
        self.install()
        self.busy("toy")
        answer = self.call("POST", "/upgrade-all").json()
        self.assertEqual((answer["operations"], answer["passed_over"]), ([], ["toy"]))
