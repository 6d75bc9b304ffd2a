"""Ten things that go wrong on one hub: Home, Activity, `parachute doctor`, the API and a notice tell each alike."""

import contextlib
import json
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from attrs import define, field, frozen
from playwright.sync_api import Locator, expect
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import HubRefused
from tests.browser.admin_app import built
from tests.browser.browser import chromium, window
from tests.live.harness import OWNER, HubProcess, fetch, hub, packed_examples
from tests.live.modules_rig import module
from tests.live.notice_rig import Services, services
from tests.live.ports import free_port
from tests.live.test_command import run
from tests.modules.homes import write
from tests.requirements import program, requires

NAME = OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"]
PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
# Ends as soon as it is started while there is a file `exits` beside it.
SERVER = """
if (await Bun.file(`${import.meta.dir}/exits`).exists()) process.exit(3)
Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.PORT), fetch: () => new Response("fine") })
"""


@define
class Registry:
    """A package registry that has nothing, on a port that stays the same when it is gone for a while."""

    port: int = field(factory=free_port)
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        class Nothing(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_error(404)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Nothing)
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


@frozen
class Incident:
    """`key` begins the problem's; `begin` lets it happen, `end` does what its text advises."""

    key: str
    begin: Callable[[], object]
    end: Callable[[], object]


@define
class World:
    """A hub with modules that go wrong on demand."""

    hub: HubProcess
    registry: Registry
    disk: Path
    place: str = ""
    client: str = ""
    stranger: socket.socket | None = None

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return self.hub.client.call(method, path, body)

    def prepare(self) -> None:
        """Modules, and backups to a folder."""
        self.hub.install("hello")
        for short in ("faulty", "neighbour"):
            folder = write(self.folder(short), module(short, server=SERVER, port=free_port()))
            self.hub.install(short, source=str(folder))
        identity = self.call("POST", "/api/backups/key")["identity"]
        self.call("POST", "/api/backups/key/confirm", {"characters": identity[-4:]})
        self.disk.mkdir()
        self.place = self.call("POST", "/api/backups/places", {"kind": "folder", "path": str(self.disk)})["id"]
        # It may have looked while there was a key and no place.
        self.call("POST", "/api/problems/look", {})

    def folder(self, short: str) -> Path:
        return self.hub.home.with_name(short)

    def incidents(self) -> tuple[Incident, ...]:
        """In the order in which they happen, and end."""
        operator, database = self.hub.home / "operator.token", self.hub.home / "parachute.db"
        aside = self.hub.home.with_name("aside.db")
        broken = {"displayName": "Board", "path": "/hello/board", "status": "failing"}
        return (
            Incident("open-file:operator.token", lambda: operator.chmod(0o644), lambda: operator.chmod(0o600)),
            Incident("module-settings:scribe", lambda: self.hub.install("scribe"), self.key_entered),
            Incident("apps-waiting", self.app_asks, self.app_removed),
            Incident("backup-failed", self.disk_gone, self.disk_back),
            Incident(
                "module-part:hello:board",
                lambda: self.row("hello", uis={"board": broken}),
                lambda: self.row("hello", uis={"board": {**broken, "status": "active"}}),
            ),
            Incident(
                "withdrawn:hello",
                lambda: self.row("hello", version="0.0.1"),
                lambda: self.row("hello", version="0.1.0"),
            ),
            Incident("registry", self.registry.stop, self.registry.start),
            Incident("module-port:neighbour", self.port_taken, self.port_free),
            Incident("module-state:faulty", lambda: self.state("faulty", "parked"), self.well_again),
            Incident("database", lambda: database.rename(aside), lambda: aside.rename(database)),
        )

    def row(self, short: str, **fields: Any) -> None:
        """Change what a module writes of itself."""
        path = self.hub.home / "services.json"
        content = json.loads(path.read_text())
        next(row for row in content["services"] if short in row["name"]).update(fields)
        path.write_text(json.dumps(content))

    def key_entered(self) -> None:
        """Nobody has to ask the hub to look again."""
        self.call("PUT", "/api/modules/scribe/config", {"openai_key": "sk-of-nobody"})
        self.hub.wait_for(lambda: "module-settings:scribe" not in self.keys(), "the hub to see the key")

    def keys(self) -> list[str]:
        return [problem["key"] for problem in self.call("GET", "/api/problems")["problems"]]

    def app_asks(self) -> None:
        app = {"client_name": "Diary", "redirect_uris": ["https://diary.example/back"]}
        self.client = fetch(f"{self.hub.url}/oauth/register", method="POST", body=app).json()["client_id"]

    def app_removed(self) -> None:
        self.call("DELETE", f"/oauth/clients/{self.client}")

    def backup(self) -> None:
        begun = self.call("POST", f"/api/backups/places/{self.place}/run")
        done = f"/api/modules/operations/{begun['operation_id']}"
        self.hub.wait_for(lambda: self.call("GET", done)["status"] != "running", "the backup to end")

    def disk_gone(self) -> None:
        self.disk.rmdir()
        self.backup()

    def disk_back(self) -> None:
        self.disk.mkdir()
        self.backup()

    def port_taken(self) -> None:
        port = self.hub.module("neighbour")["port"]
        self.call("POST", "/api/modules/neighbour/stop", {})
        self.stranger = socket.socket()
        self.stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.stranger.bind(("127.0.0.1", port))
        self.stranger.listen()
        with contextlib.suppress(HubRefused):
            self.call("POST", "/api/modules/neighbour/start", {})
        self.state("neighbour", "held")

    def port_free(self) -> None:
        assert self.stranger is not None
        self.stranger.close()
        # The hub may have looked a moment before; it then looks again by itself.
        with contextlib.suppress(HubRefused):
            self.call("POST", "/api/modules/neighbour/start", {})
        self.state("neighbour", "ready")

    def begin_to_crash(self) -> None:
        """It takes seconds until the hub gives up, in which the others happen."""
        (self.folder("faulty") / "exits").touch()
        self.call("POST", "/api/modules/faulty/restart", {})

    def well_again(self) -> None:
        (self.folder("faulty") / "exits").unlink()
        self.call("POST", "/api/modules/faulty/start", {})
        self.state("faulty", "ready")

    def state(self, short: str, state: str) -> None:
        self.hub.wait_for(lambda: self.hub.module(short)["state"] == state, f"{short} to be {state}")


