"""A proof for one named operation: works once, for five minutes, in this session only."""

from typing import Any

from parachute_hub.accounts.sessions.policy import PROOF
from tests.accounts.doors import DoorCase
from tests.support.front_door import PASSWORD, BrowserTab


class StepUpTests(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.tab = self.owner()

    def ask(self, operation: str = "user.invite", **secret: str) -> Any:
        fields = {"operation": operation, **(secret or {"password": PASSWORD})}
        body = ("{" + ", ".join(f'"{key}": "{value}"' for key, value in fields.items()) + "}").encode()
        return self.tab.send_json("POST", "/api/account/step-up", body, **self.csrf(self.tab))

    def invite(self, tab: BrowserTab, proof: str | None) -> int:
        headers = {**self.csrf(tab), **({"X_Parachute_Proof": proof} if proof else {})}
        self.answer = tab.send_json("POST", "/api/invites", b"{}", **headers)
        return self.answer.status

    def test_a_proof_works_once(self) -> None:
        self.assertEqual(self.invite(self.tab, None), 403)
        self.assertEqual(self.answer.json()["error"], "step_up_required")
        self.assertEqual(self.answer.json()["operation"], "user.invite")
        proof = self.ask().json()["proof"]
        self.assertEqual(self.invite(self.tab, proof), 201)
        self.assertEqual(self.invite(self.tab, proof), 403)

    def test_bound_to_the_operation(self) -> None:
        self.assertEqual(self.invite(self.tab, self.ask("user.create").json()["proof"]), 403)
        self.assertEqual(self.invite(self.tab, self.ask("user.invite:other").json()["proof"]), 403)

    def test_bound_to_the_session(self) -> None:
        proof = self.ask().json()["proof"]
        self.assertEqual(self.invite(self.sign_in(), proof), 403)
        self.assertEqual(self.invite(self.tab, proof), 201)

    def test_a_proof_expires_after_five_minutes(self) -> None:
        proof = self.ask().json()["proof"]
        self.door.now += PROOF
        self.assertEqual(self.invite(self.tab, proof), 403)

    def test_signing_in_is_no_proof(self) -> None:
        self.assertEqual(self.invite(self.sign_in(), None), 403)

    def test_a_second_factor_proves_too(self) -> None:
        app, codes = self.enrol(self.tab)
        code = app.at(int(self.door.now))
        self.assertEqual(self.ask(code=code).status, 200)
        self.assertEqual(self.ask(code=code).status, 401)
        self.assertEqual(self.ask(code=codes[0]).status, 200)

    def test_wrong_credentials_give_no_proof(self) -> None:
        for operation, secret, status in (
            ("user.invite", {"password": "wrong"}, 401),
            ("user.invite", {"password": ""}, 400),
            ("user.invite", {"code": "123456"}, 401),
            ("", {"password": PASSWORD}, 400),
            ("Not An Operation", {"password": PASSWORD}, 400),
        ):
            self.assertEqual(self.ask(operation, **secret).status, status, (operation, secret))

    def test_guessing_is_slowed(self) -> None:
        statuses = [self.ask(password="wrong").status for _ in range(12)]
        self.assertEqual(statuses[:8], [401] * 8)
        self.assertIn(429, statuses)

    def test_only_for_whoever_is_signed_in(self) -> None:
        stranger = BrowserTab(self.door)
        self.assertEqual(stranger.send_json("POST", "/api/account/step-up").status, 401)
