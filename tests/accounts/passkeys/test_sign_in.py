"""Signing in with a passkey: alone, and after the password."""

from base64 import urlsafe_b64encode

from parachute_hub.accounts.people.users import Actor
from tests.accounts.passkeys.keys import ORIGIN, PasskeyCase
from tests.support.authenticator import Authenticator
from tests.support.front_door import PASSWORD, BrowserTab


class AloneTests(PasskeyCase):
    def setUp(self) -> None:
        super().setUp()
        self.assertEqual(self.add(self.tab).status, 201)

    def test_it_signs_in_without_a_name_or_password(self) -> None:
        tab = self.enter()
        self.assertEqual((self.answer.status, self.answer.header("location")), (303, "/admin/"))
        self.assertTrue(self.is_in(tab))
        self.assertEqual(self.acts()[0], ("ada", "sign-in", "ok"))
        (session,) = [one for one in tab.get_json("/api/account/sessions")["sessions"] if one["current"]]
        self.assertEqual(session["methods"], ["passkey"])

    def test_the_options_tell_nothing(self) -> None:
        """They name no credential, whoever asks."""
        _, options = self.options()
        self.assertEqual(options["allowCredentials"], [])
        self.assertEqual((options["rpId"], options["userVerification"]), ("hub.test", "required"))

    def test_what_does_not_sign_in(self) -> None:
        """Each in the same words: nobody learns which passkeys or people there are."""
        other = Authenticator(ORIGIN)
        stranger = Authenticator(ORIGIN)
        grace = self.member()
        self.add(grace, other)
        _, options = self.options()
        stranger.create({"rp": {"id": "hub.test"}, "user": {"id": "eA"}, "excludeCredentials": [], **options})
        unverified = Authenticator(ORIGIN, verifies=False, credentials=self.device.credentials)
        mine = self.device.credentials[0]
        cases = {
            "unknown": lambda: self.enter(stranger),
            "another origin": lambda: self.enter(origin="https://evil.example"),
            "another port": lambda: self.enter(origin="https://hub.test:8443"),
            "framed": lambda: self.enter(crossOrigin=True),
            "framed by": lambda: self.enter(topOrigin="https://evil.example"),
            "made for adding": lambda: self.enter(type="webauthn.create"),
            "another challenge": lambda: self.enter(challenge="AAAA"),
            "nobody verified": lambda: self.enter(unverified),
        }
        texts = set()
        for number, (name, attempt) in enumerate(cases.items()):
            self.door.address = f"198.51.100.{number}"
            tab = attempt()
            self.assertEqual(self.answer.status, 401, name)
            self.assertFalse(self.is_in(tab), name)
            texts.add(self.answer.body.partition(b'role="alert">')[2].partition(b"<")[0])
        mine.handle = other.credentials[0].handle
        self.assertFalse(self.is_in(self.enter()), "it names somebody else")
        self.assertEqual(len(texts), 1, texts)

    def test_nonsense_is_refused(self) -> None:
        client = '{"id": "a", "response": {"clientDataJSON": "e30"}}'
        for number, text in enumerate(("", "x", "[]", "{}", '{"id": 1, "response": {}}', "[" * 5000, client)):
            self.door.address = f"198.51.100.{number}"
            tab, _ = self.options()
            self.assertEqual(tab.post("/login/passkey", {"passkey": text}).status, 401, text[:20])

    def test_a_changed_signature_is_refused(self) -> None:
        tab, options = self.options()
        signed = self.device.get(options)
        at = signed.index('"signature": "') + 20
        forged = signed[:at] + ("B" if signed[at] == "A" else "A") + signed[at + 1 :]
        self.assertEqual(tab.post("/login/passkey", {"passkey": forged}).status, 401)

    def test_a_challenge_works_once_in_time_and_in_its_browser(self) -> None:
        tab, options = self.options()
        signed = self.device.get(options)
        other = BrowserTab(self.door)
        other.get("/login")
        self.assertEqual(other.post("/login/passkey", {"passkey": signed}).status, 401, "another browser")
        self.assertEqual(tab.post("/login/passkey", {"passkey": signed}).status, 303)
        again = BrowserTab(self.door)
        again.cookies = {name: value for name, value in tab.cookies.items() if "csrf" in name}
        again.get("/login")
        self.assertEqual(again.post("/login/passkey", {"passkey": signed}).status, 401, "a second time")
        late, options = self.options()
        self.door.now += 301
        self.assertEqual(late.post("/login/passkey", {"passkey": self.device.get(options)}).status, 401, "too late")

    def test_a_challenge_is_for_one_purpose(self) -> None:
        tab, options = self.options(self.tab)
        csrf = self.csrf(tab)
        body = {"operation": "user.invite", "passkey": self.device.get(options)}
        answer = self.json(tab, "/api/account/step-up", **body)
        self.assertEqual(answer.status, 401)
        self.assertTrue(csrf)

    def test_two_devices_with_one_key_are_both_refused(self) -> None:
        """Nobody knows which of them is the thief's. The password goes on working."""
        self.enter()
        self.device.credentials[0].count = 0
        self.assertFalse(self.is_in(self.enter()))
        self.assertEqual(self.acts()[1], ("ada", "passkey-blocked", "ok"))
        self.device.credentials[0].count = 9
        self.assertFalse(self.is_in(self.enter()))
        self.assertIn("somebody may have a copy", self.tab.get("/account/passkeys").body.decode())
        self.assertTrue(self.is_in(self.sign_in()))

    def test_passkeys_that_do_not_count(self) -> None:
        synced = Authenticator(ORIGIN, counts=False, synced=True)
        self.add(self.tab, synced, "Phone")
        for _ in range(2):
            self.assertTrue(self.is_in(self.enter(synced)))

    def test_a_deleted_person_is_not_let_in(self) -> None:
        grace = self.member()
        device = Authenticator(ORIGIN)
        self.add(grace, device)
        (user,) = [one for one in self.door.accounts.people.all() if one.username == "grace"]
        headers = self.proof(self.tab, f"user.delete:{user.id}")
        self.assertEqual(self.tab.send_json("DELETE", f"/api/users/{user.id}", b"{}", **headers).status, 200)
        self.assertFalse(self.is_in(self.enter(device)))
        self.assertNotIn(device.credentials[0].id, self.dump())

    def test_a_temporary_password_is_still_replaced(self) -> None:
        """The passkey stands in for it."""
        grace = self.member()
        device = Authenticator(ORIGIN)
        self.add(grace, device)
        (user,) = [one for one in self.door.accounts.people.all() if one.username == "grace"]
        self.now(self.door.accounts.people.reset_password(Actor(name="ada"), user.id, "purple monkey dishwasher"))
        tab = self.enter(device)
        self.assertEqual(self.answer.header("location"), "/account/change-password")
        self.assertEqual(tab.get("/account", Accept="text/html").status, 302)
        proof = self.confirm(tab, "page:/account/change-password", device).json()["proof"]
        tab.get("/account/change-password")
        new = "five fine and fresh ideas"
        fields = {"__proof": proof, "new_password": new, "new_password_confirm": new}
        self.assertEqual(tab.post("/account/change-password", fields).status, 303)
        self.assertTrue(self.is_in(self.sign_in("grace", new)))

    def test_guessing_is_slowed(self) -> None:
        stranger = Authenticator(ORIGIN)
        _, options = self.options()
        stranger.create({"rp": {"id": "hub.test"}, "user": {"id": "eA"}, "excludeCredentials": [], **options})
        statuses = []
        for _ in range(8):
            self.enter(stranger)
            statuses.append(self.answer.status)
        self.assertEqual(statuses[:5], [401] * 5)
        self.assertIn(429, statuses)
        self.assertTrue(self.is_in(self.enter()), "the owner is not slowed down by it")

    def test_the_session_of_before_ends(self) -> None:
        """Against session fixation."""
        before = dict(self.tab.cookies)
        self.tab.get("/login?again=1")
        self.enter(tab=self.tab)
        self.assertEqual(self.answer.status, 303, self.answer.body)
        old = BrowserTab(self.door)
        old.cookies = before
        self.assertFalse(self.is_in(old))

    def test_a_long_handle_and_odd_bytes(self) -> None:
        self.device.credentials[0].handle = urlsafe_b64encode(b"\xff" * 64).decode()
        self.assertFalse(self.is_in(self.enter()))


