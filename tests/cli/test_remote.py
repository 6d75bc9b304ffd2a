"""Hubs on other machines: their addresses, tokens, and what is sent where."""

import json
import os
import stat
import threading
import time
from argparse import Namespace
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import keyring.backend
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import CommandError, HubClient, HubDown, HubRefused
from parachute_hub.cli.parser import parser
from parachute_hub.cli.profiles import Held, Profile, Profiles, SystemKeyring
from parachute_hub.cli.remote import RemoteHub, Site, origin_of
from parachute_hub.cli.sign_in import by_device
from parachute_hub.cli.vault_client import open_vault
from parachute_hub.cli.which_hub import client_of

HUB = "parachute:host:admin"
HELD = Held(access_token="access-1", refresh_token="refresh-1", expires_at=time.time() + 900, scope=HUB)
TOKENS = {"access_token": "access-2", "refresh_token": "refresh-2", "expires_in": 900, "scope": HUB}


class Memory(keyring.backend.KeyringBackend):
    """A keyring of the real library that lives in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class AddressTests(SynchronousTestCase):
    def test_what_people_type(self) -> None:
        for typed, origin in (
            ("hub.example.com", "https://hub.example.com"),
            ("https://hub.example.com/", "https://hub.example.com"),
            ("https://hub.example.com:443/admin/?x=1", "https://hub.example.com"),
            ("http://127.0.0.1:1939", "http://127.0.0.1:1939"),
            ("http://[::1]:1939/", "http://[::1]:1939"),
        ):
            self.assertEqual(origin_of(typed), origin)

    def test_what_is_refused(self) -> None:
        odd = ("a b", "a\nb", "../../x", "a" * 64, "a." * 130, "https://[::", "https://a:0", "a\x1b[2J", "https://a%zz")
        for typed in ("http://hub.example.com", "ftp://hub.test", "https://", "https://a:b", "", *odd):
            with self.assertRaises(CommandError, msg=typed):
                origin_of(typed)
        with self.assertRaises(CommandError) as caught:
            origin_of("https://me:secret@hub.test")
        self.assertEqual(str(caught.exception), "Leave out the user name and password: https://hub.test")
        self.assertEqual(origin_of("http://192.168.1.7:1939", plain=True), "http://192.168.1.7:1939")


class WordTests(SynchronousTestCase):
    def test_the_words_and_the_option_for_every_word(self) -> None:
        told = parser().parse_args(["login", "hub.test", "--device", "--name", "x"])
        self.assertEqual((told.address, told.device, told.plain_http, told.name), ("hub.test", True, False, "x"))
        self.assertEqual(parser().parse_args(["logout"]).hub_name, None)
        self.assertEqual(parser().parse_args(["hubs", "--json"]).word, "hubs")
        for words in (["--hub", "x", "status"], ["status", "--hub", "x"], ["backup", "list", "--hub", "x"]):
            self.assertEqual(parser().parse_args(words).hub, "x")
        self.assertEqual(parser().parse_args(["status"]).hub, None)


class ProfileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()

    def test_several_hubs_the_last_first(self) -> None:
        store = Profiles(self.folder)
        home, work = Profile("home", "https://a.test"), Profile("work", "https://b.test")
        store.put(home, HELD)
        store.put(work, evolve(HELD, access_token="other"))
        self.assertEqual([one.name for one in store.all()], ["work", "home"])
        self.assertEqual((store.get("https://a.test"), store.get("work"), store.get("x")), (home, work, None))
        self.assertEqual(store.held(home), HELD)
        store.remove(work)
        self.assertEqual((store.all(), store.held(work), store.held(home)), ([home], None, HELD))

    def test_files_are_for_this_user_alone(self) -> None:
        before = os.umask(0)
        try:
            Profiles(self.folder).put(Profile("home", "https://a.test"), HELD)
        finally:
            os.umask(before)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in self.folder.iterdir()}
        self.assertEqual(modes, {"hubs.json": 0o600, "tokens.json": 0o600, "lock": 0o600})
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)

    def test_a_keyring_takes_the_place_of_the_file(self) -> None:
        backend = Memory()
        store = Profiles(self.folder, SystemKeyring(backend))
        profile = Profile("home", "https://a.test")
        store.put(profile, HELD)
        self.assertEqual(store.held(profile), HELD)
        self.assertEqual(list(backend.kept), [("parachute-hub", "https://a.test")])
        self.assertNotIn("refresh-1", "".join(path.read_text() for path in self.folder.iterdir()))
        store.remove(profile)
        self.assertEqual(backend.kept, {})

    def test_tokens_show_in_no_representation(self) -> None:
        self.assertNotIn("access-1", repr(HELD))
        self.assertNotIn("refresh-1", repr(HELD))

    def test_which_hub_a_command_means(self) -> None:
        """The one that is named; else the one of this machine; else the last one."""
        self.patch(os, "environ", {"HOME": str(self.folder), "PATH": os.environ["PATH"]})
        from parachute_hub.cli import profiles

        store = Profiles(profiles.folder_of(os.environ))
        self.patch(profiles, "system_keyring", lambda: None)
        store.put(Profile("work", "https://b.test"), HELD)

        def meant(**words: Any) -> str:
            link = client_of(Namespace(**{"home": None, "hub": None, **words})).link
            return "remote" if isinstance(link, RemoteHub) else "here"

        self.assertEqual((meant(), meant(hub="work"), meant(hub="local")), ("remote", "remote", "here"))
        self.assertEqual(meant(home=str(self.folder)), "here")
        (self.folder / ".parachute").mkdir()
        (self.folder / ".parachute" / "operator.token").write_text("x")
        self.assertEqual((meant(), meant(hub="https://b.test")), ("here", "remote"))
        with self.assertRaises(CommandError):
            meant(hub="nowhere")


class Scripted(BaseHTTPRequestHandler):
    """Answers from a script; records what was sent."""

    script: list[tuple[int, dict[str, Any], dict[str, str]]]
    seen: list[tuple[str, str, str]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        held = self.headers.get("Authorization") or self.headers.get("X-Parachute-Proof") or ""
        proof = self.headers.get("X-Parachute-Proof")
        self.seen.append((f"{self.command} {self.path}", f"{held} {proof}" if proof else held, body))
        status, value, headers = self.script.pop(0)
        raw = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


class RemoteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = Profiles(Path(self.mktemp()).absolute())

    def serve(self, *script: tuple[int, dict[str, Any]] | tuple[int, dict[str, Any], dict[str, str]]) -> Any:
        """A server with this script; its `origin` and what it has `seen`."""
        lines = [(one[0], one[1], one[2] if len(one) == 3 else {}) for one in script]
        handler: Any = type("Handler", (Scripted,), {"script": lines, "seen": []})
        server = HTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def end() -> None:
            server.shutdown()
            thread.join()
            server.server_close()

        self.addCleanup(end)
        handler.origin = f"http://127.0.0.1:{server.server_address[1]}"
        return handler

    def client(self, server: Any, held: Held = HELD, say: Callable[[str], None] = lambda text: None) -> HubClient:
        profile = Profile(server.origin, server.origin)
        self.store.put(profile, held)
        return HubClient(RemoteHub(profile, self.store, say=say, sleep=lambda seconds: None))

    def test_a_redirect_is_not_followed(self) -> None:
        """The token stays with the origin that issued it."""
        other = self.serve((200, {}))
        hub = self.serve((302, {}, {"Location": f"{other.origin}/api/x"}), (307, {}, {"Location": "/api/x"}))
        client = self.client(hub)
        for _ in range(2):
            with self.assertRaises(CommandError) as caught:
                client.call("GET", "/api/x")
            self.assertIn("elsewhere", str(caught.exception))
        self.assertEqual((other.seen, len(hub.seen)), ([], 2))

    def test_a_token_that_ends_soon_is_renewed_once(self) -> None:
        hub = self.serve((200, TOKENS), (200, {"a": 1}), (200, {"a": 2}))
        client = self.client(hub, evolve(HELD, expires_at=time.time() + 30))
        self.assertEqual([client.call("GET", "/api/x")["a"] for _ in range(2)], [1, 2])
        (asked, _, body), *rest = hub.seen
        self.assertEqual(asked, "POST /oauth/token")
        self.assertIn("refresh_token=refresh-1", body)
        self.assertEqual([held for _, held, _ in rest], ["Bearer access-2", "Bearer access-2"])

    def test_a_sign_in_that_has_ended(self) -> None:
        hub = self.serve((400, {"error": "invalid_grant", "error_description": "This connection was ended."}))
        with self.assertRaises(CommandError) as caught:
            self.client(hub, evolve(HELD, expires_at=0.0)).call("GET", "/api/x")
        self.assertIn(f"parachute login {hub.origin}", str(caught.exception))
        refused = self.serve((401, {"error": "invalid_token", "error_description": "This token has been revoked."}))
        with self.assertRaises(HubRefused) as told:
            self.client(refused).call("GET", "/api/x")
        self.assertIn("parachute login", str(told.exception))

    def test_a_member_reaches_their_vaults_and_nothing_else(self) -> None:
        """With the token of the sign-in, which the API of the hub would not take."""
        hub = self.serve((200, {"title": "a"}))
        client = self.client(hub, evolve(HELD, scope="vault:home:write"))
        with self.assertRaises(CommandError) as caught:
            client.call("GET", "/api/modules")
        self.assertIn("needs an owner", str(caught.exception))
        with open_vault(client, "home", "read") as vault:
            self.assertEqual(vault.get("api/notes"), {"title": "a"})
        self.assertEqual(hub.seen, [("GET /vault/home/api/notes", "Bearer access-1", "")])
        with self.assertRaises(CommandError), open_vault(client, "other", "read"):
            pass

    def test_an_owner_makes_a_token_for_a_vault_and_renews_it(self) -> None:
        """It ends with the sign-in, so it is not revoked: that would end the sign-in, too."""
        soon = {"token": "short", "jti": "1", "expires_at": "2026-01-01T00:00:00Z"}
        hub = self.serve(
            (200, {"vaults": [{"name": "home"}]}), (200, soon), (200, {}), (200, {**soon, "token": "next"}), (200, {})
        )
        with open_vault(self.client(hub), "home", "read") as vault:
            vault.get("api/notes")
            vault.get("api/notes")
        held = [token for path, token, _ in hub.seen if path.startswith("GET /vault/home")]
        self.assertEqual((held, len(hub.seen)), (["Bearer short", "Bearer next"], 5))

    def test_a_hub_that_is_down_is_no_empty_home(self) -> None:
        client = self.client(self.serve((503, {})))
        with self.assertRaises(CommandError):
            self.assertTrue(client.running)
        gone = HubClient(RemoteHub(Profile("x", "http://127.0.0.1:1"), self.store))
        self.store.put(Profile("x", "http://127.0.0.1:1"), HELD)
        with self.assertRaises(HubDown):
            self.assertTrue(gone.running)

    def test_a_step_up_waits_for_the_browser(self) -> None:
        said: list[str] = []
        hub = self.serve(
            (403, {"error": "step_up_required", "operation": "hub.lock"}),
            (201, begun := {"id": "7", "url": "", "expires_in": 300, "interval": 2}),
            (200, {"state": "waiting"}),
            (200, {"state": "confirmed", "proof": "the-proof"}),
            (200, {"done": True}),
        )
        begun["url"] = f"{hub.origin}/account/confirm/7"
        self.assertEqual(self.client(hub, say=said.append).call("POST", "/api/lock", {}), {"done": True})
        self.assertIn(begun["url"], said[0])
        self.assertEqual(hub.seen[-1][:2], ("POST /api/lock", "Bearer access-1 the-proof"))
        refusing = self.serve(
            (403, {"error": "step_up_required", "operation": "hub.lock"}),
            (201, begun),
            (200, {"state": "refused"}),
        )
        begun["url"] = f"{refusing.origin}/account/confirm/7"
        with self.assertRaisesRegex(CommandError, "You refused it"):
            self.client(refusing).call("POST", "/api/lock", {})

    def test_a_page_elsewhere_confirms_nothing(self) -> None:
        """Nor does an answer that lacks something; none of them is a traceback."""
        begun = {"id": "7", "url": "https://evil.test/", "expires_in": 300, "interval": 2}
        for answer in (begun, {**begun, "expires_in": "soon"}, {"id": "7"}, {}):
            said: list[str] = []
            hub = self.serve((403, {"error": "step_up_required", "operation": "hub.lock"}), (201, answer))
            with self.assertRaisesRegex(CommandError, "elsewhere|where"):
                self.client(hub, say=said.append).call("POST", "/api/lock", {})
            self.assertEqual((said, len(hub.seen)), ([], 2), answer)

    def test_an_answer_without_a_code(self) -> None:
        whole = {"device_code": "s", "user_code": "x", "verification_uri": "", "expires_in": 600}
        for lacking in whole:
            hub = self.serve((200, {name: value for name, value in whole.items() if name != lacking}))
            with self.assertRaises(CommandError, msg=lacking):
                by_device(Site(hub.origin), lambda text: None, lambda seconds: None)

    def test_tokens_that_were_lost_on_the_way(self) -> None:
        """The hub gives them once, so its next answer refuses a code that was right."""
        begun = {"device_code": "s", "user_code": "x", "verification_uri": "", "expires_in": 600, "interval": 1}
        hub = self.serve((200, begun), (200, {}), (400, {"error": "invalid_grant", "error_description": "Used."}))
        begun["verification_uri"] = f"{hub.origin}/oauth/device"
        site = Site(hub.origin)
        post = site.post

        def cut(path: str, values: Any) -> tuple[int, dict[str, Any]]:
            status, answer = post(path, values)
            if status == 200 and path == "/oauth/token":
                raise site.silent()
            return status, answer

        self.patch(site, "post", cut)
        with self.assertRaisesRegex(CommandError, "Run the command again"):
            by_device(site, lambda text: None, lambda seconds: None)

    def test_a_device_waits_as_long_as_it_is_told(self) -> None:
        begun = {
            "device_code": "secret",
            "user_code": "BCDF-GHJK",
            "verification_uri": "",
            "expires_in": 600,
            "interval": 5,
        }
        pending = {"error": "authorization_pending"}
        hub = self.serve((200, begun), (400, pending), (400, {"error": "slow_down"}), (400, pending), (200, TOKENS))
        begun["verification_uri"] = f"{hub.origin}/oauth/device"
        said: list[str] = []
        pauses: list[float] = []
        held = by_device(Site(hub.origin), said.append, pauses.append)
        self.assertEqual((held.access_token, pauses), ("access-2", [5.0, 5.0, 10.0, 10.0]))
        self.assertIn("BCDF-GHJK", said[0])
        self.assertNotIn("secret", said[0])

    def test_a_page_elsewhere_is_not_shown(self) -> None:
        begun = {"device_code": "s", "user_code": "x", "verification_uri": "https://evil.test/", "expires_in": 600}
        said: list[str] = []
        with self.assertRaises(CommandError):
            by_device(Site(self.serve((200, begun)).origin), said.append)
        self.assertEqual(said, [])
        refused = self.serve((200, {**begun, "verification_uri": ""}), (400, {"error": "access_denied"}))
        begun_here = {**begun, "verification_uri": f"{refused.origin}/oauth/device"}
        refused.script[0] = (200, begun_here, {})
        with self.assertRaises(CommandError):
            by_device(Site(refused.origin), said.append, lambda seconds: None)
