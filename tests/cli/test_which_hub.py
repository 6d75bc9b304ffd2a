"""Which hub a word goes to, and what a hub elsewhere may do to this machine."""

import io
import json
import os
import socket
import sys
import threading
import time
from argparse import Namespace
from contextlib import redirect_stderr, redirect_stdout
from http.server import HTTPServer
from pathlib import Path
from typing import Any

from attrs import evolve
from keyring.errors import KeyringLocked
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli import profiles as profiles_module
from parachute_hub.cli.client import CommandError
from parachute_hub.cli.completion import installed_modules
from parachute_hub.cli.doctor import described
from parachute_hub.cli.kinds import VAULTS
from parachute_hub.cli.main import main
from parachute_hub.cli.profiles import Held, Profile, Profiles, SystemKeyring
from parachute_hub.cli.terminal import clean
from parachute_hub.problems.model import Problem, Standing
from parachute_hub.system.home import Home
from tests.cli.test_remote import TOKENS, Memory, Scripted

LOCKED: dict[str, Any] = {"people": [], "apps": [], "invitations": [], "tokens": []}
MODULES = (("vault", "1.0.0"), ("scribe", None), ("\x1b[2J", "1.0.0"))
ESCAPES = "\x1b]0;mine\x07\x1b[2J\x1b[31m"


class Typed(io.StringIO):
    def isatty(self) -> bool:
        return True


