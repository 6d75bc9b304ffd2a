"""What a change of the hub's address means for passkeys."""

from typing import Any

from twisted.web.template import flattenString

from parachute_hub.accounts.passkeys.policy import place
from parachute_hub.accounts.passkeys.views import obstacle
from tests.accounts.passkeys.keys import ORIGIN, PasskeyCase
from tests.support.authenticator import Authenticator
from tests.support.front_door import PASSWORD, BrowserTab

NEW = "https://new.test"


class AddressTests(PasskeyCase):
    def setUp(self) -> None:
        super().setUp()
        self.add(self.tab)

    def plan(self, to: str) -> Any:
        found: Any = self.tab.get_json(f"/api/settings/hub-origin/plan?hub_origin={to}")["passkeys"]
        return found

    def change(self, to: str) -> int:
        headers = self.proof(self.tab, "hub.origin")
        body = f'{{"hub_origin": "{to}"}}'.encode()
        self.answer = self.tab.send_json("PUT", "/api/settings/hub-origin", body, **headers)
        return self.answer.status

    def test_the_plan_says_who_loses_which(self) -> None:
        grace = self.member()
        self.add(grace, Authenticator(ORIGIN), "Phone")
        told = self.plan(NEW)
        found = [(one["person"]["name"], one["passkeys"], one["all"], one["locked_out"]) for one in told]
        self.assertEqual(sorted(found), [("ada", ["Laptop"], True, False), ("grace", ["Phone"], True, False)])
        self.assertEqual(self.plan(ORIGIN), [])

    def test_after_a_change_they_work_at_the_former_address_for_30_days(self) -> None:
        self.assertEqual(self.change(NEW), 200)
        self.assertTrue(self.is_in(self.enter()))
        refused = self.json(self.tab, "/api/account/passkeys/start", password=PASSWORD)
        self.assertEqual((refused.status, refused.json()["error"]), (409, "no_passkeys_here"))
        self.door.now += 30 * 86400
        tab = BrowserTab(self.door)
        tab.get("/login")
        self.assertEqual(self.json(tab, "/login/passkey/options").status, 409)
        page = self.sign_in().get("/account/passkeys").body.decode()
        self.assertIn("It belongs to hub.test, which is not the hub’s address any more.", page)

    def test_nobody_is_left_without_a_way_in(self) -> None:
        self.tab.get("/account/2fa")
        page = self.tab.post("/account/2fa", {"action": "passkeys", "password": PASSWORD}).body.decode()
        codes = [part.partition("<")[0] for part in page.split("<code>")[1:]]
        self.assertEqual(self.change(NEW), 200, "recovery codes are a way in")
        self.assertEqual(self.change(ORIGIN), 200)
        for code in codes:
            tab = self.sign_in()
            tab.get("/login/2fa")
            self.assertEqual(tab.post("/login/2fa", {"code": code}).status, 303)
        self.assertIn("no recovery codes left", self.tab.get("/account").body.decode())
        self.assertTrue(self.plan(NEW)[0]["locked_out"])
        self.assertEqual((self.change(NEW), self.answer.json()["error"]), (409, "locks_out"))
        self.assertEqual(self.door.origin.issuer(), ORIGIN)
        self.tab.get("/account/2fa")
        self.assertEqual(self.tab.post("/account/2fa", {"action": "codes", "password": PASSWORD}).status, 200)
        self.assertEqual(self.change(NEW), 200)


class ObstacleTests(PasskeyCase):
    def test_over_plain_http_the_page_says_why(self) -> None:
        self.door.https = False
        self.assertIn("only over https", self.tab.get("/login").body.decode())
        tab = self.sign_in()
        page = tab.get("/account/passkeys").body.decode()
        self.assertIn("only over https", page)
        self.assertNotIn("data-passkey", page)
        self.assertEqual(self.json(tab, "/api/account/passkeys/start", password=PASSWORD).status, 409)

    def test_on_a_number_the_page_leads_to_localhost(self) -> None:
        for origin, link in (
            ("http://127.0.0.1:1939", "http://localhost:1939/login"),
            ("http://[::1]:1939", "http://localhost:1939/login"),
            ("http://192.0.2.1", "http://localhost/login"),
        ):
            told = obstacle(place(origin, bound=[origin], former=[]), "/login")
            self.assertIn(f'href="{link}"'.encode(), self.successResultOf(flattenString(None, told)), origin)
