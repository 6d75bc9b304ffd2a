"""Every word of the command against one live hub: exit codes, the documented JSON, and the routes that it reaches."""

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.main import main
from parachute_hub.site.route_table import ROWS
from tests.cli.routes import word_of
from tests.live.far_rig import FarServer, certificate, public_part
from tests.live.harness import fetch, hub, packed_examples, registry
from tests.support import json_shapes, ways
from tools import command_docs

ELSEWHERE = {
    "serve": "tests/live/test_command.py",
    "migrate": "tests/live/test_migrate.py",
    **dict.fromkeys(("login", "logout", "hubs"), "tests/live/test_remote_command.py"),
    **dict.fromkeys(("module dev", "module test", "module kit"), "tests/live/test_module_dev.py"),
    **dict.fromkeys(("link pair", "link move", "link renew"), "tests/live/test_links_paired.py"),
    "module host": "tests/live/test_module_host.py",
    "update": "tests/cli/test_update.py",
    "service install": "tests/cli/test_service.py",
    "service uninstall": "tests/cli/test_service.py",
}
# Words that print no JSON, or a line for each entry.
NOT_ONE_VALUE = {"logs", "completion"}


class Listener(BaseHTTPRequestHandler):
    """Receives notices."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class CommandWords(SynchronousTestCase):
    def setUp(self) -> None:
        catalog = packed_examples()
        programs = ways.install(Path(self.mktemp()).absolute(), "tailscale")
        environment = {"BUN_CONFIG_REGISTRY": registry(self), "PATH": f"{programs}:{os.environ['PATH']}"}
        self.hub = hub(self, catalog=catalog, environment=environment).start()
        self.here = Path(self.mktemp()).absolute()
        self.here.mkdir(parents=True)
        self.requests: list[tuple[str, str, str]] = []
        self.values: dict[str, list[Any]] = {}
        self.word = ""
        ask = HTTPConnection.request

        def asked(connection: Any, method: str, url: str, *arguments: Any, **named: Any) -> None:
            self.requests.append((self.word, method, url.partition("?")[0]))
            ask(connection, method, url, *arguments, **named)

        self.patch(HTTPConnection, "request", asked)

    def say(self, name: str, *rest: object, code: int = 0) -> Any:
        """Run a word with --json. Its exit code is as expected, and what it prints is JSON."""
        self.word = name
        words = [*name.split(), *map(str, rest), "--home", str(self.hub.home), "--json"]
        out, errors = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(errors):
            ended = main(words)
        self.assertEqual(ended, code, f"{words}: {out.getvalue()} {errors.getvalue()}")
        if name in NOT_ONE_VALUE:
            self.values.setdefault(name, [])
            return out.getvalue()
        value = json.loads(out.getvalue())
        if "error" in value and code:
            self.assertEqual(value["code"], code)
            self.assertIn(value["error"], errors.getvalue())
            self.values.setdefault(name, [])
        else:
            self.values.setdefault(name, []).append(value)
        return value

    def test_every_word(self) -> None:
        self.modules()
        self.people()
        self.settings()
        self.notices()
        self.backups()
        self.files()
        self.ends()
        run = set(self.values)
        self.assertEqual({word.name for word in command_docs.words()} - run, set(ELSEWHERE))
        self.assertEqual([*self.routes_missed(run)], [])
        documented = command_docs.shapes(command_docs.PAGE.read_text())
        wrong = [*self.shapes_missed(documented)]
        observed = self.here / "shapes.json"
        observed.write_text(json.dumps(self.observed()))
        self.assertEqual(wrong, [], f"python -m tools.command_docs {observed}")

    def modules(self) -> None:
        self.say("install", "hello")
        self.say("install", "vault")
        for word in ("stop", "start", "restart"):
            self.say(word, "hello")
        self.say("status")
        self.say("upgrade", "--all")
        self.say("updates", "hello", "tell")
        kept = self.say("config", "vault")["values"]
        name = next(iter(kept))
        self.say("config", "vault", f"{name}={json.dumps(kept[name])}", code=1)  # it takes none
        for word in ("rollback", "cancel", "restore-data", "adopt"):
            self.say(word, "hello", *(("--yes",) if word == "restore-data" else ()), code=1)
        self.assertIn("hello", self.say("logs", "hello", "-n", 1))
        self.say("logs", "--keep", 10)
        self.say("settings module", "hello")
        self.say("settings module", "hello", "autostart=true")
        self.say("settings limits", "hello")
        self.say("settings limits", "scribe")  # on offer, so without a process
        self.say("settings limits", "hello", "--memory", 64, "--cpu", "none")
        self.say("settings limits", "hello", "--memory", 1, code=1)
        far = FarServer(certificate(self.here, "far", "127.0.0.1")).start(self)
        (self.here / "ca.pem").write_text(public_part(far.pem))
        where = ("hello", f"https://127.0.0.1:{far.port}", "--ca", self.here / "ca.pem")
        self.say("link set", *where, code=1)  # in a private network, which has to be said
        self.say("link set", *where, "--private")
        self.say("link")
        self.say("link end", "hello", "--yes")

    def people(self) -> None:
        self.say("vaults new", "family")
        self.say("vaults list")
        self.say("vaults remove", "family", "--yes")
        self.say("vaults keep", "family")
        self.say("space limit-vault", "family", "500M")
        self.say("space clear", "downloads")
        self.say("space clear", "copies", "--yes")
        self.say("space empty-trash", "family", "--yes")
        self.say("people add", "ada", "--vault", "family=read")
        self.say("people add", "grace")
        self.say("space limit-person", "ada", "2G")
        self.say("space")
        self.say("people role", "grace", "owner")
        self.say("people role", "grace", "member")
        self.say("people reset", "ada", "--yes")
        self.say("people second-factor-off", "ada", "--yes")
        self.say("vaults share", "family", "ada")
        self.say("vaults hand-over", "family", "ada", "grace", "--yes")
        users = {one["username"]: one["vaults"] for one in self.say("people list")["users"]}
        self.assertEqual((users["ada"], users["grace"]), ({}, {"family": "write"}))
        self.say("vaults end-share", "family", "grace")
        self.say("vaults share", "family", "ada", "--read")
        self.say("people remove", "ada", "--give-to", "grace", "--yes")
        [left] = [one for one in self.say("people list")["users"] if one["username"] == "grace"]
        self.assertEqual(left["vaults"], {"family": "read"})
        self.say("people remove", "ada", "--yes", code=1)
        url = self.say("people invite", "--name", "Linus")["url"]
        self.say("invitations new", "--name", "Edsger", "--vault", "family=read", "--uses", 2)
        self.say("invitations list")
        self.assertEqual(self.say("invitations show", "Linus")["url"], url)
        self.say("invitations revoke", "Linus", "--yes")
        jti = self.say("tokens new", "vault:family:read", "--days", 1, "--name", "clock")["jti"]
        self.say("tokens revoke", jti[:8], "--yes")
        self.say("tokens list")
        self.say("tokens renew-operator")
        self.say("tokens renew-key", "--yes")
        app = {"redirect_uris": ["https://app.test/callback"], "client_name": "Clock"}
        self.assertEqual(fetch(f"{self.hub.url}/oauth/register", method="POST", body=app).status, 201)
        self.say("apps approve", "Clock")
        self.say("apps list")
        self.say("apps revoke", "Clock", "--yes")

    def settings(self) -> None:
        self.say("address check")
        self.assertEqual(self.say("address plan", "https://hub.test")["passkeys"], [])
        self.say("address set", "https://hub.test", "--yes")
        self.assertEqual(self.say("address show")["resolved_issuer"], "https://hub.test")
        self.say("address reset", "--yes")
        self.say("expose")
        self.say("expose list")
        self.say("expose start", "tailscale-serve", "--yes")
        self.say("expose status", code=1)  # nothing leads to its address
        self.say("expose undo", "--yes")
        self.say("settings channel", "latest")
        self.say("settings show")
        self.say("settings disk")
        self.say("settings clear-disk", "--yes")
        self.say("problems list")
        (self.hub.home / "operator.token").chmod(0o644)
        problem = self.say("problems look")["problems"][0]["key"]
        self.say("problems fix", problem, code=1)
        self.say("problems dismiss", problem)
        self.say("problems restore", problem)
        self.say("doctor", "--fix")
        self.say("audit list", "--by", "operator", "--since", "1h")
        self.say("audit export", self.here / "audit.csv")

    def notices(self) -> None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.say("notices add", "webhook", f"http://127.0.0.1:{server.server_port}/", "--private")
        self.say("notices test", 1)
        self.say("notices level", "error")
        self.say("notices quiet", "22:00-07:00", "--zone", "Europe/Berlin")
        self.say("notices list")
        self.say("notices remove", 1, "--yes")

    def backups(self) -> None:
        identity = self.say("backup sheet")["identity"]
        key = self.here / "key.txt"
        key.write_text(identity)
        self.say("backup sheet", "--confirm", identity[-4:])
        (self.here / "disk").mkdir()
        self.say("backup destination", "add-folder", self.here / "disk")
        self.say("backup destination", "test", 1)
        self.say("backup schedule", "--hour", 3)
        self.say("backup now")
        self.say("backup verify")
        self.say("backup list")
        self.say("backup download", self.here / "backup.tar.zst.age")
        rest = ("--vault", "family", "--as", "copy", "--key-file", key, "--yes")
        self.say("backup restore", self.here / "backup.tar.zst.age", *rest)
        self.say("backup sheet", "--only", "--yes")
        self.say("backup destination", "remove", 1, "--yes")

    def files(self) -> None:
        self.say("export", self.here / "notes", "--vault", "family")
        (self.here / "notes" / "one.md").write_text("# One\n")
        self.say("import", self.here / "notes", "--vault", "family")
        self.say("module new", "clock", "--folder", self.here / "clock")
        self.say("module check", self.here / "clock")
        self.assertIn("parachute", self.say("completion", "bash"))
        self.say("service status", code=1)

    def ends(self) -> None:
        self.say("restart", "hub")
        self.say("uninstall", "hello", "--yes")
        self.say("delete-data", "hello", "--yes")
        self.say("auth reset-owner")
        self.say("lock", "--yes")
        self.say("status")

    def routes_missed(self, run: set[str]) -> Iterator[str]:
        """Routes that tests/cli/routes.py says a word reaches, which it did not."""
        for row in ROWS:
            word = word_of(f"{row.method} {row.rule}")
            rule = re.compile(re.sub(r"<path:[^>]+>", ".+", re.sub(r"<(?!path:)[^>]+>", "[^/]+", row.rule)))
            reached = any(
                name == word and method == row.method and rule.fullmatch(url) for name, method, url in self.requests
            )
            if word in run and not reached and row.rule not in NOT_HERE:
                yield f"{word} did not reach {row.method} {row.rule}"

    def shapes_missed(self, documented: dict[str, Any]) -> Iterator[str]:
        for name, values in self.values.items():
            for value in values:
                if name not in documented:
                    yield f"docs/command.md has no shape for {name}"
                else:
                    yield from json_shapes.unlike(value, documented[name], name)

    def observed(self) -> dict[str, Any]:
        return {
            name: json_shapes.opened(json_shapes.merged([json_shapes.shape(value) for value in values]))
            for name, values in self.values.items()
            if values
        }


# Reached in other tests: what needs a package registry, a full restore, a problem to fix, or a hub that is restarted.
NOT_HERE = {
    "/api/hub/restart",
    "/api/modules/install",
    "/api/modules/<short>/upgrade",
    "/api/modules/<short>/heal-port",
    "/api/modules/<short>/config/test",
    "/api/modules/operations/<job_id>/cancel",
    "/admin/setup/restore/<restore_id>",
}