class SecondTests(PasskeyCase):
    def setUp(self) -> None:
        super().setUp()
        self.add(self.tab)

    def switch_on(self) -> list[str]:
        self.tab.get("/account/2fa")
        answer = self.tab.post("/account/2fa", {"action": "passkeys", "password": PASSWORD})
        self.assertEqual(answer.status, 200, answer.body)
        return [part.partition("<")[0] for part in answer.body.decode().split("<code>")[1:]]

    def halfway(self) -> BrowserTab:
        tab = self.sign_in()
        self.assertEqual(self.answer.header("location"), "/login/2fa")
        return tab

    def second(self, tab: BrowserTab, device: Authenticator | None = None) -> int:
        tab.get("/login/2fa")
        options = self.json(tab, "/login/2fa/options")
        self.assertEqual(options.status, 200, options.body)
        return tab.post("/login/2fa", {"passkey": (device or self.device).get(options.json())}).status

    def test_in_place_of_an_app(self) -> None:
        codes = self.switch_on()
        self.assertEqual(len(codes), 10)
        tab = self.halfway()
        self.assertIn("Use your passkey, or type one of your recovery codes", tab.get("/login/2fa").body.decode())
        self.assertEqual(self.second(tab), 303)
        self.assertTrue(self.is_in(tab))
        tab = self.halfway()
        tab.get("/login/2fa")
        self.assertEqual(tab.post("/login/2fa", {"code": "000000"}).status, 401)
        self.assertEqual(tab.post("/login/2fa", {"code": codes[0]}).status, 303)

    def test_beside_an_app(self) -> None:
        self.enrol(self.tab)
        tab = self.halfway()
        self.assertEqual(self.second(tab), 303)

    def test_somebody_elses_passkey_is_no_second_factor(self) -> None:
        self.switch_on()
        other = Authenticator(ORIGIN)
        self.add(self.member(), other)
        tab = self.halfway()
        tab.get("/login/2fa")
        options = self.json(tab, "/login/2fa/options").json()
        signed = other.get(options, other.credentials[0])
        self.assertEqual(tab.post("/login/2fa", {"passkey": signed}).status, 401)
        self.assertFalse(self.is_in(tab))

    def test_a_device_that_verifies_nobody_is_enough_after_the_password(self) -> None:
        self.switch_on()
        self.device.verifies = False
        self.assertEqual(self.second(self.halfway()), 303)
        self.assertFalse(self.is_in(self.enter()), "but not alone")

    def test_no_options_without_the_password(self) -> None:
        self.switch_on()
        tab = BrowserTab(self.door)
        tab.get("/login")
        self.assertEqual(self.json(tab, "/login/2fa/options").status, 401)

    def test_off_again(self) -> None:
        self.switch_on()
        self.tab.get("/account/2fa")
        self.assertEqual(self.tab.post("/account/2fa", {"action": "disable", "password": PASSWORD}).status, 303)
        self.assertTrue(self.is_in(self.sign_in()))

    def test_the_owner_turns_it_off_for_somebody(self) -> None:
        grace, device = self.member(), Authenticator(ORIGIN)
        self.add(grace, device)
        grace.get("/account/2fa")
        grace.post("/account/2fa", {"action": "passkeys", "password": PASSWORD})
        (user,) = [one for one in self.tab.get_json("/api/users")["users"] if one["username"] == "grace"]
        self.assertEqual((user["second_factor"], user["passkeys"]), (True, 1))
        path, headers = (
            f"/api/users/{user['id']}/second-factor",
            self.proof(self.tab, f"user.second-factor:{user['id']}"),
        )
        self.assertEqual(self.tab.send_json("DELETE", path, b"", **headers).status, 200)
        self.assertTrue(self.is_in(self.sign_in("grace")))
        self.assertFalse(self.is_in(self.enter(device)), "the lost device opens nothing any more")
