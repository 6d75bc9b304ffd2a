"""The device grant as devices and browsers use it, and confirmations for the command."""

from typing import Any

from twisted.internet.defer import Deferred

from parachute_hub.oauth.authorization.scopes import COMMAND
from parachute_hub.oauth.device.policy import GRANT
from parachute_hub.store.audit import Audit
from tests.oauth.flows import CALLBACK, FlowCase, Reply

PLACE = "https://hub.test/oauth/device"


class DeviceCase(FlowCase):
    def begin(self, client_id: str = COMMAND, **more: str) -> Reply:
        """A device asks for a code."""
        return self.send("POST", "/oauth/device_authorization", form={"client_id": client_id, **more})

    def poll(self, begun: Any, client_id: str = COMMAND) -> Reply:
        """The device asks whether it was let in."""
        asked = {"grant_type": GRANT, "client_id": client_id, "device_code": begun["device_code"]}
        return self.send("POST", "/oauth/token", form=asked)

    def type(self, code: str, who: str | None = "owner", **headers: str) -> Reply:
        """A person types a code."""
        page = self.send("GET", "/oauth/device", who=who)
        fields = [(name, value) for name, value in page.fields() if name != "user_code"]
        return self.send("POST", "/oauth/device", form=[*fields, ("user_code", code)], who=who, **headers)

    def press(self, page: Reply, who: str = "owner", *, yes: bool = True, password: str = "right") -> Reply:
        """The answer to what the page shows."""
        fields = [pair for pair in page.fields() if pair[0] != "password"]
        fields += [("approve", "yes" if yes else "no"), ("password", password)]
        return self.send("POST", "/oauth/device", form=fields, who=who)

    def let_in(self, client_id: str = COMMAND, who: str = "owner", **more: str) -> dict[str, Any]:
        """The whole flow; the token endpoint's response."""
        begun = self.begin(client_id, **more).json
        self.assertEqual(self.press(self.type(begun["user_code"], who), who).status, 200)
        reply = self.poll(begun, client_id)
        self.assertEqual(reply.status, 200, reply.body)
        answer: dict[str, Any] = reply.json
        return answer

    def error(self, reply: Reply) -> str:
        self.assertEqual(reply.status, 400, reply.body)
        return str(reply.json["error"])


