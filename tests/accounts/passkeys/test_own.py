"""A person's own passkeys: adding, renaming, removing, and confirming with them."""

from tests.accounts.passkeys.keys import ORIGIN, PasskeyCase
from tests.support.authenticator import Authenticator
from tests.support.front_door import PASSWORD


class AddTests(PasskeyCase):
    def test_it_needs_the_password(self) -> None:
        for password, status in (("", 400), ("wrong", 401)):
            self.assertEqual(self.json(self.tab, "/api/account/passkeys/start", password=password).status, status)

    def test_or_another_passkey(self) -> None:
        self.add(self.tab)
        proof = self.confirm(self.tab, "page:/api/account/passkeys/start").json()["proof"]
        options = self.json(self.tab, "/api/account/passkeys/start", __proof=proof)
        self.assertEqual(options.status, 200, options.body)
        self.assertEqual([one["id"] for one in options.json()["excludeCredentials"]], [self.device.credentials[0].id])

    def test_what_is_asked_of_the_device(self) -> None:
        options = self.json(self.tab, "/api/account/passkeys/start", password=PASSWORD).json()
        self.assertEqual(options["rp"]["id"], "hub.test")
        chosen = options["authenticatorSelection"]
        self.assertEqual((chosen["residentKey"], chosen["userVerification"]), ("required", "required"))
        self.assertNotIn("ada", options["user"]["id"])

    def test_what_is_not_added(self) -> None:
        unverified = Authenticator(ORIGIN, verifies=False)
        for name, device, client in (
            ("another origin", None, {"origin": "https://evil.example"}),
            ("framed", None, {"crossOrigin": True}),
            ("made for signing in", None, {"type": "webauthn.get"}),
            ("another challenge", None, {"challenge": "AAAA"}),
            ("nobody verified", unverified, {}),
        ):
            self.assertEqual(self.add(self.tab, device, **client).status, 400, name)
        self.assertEqual(self.tab.get_json("/api/me")["passkeys"], 0)

    def test_a_challenge_is_for_its_session_once(self) -> None:
        options = self.json(self.tab, "/api/account/passkeys/start", password=PASSWORD).json()
        made = self.device.create(options)
        other = self.sign_in()
        self.assertEqual(self.json(other, "/api/account/passkeys", credential=made, name="x").status, 400)
        self.assertEqual(self.json(self.tab, "/api/account/passkeys", credential=made, name="x").status, 201)
        self.assertEqual(self.json(self.tab, "/api/account/passkeys", credential=made, name="x").status, 400)

    def test_a_credential_belongs_to_one_person(self) -> None:
        self.add(self.tab)
        mine = self.device.credentials[0].id
        grace, thief = self.member(), Authenticator(ORIGIN, next_id=mine)
        self.assertEqual(self.add(grace, thief).status, 400)
        options = self.json(grace, "/api/account/passkeys/start", password=PASSWORD).json()
        thief.next_id = None
        made = thief.create(options).replace(thief.credentials[-1].id, mine)
        self.assertEqual(self.json(grace, "/api/account/passkeys", credential=made, name="x").status, 400)
        self.assertTrue(self.is_in(self.enter()))

    def test_at_most_twenty(self) -> None:
        for number in range(20):
            self.assertEqual(self.add(self.tab, Authenticator(ORIGIN), f"Key {number}").status, 201)
        self.assertEqual(self.json(self.tab, "/api/account/passkeys/start", password=PASSWORD).status, 409)

    def test_names(self) -> None:
        for name, status in (("Laptop  at home", 201), ("", 201), ("x" * 65, 400), ("a\nb", 400)):
            self.assertEqual(self.add(self.tab, Authenticator(ORIGIN), name).status, status, repr(name))
        self.assertIn("Laptop  at home", self.tab.get("/account/passkeys").body.decode())


