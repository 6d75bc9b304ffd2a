"""The wizard as pages and as JSON: one owner, answers kept, mistakes reported."""

import json
import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from parachute_hub.accounts.model import NewSession, Visitor
from parachute_hub.accounts.setup.bootstrap import FREE_TRIES, BootstrapToken
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.store.users import Users
from tests.accounts.doors import DoorCase
from tests.support.at_once import at_once
from tests.support.front_door import PASSWORD, BrowserTab, CountedRandom, FrontDoor


class ClaimTests(DoorCase):
    def test_the_first_claim_makes_the_owner(self) -> None:
        tab = self.owner()
        self.assertIn("parachute_hub_session", tab.cookies)
        self.assertEqual(tab.get_json("/api/me")["user"]["role"], "admin")

    def test_mistakes(self) -> None:
        """Input, status, and nothing created."""
        token = self.boot()
        tab = BrowserTab(self.door)
        for fields, status, words in (
            ({"bootstrap_token": "wrong"}, 401, "not the setup token"),
            ({"bootstrap_token": ""}, 401, "not the setup token"),
            ({"username": "a b"}, 400, "2 to 64 letters from a to z"),
            ({"password": "short", "password_confirm": "short"}, 400, "12 characters"),
            ({"password_confirm": "three small paper boots"}, 400, "do not match"),
            ({"password": "x" * 300, "password_confirm": "x" * 300}, 413, "at most 256"),
        ):
            answer = self.claim(tab, token, **fields)
            self.assertEqual((answer.status, words in answer.body.decode()), (status, True), answer.body)
            self.assertNotIn(PASSWORD.encode(), answer.body)
            self.assertEqual(token in answer.body.decode(), "bootstrap_token" not in fields, fields)
        self.assertTrue(self.door.accounts.gate.closed)

    def test_the_token_is_never_given(self) -> None:
        """Not even to a browser on this machine."""
        token = self.boot()
        self.door.address = "127.0.0.1"
        tab = BrowserTab(self.door)
        for answer in (tab.get("/admin/setup"), tab.get("/admin/setup", Accept="application/json")):
            self.assertNotIn(token, str(answer.headers) + answer.body.decode())

    def test_without_an_owner_there_is_one_question(self) -> None:
        """Modules are not loaded yet when it is asked."""
        self.boot()
        for path in ("/admin/setup", "/admin/setup?step=modules", "/admin/setup?just_finished=1"):
            self.assertIn(b"bootstrap_token", BrowserTab(self.door).get(path).body, path)

    def test_a_guesser_is_told_to_wait(self) -> None:
        token = self.boot()
        tab = BrowserTab(self.door)
        for _ in range(FREE_TRIES):
            self.assertEqual(self.claim(tab, "guess").status, 401)
        answer = self.claim(tab, "guess")
        self.assertEqual((answer.status, answer.header("retry-after")), (429, "901"))
        self.assertEqual(self.claim(tab, token).status, 303)

    def test_an_expired_token_is_refused(self) -> None:
        token = self.boot()
        self.door.now += 24 * 3600
        answer = self.claim(BrowserTab(self.door), token)
        self.assertIn("Restart the hub", answer.body.decode())

    def test_a_second_claim_changes_nothing(self) -> None:
        token = self.boot()
        self.claim(BrowserTab(self.door), token)
        tab = BrowserTab(self.door)
        tab.get("/login")
        fields = {"bootstrap_token": token, "username": "eve", "password": PASSWORD, "password_confirm": PASSWORD}
        self.assertEqual(tab.post("/admin/setup/account", fields).status, 303)
        self.assertEqual([user.username for user in self.door.accounts.people.all()], ["ada"])
        self.assertNotIn("parachute_hub_session", tab.cookies)

    def test_a_hundred_at_once(self) -> None:
        """All pass the checks while the first hash is computed: exactly one becomes the owner."""
        waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = []

        async def later(work: Callable[[], Any]) -> Any:
            held: Deferred[Any] = Deferred()
            waiting.append((held, work))
            return await held

        class Quick(Hasher):
            async def hash(self, password: str) -> str:
                return str(await self._run(lambda: f"$quick${password}"))

        door = FrontDoor(hasher=Quick(later))
        self.addCleanup(door.close)
        setup = door.accounts.setup
        setup.token = token = BootstrapToken(CountedRandom(), door.clock)
        claims = [
            Deferred.fromCoroutine(
                setup.claim(token.value, f"user{n}", PASSWORD, PASSWORD, Visitor(address=f"192.0.2.{n}"))
            )
            for n in range(100)
        ]
        random.Random(4).shuffle(waiting)
        for held, work in waiting:
            held.callback(work())
        winners = [entered for entered in map(self.successResultOf, claims) if isinstance(entered, NewSession)]
        self.assertEqual((len(waiting), len(winners), len(door.accounts.people.all())), (100, 1, 1))