class GrantTests(DeviceCase):
    def test_a_device_is_let_in(self) -> None:
        """The code is only typed, never part of a link; tokens come once, and are refreshed as others are."""
        begun = self.begin().json
        self.assertEqual(
            {**begun, "device_code": "", "user_code": ""},
            {"device_code": "", "user_code": "", "verification_uri": PLACE, "expires_in": 600, "interval": 5},
        )
        self.assertEqual(self.error(self.poll(begun)), "authorization_pending")
        page = self.type(begun["user_code"].lower())
        for shown in (
            "Parachute command",
            "192.0.2.1",
            "a few seconds ago",
            "Only if you started this",
            "Run this hub",
        ):
            self.assertIn(shown, page.text)
        self.assertEqual(self.press(page, password="wrong").status, 401)
        self.assertEqual(self.error(self.poll(begun)), "slow_down")
        self.assertEqual(self.press(page).status, 200)
        given = self.poll(begun).json
        self.assertEqual(given["scope"], "parachute:host:admin parachute:host:auth")
        claims = self.world.issuer.verify(given["access_token"])
        self.assertEqual((claims.subject, claims.audience), (self.owner.id, ("hub",)))
        again = self.refresh(COMMAND, given["refresh_token"])
        self.assertEqual((again.status, again.json["scope"]), (200, given["scope"]))

    def test_a_second_use_ends_what_came_of_the_first(self) -> None:
        begun = self.begin().json
        self.press(self.type(begun["user_code"]))
        given = self.poll(begun).json
        self.assertEqual(self.error(self.poll(begun)), "invalid_grant")
        self.assertEqual(self.error(self.refresh(COMMAND, given["refresh_token"])), "invalid_grant")

    def test_ways_in_that_are_closed(self) -> None:
        """Refused, timed out, another client's, or without the page's ticket."""
        begun = self.begin().json
        self.assertIn("gets nothing", self.press(self.type(begun["user_code"]), yes=False).text)
        self.assertEqual(self.error(self.poll(begun)), "access_denied")
        self.assertEqual(self.type(begun["user_code"]).status, 400)
        late = self.begin().json
        page = self.type(late["user_code"])
        self.world.clock.advance(600)
        self.assertEqual(self.press(page).status, 410)
        self.assertEqual(self.error(self.poll(late)), "expired_token")
        other = self.begin().json
        self.assertEqual(self.error(self.poll(other, self.approved())), "invalid_grant")
        forged = [("__csrf", "csrf-owner"), ("__action", "answer"), ("user_code", other["user_code"].replace("-", ""))]
        forged += [("approve", "yes"), ("password", "right"), ("granted_scope", "parachute:host:admin")]
        self.assertEqual(self.send("POST", "/oauth/device", form=forged, who="owner").status, 410)

    def test_a_link_brings_no_code(self) -> None:
        begun = self.begin().json
        self.assertNotIn("verification_uri_complete", begun)
        page = self.send("GET", f"/oauth/device?user_code={begun['user_code']}", who="owner")
        self.assertEqual((page.status, dict(page.fields())["user_code"]), (200, ""))
        self.assertNotIn(begun["user_code"], page.text)
        self.assertEqual(self.send("GET", "/oauth/device").location, "/login?next=/oauth/device")

    def test_scripts_and_other_sites_cannot_answer(self) -> None:
        begun = self.begin().json
        self.assertEqual(self.type(begun["user_code"], Sec_Fetch_Dest="empty").status, 403)
        self.assertEqual(self.type(begun["user_code"], Sec_Fetch_Site="cross-site").status, 403)
        self.assertEqual(self.send("POST", "/oauth/device", form={}).status, 303)

    def test_a_slip_is_no_guess(self) -> None:
        begun = self.begin().json
        for slip in ("", "BCDF", "BCDF-GHJA", "1234-5678", f"{begun['user_code']}B") * 4:
            page = self.type(slip)
            self.assertEqual((page.status, "eight letters" in page.text), (400, True), slip)
        self.assertEqual(self.press(self.type(begun["user_code"])).status, 200)

    def test_guessing_ends(self) -> None:
        """Five wrong halves end a code; fifteen tries in ten minutes are the most for an address and for a person."""
        begun = self.begin().json
        first, second = begun["user_code"].split("-")
        wrong = "".join("BCDF"[(index + (first[index] == "BCDF"[index])) % 4] for index in range(4))
        self.assertNotEqual(wrong, first)
        for _ in range(5):
            self.assertEqual(self.type(f"{wrong}-{second}").status, 400)
        self.assertEqual(self.type(begun["user_code"]).status, 400)
        self.assertEqual(self.error(self.poll(begun)), "expired_token")
        for _ in range(9):
            self.type("BBBB-BBBB")
        self.assertEqual(self.type(self.begin().json["user_code"]).status, 429)
        self.world.add_user("guest")
        self.assertEqual(self.type("BBBB-BBBB", "guest").status, 429)
        self.assertEqual(self.type("BBBB-BBBB", "guest", X_Test_Address="198.51.100.9").status, 400)
        self.world.clock.advance(601)
        self.assertEqual(self.type("BBBB-BBBB").status, 400)

    def test_a_device_that_asks_too_often_is_slowed_down(self) -> None:
        begun = self.begin().json
        told = []
        for pause in (0, 5, 1, 5, 10, 1):
            self.world.clock.advance(pause)
            told.append(self.error(self.poll(begun)))
        pending, slow = "authorization_pending", "slow_down"
        self.assertEqual(told, [pending, pending, slow, slow, slow, slow])

    def test_codes_are_bounded_by_network(self) -> None:
        """Five wait for an address or /64, twenty for a /48, which gets thirty in an hour. Others are not affected."""

        def begin(address: str, times: int = 1) -> list[int]:
            path, form = "/oauth/device_authorization", {"client_id": COMMAND}
            return [self.send("POST", path, form=form, X_Test_Address=address).status for _ in range(times)]

        self.assertEqual(begin("198.51.100.7", 6), [200] * 5 + [429])
        for net in range(4):
            self.assertEqual(begin(f"2001:db8:0:{net}::1", 5), [200] * 5)
        self.assertEqual(begin("2001:db8:0:9::1"), [429])
        self.assertEqual(begin("2001:db8:1::1"), [200])
        self.world.clock.advance(600)
        self.assertEqual(begin("2001:db8:0:9::1", 5) + begin("2001:db8:0:8::1", 5), [200] * 9 + [429])
        self.world.clock.advance(600)
        self.assertEqual(begin("2001:db8:0:7::1"), [429])
        self.assertEqual(begin("198.51.100.8"), [200])

    def test_a_device_let_in_at_the_last_moment_has_time_to_ask(self) -> None:
        begun = self.begin().json
        self.world.clock.advance(598)
        self.assertEqual(self.press(self.type(begun["user_code"])).status, 200)
        self.world.clock.advance(119)
        self.assertEqual(self.poll(begun).status, 200)

    def test_with_nothing_ticked_the_page_asks_again(self) -> None:
        begun = self.begin().json
        page = self.type(begun["user_code"])
        fields = [pair for pair in page.fields() if pair[0] not in ("password", "granted_scope")]
        fields += [("approve", "yes"), ("password", "right")]
        again = self.send("POST", "/oauth/device", form=fields, who="owner")
        self.assertIn("Tick at least one", again.text)
        self.assertEqual(self.error(self.poll(begun)), "authorization_pending")

    def test_refusals_are_in_the_audit_log(self) -> None:
        """Of the person, and of the hub after guesses."""
        self.press(self.type(self.begin().json["user_code"]), yes=False)
        first, second = self.begin().json["user_code"].split("-")
        for _ in range(5):
            self.type(f"{first}-{'BBBB' if second != 'BBBB' else 'CCCC'}")
        acts = [act for _, act in Audit(self.world.database).latest() if act.action == "app-connected"]
        self.assertEqual(
            [(act.actor, act.subject, act.outcome, act.why) for act in acts],
            [
                ("owner", "Parachute command", "refused", "Its code was guessed at, so it has ended."),
                ("owner", "Parachute command", "refused", ""),
            ],
        )

    def test_the_grant_is_named_in_full(self) -> None:
        reply = self.send("POST", "/oauth/token", form={"client_id": COMMAND, "grant_type": "device_code"})
        self.assertIn(GRANT, reply.json["error_description"])