class ChangeTests(PasskeyCase):
    def setUp(self) -> None:
        super().setUp()
        self.add(self.tab)
        self.path = f"/account/passkeys/{self.device.credentials[0].id}"

    def change(self, **fields: str) -> int:
        self.tab.get(self.path)
        return self.tab.post(self.path, {"name": "Desk", **fields}).status

    def test_rename_and_remove(self) -> None:
        self.assertEqual(self.change(action="rename", password="wrong"), 401)
        self.assertEqual(self.change(action="rename", password=PASSWORD), 303)
        self.assertIn("Desk", self.tab.get("/account/passkeys").body.decode())
        self.assertEqual(self.change(action="remove"), 400)
        self.assertEqual(self.change(action="shine", password=PASSWORD), 400)
        self.assertEqual(self.change(action="remove", password=PASSWORD), 303)
        self.assertFalse(self.is_in(self.enter()))
        noted = [action for _, action, outcome in self.acts() if outcome == "ok"]
        self.assertEqual(
            [one for one in noted if "passkey" in one], ["passkey-removed", "passkey-renamed", "passkey-added"]
        )

    def test_nobody_changes_somebody_elses(self) -> None:
        grace = self.member()
        for action in ("rename", "remove"):
            grace.get("/account/passkeys")
            self.assertEqual(grace.post(self.path, {"action": action, "password": PASSWORD, "name": "x"}).status, 404)
            grace.get("/account/passkeys")
            self.assertEqual(grace.post(self.path, {"action": action, "password": "wrong", "name": "x"}).status, 401)
        self.assertEqual(grace.get(self.path).status, 404)

    def test_the_only_second_factor_stays(self) -> None:
        self.tab.get("/account/2fa")
        self.tab.post("/account/2fa", {"action": "passkeys", "password": PASSWORD})
        self.tab.get(self.path)
        answer = self.tab.post(self.path, {"action": "remove", "password": PASSWORD})
        self.assertEqual(answer.status, 409)
        self.assertIn("Add another passkey first", answer.body.decode())
        self.add(self.tab, Authenticator(ORIGIN), "Phone")
        self.assertEqual(self.change(action="remove", password=PASSWORD), 303)

    def test_sessions_and_devices(self) -> None:
        self.door.address = "203.0.113.9"
        self.door.now += 3600
        self.tab.get("/account")
        page = self.tab.get("/account/sessions").body.decode()
        for shown in (
            "Sessions and devices",
            "this browser",
            "Last seen at 203.0.113.9",
            "Laptop",
            "Lamp",
            "Disconnect",
        ):
            self.assertIn(shown, page)


class ConfirmTests(PasskeyCase):
    def setUp(self) -> None:
        super().setUp()
        self.add(self.tab)

    def test_in_place_of_the_password(self) -> None:
        proof = self.confirm(self.tab, "user.invite").json()["proof"]
        headers = {**self.csrf(self.tab), "X_Parachute_Proof": proof}
        self.assertEqual(self.tab.send_json("POST", "/api/invites", b"{}", **headers).status, 201)
        self.assertEqual(self.tab.send_json("POST", "/api/invites", b"{}", **headers).status, 403)

    def test_what_confirms_nothing(self) -> None:
        other, unverified = Authenticator(ORIGIN), Authenticator(ORIGIN, verifies=False)
        self.add(self.member(), other)
        unverified.credentials = self.device.credentials
        for name, device, client in (
            ("somebody else's", other, {"credential": other.credentials[0]}),
            ("nobody verified", unverified, {}),
            ("another origin", None, {"origin": "https://evil.example"}),
        ):
            self.assertEqual(self.confirm(self.tab, "user.invite", device, **client).status, 401, name)

    def test_bound_to_the_operation_and_session(self) -> None:
        options = self.json(self.tab, "/api/account/step-up/options", operation="user.invite").json()
        signed = self.device.get(options)
        other = self.json(self.tab, "/api/account/step-up", operation="user.create", passkey=signed)
        self.assertEqual(other.status, 401)
        second = self.sign_in()
        answer = self.json(second, "/api/account/step-up", operation="user.invite", passkey=signed)
        self.assertEqual(answer.status, 401)

    def test_forms_take_a_proof_for_their_page(self) -> None:
        proof = self.confirm(self.tab, "page:/account/2fa").json()["proof"]
        other = self.confirm(self.tab, "page:/account/change-password").json()["proof"]
        self.tab.get("/account/2fa")
        self.assertEqual(self.tab.post("/account/2fa", {"action": "start", "__proof": other}).status, 401)
        self.assertEqual(self.tab.post("/account/2fa", {"action": "start", "__proof": proof}).status, 200)
        self.assertEqual(self.tab.post("/account/2fa", {"action": "start", "__proof": proof}).status, 401)

    def test_a_code_stands_in_for_no_password_on_a_page(self) -> None:
        app, _ = self.enrol(self.tab)
        for operation, status in (("user.invite", 200), ("page:/account/change-password", 400)):
            code = app.at(int(self.door.now))
            answer = self.json(self.tab, "/api/account/step-up", operation=operation, code=code)
            self.assertEqual(answer.status, status, operation)
            self.door.now += 60

    def test_a_proof_gives_no_other_proof(self) -> None:
        proof = self.confirm(self.tab, "page:/api/account/step-up").json()["proof"]
        answer = self.json(self.tab, "/api/account/step-up", operation="user.invite", __proof=proof)
        self.assertEqual(answer.status, 400)

    def test_without_a_passkey_there_is_nothing_to_sign(self) -> None:
        grace = self.member()
        self.assertEqual(self.json(grace, "/api/account/step-up/options", operation="user.invite").status, 409)

    def test_guessing_is_slowed(self) -> None:
        statuses = [
            self.json(self.tab, "/api/account/step-up", operation="user.invite", passkey="{}").status for _ in range(12)
        ]
        self.assertEqual(statuses[:8], [401] * 8)
        self.assertIn(429, statuses)
