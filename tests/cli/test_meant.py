"""A module's name that is mistyped is answered with the one that was meant, whatever the word."""

import io
import json
import os
import threading
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.links import CODE
from parachute_hub.cli.main import main
from parachute_hub.system.home import Home
from tools import command_docs

# Each word that takes the name of a module, with what it needs besides.
WORDS = {
    "install": [],
    "upgrade": [],
    "updates": ["tell"],
    "rollback": [],
    "uninstall": ["--yes"],
    "cancel": [],
    "adopt": [],
    "start": [],
    "stop": [],
    "restart": [],
    "logs": [],
    "config": [],
    "restore-data": ["--yes"],
    "delete-data": ["--yes"],
    "settings module": [],
    "settings limits": [],
    "link set": ["https://notes.test"],
    "link pair": ["10.0.0.5"],
    "link move": ["there"],
    "link renew": [],
    "link end": ["--yes"],
}
# It asks no hub: the host may run a module that no catalog names.
WITHOUT_HUB = {"module host"}
ANSWERS: dict[str, Any] = {
    "/health": {"instance": "nonce", "phase": "up"},
    "/api/modules": {"modules": [{"short": "vault", "first_party": True}, {"short": "hello", "first_party": True}]},
    "/api/modules/vault/settings": {"autostart": True, "pin": False},
    "/api/modules/operations": {"operations": []},
}


class Hub(BaseHTTPRequestHandler):
    """Has two modules, and does nothing with either."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = ANSWERS.get(self.path)
        refusal = {"error": "not_found", "error_description": "That is not here."}
        body = json.dumps(refusal if found is None else found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None: ...


class MeantTests(SynchronousTestCase):
    def setUp(self) -> None:
        server = HTTPServer(("127.0.0.1", 0), Hub)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for end in (server.server_close, thread.join, server.shutdown):
            self.addCleanup(end)
        self.home = Path(self.mktemp())
        Home(self.home).prepare()
        Home(self.home).announce("nonce", server.server_address[1], "now")
        self.patch(os, "environ", {CODE: "any", "PARACHUTE_HOME": str(self.home)})

    def say(self, *words: str) -> tuple[int, str]:
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            code = main(words)
        return code, said.getvalue()

    def test_every_word_suggests_the_module_that_was_meant(self) -> None:
        taking = {
            word.name for word in command_docs.words() if "module" in [name.lower() for name, _ in word.arguments]
        }
        self.assertEqual(taking, {*WORDS} | WITHOUT_HUB)
        for word, more in WORDS.items():
            for name, hint in (("helo", " Did you mean hello?\n"), ("hello", "Did"), ("xyzzy", "Did")):
                code, said = self.say(*word.split(), name, *more)
                self.assertEqual(code, 1, said)
                (self.assertIn if name == "helo" else self.assertNotIn)(hint, said)

    def test_the_hub_itself_can_be_meant(self) -> None:
        for word, meant in (("restart", True), ("logs", True), ("stop", False)):
            self.assertEqual("Did you mean hub?" in self.say(word, "hubb")[1], meant, word)

    def test_a_setting_can_be_meant(self) -> None:
        code, said = self.say("settings", "module", "vault", "autostrat=true")
        self.assertEqual((code, said), (2, "parachute: There is no setting autostrat. Did you mean autostart?\n"))

    def test_programs_are_told_as_well(self) -> None:
        self.assertIn('"That is not here. Did you mean hello?"', self.say("restart", "helo", "--json")[1])