class ClientTests(DeviceCase):
    def test_apps_need_an_owners_approval(self) -> None:
        waiting = self.register()["client_id"]
        self.assertEqual((self.begin(waiting).status, self.begin(waiting).json["error"]), (401, "invalid_client"))
        at_home = self.register("https://hub.test/surface/x/callback")["client_id"]
        self.assertEqual(self.error(self.begin(at_home)), "unauthorized_client")
        self.assertEqual(self.begin("nobody").status, 401)
        self.assertEqual(self.begin(self.approved()).status, 200)

    def test_an_approved_app_gets_what_it_asks_for_and_no_more(self) -> None:
        """A headless MCP client. Harmless scopes need no password."""
        app = self.approved()
        begun = self.begin(app, scope="vault:default:read").json
        page = self.type(begun["user_code"])
        self.assertNotIn('type="password"', page.text)
        self.assertEqual(self.press(page, password="").status, 200)
        given = self.poll(begun, app).json
        self.assertEqual((given["scope"], given["vault"]), ("vault:default:read", "default"))
        for scope in ("parachute:host:admin", "vault:default:read hub:admin"):
            self.assertEqual(self.error(self.begin(app, scope=scope)), "invalid_scope")
        self.assertEqual(self.error(self.begin(app, resource="https://elsewhere.test/")), "invalid_target")

    def test_administering_needs_the_password(self) -> None:
        begun = self.begin(self.approved(), scope="vault:default:admin").json
        page = self.type(begun["user_code"])
        self.assertIn('type="password"', page.text)
        self.assertEqual(self.press(page, password="").status, 401)

    def test_no_app_gets_a_hub_scope_by_the_code_flow_either(self) -> None:
        reply = self.authorize(self.approved(), scope="parachute:host:admin", resource=None)
        self.assertEqual(reply.sent_back["error"], "invalid_scope")

    def test_a_member_signs_the_command_in_to_their_vaults(self) -> None:
        self.world.add_user("guest", vaults={"work": "write", "default": "read"})
        given = self.let_in(who="guest")
        self.assertEqual(given["scope"], "vault:default:read vault:work:write")
        self.assertEqual(self.error_of_asking("guest", scope="parachute:host:admin"), 403)

    def error_of_asking(self, who: str, **more: str) -> int:
        return self.type(self.begin(**more).json["user_code"], who).status

    def test_who_is_no_owner_any_more_does_not_run_the_hub(self) -> None:
        given = self.let_in()
        user = self.world.users.by_id(self.owner.id)
        assert user is not None
        self.world.add_user("second", admin=True)
        self.world.do(self.world.users.set_role, user.id, "member")
        self.world.do(self.world.oauth.connections.access_changed, user.id)
        self.assertEqual(
            self.send("GET", "/api/oauth/clients", Authorization=f"Bearer {given['access_token']}").status, 401
        )
        self.assertEqual(self.error(self.refresh(COMMAND, given["refresh_token"])), "invalid_grant")


