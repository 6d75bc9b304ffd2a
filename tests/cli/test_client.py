import io
import json
import os
import threading
import time
from argparse import Namespace
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli import client as client_module
from parachute_hub.cli.client import CommandError, HubClient, HubDown, HubRefused, module_path
from parachute_hub.cli.commands import config, install, switch, upgrade
from parachute_hub.cli.doctor import described, examine, repair
from parachute_hub.cli.logs import logs
from parachute_hub.cli.main import main
from parachute_hub.cli.parser import parser
from parachute_hub.cli.progress import ProgressPrinter, follow
from parachute_hub.problems.model import Fix, Problem, Standing, click, link
from parachute_hub.system.home import Home


class Hub(BaseHTTPRequestHandler):
    """Scripted responses; records requests."""

    script: list[tuple[int, Any]] = []
    asked: list[tuple[str, str, str | None]] = []
    sent: list[bytes] = []

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path, self.headers.get("Authorization")))
        self.sent.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        status, body = self.script.pop(0)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_POST = do_PUT = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


class ClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        Home(self.home).prepare()

    def serve(self, *script: tuple[int, Any], handling: type[Hub] = Hub) -> HubClient:
        handler: Any = type("Scripted", (handling,), {"script": list(script), "asked": [], "sent": []})
        server = HTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def end() -> None:
            server.shutdown()
            thread.join()
            server.server_close()

        self.addCleanup(end)
        self.handler = handler
        Home(self.home).announce("nonce", server.server_address[1], "now")
        (self.home / "operator.token").write_text("the-token\n")
        return HubClient(self.home)

    def test_without_a_hub_the_person_is_told_how_to_start_one(self) -> None:
        """With exit code 3."""
        with self.assertRaises(HubDown) as caught:
            HubClient(self.home).call("GET", "/health")
        self.assertIn("parachute serve", str(caught.exception))
        self.assertEqual(caught.exception.code, 3)

    def test_a_hub_that_starts_is_not_called_stopped(self) -> None:
        """By status, doctor and the log; with exit code 3, so that a script can wait."""
        up = {"instance": "nonce", "phase": "starting"}
        for words, seen in (
            (["status"], "The hub is starting. Try again in a moment."),
            (["status", "--json"], '"phase": "starting"'),
            (["doctor"], "The hub is not up"),
            (["logs", "hub", "-f"], "The hub is starting"),
        ):
            self.serve((200, up))
            said, wrong = io.StringIO(), io.StringIO()
            with redirect_stdout(said), redirect_stderr(wrong):
                code = main([*words, "--home", str(self.home)])
            self.assertIn(seen, said.getvalue() + wrong.getvalue(), words)
            self.assertNotIn("not running", said.getvalue() + wrong.getvalue(), words)
            self.assertEqual(code, 1 if words == ["doctor"] else 3, words)

    def test_who_may_not_look_into_the_home_is_told_so(self) -> None:
        """Not "no hub is running", and never a traceback."""

        def refuse(self: Path) -> bool:
            raise PermissionError(13, "Permission denied", str(self))

        self.patch(os, "access", lambda path, mode: False)
        self.patch(Path, "is_dir", refuse)
        said = io.StringIO()
        with redirect_stderr(said):
            codes = [main(words) for words in (["status", "--home", str(self.home)], ["module", "check", "toy"])]
        self.assertEqual(codes, [1, 1])
        theirs = f"parachute: {self.home.absolute()} belongs to another user. Run this as the hub's own user."
        toy = "parachute: toy: Permission denied. Run this as the user it belongs to, or choose another place."
        self.assertEqual(said.getvalue().splitlines(), [theirs, toy])

    def test_a_wrong_setting_is_said_in_a_line(self) -> None:
        """Without the options of the program that the command becomes."""
        for option, value in (("--listen", "abc"), ("--listen", "99999"), ("--origin", "hub")):
            said = io.StringIO()
            with redirect_stderr(said):
                self.assertEqual(main(["serve", "--home", str(self.home), option, value]), 2, value)
            self.assertEqual(len(said.getvalue().splitlines()), 1, said.getvalue())
            self.assertIn(f"parachute: {option}", said.getvalue())

    def test_the_operator_token_goes_along(self) -> None:
        """The response is the JSON object."""
        client = self.serve((200, {"a": 1}))
        self.assertEqual(client.call("GET", "/api/x"), {"a": 1})
        self.assertEqual(self.handler.asked, [("GET", "/api/x", "Bearer the-token")])

    def test_a_refusal_is_the_hubs_own_sentence(self) -> None:
        """Even when the body is not JSON."""
        client = self.serve((404, {"error": "x", "error_description": "There is none."}), (502, b"<html>"))
        with self.assertRaises(HubRefused) as caught:
            client.call("POST", "/api/y", {})
        self.assertEqual((str(caught.exception), caught.exception.status), ("There is none.", 404))
        with self.assertRaises(HubRefused) as caught:
            client.call("GET", "/")
        self.assertIn("502", str(caught.exception))

    def test_a_token_that_counts_no_more_is_explained(self) -> None:
        """It may have been revoked on the Tokens page; the hub creates another at its next start."""
        refused = (401, {"error": "invalid_token", "error_description": "This token has been revoked."})
        with self.assertRaises(HubRefused) as caught:
            self.serve(refused).call("GET", "/api/modules")
        self.assertIn("This token has been revoked. Restart the hub", str(caught.exception))

    def test_another_program_on_the_port_is_not_taken_for_the_hub(self) -> None:
        """The nonce in the note must match."""
        self.assertTrue(self.serve((200, {"instance": "nonce"})).running)
        self.assertFalse(self.serve((200, {"instance": "another"})).running)

    def test_a_job_is_followed_to_its_end(self) -> None:
        """Each step and line is shown once; a failure exits with the job's error and what was undone."""
        fetch = {"name": "fetch", "state": "done"}
        client = self.serve(
            (200, {"status": "running", "steps": [fetch], "log": ["one"]}),
            (200, {"status": "succeeded", "steps": [fetch, {"name": "start", "state": "done"}], "log": ["one", "two"]}),
            (200, {"status": "failed", "log": [], "error": "The registry said no.", "undone": ["the row"]}),
        )
        out, slept = io.StringIO(), [0.0]
        job = follow(client, "id", ProgressPrinter(out=out), slept.append)
        self.assertEqual((job["status"], len(slept)), ("succeeded", 2))
        self.assertEqual(out.getvalue(), "  fetch\n    one\n  start\n    two\n")
        with self.assertRaises(CommandError) as caught:
            follow(client, "id", ProgressPrinter(quiet=True), slept.append)
        self.assertEqual(str(caught.exception), "The registry said no.\n  Undone: the row")

    def test_who_stops_looking_is_told_that_the_hub_goes_on(self) -> None:
        """Ctrl-C ends the command, not the operation, and clears the progress line."""

        def interrupted(seconds: float) -> None:
            raise KeyboardInterrupt

        fetch = {"name": "fetch", "state": "running"}
        client = self.serve((200, {"status": "running", "steps": [fetch], "log": []}))
        out = io.StringIO()
        with self.assertRaises(CommandError) as caught:
            follow(client, "id", ProgressPrinter(out=out, live=True), interrupted)
        self.assertEqual(caught.exception.code, 130)
        self.assertIn("continues in the background", str(caught.exception))
        self.assertTrue(out.getvalue().endswith("\r\x1b[K"))

    def test_a_terminal_shows_the_step_under_way(self) -> None:
        """On one line that is overwritten and cleared at the end; control characters have no effect."""
        running = {"name": "fetch", "state": "running", "bytes": 3 << 20}
        out = io.StringIO()
        progress = ProgressPrinter(out=out, live=True)
        progress.show({"status": "running", "steps": [running], "log": ["\x1b[2Jhi"]})
        self.assertEqual(out.getvalue(), "\r\x1b[K    \\x1b[2Jhi\n  fetch ... 3.0 MB")
        progress.show({"status": "succeeded", "steps": [running], "log": ["\x1b[2Jhi"]})
        self.assertTrue(out.getvalue().endswith("\r\x1b[K"))

    def test_a_module_that_says_nothing_for_long_is_still_followed(self) -> None:
        """The stream has no timeout."""

        class Quiet(Hub):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"one\n")
                time.sleep(1.5)
                self.wfile.write(b"two\n")

        self.patch(client_module, "TIMEOUT", 1.0)
        self.assertEqual(list(self.serve(handling=Quiet).lines("/api/modules/toy/logs?follow=1")), ["one", "two"])

    def test_names_from_people_are_quoted(self) -> None:
        """Names cannot escape from the path."""
        self.assertEqual(module_path("a b?c#d", "install"), "/api/modules/a%20b%3Fc%23d/install")
        for name in ("../x/y", "x/", ".", "..", "..\\x", "%2e%2e", "a\0", ""):
            with self.assertRaisesRegex(CommandError, "cannot be the name of a module"):
                module_path(name, "install")

    def test_all_modules_are_upgraded_to_what_the_registry_has_now(self) -> None:
        """One failure does not stop the others; having nothing to do is reported; JSON is one document."""

        def up(*words: str) -> tuple[int, str]:
            said = io.StringIO()
            with redirect_stdout(said), redirect_stderr(io.StringIO()):
                return upgrade(
                    parser().parse_args(["upgrade", "--all", "--home", str(self.home), *words])
                ), said.getvalue()

        newer = [{"short": short, "upgrade_available": short != "c"} for short in "abc"]
        begun, done = (202, {"operation_id": "1"}), (200, {"status": "succeeded", "short": "b"})
        self.serve((200, {"modules": newer}), (409, {"error_description": "a is busy."}), begun, done)
        code, text = up("--json")
        self.assertEqual((code, json.loads(text)["failed"]), (1, ["a"]))
        self.assertEqual([job["short"] for job in json.loads(text)["operations"]], ["b"])
        self.assertEqual(self.handler.asked[0][1], "/api/modules?fresh=1")
        self.serve((200, {"modules": newer[2:]}))
        self.assertEqual(up(), (0, "Everything is up to date.\n"))

    def test_words_of_the_older_hub_say_what_replaces_them(self) -> None:
        for words, told in (
            (["init"], "parachute serve"),
            (["setup"], "parachute serve"),
            (["hub", "start"], "parachute status"),
        ):
            said = io.StringIO()
            with redirect_stderr(said), redirect_stdout(said):
                self.assertEqual(main(words), 2, words)
            self.assertIn(told, said.getvalue())
            self.assertIn(f"`parachute {words[0]}`", said.getvalue())

    def test_an_upgrade_says_what_it_did(self) -> None:
        for words in (["toy"], ["--all"]):
            newer = [] if words == ["toy"] else [(200, {"modules": [{"short": "toy", "upgrade_available": True}]})]
            log = ["toy answers.", "toy went from 1.0.0 to 1.1.0."]
            done = {"status": "succeeded", "short": "toy", "log": log}
            self.serve(*newer, (202, {"operation_id": "1"}), (200, done))
            said = io.StringIO()
            with redirect_stdout(said), redirect_stderr(io.StringIO()):
                code = upgrade(parser().parse_args(["upgrade", "--home", str(self.home), *words]))
            self.assertEqual((code, said.getvalue()), (0, "toy went from 1.0.0 to 1.1.0.\n"), words)

    def test_options_for_every_word_may_stand_before_or_behind_it(self) -> None:
        for words, told in (
            (["--home", "/x", "--json", "status"], ("/x", True)),
            (["status", "--home", "/x", "--json"], ("/x", True)),
            (["--home", "/x", "status", "--home", "/y"], ("/y", False)),
            (["--home", "/x", "auth", "reset-owner"], ("/x", False)),
            (["status"], (None, False)),
        ):
            found = parser().parse_args(words)
            self.assertEqual((found.home, found.json), told, words)

    def test_a_log_does_not_steer_the_terminal(self) -> None:
        """Neither in whole logs nor while following: modules write anything."""
        entry = {"at": "1970-01-01T00:00:00.000Z", "level": "info", "mark": None, "text": "\x1b]0;mine\x07red"}
        for follow_up in ([], ["-f"]):
            body = f"{json.dumps(entry)}\n".encode() if follow_up else {"entries": [entry]}
            note = {"instance": "nonce"}
            self.serve((200, note), (200, body))
            said = io.StringIO()
            with redirect_stdout(said):
                logs(parser().parse_args(["logs", "--home", str(self.home), "toy", *follow_up]))
            self.assertEqual(said.getvalue(), "1970-01-01T00:00:00.000Z info     \\x1b]0;mine\\x07red\n")

    def test_what_is_asked_of_a_log(self) -> None:
        self.serve((200, {"instance": "nonce"}), (200, {"entries": []}))
        words = [
            "logs",
            "--home",
            str(self.home),
            "-n",
            "5",
            "--since",
            "1970-01-01",
            "--level",
            "error",
            "--grep",
            "a b",
        ]
        self.assertEqual(logs(parser().parse_args(words)), 0)
        self.assertEqual(self.handler.asked[-1][1], "/api/hub/logs?since=0.0&level=error&q=a+b&n=5")
        for wrong in ("yesterday", "5x"):
            self.serve()
            with self.assertRaises(CommandError):
                logs(parser().parse_args(["logs", "--home", str(self.home), "--since", wrong]))

    def test_how_much_of_a_log_is_kept(self) -> None:
        """Shown, or changed."""
        for words, method, body in ((["--keep"], "GET", b""), (["--keep", "5"], "PUT", b'{"megabytes": 5}')):
            self.serve((200, {"megabytes": 5, "sizes": [2, 5]}))
            said = io.StringIO()
            with redirect_stdout(said):
                self.assertEqual(logs(parser().parse_args(["logs", "--home", str(self.home), *words])), 0)
            self.assertIn("takes up to 5 MB", said.getvalue())
            asked = (*self.handler.asked[-1][:2], self.handler.sent[-1])
            self.assertEqual(asked, (method, "/api/hub/logs/size", body))

    def test_without_a_hub_the_files_are_read(self) -> None:
        """A log matters most when the hub does not start."""
        folder = self.home / "hub" / "logs"
        folder.mkdir(parents=True)
        (folder / "hub.log").write_text("1970-01-01T00:00:00.000Z = crash It was killed.\n")
        said = io.StringIO()
        with redirect_stdout(said):
            self.assertEqual(logs(parser().parse_args(["logs", "--home", str(self.home)])), 0)
        self.assertEqual(said.getvalue(), "1970-01-01T00:00:00.000Z [crash]  It was killed.\n")
        with self.assertRaises(CommandError):
            logs(parser().parse_args(["logs", "--home", str(self.home), "../../x"]))

    def examined(self, *answers: tuple[int, Any]) -> list[dict[str, Any]]:
        return examine(self.home, self.serve((200, {"instance": "nonce", "db": "ok"}), *answers))

    def test_the_doctor_tells_what_the_hub_tells(self) -> None:
        problem = {"key": "disk-space", "severity": "error"}
        self.assertEqual(self.examined((200, {"problems": [problem], "complete": True})), [problem])

    def test_the_doctor_of_a_hub_that_tells_nothing_looks_by_itself(self) -> None:
        """A damaged database, for example: its state and the reason come first."""
        refused = (503, {"error": "db_unavailable", "error_description": "It is damaged."})
        first = self.examined(refused, (200, {"db": "error: unusable"}))[0]
        self.assertEqual((first["key"], first["severity"]), ("hub-refuses", "error"))
        for words in ("It is damaged.", "error: unusable"):
            self.assertIn(words, first["text"])

    def test_the_doctor_makes_the_first_safe_fix(self) -> None:
        unsafe = click("Update", "POST", "/api/modules/toy/upgrade")
        safe = click("Start again", "POST", "/api/modules/toy/start", body={"a": 1}, safe=True)
        for fixes, sent in (((unsafe,), []), ((Fix(label="Help."), unsafe, safe), [b'{"a": 1}'])):
            problem = Problem(key="x", severity="error", title="X", text="Y.", clears="-", fixes=fixes)
            told = Standing(problem=problem, since=0.0).to_json()
            client = self.serve((200, {}))
            self.assertEqual(repair(self.home, client, told), bool(sent), fixes)
            self.assertEqual(self.handler.sent, sent, fixes)

    def test_the_doctor_gives_the_addresses_of_pages(self) -> None:
        fixes = (link("Details", "/admin/modules/toy"), Fix(label="Wait."))
        problem = Problem(key="x", severity="error", title="X", text="Y.", clears="-", fixes=fixes)
        told = {"problems": [Standing(problem=problem, since=0.0).to_json()]}
        healthy = (200, {"instance": "nonce", "phase": "up"})
        origin = (200, {"resolved_issuer": "https://hub.test"})
        for answers, page, home in (
            ((healthy, (200, told), origin), "https://hub.test/admin/modules/toy", "Home: https://hub.test/admin/"),
            ((healthy, (200, told), (503, {})), "/admin/modules/toy", "- Wait."),
        ):
            self.serve(*answers)
            said = io.StringIO()
            with redirect_stdout(said):
                self.assertEqual(main(["doctor", "--home", str(self.home)]), 1)
            self.assertIn(f"- Details: {page}\n", said.getvalue())
            self.assertTrue(said.getvalue().rstrip().endswith(home), said.getvalue())
        self.serve(healthy, (200, told), origin)
        with redirect_stdout(said := io.StringIO()):
            main(["doctor", "--json", "--home", str(self.home)])
        urls = [(fix["page"], fix["url"]) for fix in json.loads(said.getvalue())["problems"][0]["fixes"]]
        self.assertEqual(urls, [("/admin/modules/toy", "https://hub.test/admin/modules/toy"), (None, None)])

    def test_the_doctor_describes_a_problem_and_its_ways_out(self) -> None:
        problem = Problem(
            key="x",
            severity="warning",
            title="Toy crashes",
            text="It stopped.",
            detail="No disk.",
            clears="-",
            fixes=(click("Start", "POST", "/x", safe=True), link("Details", "/admin/modules/toy"), Fix(label="Wait.")),
        )
        self.assertEqual(
            described(Standing(problem=problem, since=0.0).to_json()).splitlines(),
            [
                "warning Toy crashes",
                "        It stopped. No disk.",
                "        - Start (on Home, or with --fix)",
                "        - Details: /admin/modules/toy",
                "        - Wait.",
            ],
        )

    def test_more_permissions_are_agreed_to_on_request(self) -> None:
        """With --agree it continues with exactly what was asked; without, it ends with the reason."""
        more = {"error_type": "more_permissions", "more": ["run git"], "permissions": {"programs": ["git"]}}
        refused = (200, {"status": "failed", "error": "toy wants to run git.", "error_detail": more, "log": []})
        begun, done = (202, {"operation_id": "1"}), (200, {"status": "succeeded", "log": [], "short": "toy"})

        def run(*words: str) -> int:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                return upgrade(parser().parse_args(["upgrade", "--home", str(self.home), "toy", *words]))

        self.serve(begun, refused, begun, done)
        self.assertEqual(run("--agree"), 0)
        self.assertEqual(json.loads(self.handler.sent[-2]), {"permissions": {"programs": ["git"]}})
        self.serve(begun, refused)
        with self.assertRaisesRegex(CommandError, "run git"):
            run()

    def test_a_name_of_the_catalog_is_not_taken_for_somebody_elses_package(self) -> None:
        """Whatever version is requested; other names are fetched only when written like a package."""
        listing = (
            200,
            {"modules": [{"short": "vault", "first_party": True}, {"short": "clock", "first_party": False}]},
        )
        done = (200, {"status": "succeeded", "log": []})

        def begin(name: str, *script: tuple[int, Any]) -> tuple[str, Any]:
            self.serve(*script)
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                install(parser().parse_args(["install", "--home", str(self.home), name]))
            return self.handler.asked[-1][1], json.loads(self.handler.sent[-1])

        self.assertEqual(begin("vault", listing, done), ("/api/modules/vault/install", {}))
        self.assertEqual(begin("vault@1.2.0", listing, done), ("/api/modules/vault/install", {"version": "1.2.0"}))
        self.assertEqual(begin("clock@rc", listing, done), ("/api/modules/install", {"package": "clock@rc"}))
        self.assertEqual(begin("@a/b", listing, done), ("/api/modules/install", {"package": "@a/b"}))
        with self.assertRaises(CommandError) as caught:
            begin("valt", listing)
        self.assertIn("valt@latest", str(caught.exception))

    def test_a_setting_is_sent_as_what_the_module_calls_it(self) -> None:
        """A key of digits is text."""
        schema = {"properties": {"key": {"type": "string"}, "port": {"type": "integer"}}}
        told = (200, {"schema": schema, "values": {}, "writable": True})
        self.serve(told, (200, {"values": {}}))
        words = parser().parse_args(["config", "--home", str(self.home), "toy", "key=123456", "port=80"])
        with redirect_stdout(io.StringIO()):
            self.assertEqual(config(words), 0)
        self.assertEqual(json.loads(self.handler.sent[-1]), {"key": "123456", "port": 80})

    def said(self, *words: str) -> str:
        with redirect_stdout(io.StringIO()) as said:
            self.assertEqual(main([*words, "--home", str(self.home)]), 0)
        return said.getvalue()

    def test_settings_of_a_module_are_a_table(self) -> None:
        """For programs, what the hub sends."""
        how = {"enum": ["net", "here"], "title": "How"}
        schema = {
            "properties": {
                "how": how,
                "net_key": {"title": "Key"},
                "net_key_set": {},
                "pin": {"writeOnly": True},
                "odd": 1,
            }
        }
        told = {"schema": schema, "values": {"how": "net", "net_key_set": True}, "writable": True}
        self.serve((200, told), (200, told), (200, {"schema": {"properties": []}, "values": {}}))
        self.assertEqual(
            self.said("config", "toy").splitlines(),
            [
                "SETTING  VALUE        WHAT IT IS",
                "how      net          How. One of: net, here.",
                "net_key  (set)        Key.",
                "pin      (not shown)",
            ],
        )
        self.assertEqual(json.loads(self.said("config", "toy", "--json")), told)
        self.assertEqual(self.said("config", "toy"), "There is nothing to set.\n")

    def test_tokens_say_whose_they_are_and_what_for(self) -> None:
        """A member may list neither people nor apps, and sees only tokens of their own."""
        no = {"subject": None, "name": "", "user_id": None, "client_id": "hub"}
        rows = (
            {"user_id": "u1", "client_id": "c1", "created_via": "oauth_refresh"},
            {"user_id": "u1", "name": "Backup", "created_via": "cli_mint"},
            {"subject": "operator", "created_via": "operator_mint"},
            {"subject": "hub", "created_via": "service"},
        )
        tokens = [
            {**no, **one, "jti": f"t{number}", "scopes": ["a"], "expires_at": "2030-01-02T03:04:05Z"}
            for number, one in enumerate(rows)
        ]
        people = (200, {"users": [{"id": "u1", "username": "ada"}]})
        apps = (200, {"clients": [{"client_id": "c1", "client_name": "Editor"}]})
        no_list = (403, {"error": "forbidden", "error_description": "No."})
        for shown, others, owners, app in (
            (tokens, (people, apps), ["ada", "ada", "operator"], "Editor"),
            (tokens[:2], (no_list, no_list), ["you", "you"], "-"),
            (tokens, (no_list, no_list), ["-", "-", "operator"], "-"),
        ):
            self.serve((200, {"tokens": shown, "next_cursor": None}), *others)
            cells = [line.split("  ") for line in self.said("tokens", "list").splitlines()[1:]]
            self.assertEqual(
                [[cell.strip() for cell in row if cell][:2] for row in cells],
                [list(row) for row in zip(owners, (app, "Backup", "(this command)"), strict=False)],
            )

    def test_a_start_that_came_to_nothing_is_a_failure(self) -> None:
        """Scripts rely on the exit code; stopping a module that never ran succeeds."""
        down = (200, {"state": {"state": "backoff", "reason": "It exited with code 1."}})
        self.serve((200, {"state": {"state": "ready"}}), down, down, (200, {"short": "toy", "stopped": False}))
        said = io.StringIO()
        with redirect_stdout(said):
            codes = [
                switch(Namespace(home=str(self.home), module="toy", word=word, json=False))
                for word in ("start", "restart", "stop", "stop")
            ]
        self.assertEqual(codes, [0, 1, 0, 0])
        self.assertIn("toy: it was not running.", said.getvalue())
        self.assertIn("toy: backoff. It exited with code 1.", said.getvalue())
