"""The people API: who may change whom, what ends with it, and that an admin always remains."""

import json
from typing import Any

from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.root import Root
from tests.accounts.doors import DoorCase
from tests.support.asking import ask
from tests.support.front_door import PASSWORD, BrowserTab
from tests.support.operators import operator


class Case(DoorCase):
    """An owner, and requests confirmed with a fresh proof."""

    def setUp(self) -> None:
        super().setUp()
        self.tab = self.owner()
        self.owner_id = self.id_of("ada")

    def id_of(self, username: str) -> str:
        (found,) = [user.id for user in self.door.accounts.people.all() if user.username == username]
        return found

    def send(self, method: str, path: str, operation: str | None, tab: BrowserTab | None = None, **body: Any) -> Any:
        tab = tab or self.tab
        headers = self.proof(tab, operation) if operation else self.csrf(tab)
        self.answer = tab.send_json(method, path, json.dumps(body).encode(), **headers)
        return self.answer.json()

    def create(self, username: str = "grace", **more: Any) -> Any:
        return self.send("POST", "/api/users", "user.create", username=username, password=PASSWORD, **more)


class PeopleTests(Case):
    def test_a_created_user_is_listed(self) -> None:
        made = self.create(assigned_vaults={"family": "read"})
        self.assertEqual(self.answer.status, 201)
        self.assertEqual(made["user"]["vaults"], {"family": "read"})
        self.assertEqual((made["user"]["role"], made["user"]["password_changed"]), ("member", False))
        listed = self.tab.get_json("/api/users")["users"]
        self.assertEqual([user["username"] for user in listed], ["ada", "grace"])
        self.assertNotIn("$quick$", json.dumps(listed))

    def test_invalid_users_are_refused(self) -> None:
        self.create()
        for body, status, error in (
            ({"username": "Grace"}, 409, "username_taken"),
            ({"username": "a b"}, 400, "invalid_username"),
            ({"username": "admin"}, 400, "invalid_username"),
            ({"username": "x1", "assigned_vaults": ["nowhere"]}, 400, "assigned_vault_not_found"),
            ({"username": "x1", "assigned_vaults": {"family": "admin"}}, 400, "invalid_request"),
        ):
            said = self.create(**body)
            self.assertEqual((self.answer.status, said["error"]), (status, error))
        for password, status in (("short", 400), ("x" * 300, 413)):
            self.send("POST", "/api/users", "user.create", username="x1", password=password)
            self.assertEqual(self.answer.status, status)

    def test_roles_on_vaults(self) -> None:
        """Editing the list of vaults does not change roles."""
        user_id = self.create(assigned_vaults={"family": "read"})["user"]["id"]
        path, operation = f"/api/users/{user_id}/vaults", f"user.vaults:{user_id}"
        said = self.send("PATCH", path, operation, assigned_vaults=["family", "default"])
        self.assertEqual(said["user"]["vaults"], {"default": "write", "family": "read"})
        said = self.send("PATCH", path, operation, assigned_vaults={"default": "read"})
        self.assertEqual(said["user"]["vaults"], {"default": "read"})
        self.assertEqual(self.door.watch.changed, [user_id, user_id])

    def test_a_reset_password_must_be_changed(self) -> None:
        tab = self.member()
        user_id = self.id_of("grace")
        operation = f"user.reset-password:{user_id}"
        self.send("POST", f"/api/users/{user_id}/reset-password", operation, new_password="a temporary password")
        self.assertFalse(tab.get_json("/api/me")["hasSession"])
        self.assertEqual(self.door.watch.ended, [user_id])
        self.sign_in("grace", "a temporary password")
        self.assertEqual(self.answer.header("location"), "/account/change-password")

    def test_a_reset_password_leaves_the_second_factor(self) -> None:
        self.enrol(self.member())
        user_id = self.id_of("grace")
        operation = f"user.reset-password:{user_id}"
        self.send("POST", f"/api/users/{user_id}/reset-password", operation, new_password="a temporary password")
        self.assertEqual(self.answer.status, 200)
        tab = self.sign_in("grace", "a temporary password")
        self.assertEqual(self.answer.header("location"), "/login/2fa")
        self.assertFalse(tab.get_json("/api/me")["hasSession"])

    def test_vaults_of_the_removed_go_to_an_heir(self) -> None:
        self.member(family="read", default="write")
        self.member("heidi", family="read")
        grace, heidi = self.id_of("grace"), self.id_of("heidi")
        ada = self.id_of("ada")
        for heir in (grace, ada, "nobody"):
            self.send("DELETE", f"/api/users/{grace}?heir={heir}", f"user.delete:{grace}")
            self.assertIn(self.answer.status, (400, 404), heir)
        self.send("DELETE", f"/api/users/{grace}?heir={heidi}", f"user.delete:{grace}")
        self.assertEqual(self.answer.status, 200)
        (left,) = [one for one in self.tab.get_json("/api/users")["users"] if one["role"] == "member"]
        self.assertEqual((left["username"], left["vaults"]), ("heidi", {"default": "write", "family": "read"}))

    def test_not_ones_own_password(self) -> None:
        operation = f"user.reset-password:{self.owner_id}"
        self.send("POST", f"/api/users/{self.owner_id}/reset-password", operation, new_password="a temporary password")
        self.assertEqual(self.answer.status, 403)

    def test_delete_ends_everything(self) -> None:
        tab = self.member(family="write")
        user_id = self.id_of("grace")
        said = self.send("DELETE", f"/api/users/{user_id}", f"user.delete:{user_id}")
        self.assertEqual(said, {"ok": True, "revocation_lag_seconds": 60})
        self.assertFalse(tab.get_json("/api/me")["hasSession"])
        self.assertEqual(self.door.watch.ended, [user_id])
        for table in ("sessions", "user_vaults", "devices"):
            self.assertEqual(self.door.database.read(f"SELECT * FROM {table} WHERE user_id = ?", (user_id,)), [])

    def test_the_last_admin_stays(self) -> None:
        said = self.send("DELETE", f"/api/users/{self.owner_id}", f"user.delete:{self.owner_id}")
        self.assertEqual((self.answer.status, said["error"]), (403, "last_admin"))
        self.send("PATCH", f"/api/users/{self.owner_id}/role", f"user.role:{self.owner_id}", role="member")
        self.assertEqual(self.answer.status, 403)
        self.assertTrue(self.tab.get_json("/api/me")["hasSession"])
        self.assertEqual(self.door.watch.ended, [])

    def test_a_second_admin_may_take_over(self) -> None:
        self.member()
        other = self.id_of("grace")
        self.send("PATCH", f"/api/users/{other}/role", f"user.role:{other}", role="admin")
        tab = self.sign_in("grace")
        self.assertEqual(tab.get_json("/api/me")["user"]["role"], "admin")
        self.send("DELETE", f"/api/users/{self.owner_id}", f"user.delete:{self.owner_id}", tab=tab)
        self.assertEqual(self.answer.status, 200)
        self.assertEqual([user.username for user in self.door.accounts.people.all()], ["grace"])

    def test_help_with_a_lost_second_factor(self) -> None:
        tab = self.member()
        self.enrol(tab)
        user_id = self.id_of("grace")
        self.send("DELETE", f"/api/users/{user_id}/second-factor", f"user.second-factor:{user_id}")
        self.sign_in("grace")
        self.assertEqual(self.answer.header("location"), "/")

    def test_unknown_users_are_404(self) -> None:
        for method, path, operation in (
            ("DELETE", "/api/users/x", "user.delete:x"),
            ("PATCH", "/api/users/x/vaults", "user.vaults:x"),
            ("DELETE", "/api/users/x/second-factor", "user.second-factor:x"),
        ):
            self.send(method, path, operation, assigned_vaults={})
            self.assertEqual(self.answer.status, 404, path)

    def test_members_may_nothing_here(self) -> None:
        tab = self.member()
        for method, path in (
            ("GET", "/api/users"),
            ("POST", "/api/users"),
            ("GET", "/api/users/vaults"),
            ("GET", "/api/audit"),
            ("DELETE", f"/api/users/{self.owner_id}"),
            ("POST", "/api/invites"),
            ("PUT", "/api/settings/hub-origin"),
        ):
            self.send(method, path, None, tab=tab)
            self.assertEqual((self.answer.status, self.answer.json()["error"]), (403, "insufficient_scope"), path)

    def test_each_change_needs_its_proof(self) -> None:
        for method, path in (
            ("POST", "/api/users"),
            ("DELETE", f"/api/users/{self.owner_id}"),
            ("PATCH", f"/api/users/{self.owner_id}/vaults"),
            ("PATCH", f"/api/users/{self.owner_id}/role"),
            ("POST", f"/api/users/{self.owner_id}/reset-password"),
            ("DELETE", f"/api/users/{self.owner_id}/second-factor"),
            ("PUT", "/api/settings/hub-origin"),
        ):
            self.send(method, path, None)
            self.assertEqual((self.answer.status, self.answer.json()["error"]), (403, "step_up_required"), path)

    def test_the_operator_needs_none(self) -> None:
        """Whoever holds the operator token controls the machine."""
        from parachute_hub.accounts.setup.setup import unchecked
        from parachute_hub.admin.people_parts import people_parts

        who = Authenticator([operator("parachute-operator-x"), self.door.accounts.recogniser])
        parts = people_parts(self.door.accounts, who, lambda: [], apps=lambda: [], reach=unchecked)
        root = Root(parts, self.door.accounts.gate, is_secure=RequestCaller().is_secure)
        body = json.dumps({"username": "grace", "password": PASSWORD}).encode()
        headers = {"Authorization": "Bearer parachute-operator-x", "Content-Type": "application/json"}
        self.assertEqual(ask(root, "/api/users", method="POST", headers=headers, body=body).status, 201)
        self.assertEqual(ask(root, "/api/invites", method="POST", headers=headers, body=b"{}").status, 201)