class JourneyTests(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.tab = self.owner()

    def screen(self) -> str:
        self.tab.get("/admin/setup")
        return str(self.tab.get_json("/admin/setup")["screen"])

    def reply(self, path: str, fields: dict[str, Any]) -> None:
        self.tab.get("/admin/setup")
        found = self.tab.post(f"/admin/setup/{path}", fields)
        self.assertEqual((found.status, found.body), (303, b""))

    def test_the_whole_way(self) -> None:
        self.assertEqual(self.screen(), "modules")
        self.reply("modules", {"modules": ["vault", "notes", "scribe"]})
        self.assertEqual(self.screen(), "vault-name")
        self.reply("vault", {"mode": "create", "vault_name": "mine"})
        self.assertEqual(self.screen(), "scribe-key")
        self.assertEqual(self.door.installs.asked, [])
        self.reply("scribe", {"key": " sk-abcdef "})
        self.assertEqual(
            self.door.installs.asked,
            [
                ("vault", {"first_vault": "mine"}),
                ("notes", {}),
                ("scribe", {"environment": {"TRANSCRIBE_PROVIDER": "openai", "OPENAI_API_KEY": "sk-abcdef"}}),
            ],
        )
        self.assertEqual(self.screen(), "installing")
        self.reply("continue", {})
        self.assertEqual(self.screen(), "reach")
        self.reply("expose", {"expose_mode": "public", "hub_origin": "https://notes.example"})
        done = self.tab.get("/admin/setup?just_finished=1").body.decode()
        self.assertIn("Sign in without typing", done)
        self.assertIn("claude mcp add --transport http parachute https://notes.example/vault/mine/mcp", done)
        self.assertIn('href="/notes/"', done)
        self.assertEqual(self.tab.get("/admin/setup").header("location"), "/admin/")

    def test_resumes_in_another_browser_after_a_restart(self) -> None:
        self.reply("modules", {"modules": ["vault"]})
        other = self.sign_in()
        self.assertIn("Name your first vault", other.get("/admin/setup").body.decode())

    def test_the_key_is_kept_nowhere(self) -> None:
        self.reply("modules", {"modules": ["scribe"]})
        self.reply("scribe", {"key": "sk-canary-1234"})
        self.assertNotIn("canary", self.dump())
        self.assertNotIn("canary", self.tab.get("/admin/setup").body.decode())

    def test_nothing_for_now(self) -> None:
        self.reply("modules", {"skip": "true"})
        self.assertEqual((self.screen(), self.door.installs.asked), ("reach", []))
        self.assertIn("What should it do?", self.tab.get("/admin/setup?step=modules").body.decode())
        self.reply("expose", {"expose_mode": "localhost"})
        self.assertEqual(self.screen(), "done")

    def test_progress_failure_and_retry(self) -> None:
        self.reply("modules", {"modules": ["notes"]})
        page = self.tab.get("/admin/setup").body.decode()
        self.assertIn('data-status="running"', page)
        self.assertIn('<noscript><meta http-equiv="refresh"', page)
        self.door.installs.finish("notes", error="The registry <b>said</b> no.")
        page = self.tab.get("/admin/setup").body.decode()
        self.assertIn("The registry &lt;b&gt;said&lt;/b&gt; no.", page)
        self.assertNotIn("refresh", page)
        self.reply("install/notes", {})
        self.reply("install/notes", {})
        self.assertEqual([short for short, _ in self.door.installs.asked], ["notes", "notes"])
        self.door.installs.finish("notes")
        self.assertIn("All installed", self.tab.get("/admin/setup").body.decode())

    def test_an_installation_that_does_not_fit_may_leave_out_optional_parts(self) -> None:
        """Offered only where it would fit then."""
        self.reply("modules", {"modules": ["notes"]})
        for offered in (False, True):
            detail = {"error_type": "disk_full", "fits_without_optional": offered}
            self.reply("install/notes", {})
            self.door.installs.finish("notes", error="It takes 475 MB.", detail=detail)
            page = self.tab.get("/admin/setup").body.decode()
            self.assertEqual("Install without optional parts" in page, offered, detail)
        self.reply("install/notes", {"without_optional": "1"})
        self.assertEqual(self.door.installs.asked[-1], ("notes", {"without_optional": True}))

    def test_an_interrupted_start_can_be_tried_again(self) -> None:
        """The hub died between two installations."""
        self.reply("modules", {"modules": ["notes"]})
        self.door.installs.jobs.clear()
        self.assertIn("interrupted", self.tab.get("/admin/setup").body.decode())
        self.reply("install/notes", {})
        self.assertEqual(len(self.door.installs.asked), 2)

    def test_mistakes(self) -> None:
        for path, fields, words in (
            ("modules", {}, "Choose at least one"),
            ("modules", {"modules": "evil"}, "no module named"),
            ("vault", {"vault_name": "No Spaces"}, "lower case letters"),
            ("vault", {"mode": "import"}, "create"),
            ("scribe", {"key": ""}, "Paste a key"),
            ("scribe", {"key": "with spaces"}, "does not look like a key"),
            ("expose", {"expose_mode": "moon"}, "how this hub is reached"),
            ("expose", {"expose_mode": "public", "hub_origin": "no url"}, "is not a URL"),
        ):
            self.tab.get("/admin/setup")
            found = self.tab.post(f"/admin/setup/{path}", fields)
            self.assertEqual((found.status, words in found.body.decode()), (400, True), (path, found.body))
        self.assertEqual(self.door.installs.asked, [])

    def test_only_admins(self) -> None:
        stranger, member = BrowserTab(self.door), self.member()
        self.assertEqual(stranger.get("/admin/setup").header("location"), "/login?next=/admin/setup")
        stranger.get("/login")
        for path in ("modules", "vault", "scribe", "install/vault", "continue", "expose"):
            self.assertEqual(stranger.post(f"/admin/setup/{path}", {}).status, 303, path)
            member.get("/account")
            self.assertEqual(member.post(f"/admin/setup/{path}", {"skip": "1"}).status, 403, path)
        self.assertNotIn("operations", stranger.get_json("/admin/setup"))
        self.assertNotIn("operations", member.get_json("/admin/setup"))

    def test_the_address_is_answered_once(self) -> None:
        """Afterwards it is changed only in settings, with a proof: scripts of modules can send this form too."""
        self.reply("modules", {"skip": "true"})
        self.reply("expose", {"expose_mode": "public", "hub_origin": "https://notes.example"})
        self.tab.get("/account")
        fields = {"expose_mode": "public", "hub_origin": "https://evil.example"}
        self.assertEqual(self.tab.post("/admin/setup/expose", fields).status, 409)
        self.assertEqual(self.door.origin.issuer(), "https://notes.example")

    def test_whoever_did_not_just_claim_the_hub_confirms_a_new_address(self) -> None:
        """An open wizard does not bypass the proof that settings require."""
        moved = {"expose_mode": "public", "hub_origin": "https://notes.example"}
        self.reply("modules", {"skip": "true"})
        self.door.now += 3600
        for tab in (self.tab, self.sign_in()):
            tab.get("/admin/setup")
            answer = tab.post("/admin/setup/expose", moved)
            self.assertEqual((answer.status, b'type="password"' in answer.body), (400, True))
            answer = tab.post("/admin/setup/expose", {**moved, "password": "three small paper books"})
            self.assertEqual((answer.status, b'type="password"' in answer.body), (401, True))
        self.assertEqual(self.door.origin.issuer(), "http://hub.test")
        self.assertEqual(tab.post("/admin/setup/expose", {**moved, "password": PASSWORD}).status, 303)
        self.assertEqual(self.door.origin.issuer(), "https://notes.example")

    def test_the_address_that_holds_needs_no_password(self) -> None:
        self.reply("modules", {"skip": "true"})
        tab = self.sign_in()
        tab.get("/admin/setup")
        fields = {"expose_mode": "public", "hub_origin": "http://hub.test/"}
        self.assertEqual(tab.post("/admin/setup/expose", fields).status, 303)

    def test_a_password_that_somebody_else_chose_comes_first(self) -> None:
        """Like an owner from the environment with a weak password."""
        door = self.door
        owner = door.accounts.people.owner()
        set_password = Users(door.database).set_password
        at_once(door.database.write(set_password, owner.id, owner.password_hash, must_change=True, now=door.now))
        self.assertEqual(self.tab.get("/admin/setup").header("location"), "/account/change-password")
        self.tab.get("/account/change-password")
        for path in ("modules", "vault", "scribe", "install/vault", "continue", "expose"):
            answer = self.tab.post(f"/admin/setup/{path}", {"skip": "1"}, token=self.csrf(self.tab)["X_Parachute_CSRF"])
            self.assertEqual(answer.status, 403, path)
            self.assertIn(b"Choose a password", answer.body)

    def test_a_warning_does_not_stop(self) -> None:
        async def unreachable(origin: str) -> str:
            return f"This hub could not reach itself at {origin}."

        self.door.accounts.setup._self_check = unreachable
        self.reply("modules", {"skip": "true"})
        self.reply("expose", {"expose_mode": "public", "hub_origin": "https://notes.example"})
        self.assertIn("could not reach itself", self.tab.get("/admin/setup?just_finished=1").body.decode())

    def test_an_address_that_only_this_computer_opens_is_no_way_for_others(self) -> None:
        """Whoever wants to reach the hub from elsewhere is told how."""
        self.reply("modules", {"skip": "true"})
        self.reply("expose", {"expose_mode": "public", "hub_origin": "http://127.0.0.1:1939"})
        page = self.tab.get("/admin/setup?just_finished=1").body.decode()
        self.assertIn("Only this computer opens http://127.0.0.1:1939", page)
        self.assertIn("From your phone", page)


class ScriptTests(DoorCase):
    """Paths and field names are part of the API; scripts send no origin."""

    def send(self, tab: BrowserTab, path: str, **fields: Any) -> Any:
        token = tab.get_json("/admin/setup")["csrfToken"]
        body = json.dumps({"__csrf": token, **fields}).encode()
        headers = {"Content-Type": "application/json", **({"X-Parachute-Key": tab.key} if tab.key else {})}
        answer = tab._ask(f"/admin/setup/{path}", "POST", headers, body)
        return answer.status, answer.json()

    def test_the_whole_way(self) -> None:
        token = self.boot()
        tab = BrowserTab(self.door)
        first = tab.get_json("/admin/setup")
        self.assertEqual(
            {key: first[key] for key in ("step", "hasAdmin", "hasVault", "hasExposeMode", "requireBootstrapToken")},
            {
                "step": "welcome",
                "hasAdmin": False,
                "hasVault": False,
                "hasExposeMode": False,
                "requireBootstrapToken": True,
            },
        )
        who = {"username": "ada", "password": PASSWORD, "password_confirm": PASSWORD}
        status, said = self.send(tab, "account", bootstrap_token="wrong", **who)
        self.assertEqual((status, said["error"], said["status"]), (401, "Bootstrap token rejected", 401))
        status, said = self.send(tab, "account", bootstrap_token=token, **who)
        self.assertEqual((status, said["step"], said["message"]), (200, "vault", "admin created"))
        status, said = self.send(tab, "vault", mode="create", vault_name="")
        self.assertEqual(
            (status, said), (200, {"step": "vault", "op_id": "job-1", "op_ids": ["job-1"], "mode": "create"})
        )
        self.assertEqual(self.door.installs.asked, [("vault", {"first_vault": "default"})])
        operation = tab.get_json("/admin/setup?op=job-1")["operation"]
        self.assertEqual((operation["id"], operation["status"]), ("job-1", "running"))
        self.door.installs.finish("vault")
        self.assertEqual(self.send(tab, "expose", expose_mode="localhost"), (200, {"step": "done"}))
        self.assertEqual(tab.get_json("/admin/setup")["step"], "done")

    def test_skip(self) -> None:
        tab = self.owner()
        self.assertEqual(self.send(tab, "vault", mode="skip"), (200, {"step": "expose", "mode": "skip"}))

    def test_refused_in_the_wizards_envelope(self) -> None:
        tab = self.owner()
        status, said = self.send(tab, "vault", vault_name="NO")
        self.assertEqual((status, sorted(said)), (400, ["error", "message", "status"]))
