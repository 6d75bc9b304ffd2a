"""Signing in a phone by a link: the two browsers, and what others try with it."""

import re
from typing import Any
from urllib.parse import urlsplit

import pyotp

from parachute_hub.accounts.signin.phone_links import OPENS
from tests.accounts.doors import DoorCase
from tests.support.asking import Answer
from tests.support.at_once import at_once
from tests.support.front_door import PASSWORD, BrowserTab

ORIGIN = "https://hub.test"
LAPTOP = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 Version/26.0 Safari/604.1"


class PhoneCase(DoorCase):
    """The owner at a laptop, and a phone."""

    def setUp(self) -> None:
        super().setUp()
        self.door.https = True
        self.laptop = self.owner()
        at_once(self.door.origin.choose(ORIGIN, self.door.now))
        self.phone = BrowserTab(self.door)

    def made(self, tab: BrowserTab | None = None, next_path: str = "/notes/") -> dict[str, Any]:
        tab = tab or self.laptop
        body = f'{{"next": "{next_path}"}}'.encode()
        answer = tab.send_json("POST", "/api/phone-links", body, **self.proof(tab, "phone.link"))
        self.assertEqual(answer.status, 201, answer.body)
        made: dict[str, Any] = answer.json()
        return made

    def secret(self, made: dict[str, Any]) -> str:
        return str(urlsplit(made["url"]).fragment)

    def opened(self, secret: str, phone: BrowserTab | None = None) -> Answer:
        phone = phone or self.phone
        phone.get("/login/phone")
        body = f'{{"__csrf": "{phone.token}", "token": "{secret}"}}'.encode()
        return phone.send_json("POST", "/login/phone", body, User_Agent=PHONE)

    def waited(self, phone: BrowserTab | None = None) -> Answer:
        phone = phone or self.phone
        body = f'{{"__csrf": "{phone.token}"}}'.encode()
        return phone.send_json("POST", "/login/phone/wait", body, User_Agent=PHONE)

    def answered(self, made: dict[str, Any], allow: bool, tab: BrowserTab | None = None) -> Answer:
        tab = tab or self.laptop
        body = b'{"allow": true}' if allow else b'{"allow": false}'
        return tab.send_json("POST", f"/api/phone-links/{made['id']}/answer", body, **self.csrf(tab))

    def looked(self, made: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = self.laptop.get_json(f"/api/phone-links/{made['id']}")
        return told

    def entered(self) -> dict[str, Any]:
        """A phone that was let in; returns the link."""
        made = self.made()
        self.opened(self.secret(made))
        self.answered(made, True)
        self.assertEqual(self.waited().json()["state"], "allowed")
        return made

    def acts(self) -> list[tuple[str, str]]:
        return [(act.action, act.outcome) for _, act in self.door.accounts.audit.latest(limit=100)]


class PhoneLinkTests(PhoneCase):
    def test_the_way_of_a_link(self) -> None:
        made = self.made()
        self.assertTrue(made["url"].startswith(f"{ORIGIN}/login/phone#"))
        self.assertEqual(self.looked(made)["state"], "waiting")
        told = self.opened(self.secret(made)).json()
        self.assertEqual(self.waited().json(), {"state": "waiting", "number": told["number"], "person": "ada"})
        self.assertEqual(
            self.looked(made),
            {"state": "opened", "number": told["number"], "device": "Safari on iPhone", "address": self.door.address},
        )
        self.assertEqual(self.answered(made, True).json()["state"], "allowed")
        self.assertEqual(self.waited().json(), {"state": "allowed", "next": "/notes/"})
        me = self.phone.get_json("/api/me")
        self.assertEqual((me["hasSession"], me["user"]["role"]), (True, "member"))
        self.assertEqual(me["user"]["vaults"], {"default": "write", "family": "write"})
        acts = self.acts()
        for act in ("phone-link-made", "phone-signed-in"):
            self.assertIn((act, "ok"), acts)

    def test_a_link_works_once(self) -> None:
        made = self.entered()
        other = BrowserTab(self.door)
        self.assertEqual(self.opened(self.secret(made), other).status, 410)
        self.assertEqual(self.waited().status, 410)
        self.assertEqual(self.answered(made, True).status, 409)

    def test_a_lost_answer_is_given_again_with_another_session(self) -> None:
        made = self.made()
        self.opened(self.secret(made))
        self.answered(made, True)
        before = dict(self.phone.cookies)
        self.waited()
        lost = BrowserTab(self.door)
        lost.cookies = dict(self.phone.cookies)
        self.phone.cookies = before
        self.assertEqual(self.waited().json()["state"], "allowed")
        self.assertTrue(self.phone.get_json("/api/me")["hasSession"])
        self.assertFalse(lost.get_json("/api/me")["hasSession"])
        self.phone.cookies = before
        self.laptop.send_json("DELETE", "/api/account/sessions", b"{}", **self.csrf(self.laptop))
        self.assertEqual(self.waited().status, 410)

    def test_a_phone_that_is_signed_in_by_itself_stays_so(self) -> None:
        self.sign_in(tab=self.phone)
        self.entered()
        self.assertEqual(self.phone.get_json("/api/me")["user"]["role"], "admin")
        grace = self.member("grace")
        made = self.made(grace)
        self.opened(self.secret(made))
        self.answered(made, True, grace)
        self.waited()
        self.assertEqual(self.phone.get_json("/api/me")["user"]["displayName"], "grace")

    def test_looking_at_a_link_does_not_use_it_up(self) -> None:
        made = self.made()
        for _ in range(3):
            page = BrowserTab(self.door).get("/login/phone")
            self.assertEqual(page.status, 200)
        self.assertEqual(page.header("Referrer-Policy"), "same-origin")
        self.assertEqual(page.header("Cache-Control"), "no-store")
        self.assertNotIn(self.secret(made), page.body.decode())
        self.assertEqual(self.opened(self.secret(made)).status, 200)

    def test_the_first_browser_alone_may_use_it(self) -> None:
        made = self.made()
        thief = BrowserTab(self.door)
        self.assertEqual(self.opened(self.secret(made), thief).status, 200)
        self.assertEqual(self.opened(self.secret(made)).status, 410)
        self.answered(made, True)
        stranger = BrowserTab(self.door)
        stranger.get("/login/phone")
        self.assertEqual(self.waited(stranger).status, 410)
        self.assertEqual(self.waited().status, 410)

    def test_nobody_comes_in_unless_the_other_device_says_so(self) -> None:
        made = self.made()
        self.assertEqual(self.answered(made, True).status, 409)
        self.opened(self.secret(made))
        for _ in range(3):
            self.assertEqual(self.waited().json()["state"], "waiting")
        self.assertFalse(self.phone.get_json("/api/me")["hasSession"])
        self.answered(made, False)
        self.assertEqual(self.waited().status, 403)
        self.assertEqual(self.waited().status, 410)
        self.assertFalse(self.phone.get_json("/api/me")["hasSession"])
        self.assertIn(("phone-link-refused", "ok"), self.acts())

    def test_it_ends_after_two_minutes_at_each_step(self) -> None:
        made = self.made()
        self.door.now += OPENS
        self.assertEqual(self.opened(self.secret(made)).status, 410)
        made = self.made()
        self.door.now += OPENS - 1
        self.opened(self.secret(made))
        self.door.now += OPENS
        self.assertEqual(self.waited().status, 410)
        made = self.made()
        self.opened(self.secret(made))
        self.answered(made, True)
        self.door.now += OPENS
        self.assertEqual(self.waited().status, 410)

    def test_who_signed_out_meanwhile_lets_nobody_in(self) -> None:
        made = self.made()
        self.opened(self.secret(made))
        self.answered(made, True)
        self.laptop.post("/logout", {})
        self.assertEqual(self.waited().status, 410)

    def test_it_needs_a_proof_a_safe_address_and_the_browser_that_made_it(self) -> None:
        answer = self.laptop.send_json("POST", "/api/phone-links", b"{}", **self.csrf(self.laptop))
        self.assertEqual((answer.status, answer.json()["error"]), (403, "step_up_required"))
        self.assertEqual(self.phone.send_json("POST", "/api/phone-links", b"{}").status, 401)
        made = self.made()
        self.opened(self.secret(made))
        other = self.sign_in()
        self.assertEqual(self.answered(made, True, other).status, 404)
        self.assertEqual(other.send_json("GET", f"/api/phone-links/{made['id']}", b"").status, 404)
        at_once(self.door.origin.choose(None, self.door.now))
        answer = self.laptop.send_json("POST", "/api/phone-links", b"{}", **self.proof(self.laptop, "phone.link"))
        self.assertEqual((answer.status, answer.json()["error"]), (409, "address_not_safe"))

    def test_it_leads_to_this_hub_alone(self) -> None:
        for path in ("https://evil.example/", "//evil.example", "/\\\\evil.example"):
            made = self.made(next_path=path)
            self.opened(self.secret(made))
            self.answered(made, True)
            self.assertEqual(self.waited().json()["next"], "/", path)
            self.phone = BrowserTab(self.door)

    def test_guesses_open_nothing(self) -> None:
        made = self.made()
        for guess in ("", "x", "A" * 43, self.secret(made)[:-1], made["id"], "\\u0000" * 43):
            self.assertEqual(self.opened(guess).status, 410, guess)
        self.assertEqual(self.opened(self.secret(made)).status, 200)

    def test_a_foreign_page_opens_nothing(self) -> None:
        made = self.made()
        self.phone.get("/login/phone")
        body = f'{{"__csrf": "{self.phone.token}", "token": "{self.secret(made)}"}}'.encode()
        answer = self.phone.send_json("POST", "/login/phone", body, Sec_Fetch_Site="cross-site")
        self.assertEqual(answer.status, 403)

    def test_the_oldest_of_too_many_links_ends(self) -> None:
        first = self.made()
        for _ in range(5):
            last = self.made()
        self.assertEqual(self.opened(self.secret(first)).status, 410)
        self.assertEqual(self.opened(self.secret(last)).status, 200)


class LimitedSessionTests(PhoneCase):
    """What a browser may do that came in by a link."""

    def send(self, method: str, path: str, body: bytes = b"{}", **headers: str) -> Answer:
        return self.phone.send_json(method, path, body, **self.csrf(self.phone), **headers)

    def test_it_administers_nothing(self) -> None:
        self.entered()
        for path in ("/api/users", "/api/invites", "/api/audit", "/api/settings/hub-origin"):
            self.assertEqual(self.send("GET", path).status, 403, path)
        page = self.phone.get("/account").body
        self.assertNotIn(b"Manage the hub", page)
        self.assertIn(b'href="/login?next=/account"', page)

    def test_it_confirms_nothing_even_with_the_password(self) -> None:
        self.entered()
        operation = f'{{"operation": "user.invite", "password": "{PASSWORD}"}}'.encode()
        change = f'{{"current_password": "{PASSWORD}", "new_password": "four small paper boats"}}'.encode()
        for path, body in (
            ("/api/account/step-up", operation),
            ("/api/account/password", change),
            ("/api/account/2fa/start", f'{{"password": "{PASSWORD}"}}'.encode()),
        ):
            answer = self.send("POST", path, body)
            self.assertEqual((answer.status, answer.json()["error"]), (403, "signed_in_by_link"), path)
        self.assertEqual(self.send("POST", "/api/phone-links").status, 403)
        self.phone.get("/account/name")
        self.assertEqual(self.phone.post("/account/name", {"display_name": "Eve"}).status, 403)

    def test_it_signs_out_itself_alone(self) -> None:
        self.entered()
        listed = self.phone.get_json("/api/account/sessions")["sessions"]
        own, other = (next(one["id"] for one in listed if one["current"] is current) for current in (True, False))
        self.assertEqual([one["methods"] for one in listed if one["current"]], [["link"]])
        self.assertEqual(self.send("DELETE", f"/api/account/sessions/{other}").status, 403)
        self.assertEqual(self.send("DELETE", "/api/account/sessions").status, 403)
        self.assertEqual(self.send("DELETE", f"/api/account/sessions/{own}").status, 200)
        self.assertFalse(self.phone.get_json("/api/me")["hasSession"])

    def test_what_the_other_device_has_begun_makes_it_no_whole_one(self) -> None:
        self.entered()
        body = f'{{"password": "{PASSWORD}"}}'.encode()
        begun = self.laptop.send_json("POST", "/api/account/2fa/start", body, **self.csrf(self.laptop)).json()["secret"]
        code = pyotp.TOTP(begun).at(int(self.door.now))
        answer = self.send("POST", "/api/account/2fa/confirm", f'{{"code": "{code}"}}'.encode())
        self.assertEqual((answer.status, answer.json().get("error")), (403, "signed_in_by_link"))
        self.phone.get("/account/2fa")
        page = self.phone.post("/account/2fa", {"action": "confirm", "code": "000000"})
        self.assertEqual(page.status, 403)
        self.assertNotIn(begun[:4].encode(), page.body)
        self.assertEqual(self.phone.get_json("/api/me")["user"]["role"], "member")

    def test_it_takes_nothing_away(self) -> None:
        """Apps, shares and passkeys stay; the page says how to do it all the same."""
        self.entered()
        self.phone.get("/account/download")
        answer = self.phone.post("/account/sharing/end", {"vault": "default", "user": "x"})
        self.assertEqual(answer.status, 403)
        self.assertIn(b'href="/login?next=/account"', answer.body)
        self.phone.get("/account/sessions")
        self.assertEqual(self.phone.post("/account/sessions", {"action": "others"}).status, 403)
        answer = self.send("POST", "/api/account/passkeys", b'{"credential": "{}"}')
        self.assertEqual((answer.status, answer.json()["error"]), (403, "signed_in_by_link"))
        self.phone.get("/account")
        self.phone.post("/logout", {})
        self.assertFalse(self.phone.get_json("/api/me")["hasSession"])

    def test_it_is_listed_and_signed_out_by_the_other_device(self) -> None:
        self.entered()
        self.assertIn(b"signed in by a link", self.laptop.get("/account/sessions").body)
        answer = self.laptop.send_json("DELETE", "/api/account/sessions", b"{}", **self.csrf(self.laptop))
        self.assertEqual(answer.json(), {"ended": 1})
        self.assertFalse(self.phone.get_json("/api/me")["hasSession"])

    def test_the_password_makes_it_a_whole_one(self) -> None:
        self.entered()
        self.assertIn(b'name="password"', self.phone.get("/login").body)
        self.sign_in(tab=self.phone)
        self.assertEqual(self.phone.get_json("/api/me")["user"]["role"], "admin")

    def test_a_member_gets_the_same_vaults_on_the_phone(self) -> None:
        tab = self.member("grace", family="read")
        made = self.made(tab)
        self.opened(self.secret(made))
        self.answered(made, True, tab)
        self.waited()
        self.assertEqual(self.phone.get_json("/api/me")["user"]["vaults"], {"family": "read"})


class PhonePageTests(PhoneCase):
    """`/account/phone`: the same for people without the admin app, also without JavaScript."""

    def coded(self, tab: BrowserTab, next_path: str = "/notes/") -> tuple[str, str]:
        """The secret and the page of a new link."""
        tab.get(f"/account/phone?next={next_path}")
        page = tab.post("/account/phone", {"password": PASSWORD, "next": tab.field("next")}).body.decode()
        found = re.search(r"https://hub\.test/login/phone#([\w-]+)", page)
        where = re.search(r'href="(/account/phone/[\w-]+)"', page)
        assert found is not None and where is not None, page
        self.assertIn('class="qr"', page)
        return found[1], where[1]

    def test_a_friend_lets_a_phone_in(self) -> None:
        grace = self.member("grace", family="read")
        self.assertIn(b'href="/account/phone"', grace.get("/account").body)
        secret, page = self.coded(grace)
        self.assertIn(b"has not opened the link", grace.get(page).body)
        number = self.opened(secret).json()["number"]
        shown = grace.get(page).body.decode()
        for words in ("Safari on iPhone", self.door.address, f'class="number">{number}<'):
            self.assertIn(words, shown)
        self.assertEqual(grace.post(page, {"allow": "true"}).header("location"), page)
        self.assertIn(b"Your phone is signed in", grace.get(page).body)
        self.assertEqual(self.waited().json(), {"state": "allowed", "next": "/notes/"})
        self.assertEqual(self.phone.get_json("/api/me")["user"]["vaults"], {"family": "read"})
        self.door.now += OPENS
        self.assertIn(b"has expired", grace.get(page).body)

    def test_it_is_not_let_in(self) -> None:
        grace = self.member("grace")
        secret, page = self.coded(grace)
        self.opened(secret)
        grace.get(page)
        grace.post(page, {"allow": "false"})
        self.assertIn(b"It was not let in", grace.get(page).body)
        self.assertEqual(self.waited().status, 403)

    def test_a_button_that_is_pressed_twice(self) -> None:
        for first, then, status in (("true", "true", 303), ("false", "true", 409)):
            grace = self.member(f"grace-{status}")
            secret, page = self.coded(grace)
            self.opened(secret)
            grace.get(page)
            token = grace.token
            grace.post(page, {"allow": first}, token=token)
            answer = grace.post(page, {"allow": then}, token=token)
            self.assertNotIn(b"has not opened the link", answer.body)
            self.assertEqual(answer.status, status)

    def test_who_is_refused_afterwards_is_signed_out(self) -> None:
        """Another tab, or the page before, still asks."""
        grace = self.member("grace")
        secret, page = self.coded(grace)
        self.opened(secret)
        grace.get(page)
        token = grace.token
        grace.post(page, {"allow": "true"}, token=token)
        self.waited()
        self.assertTrue(self.phone.get_json("/api/me")["hasSession"])
        grace.post(page, {"allow": "false"}, token=token)
        self.assertIn(b"Nobody was signed in", grace.get(page).body)
        self.assertFalse(self.phone.get_json("/api/me")["hasSession"])
        self.assertTrue(grace.get_json("/api/me")["hasSession"])

    def test_nobody_is_let_in_who_has_not_come(self) -> None:
        grace = self.member("grace")
        secret, page = self.coded(grace)
        self.opened(secret)
        grace.get(page)
        token = grace.token
        _, other = self.coded(grace)
        self.assertEqual(grace.post(other, {"allow": "true"}, token=token).status, 409)
        self.assertEqual(grace.post(f"{page}x", {"allow": "true"}, token=token).status, 404)
        stranger = self.member("eve")
        stranger.get("/account/phone")
        self.assertEqual(stranger.post(page, {"allow": "true"}).status, 404)
        self.assertEqual(self.waited().json()["state"], "waiting")

    def test_the_password_comes_first_and_the_link_stays_here(self) -> None:
        grace = self.member("grace")
        grace.get("/account/phone?next=//evil.example")
        answer = grace.post("/account/phone", {"password": "wrong", "next": "https://evil.example/"})
        self.assertEqual(answer.status, 401)
        self.assertNotIn(b"evil", answer.body)
        self.assertNotIn(b"/login/phone#", answer.body)
        self.assertNotIn(("phone-link-made", "ok"), self.acts())
        secret, page = self.coded(grace, "//evil.example")
        self.opened(secret)
        grace.get(page)
        grace.post(page, {"allow": "true"})
        self.assertEqual(self.waited().json()["next"], "/")

    def test_where_no_phone_can_come_it_says_so(self) -> None:
        at_once(self.door.origin.choose(None, self.door.now))
        grace = self.member("grace")
        self.assertNotIn(b"/account/phone", grace.get("/account").body)
        for tab, words in ((grace, b"Ask the person who runs this hub"), (self.laptop, b"/admin/settings/reach")):
            page = tab.get("/account/phone").body
            self.assertIn(words, page)
            self.assertNotIn(b"password", page)

    def test_a_phone_lets_no_other_in(self) -> None:
        self.entered()
        self.assertNotIn(b"/account/phone", self.phone.get("/account").body)
        self.assertEqual(self.phone.get("/account/phone").status, 403)
        self.phone.get("/account")
        self.assertEqual(self.phone.post("/account/phone", {"password": PASSWORD}).status, 403)