class AuditTests(Case):
    def acts(self) -> list[tuple[str, str, str]]:
        return [(act["actor"], act["action"], act["outcome"]) for act in self.tab.get_json("/api/audit")["acts"]]

    def test_sign_ins_and_actions_are_audited(self) -> None:
        self.create()
        self.sign_in("nobody", "my secret password in the wrong field")
        self.sign_in(password="wrong")
        self.assertEqual(
            self.acts()[:3],
            [("ada", "sign-in", "refused"), ("(unknown)", "sign-in", "refused"), ("ada", "user-created", "ok")],
        )
        self.assertEqual(self.acts()[-2:], [("ada", "first-sign-in", "ok"), ("ada", "owner-created", "ok")])

    def test_what_an_owner_does_with_an_account_is_audited(self) -> None:
        """In order, once each, with whose account it was."""
        user_id = self.create()["user"]["id"]
        path = f"/api/users/{user_id}"
        self.send("PATCH", f"{path}/vaults", f"user.vaults:{user_id}", assigned_vaults=["default"])
        self.send("PATCH", f"{path}/role", f"user.role:{user_id}", role="admin")
        self.send("PATCH", f"{path}/role", f"user.role:{user_id}", role="member")
        self.send("POST", f"{path}/reset-password", f"user.reset-password:{user_id}", new_password="a temporary one")
        self.send("DELETE", path, f"user.delete:{user_id}")
        told = [act["action"] for act in self.tab.get_json("/api/audit")["acts"] if act["subject"] == "grace"]
        self.assertEqual(
            told[::-1],
            ["user-created", "vaults-changed", "role-admin", "role-member", "password-reset", "user-deleted"],
        )

    def test_no_secret_is_audited(self) -> None:
        self.sign_in("my secret password in the wrong field", "x")
        self.assertNotIn("secret", json.dumps(self.tab.get_json("/api/audit")))

    def test_older_entries_are_on_further_pages(self) -> None:
        for _ in range(120):
            self.door.accounts.trail.note(_act("noise"))
        first = self.tab.get_json("/api/audit")
        self.assertEqual(len(first["acts"]), 100)
        rest = self.tab.get_json(f"/api/audit?before={first['next_before']}")
        self.assertEqual((len(rest["acts"]), rest["next_before"]), (22, None))


def _act(action: str) -> Any:
    from parachute_hub.store.rows import Act

    return Act(at=1.0, actor="x", action=action)
