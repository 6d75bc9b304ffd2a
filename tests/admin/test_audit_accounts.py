"""What people do with their own accounts and invitations is audited, by the real routes."""

import json
from typing import Any

import pyotp

from tests.admin.test_users_api import Case
from tests.support.front_door import PASSWORD, BrowserTab

NEW = "four rather new words"


class AuditAccountsTests(Case):
    def own(self, path: str, method: str = "POST", **body: str) -> Any:
        answer = self.tab.send_json(method, f"/api/account/{path}", json.dumps(body).encode(), **self.csrf(self.tab))
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def acts(self) -> list[tuple[str, str, str]]:
        """All entries, oldest first: who, action, outcome."""
        acts = self.tab.get_json("/api/audit")["acts"]
        return [(act["actor"], act["action"], act["outcome"]) for act in reversed(acts)]

    def assert_noted(self, *actions: str, actor: str = "ada", outcome: str = "ok") -> None:
        """These are the last entries, without sign-ins."""
        noise = ("sign-in", "first-sign-in", "session-renewed")
        told = [act for act in self.acts() if act[1] not in noise or act[1] in actions]
        self.assertEqual(told[-len(actions) :], [(actor, action, outcome) for action in actions])

    def test_the_second_factor(self) -> None:
        started = self.own("2fa/start", password=PASSWORD)
        self.own("2fa/confirm", code=pyotp.TOTP(started["secret"]).at(int(self.door.now)))
        self.assert_noted("second-factor-on")
        self.own("2fa/codes", password=PASSWORD)
        self.own("2fa/disable", password=PASSWORD)
        self.assert_noted("recovery-codes-renewed", "second-factor-off")

    def test_a_sign_in_with_a_code_and_a_wrong_one(self) -> None:
        app, _ = self.enrol(self.tab)
        other = self.sign_in()
        other.post("/login/2fa", {"code": "000000"})
        self.assert_noted("second-factor", outcome="refused")
        other.post("/login/2fa", {"code": app.at(int(self.door.now))})
        self.assertIn(("ada", "sign-in", "ok"), self.acts()[-2:])

    def test_a_new_password(self) -> None:
        self.own("password", current_password=PASSWORD, new_password=NEW)
        self.assert_noted("password-changed")

    def test_sessions(self) -> None:
        self.sign_in()
        (theirs,) = [one for one in self.tab.get_json("/api/account/sessions")["sessions"] if not one["current"]]
        self.own(f"sessions/{theirs['id']}", "DELETE")
        self.sign_in()
        self.own("sessions", "DELETE")
        self.assert_noted("session-ended", "other-sessions-ended")
        leaving = self.sign_in()
        leaving.post("/logout", {"__csrf": leaving.get_json("/api/me")["csrf"]})
        self.assert_noted("sign-out")

    def test_a_wrong_password_for_a_confirmation(self) -> None:
        body = json.dumps({"operation": "user.create", "password": "wrong"}).encode()
        self.tab.send_json("POST", "/api/account/step-up", body, **self.csrf(self.tab))
        self.assert_noted("confirm", outcome="refused")

    def test_invitations(self) -> None:
        made = self.send("POST", "/api/invites", "user.invite", vaults={"family": "read"})
        guest = BrowserTab(self.door)
        guest.get(f"/account/setup/{made['token']}")
        said = {"username": "grace", "password": PASSWORD, "password_confirm": PASSWORD}
        self.assertEqual(guest.post(f"/account/setup/{made['token']}", said).status, 303)
        self.assert_noted("invite-redeemed", actor="grace")
        self.send("POST", "/api/invites", "user.invite", vaults={"family": "read"})
        pending = next(one for one in self.tab.get_json("/api/invites")["invites"] if one["status"] == "pending")
        self.send("DELETE", f"/api/invites/{pending['id']}", None)
        self.assert_noted("invited", "invite-revoked")

    def test_a_second_factor_that_an_owner_removes(self) -> None:
        self.enrol(self.member())
        grace = self.id_of("grace")
        self.send("DELETE", f"/api/users/{grace}/second-factor", f"user.second-factor:{grace}")
        self.assertEqual(self.answer.status, 200, self.answer.body)
        self.assert_noted("second-factor-removed")

    def test_a_new_name(self) -> None:
        self.tab.get("/account/name")
        self.assertEqual(self.tab.post("/account/name", {"display_name": "Ada L."}).status, 303)
        self.assert_noted("name-changed")

    def test_a_way_back_in_by_a_variable(self) -> None:
        """Nobody is signed in any more, so the table itself is read."""
        self.now(self.door.accounts.boot(None, "a new way into this hub"))
        action = "owner-reset"
        self.assertIn(f"'{action}'", self.dump())
