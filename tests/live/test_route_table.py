"""Each row of the route table on a running hub, with every credential that is too weak for it. Requests are refused
before anything happens, so the rows need no modules.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site.route_table import ROWS, Row
from tests.live.harness import OWNER, HubProcess, Reply, fetch, hub, session_of_owner

PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
MEMBERS_PASSWORD = "three small paper boats"
APP = {"redirect_uris": ["https://app.test/callback"], "client_name": "App"}
# What a step-up is asked for, where it is not for everything.
BODIES: Mapping[tuple[str, str], Any] = {
    ("POST", "/api/modules/install"): {"package": "@stranger/thing"},
    ("POST", "/api/modules/<short>/install"): {"version": "0.0.1"},
    ("POST", "/api/modules/<short>/upgrade"): {"version": "0.0.1", "allow_downgrade": True},
    ("PUT", "/api/modules/<short>/settings"): {"trusted": True},
    ("POST", "/vaults"): {"name": "garden"},
    ("POST", "/api/auth/mint-token"): {"scope": "account:self:read"},
    ("POST", "/api/auth/open-settings"): {"module": "scribe"},
    ("POST", "/api/auth/rotate-operator"): {},
    ("POST", "/api/settings/hub-origin"): {"hub_origin": "https://hub.example.com"},
    ("PUT", "/api/settings/hub-origin"): {"hub_origin": "https://hub.example.com"},
    ("POST", "/api/reach"): {"way": "lan"},
    ("POST", "/api/backups/places"): {"kind": "folder", "path": "/mnt/disk"},
    ("POST", "/api/notices/destinations"): {"kind": "ntfy", "url": "https://ntfy.test/topic"},
    ("POST", "/api/account/step-up"): {"operation": "user.create"},
    ("POST", "/api/account/password"): {"new_password": "four small paper boats"},
    ("POST", "/admin/setup/expose"): {"expose_mode": "public", "hub_origin": "https://hub.example.com"},
}
# These need a request that an app or the command began, or an enrolment that was begun with the password.
SHAPED = {
    ("POST", "/oauth/authorize"),
    ("POST", "/account/confirm/<confirmation_id>"),
    ("POST", "/account/2fa"),
    ("POST", "/api/account/2fa/confirm"),
}
# There is no such module, vault or link here, which is told to whoever may know it, before the proof. Of links,
# tests/admin/test_before_the_password.py asks for the proof.
ABSENT = {
    "/api/auth/open-settings",
    "/admin/module-token/<short>",
    "/admin/agent-token",
    "/api/backups/download/<token>",
    "/api/links/<short>",
    "/api/links/<short>/pair",
    "/api/links/<short>/move",
} | {f"/{place}/vault-admin-token/<vault>" for place in ("admin", "account")}
# Forms; the rest is JSON.
FORMS = {
    "/oauth/token": "grant_type=refresh_token&refresh_token=x",
    "/oauth/revoke": "token=x",
    "/oauth/device_authorization": "scope=vault:read",
    "/oauth/device": "user_code=BCDFGHJK",
    "/account/confirm/<confirmation_id>": "approve=yes",
    "/oauth/authorize": "__action=consent&approve=yes&client_id={client}",
    "/oauth/authorize/approve": "decision=approve&client_id={client}",
    "/account/apps": "client_id={client}",
    "/account/lock": "password=wrong",
}
# Signing out deletes the cookie of whoever asks, and ends a session only for whoever holds its key.
HARMLESS = {("POST", "/logout")}


@frozen
class Session:
    """A signed-in browser."""

    cookie: str
    csrf: str
    key: str

    def headers(self) -> dict[str, str]:
        """As one of our pages sends them."""
        return {"cookie": self.cookie, "csrf": self.csrf, "X_Parachute_Key": self.key}


class RouteTableTests(SynchronousTestCase):
    hub: HubProcess

    def setUp(self) -> None:
        self.hub = hub(self).start()
        self.owner = self.sign_in(OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"], PASSWORD)
        self.member = self.make_member()
        self.reads = self.token("account:self:read")
        self.client = self.ask("POST", "/oauth/register", APP).json()["client_id"]
        made = self.hub.client.call("POST", "/api/auth/mint-token", {"scope": "account:self:read"})
        self.others = {"jti": made["jti"]}

    def ask(self, method: str, path: str, body: Any = None, *, cookie: str = "", csrf: str = "", **more: str) -> Reply:
        headers = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"} if isinstance(body, bytes) else {}
        headers |= {"Cookie": cookie} if cookie else {}
        headers |= {"X-Parachute-CSRF": csrf} if csrf else {}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        return fetch(f"{self.hub.url}{path}", method=method, body=body, headers=headers)

    def proof(self, operation: str) -> str:
        said = {"operation": operation, "password": PASSWORD}
        answer = self.ask("POST", "/api/account/step-up", said, **self.owner.headers())
        return str(answer.json()["proof"])

    def make_member(self) -> Session:
        """A member with a password of their own."""
        said = {"username": "grace", "password": "for one sign-in only"}
        self.hub.client.call("POST", "/api/users", said)
        grace = self.sign_in("grace", "for one sign-in only")
        changed = {"current_password": "for one sign-in only", "new_password": MEMBERS_PASSWORD}
        self.assertEqual(self.ask("POST", "/api/account/password", changed, **grace.headers()).status, 200)
        return self.sign_in("grace", MEMBERS_PASSWORD)

    def sign_in(self, username: str, password: str) -> Session:
        kept = session_of_owner(self.hub, username, password)
        csrf = self.ask("GET", "/api/me", cookie=kept.cookie).json()["csrf"]
        return Session(kept.cookie, csrf, kept.key)

    def token(self, scope: str) -> str:
        proof = self.proof(f"token.mint:{scope}")
        given = {**self.owner.headers(), "X_Parachute_Proof": proof}
        return str(self.ask("POST", "/api/auth/mint-token", {"scope": scope}, **given).json()["token"])

    def test_a_restore_ends_with_the_session_that_began_it(self) -> None:
        """Otherwise whoever copied its ticket could replace the hub after the owner has left."""
        given = {**self.owner.headers(), "X_Parachute_Proof": self.proof("backup.restore")}
        begun = self.ask("POST", "/admin/setup/restore", {"identity": "AGE-SECRET-KEY-1" + "Q" * 58}, **given).json()
        path, ticket = f"/admin/setup/restore/{begun['id']}", f"Bearer {begun['ticket']}"
        self.assertEqual(self.ask("GET", path, Authorization=ticket).status, 200)
        self.assertIn(self.ask("POST", "/logout", {}, **self.owner.headers()).status, (200, 303))
        answer = self.ask("GET", path, Authorization=ticket)
        self.assertEqual((answer.status, answer.json()["error"]), (403, "wrong_ticket"))

    def path(self, row: Row) -> str:
        filled = {"<short>": "vault", "<vault>": "default", "<path:client_id>": self.client, "<client_id>": self.client}
        return re.sub(r"<[^>]+>", lambda found: filled.get(found[0], "x"), row.rule)

    def body(self, row: Row) -> Any:
        if row.method == "GET":
            return None
        if row.rule in FORMS:
            return FORMS[row.rule].format(client=self.client).encode()
        return self.others if row.rule == "/api/auth/revoke-token" else BODIES.get((row.method, row.rule), {})

    def weak(self, row: Row) -> Iterator[tuple[str, dict[str, str]]]:
        """The credentials that are too weak for a row, by name."""
        owner, member = self.owner, self.member
        yield "none", {}
        if row.who == "app":
            return
        yield "a session's cookie alone", {"cookie": owner.cookie} if row.method != "GET" else {}
        yield (
            "another session's form token",
            {**owner.headers(), "csrf": member.csrf} if row.method != "GET" else {},
        )
        # Whoever listens on another port of this machine may have the cookie, and with it the form token.
        if row.proof != "secret" and row.method != "GET":
            yield "a cookie caught on another port", {"cookie": owner.cookie, "csrf": owner.csrf}
            yield "a caught cookie and a wrong key", {**owner.headers(), "X_Parachute_Key": member.key}
        yield "a page of another site", {**owner.headers(), "Sec_Fetch_Site": "same-site"}
        yield "a token that reads the account", {"Authorization": f"Bearer {self.reads}"}
        yield "a forged token", {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}
        if row.who == "owner":
            yield "a member", member.headers()
        if row.proof in ("step-up", "password", "opened", "bearer") and (row.method, row.rule) not in SHAPED:
            yield "no proof of presence", owner.headers()
        if row.proof == "step-up":
            proof = self.proof("something.else")
            yield "a proof for another act", {**owner.headers(), "X_Parachute_Proof": proof}
            if not row.bearers:
                yield "no person", {"Authorization": f"Bearer {self.reads}"}

    def test_what_is_too_weak_is_refused(self) -> None:
        tried, wrong = 0, []
        before = self.state()
        for row in ROWS:
            if row.proof == "nothing":
                continue
            for name, credential in self.weak(row):
                answer = self.ask(row.method, self.path(row), self.body(row), **credential)
                tried += 1
                refused = (row.method, row.rule) in HARMLESS or answer.status in (400, 401, 403)
                refused = refused or answer.headers.get("location", "").startswith("/login?")
                if row.rule in ABSENT and "cookie" in credential:
                    refused = refused or answer.status == 404
                if name == "no proof of presence" and row.proof == "step-up" and row.rule not in ABSENT:
                    refused = refused and answer.json()["error"] == "step_up_required"
                if not refused or b"pvt_" in answer.body or b'"token"' in answer.body:
                    wrong.append(f"{row.method} {row.rule} with {name}: {answer.status} {answer.body[:200]!r}")
        self.assertFalse(wrong, "\n".join(wrong))
        self.assertGreater(tried, 350)
        self.assertEqual(self.state(), before)

    def state(self) -> str:
        """Everything that could have changed: people, invitations, apps, modules, vaults, tokens, address, sessions."""
        paths = ("users", "invites", "oauth/clients", "modules", "auth/tokens", "settings/hub-origin")
        read = {path: self.hub.client.call("GET", f"/api/{path}") for path in paths}
        # A token that was refused was used all the same.
        for token in read["auth/tokens"]["tokens"]:
            del token["last_used_at"]
        sessions = self.ask("GET", "/api/account/sessions", cookie=self.owner.cookie).json()["sessions"]
        return json.dumps([read, sorted(session["id"] for session in sessions)], sort_keys=True)
