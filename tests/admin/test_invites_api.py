"""Invitations: created by an owner, used as often as allowed, then invalid."""

import json
from typing import Any

from parachute_hub.site.errors import Refused
from tests.admin.test_users_api import Case
from tests.support.front_door import PASSWORD, BrowserTab


class InviteTests(Case):
    def make(self, **body: Any) -> Any:
        return self.send("POST", "/api/invites", "user.invite", **body)

    def join(self, token: str, username: str = "grace", **fields: str) -> BrowserTab:
        tab = BrowserTab(self.door)
        page = tab.get(f"/account/setup/{token}")
        if page.status == 200:
            said = {"username": username, "password": PASSWORD, "password_confirm": PASSWORD, **fields}
            page = tab.post(f"/account/setup/{token}", said)
        self.answer = page
        return tab

    def test_an_invited_user_signs_in(self) -> None:
        made = self.make(vaults={"family": "read"})
        self.assertEqual(self.answer.status, 201)
        self.assertEqual(made["url"], f"http://hub.test/account/setup/{made['token']}")
        self.assertNotIn(made["token"], self.dump())
        tab = self.join(made["token"])
        self.assertEqual((self.answer.status, self.answer.header("location")), (303, "/"))
        me = tab.get_json("/api/me")["user"]
        self.assertEqual((me["displayName"], me["role"], me["vaults"]), ("grace", "member", {"family": "read"}))
        self.join(made["token"], "eve")
        self.assertEqual(self.answer.status, 410)
        (listed,) = self.tab.get_json("/api/invites")["invites"]
        self.assertEqual((listed["status"], listed["used_count"]), ("redeemed", 1))

    def test_the_older_hubs_fields(self) -> None:
        made = self.make(vault_name="family", role="read", provision_vault=False)
        self.assertEqual(made["invite"]["vaults"], {"family": "read"})

    def test_whoever_joins_gets_a_vault_of_their_own(self) -> None:
        self.door.vaults.made.append("grace")
        made = self.make(provision_vault=True, vaults={"family": "read"}, name="Grace 🌷", note="See you on Sunday")
        self.assertEqual((made["invite"]["name"], made["invite"]["own_vault"]), ("Grace 🌷", True))
        page = BrowserTab(self.door).get(f"/account/setup/{made['token']}")
        for words in (
            "ada invites you",
            "See you on Sunday",
            "a vault of your own",
            'value="Grace 🌷"',
            'value="grace"',
        ):
            self.assertIn(words, page.body.decode())
        tab = self.join(made["token"], display_name="Grace 🌷")
        self.assertEqual(tab.get_json("/api/me")["user"]["vaults"], {"family": "read", "grace-2": "write"})
        self.assertEqual(self.door.vaults.made[-1], "grace-2")
        acts = self.tab.get_json("/api/audit")["acts"]
        self.assertIn(("grace", "vault-made", "grace-2"), [(a["actor"], a["action"], a["subject"]) for a in acts])

    def test_a_name_alone_makes_the_username(self) -> None:
        tab = self.join(self.make()["token"], "", display_name="Jürgen Groß")
        self.assertEqual(self.answer.status, 303, self.answer.body)
        self.assertEqual(tab.get_json("/account/session")["username"], "jurgen.gross")

    def test_a_vault_that_cannot_be_made_lets_nobody_in(self) -> None:
        made = self.make(provision_vault=True)
        self.door.vaults.refusal = Refused(502, "vault_command_failed", "The disk is full.")
        self.join(made["token"])
        self.assertEqual(self.answer.status, 502)
        self.assertIn(b"The disk is full.", self.answer.body)
        self.door.vaults.refusal = None
        self.join(made["token"], "ada")
        self.assertEqual((self.answer.status, self.door.vaults.made), (409, ["default", "family"]))
        self.join(made["token"])
        self.assertEqual(self.answer.status, 303)

    def test_no_own_vault_without_the_vault_module(self) -> None:
        self.door.vaults.made.clear()
        self.assertEqual(self.make(provision_vault=True)["error"], "no_vault_module")

    def test_a_link_is_shown_again_while_it_is_valid(self) -> None:
        made = self.make()
        path = f"/api/invites/{made['invite']['id']}/link"
        again = self.send("POST", path, None)
        self.assertEqual((again["url"], self.answer.status), (made["url"], 200))
        self.assertTrue(again["qr_data_url"].startswith("data:image/png;base64,"))
        self.send("DELETE", path.removesuffix("/link"), None)
        self.send("POST", path, None)
        self.assertEqual(self.answer.status, 410)
        self.assertEqual(self.send("POST", "/api/invites/nothing/link", None)["error"], "not_found")

    def test_an_invitation_can_fix_the_username(self) -> None:
        made = self.make(username="grace")
        tab = self.join(made["token"], "eve")
        self.assertEqual(tab.get_json("/api/me")["user"]["displayName"], "grace")

    def test_used_revoked_and_expired_links_let_nobody_in(self) -> None:
        expired = self.make(expires_in=60)["token"]
        revoked = self.make()
        self.door.now += 61
        self.send("DELETE", f"/api/invites/{revoked['invite']['id']}", None)
        for token in (expired, revoked["token"]):
            self.join(token)
            self.assertEqual(self.answer.status, 410)
        self.join("nonsense")
        self.assertEqual(self.answer.status, 404)
        self.assertEqual([user.username for user in self.door.accounts.people.all()], ["ada"])

    def test_a_link_can_be_used_several_times(self) -> None:
        token = self.make(max_uses=2)["token"]
        for username, status in (("one1", 303), ("two2", 303), ("three3", 410)):
            self.join(token, username)
            self.assertEqual(self.answer.status, status, username)

    def test_a_mistake_uses_nothing_up(self) -> None:
        token = self.make()["token"]
        for fields, status in (
            ({"username": "ada"}, 409),
            ({"username": "a b"}, 400),
            ({"password": "short", "password_confirm": "short"}, 400),
            ({"password_confirm": "another thing"}, 400),
        ):
            self.join(token, **fields)
            self.assertEqual(self.answer.status, status, self.answer.body)
        self.join(token)
        self.assertEqual(self.answer.status, 303)

    def test_invalid_invitations_are_refused(self) -> None:
        for body, error in (
            ({"max_uses": 0}, "invalid_request"),
            ({"max_uses": 1001}, "invalid_request"),
            ({"max_uses": True}, "invalid_request"),
            ({"expires_in": 91 * 86400}, "invalid_request"),
            ({"expires_in": "1"}, "invalid_request"),
            ({"username": "grace", "max_uses": 2}, "invalid_request"),
            ({"username": 3}, "invalid_request"),
            ({"username": "admin"}, "invalid_username"),
            ({"vaults": {"family": "admin"}}, "invalid_request"),
            ({"vaults": {"nothing": "read"}}, "assigned_vault_not_found"),
            ({"note": "a" * 501}, "invalid_request"),
            ({"name": "two\nlines"}, "invalid_name"),
        ):
            self.assertEqual(self.make(**body)["error"], error, body)
            self.assertEqual(self.answer.status, 400)

    def test_invitations_end_with_whoever_made_them(self) -> None:
        self.member()
        other = self.id_of("grace")
        self.send("PATCH", f"/api/users/{other}/role", f"user.role:{other}", role="admin")
        grace = self.sign_in("grace")
        token = self.send("POST", "/api/invites", "user.invite", tab=grace)["token"]
        self.send("DELETE", f"/api/users/{other}", f"user.delete:{other}")
        self.join(token, "eve")
        self.assertEqual(self.answer.status, 404)

    def test_in_json(self) -> None:
        token = self.make()["token"]
        tab = BrowserTab(self.door)
        csrf = tab.get_json("/account/session")["csrf"]
        said = {"username": "grace", "password": PASSWORD, "password_confirm": PASSWORD, "__csrf": csrf}
        answer = tab.send_json("POST", f"/account/setup/{token}", json.dumps(said).encode())
        self.assertEqual((answer.status, answer.json()), (200, {"ok": True, "username": "grace", "key": tab.key}))