class Locked(Memory):
    """A keyring that takes nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked("It is locked.")


class WhichHubTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.patch(os, "environ", {"HOME": str(self.folder), "PATH": os.environ["PATH"]})
        self.patch(profiles_module, "system_keyring", lambda: None)
        self.store = Profiles(profiles_module.folder_of(os.environ))
        self.script: list[tuple[int, dict[str, Any], dict[str, str]]] = []
        handler: Any = type("Handler", (Scripted,), {"script": self.script, "seen": []})
        server = HTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        self.seen = handler.seen
        self.origin = f"http://127.0.0.1:{server.server_address[1]}"

    def sign_in(self, name: str = "office") -> None:
        held = Held(access_token="A", refresh_token="R", expires_at=time.time() + 900, scope="parachute:host:admin")
        self.store.put(Profile(name, self.origin), held)

    def run_words(self, *words: str, answers: tuple[tuple[int, dict[str, Any]], ...] = ()) -> tuple[int, str]:
        """The exit code, and what was printed. The hub elsewhere answers from the script."""
        self.seen.clear()
        self.script[:] = [(status, value, {}) for status, value in answers]
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            code = main(words)
        return code, said.getvalue()

    def test_an_option_counts_for_more_than_the_environment(self) -> None:
        self.sign_in()
        home = self.folder / "here"
        Home(home).prepare()
        os.environ["PARACHUTE_HUB"] = "office"
        code, said = self.run_words("--home", str(home), "lock", "--yes")
        self.assertEqual((code, self.seen), (3, []), said)
        self.assertIn(str(home), said)
        self.assertEqual(self.run_words("lock", "--yes", answers=((200, {"ended": LOCKED}),))[0], 0)

    def test_options_that_contradict_each_other_or_the_word(self) -> None:
        self.sign_in()
        for words in (
            ("--home", str(self.folder), "--hub", "office", "status"),
            ("--hub", "office", "auth", "reset-owner"),
            ("service", "status", "--hub", "office"),
            ("migrate", "--hub", "office"),
            ("serve", "--hub", "office"),
        ):
            code, said = self.run_words(*words)
            self.assertEqual((code, self.seen), (2, []), f"{words}: {said}")
        self.assertEqual(self.run_words("--home", str(self.folder), "--hub", "local", "status")[0], 3)

    def test_what_cannot_be_undone_needs_the_name_of_a_hub_elsewhere(self) -> None:
        """With nobody to ask; else the question names it."""
        self.sign_in()
        code, said = self.run_words("lock", "--yes")
        self.assertEqual((code, self.seen), (2, []))
        self.assertIn("--hub office", said)
        ended = ((200, {"ended": LOCKED}),)
        self.assertEqual(self.run_words("lock", "--yes", "--hub", "office", answers=ended)[0], 0)
        self.patch(sys, "stdin", Typed("y\n"))
        code, said = self.run_words("lock", answers=ended)
        self.assertEqual((code, len(self.seen)), (0, 1))
        self.assertIn(f"On {self.origin}: ", said)

    def test_what_cannot_be_undone_asks_first(self) -> None:
        """Nothing but reading happens before the answer; with --yes it is done."""
        self.sign_in()
        token = (200, {"tokens": [{"jti": "abcdef123", "name": "clock"}]})
        invites = (200, {"invites": [{"id": "abcdef123", "name": "Ada", "username": None}]})
        place = (200, {"places": [{"id": "p", "label": "Disk"}]})
        notices = (200, {"destinations": [{"id": "p", "label": "Phone"}]})
        state: dict[str, Any] = {"least": "error", "quiet": None, "destinations": []}
        for line, before, answer in (
            ("space empty-trash home", (), {}),
            ("space clear copies", (), {"freed": 0}),
            ("space clear logs", (), {"freed": 0}),
            ("backup sheet --only", (), {"key": {}}),
            ("backup destination remove 1", (place,), {}),
            ("settings clear-disk", (), {"freed": 0}),
            ("tokens revoke clock", (token,), {}),
            ("tokens renew-key", (), {"kid": "x"}),
            ("invitations revoke Ada", (invites,), {}),
            ("notices remove 1", (notices,), state),
        ):
            for typed, wanted, changes in (("n\n", 1, 0), ("y\n", 0, 1)):
                self.patch(sys, "stdin", Typed(typed))
                answers = (*before, (200, answer))
                code, said = self.run_words("--hub", "office", *line.split(), answers=answers)
                changed = [asked for asked, _, _ in self.seen if not asked.startswith("GET")]
                self.assertEqual((code, len(changed)), (wanted, changes), f"{line}: {said}")
                self.assertIn("[y/N]", said, line)
        self.patch(sys, "stdin", Typed(""))
        self.assertEqual(self.run_words("space", "clear", "downloads", answers=((200, {"freed": 0}),))[0], 0)

    def test_how_long_a_new_token_is_valid(self) -> None:
        """Over a sign-in it ends with that; standard output has the token alone."""
        self.sign_in()
        words = ("--hub", "office", "tokens", "new", "vault:home:read", "--days", "90", "--name", "clock")
        for expires_at, shorter in (("2100-01-01T00:00:00Z", False), ("2020-01-01T00:00:00Z", True)):
            answer = {"token": "the-token", "jti": "x", "expires_at": expires_at}
            code, said = self.run_words(*words, answers=((201, answer),))
            self.assertEqual((code, "90 days" in said), (0, shorter))
            self.assertIn(expires_at, said)
            self.assertIn("the-token\n", said)
            self.assertEqual(json.loads(self.seen[0][2])["name"], "clock")

    def test_a_folder_elsewhere_is_not_looked_for_here(self) -> None:
        self.sign_in()
        words = ("--hub", "office", "backup", "destination", "add-folder")
        self.assertEqual((self.run_words(*words, "disk")[0], self.seen), (2, []))
        self.assertEqual(self.run_words(*words, "/mnt/disk", answers=((200, {"label": "Disk"}),))[0], 0)

    def test_completion_waits_a_second_and_renews_nothing(self) -> None:
        """A token that is renewed while the shell stops waiting would be lost."""
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        profile = Profile("office", f"http://127.0.0.1:{silent.getsockname()[1]}")
        held = Held(access_token="A", refresh_token="R", expires_at=time.time() + 900, scope="parachute:host:admin")
        given = Namespace(home=None, hub="office")
        for ends, least in ((held.expires_at, 0.9), (0.0, 0.0)):
            self.store.put(profile, evolve(held, expires_at=ends))
            began = time.monotonic()
            self.assertEqual(VAULTS.offered("", given), [])
            self.assertTrue(least <= time.monotonic() - began < 5)

    def test_the_names_of_modules_are_those_of_the_hub_elsewhere(self) -> None:
        rows = {"services": [{"name": "parachute-notes"}]}
        (self.folder / ".parachute").mkdir(exist_ok=True)
        (self.folder / ".parachute" / "services.json").write_text(json.dumps(rows))
        self.sign_in()
        listed = {"modules": [{"short": short, "installed_version": version} for short, version in MODULES]}
        self.script[:] = [(200, listed, {})]
        self.assertEqual(installed_modules("", Namespace(home=None, hub="office")), ["vault", "\\x1b[2J"])
        self.assertEqual(installed_modules("", Namespace(home=None, hub="local")), ["notes"])
        self.assertEqual(installed_modules("", Namespace(home=None, hub="unknown")), [])

    def test_a_hub_does_not_steer_the_terminal(self) -> None:
        """With what it refuses, answers or lists."""
        self.sign_in()
        refusal = (403, {"error": "x", "error_description": ESCAPES})
        locked = (200, {"ended": {**LOCKED, "people": [ESCAPES]}})
        for answer in (refusal, locked):
            _, said = self.run_words("lock", "--yes", "--hub", "office", answers=(answer,))
            self.assertIn("\\x1b[2J", said)
            self.assertNotIn("\x1b", said)
        problem = Problem(key="x", severity="error", title=ESCAPES, text=ESCAPES, clears="-")
        self.assertNotIn("\x1b", described(Standing(problem=problem, since=0.0).to_json()))
        self.patch(sys, "stdout", Typed())
        os.environ["TERM"] = "xterm"
        self.assertEqual(clean("\x1b[31mred\x1b[0m \x1b[2J"), "\x1b[31mred\x1b[0m \\x1b[2J")

    def test_a_hub_elsewhere_that_starts_says_nothing_of_this_machine(self) -> None:
        self.sign_in()
        logs = self.folder / ".parachute" / "hub" / "logs"
        logs.mkdir(parents=True)
        (logs / "vault.log").write_text("1970-01-01T00:00:00.000Z I mine\n")
        starting = ((200, {"phase": "starting", "instance": "i"}),)
        code, said = self.run_words("--hub", "office", "logs", "vault", answers=starting)
        self.assertEqual((code, "mine" in said), (3, False), said)
        (self.folder / ".parachute" / "services.json").write_text("{")
        _, said = self.run_words("--hub", "office", "doctor", "--json", answers=starting)
        self.assertEqual([one["key"] for one in json.loads(said)["problems"]], ["hub-not-up"])

    def test_signing_out_says_what_was_revoked(self) -> None:
        self.sign_in()
        code, said = self.run_words("logout", "--json", answers=((200, {}),))
        self.assertEqual((code, json.loads(said)["revoked"]), (0, True))
        self.sign_in()
        (profiles_module.folder_of(os.environ) / "tokens.json").unlink()
        code, said = self.run_words("logout", "--json")
        self.assertEqual((code, json.loads(said)["revoked"], self.seen), (1, False, []))
        self.assertEqual(self.store.all(), [])

    def begun(self) -> tuple[tuple[int, dict[str, Any]], ...]:
        """The answers to a sign-in by code."""
        device = {
            "device_code": "d",
            "user_code": "BCDF-GHJK",
            "verification_uri": f"{self.origin}/oauth/device",
            "expires_in": 600,
            "interval": 0,
        }
        document = {"issuer": self.origin, "device_authorization_endpoint": "x"}
        return (200, document), (200, device), (200, TOKENS), (200, {})

    def test_a_sign_in_that_cannot_be_kept_is_revoked(self) -> None:
        self.patch(profiles_module, "system_keyring", lambda: SystemKeyring(Locked()))
        code, said = self.run_words("login", self.origin, "--device", answers=self.begun())
        self.assertEqual(code, 1)
        self.assertIn("It is locked.", said)
        self.assertEqual(self.seen[-1][0], "POST /oauth/revoke")
        self.assertIn("token=refresh-2", self.seen[-1][2])

    def test_the_name_of_another_hub_is_not_taken_from_it(self) -> None:
        """Its tokens would be valid for ever, and nobody could revoke them."""
        other = Profile("office", "https://other.test")
        held = Held(access_token="B", refresh_token="S", expires_at=0.0, scope="")
        self.store.put(other, held)
        words = ("login", self.origin, "--device", "--name", "office")
        code, said = self.run_words(*words, answers=self.begun())
        self.assertEqual((code, len(self.seen)), (1, 1), said)
        self.assertIn("parachute logout office", said)
        with self.assertRaises(CommandError):
            self.store.put(Profile("office", self.origin), held)
        self.assertEqual((self.store.all(), self.store.held(other)), ([other], held))