@requires(program("chromium"))
class IncidentTests(SynchronousTestCase):
    def setUp(self) -> None:
        built()
        self.services: Services = services(self)
        registry = Registry()
        registry.start()
        self.addCleanup(registry.stop)
        home = Path(self.mktemp()).absolute()
        told = packed_examples()
        content = json.loads(told.read_text())
        for entry in content["modules"]:
            entry["source"] = str(told.parent / entry["source"])
            entry["withdrawn"] = {"0.0.1": "It loses notes."}
        home.mkdir(parents=True)
        catalog = home / "catalog.json"
        catalog.write_text(json.dumps(content))
        environment = {"BUN_CONFIG_REGISTRY": f"http://127.0.0.1:{registry.port}"}
        self.hub: HubProcess = hub(self, catalog=catalog, environment=environment).start()
        self.world = World(self.hub, registry, home / "disk")
        self.world.prepare()
        body = {"kind": "webhook", "url": self.services.url("/hook"), "private": True}
        self.hub.client.call("POST", "/api/notices/destinations", body)
        self.hub.client.call("PUT", "/api/notices/settings", {"least": "info"})
        stack = ExitStack()
        self.addCleanup(stack.close)
        context, self.home = stack.enter_context(window(stack.enter_context(chromium())))
        self.home.goto(f"{self.hub.url}/admin")
        self.home.get_by_label("Username").fill(NAME)
        self.home.get_by_label("Password").fill(PASSWORD)
        self.home.keyboard.press("Enter")
        expect(self.home.get_by_role("heading", name="All is well")).to_be_visible(timeout=20_000)
        self.activity = context.new_page()

    def look(self, key: str) -> dict[str, Any] | None:
        """The problem whose key begins so, as the API tells it after the hub has looked."""
        problems: list[dict[str, Any]] = []

        def same() -> bool:
            # Another check, or a module that crashes, may come in between.
            problems[:] = self.hub.client.call("POST", "/api/problems/look", {})["problems"]
            return bool(self.hub.client.call("GET", "/api/problems")["problems"] == problems)

        self.hub.wait_for(same, "the hub to tell what it has found")
        return next((one for one in problems if one["key"].startswith(key)), None)

    def test_each_is_told_alike_everywhere_and_ends(self) -> None:
        incidents = self.world.incidents()
        self.assertEqual(len(incidents), 10)
        self.world.begin_to_crash()
        told = [self.happens(one) for one in incidents]
        printed = " ".join(run(self.hub.home, "doctor").stdout.split())
        self.activity.goto(f"{self.hub.url}/admin/activity")
        for problem in told:
            self.assertIn(f"{problem['title']} {problem['text']}", printed)
            # While backups were set up, the hub may have found for a moment that they do not work yet.
            expect(self.entry(problem["title"]).first).to_contain_text(problem["text"])
        self.notices("problem", told)
        for one, problem in zip(incidents, told, strict=True):
            self.ends(one, problem["title"])
        expect(self.home.get_by_role("heading", name="All is well")).to_be_visible()
        self.assertIn("Nothing is wrong.", run(self.hub.home, "doctor").stdout)
        self.notices("resolved", told)
        self.activity.goto(f"{self.hub.url}/admin/activity")
        for problem in told:
            expect(self.entry(problem["title"]).first).to_contain_text("The hub sees that this is over:")

        self.only_days()

    def only_days(self) -> None:
        """Activity of some days."""
        page, today = self.activity, datetime.now().astimezone()
        # Two days, because midnight may be in between.
        for label, days, shown in (("From", 2, False), ("From", -2, True), ("To", -2, False), ("To", 2, True)):
            page.get_by_label(label, exact=True).fill((today + timedelta(days=days)).strftime("%Y-%m-%d"))
            expect(page.get_by_text("Nothing matches")).to_have_count(0 if shown else 1)
        expect(page.locator("li.list-row").first).to_be_visible()

    def entry(self, title: str) -> Locator:
        """What Activity shows of a problem, newest first."""
        return self.activity.locator("li.list-row").filter(has=self.activity.get_by_text(title, exact=True))

    def row(self, title: str) -> Locator:
        """What Home shows of it."""
        return self.home.locator("li.list-row").filter(has=self.home.get_by_text(title, exact=True))

    def happens(self, one: Incident) -> dict[str, Any]:
        """The problem, which Home shows too."""
        one.begin()
        # The registry must fail twice, and a check may have begun to look before.
        self.hub.wait_for(lambda: self.look(one.key), f"the problem {one.key}")
        problem = self.look(one.key)
        assert problem is not None
        expect(self.row(problem["title"])).to_contain_text(problem["text"])
        expect(self.home.locator(".now.good")).to_have_count(0)
        return problem

    def ends(self, one: Incident, title: str) -> None:
        """Gone from the API and from Home."""
        one.end()
        self.hub.wait_for(lambda: self.look(one.key) is None, f"the end of {one.key}")
        expect(self.row(title)).to_have_count(0)

    def notices(self, event: str, told: Iterable[Mapping[str, Any]]) -> None:
        """One arrived for each, with its headline."""
        begin = "Resolved: " if event == "resolved" else ""
        expected = {one["key"]: [f"{begin}{one['title']}"] for one in told}

        def arrived() -> dict[str, list[str]]:
            bodies = [one for one in self.services.bodies("/hook") if one["event"] == event]
            return {key: [one["title"] for one in bodies if one["key"] == key] for key in expected}

        self.hub.wait_for(lambda: all(arrived().values()), f"{event} of {[*expected]}")
        self.assertEqual(arrived(), expected)