class CommandTests(DeviceCase):
    def as_command(self, token: str, method: str, path: str, data: Any = None, **headers: str) -> Reply:
        return self.send(method, path, data=data, Authorization=f"Bearer {token}", **headers)

    def test_the_command_runs_the_hub_and_can_be_ended(self) -> None:
        """It is listed among the connected apps; disconnecting it works at once, and so does signing out."""
        given = self.let_in()
        self.assertEqual(self.as_command(given["access_token"], "GET", "/api/oauth/clients").status, 200)
        page = self.send("GET", "/account/apps", who="owner")
        self.assertIn("Parachute command", page.text)
        self.assertIn("Signed in with a code", page.text)
        (app,) = self.send("GET", "/api/apps", who="owner").json["apps"]
        self.assertEqual((app["client_id"], app["redirect_host"]), (COMMAND, None))
        ended = self.send("POST", "/api/apps/disconnect", data={"client_id": COMMAND}, who="owner")
        self.assertEqual(ended.status, 200)
        self.assertEqual(self.as_command(given["access_token"], "GET", "/api/oauth/clients").status, 401)
        other = self.let_in()
        self.send("POST", "/oauth/revoke", form={"client_id": COMMAND, "token": other["refresh_token"]})
        self.assertEqual(self.as_command(other["access_token"], "GET", "/api/oauth/clients").status, 401)

    def test_the_command_signs_in_by_the_browser(self) -> None:
        """The code flow with a loopback address, without asking for scopes."""
        uri = "http://127.0.0.1:49152/signed-in"
        page = self.authorize(COMMAND, redirect_uri=uri, scope=None, resource=None)
        self.assertIn("Run this hub", page.text)
        sent = self.say(page, password="right").sent_back
        given = self.redeem(COMMAND, sent["code"], redirect_uri=uri).json
        self.assertEqual(given["scope"], "parachute:host:admin parachute:host:auth")
        self.assertNotEqual(self.authorize(COMMAND, redirect_uri=CALLBACK, scope=None).status, 303)

    def test_a_step_up_is_confirmed_in_the_browser(self) -> None:
        """By the same person, with the password; the proof is for this command, this operation, and told once."""
        token = self.let_in()["access_token"]
        refused = self.as_command(token, "POST", "/api/lock")
        self.assertEqual((refused.status, refused.json["error"]), (403, "step_up_required"))
        begun = self.as_command(token, "POST", "/api/confirmations", {"operation": refused.json["operation"]}).json
        path = begun["url"].removeprefix("https://hub.test")
        state = f"/api/confirmations/{begun['id']}"
        self.assertEqual(self.as_command(token, "GET", state).json, {"state": "waiting"})
        self.world.add_user("guest")
        self.assertEqual(self.send("GET", path, who="guest").status, 410)
        page = self.send("GET", path, who="owner")
        for shown in ("Lock everything?", "hub.lock", "192.0.2.1", "Only if you started this"):
            self.assertIn(shown, page.text)
        form = [("__csrf", "csrf-owner"), ("approve", "yes")]
        wrong = self.send("POST", path, form=[*form, ("password", "wrong")], who="owner")
        self.assertEqual((wrong.status, self.as_command(token, "GET", state).json), (401, {"state": "waiting"}))
        self.assertEqual(self.send("POST", path, form=[*form, ("password", "right")], who="owner").status, 200)
        self.assertEqual(self.as_command(self.let_in()["access_token"], "GET", state).status, 404)
        answer = self.as_command(token, "GET", state).json
        self.assertEqual(answer["state"], "confirmed")
        self.assertEqual(self.as_command(token, "GET", state).status, 404)
        done = self.as_command(token, "POST", "/api/lock", X_Parachute_Proof=answer["proof"])
        self.assertEqual(done.status, 200)

    def test_what_the_cookie_alone_must_not_do_the_command_must_not_either(self) -> None:
        """It makes what an export needs by itself, and no other token."""
        token = self.let_in()["access_token"]

        def mint(scope: str, **headers: str) -> Reply:
            return self.as_command(token, "POST", "/api/auth/mint-token", {"scope": scope}, **headers)

        made = mint("vault:default:read vault:work:write")
        self.assertEqual(made.status, 200, made.body)
        for scope in ("vault:default:admin", "vault:default:read scribe:transcribe", "parachute:host:admin"):
            refused = mint(scope).json
            self.assertEqual(refused["error"], "step_up_required")
            self.assertEqual(refused["operation"], "token.mint:" + scope.replace(" ", ","))
        self.assertEqual(mint("vault:default:admin", X_Parachute_Proof="token.mint:vault:default:admin").status, 200)
        revoked = self.as_command(token, "POST", "/api/auth/revoke-token", {"jti": made.json["jti"]})
        self.assertEqual(revoked.json["operation"], f"token.revoke:{made.json['jti']}")

    def test_the_command_acts_in_the_name_of_its_person(self) -> None:
        token = self.let_in()["access_token"]
        app = self.register()["client_id"]
        operation = f"client.approve:{app}"
        path = f"/api/oauth/clients/{app}/approve"
        self.assertEqual(self.as_command(token, "POST", path, {}, X_Parachute_Proof=operation).status, 200)
        approved = self.world.clients.get(app)
        assert approved is not None
        self.assertEqual(approved.vouched_by, "owner")

    def test_the_browser_always_asks_for_the_command(self) -> None:
        """Also where the hub's own address is on loopback, as any program's could be."""
        self.world.issuer.move("http://127.0.0.1:1939", ("http://127.0.0.1:1939", "https://hub.test"))
        self.world.add_user("guest", vaults={"default": "read"})
        self.let_in(who="guest")
        for port in (1939, 49152):
            uri = f"http://127.0.0.1:{port}/signed-in"
            page = self.authorize(COMMAND, "guest", redirect_uri=uri, scope=None, resource=None)
            self.assertEqual(page.status, 200, page.location)

    def test_the_command_is_no_registered_app(self) -> None:
        """It is not listed when somebody has asked for a code, cannot be removed, and survives a lock."""
        token = self.let_in()["access_token"]
        self.assertEqual(self.as_command(token, "GET", "/api/oauth/clients").json["clients"], [])
        self.assertFalse(self.successResultOf(Deferred.fromCoroutine(self.remove_command())))
        self.as_command(token, "POST", "/api/lock", X_Parachute_Proof="hub.lock")
        self.let_in()
        stored = self.world.clients.get(COMMAND)
        assert stored is not None
        self.assertEqual((stored.status, self.world.clients.count_waiting()), ("approved", 0))

    async def remove_command(self) -> bool:
        return await self.world.oauth.connections.remove_client(COMMAND)

    def test_a_confirmation_ends_with_its_connection(self) -> None:
        token = self.let_in()["access_token"]
        begun = self.as_command(token, "POST", "/api/confirmations", {"operation": "hub.lock"}).json
        self.send("POST", "/api/apps/disconnect", data={"client_id": COMMAND}, who="owner")
        self.assertEqual(self.send("GET", begun["url"].removeprefix("https://hub.test"), who="owner").status, 410)

    def test_one_connection_cannot_push_out_anothers_confirmation(self) -> None:
        token, other = self.let_in()["access_token"], self.let_in()["access_token"]

        def begin(token: str) -> str:
            begun = self.as_command(token, "POST", "/api/confirmations", {"operation": "hub.lock"}).json
            return f"/api/confirmations/{begun['id']}"

        mine, theirs = begin(token), [begin(other) for _ in range(6)]
        self.assertEqual(self.as_command(token, "GET", mine).status, 200)
        self.assertEqual([self.as_command(other, "GET", one).status for one in theirs], [404] + [200] * 5)

    def test_a_confirmation_names_people_and_apps(self) -> None:
        token = self.let_in()["access_token"]
        ada = self.world.add_user("ada")
        app = self.register(client_name="Notes")["client_id"]
        for operation, words in (
            (f"user.delete:{ada.id}", "Delete the account of ada?"),
            ("user.delete:nobody", "Delete the account of nobody?"),
            (f"client.approve:{app}", "Approve the app “Notes”?"),
            ("vault.delete:home", "Delete the vault home?"),
        ):
            begun = self.as_command(token, "POST", "/api/confirmations", {"operation": operation}).json
            page = self.send("GET", begun["url"].removeprefix("https://hub.test"), who="owner")
            self.assertIn(words, page.text)

    def test_a_confirmation_can_be_refused_and_ends(self) -> None:
        token = self.let_in()["access_token"]
        begun = self.as_command(token, "POST", "/api/confirmations", {"operation": "hub.lock"}).json
        path, state = begun["url"].removeprefix("https://hub.test"), f"/api/confirmations/{begun['id']}"
        self.send("POST", path, form=[("__csrf", "csrf-owner"), ("approve", "no")], who="owner")
        self.assertEqual(self.as_command(token, "GET", state).json, {"state": "refused"})
        begun = self.as_command(token, "POST", "/api/confirmations", {"operation": "hub.lock"}).json
        self.world.clock.advance(300)
        path = begun["url"].removeprefix("https://hub.test")
        self.assertEqual(self.send("GET", path, who="owner").status, 410)

    def test_only_the_command_asks_for_confirmations(self) -> None:
        """Not an app, a token that somebody made, or a session."""
        made = self.mint("parachute:host:admin").token
        for headers in ({}, {"Authorization": f"Bearer {made}"}):
            reply = self.send("POST", "/api/confirmations", data={"operation": "hub.lock"}, **headers)
            self.assertIn(reply.status, (401, 403))
        reply = self.send("POST", "/api/confirmations", data={"operation": "hub.lock"}, who="owner")
        self.assertEqual(reply.status, 401)
        token = self.let_in()["access_token"]
        self.assertEqual(self.as_command(token, "POST", "/api/confirmations", {"operation": "no good"}).status, 400)
