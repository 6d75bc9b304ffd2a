"""Each row of the route table on a running hub, in a browser that a link signed in: it uses notes, and little else."""

import re
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site.route_table import ROWS, Row
from tests.live.edges import ORIGIN, Browser
from tests.live.harness import OWNER, hub

PASSWORD = OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"]
BEHIND_A_PROXY = {"PARACHUTE_TRUSTED_HOPS": "1", "PARACHUTE_HUB_ORIGIN": ORIGIN}
# They say first that the hub has its owner, or that nothing was begun.
ELSEWHERE = "/admin/setup/"


class PhoneRowTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub = hub(self, environment=BEHIND_A_PROXY).start()
        self.laptop, self.phone = self.browser("198.51.100.7"), self.browser("198.51.100.8")

    def browser(self, address: str) -> Browser:
        return Browser(port=self.hub.port, headers={"X-Forwarded-For": address, "X-Forwarded-Proto": "https"})

    def csrf(self, browser: Browser) -> dict[str, str]:
        return {"X_Parachute_CSRF": str(browser.get_json("/account/session")["csrf"])}

    def let_in(self) -> None:
        """Sign in the laptop, and the phone by a link of it."""
        laptop, phone = self.laptop, self.phone
        said = {"username": OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"], "password": PASSWORD}
        self.assertEqual(laptop.call("POST", "/login", said, **self.csrf(laptop)).status, 200)
        asked = {"operation": "phone.link", "password": PASSWORD}
        proof = laptop.call("POST", "/api/account/step-up", asked, **self.csrf(laptop)).json()["proof"]
        made = laptop.call("POST", "/api/phone-links", {}, **self.csrf(laptop), X_Parachute_Proof=proof).json()
        ours = self.csrf(phone)
        opened = phone.call("POST", "/login/phone", {"token": urlsplit(made["url"]).fragment}, **ours)
        self.assertEqual(opened.status, 200, opened.body)
        laptop.call("POST", f"/api/phone-links/{made['id']}/answer", {"allow": True}, **self.csrf(laptop))
        self.assertEqual(phone.call("POST", "/login/phone/wait", {}, **ours).json()["state"], "allowed")

    def refused(self, row: Row, csrf: str) -> bool:
        """Whether the phone is told to sign in with the password."""
        path = re.sub(r"<[^>]+>", "x", row.rule)
        if row.rule.startswith("/oauth/"):
            answer = self.phone.post(path, {"__csrf": csrf})
        else:
            answer = self.phone.call(row.method, path, {}, X_Parachute_CSRF=csrf)
        return "A link signed you in here." in answer.body

    def test_it_may_do_what_the_table_says(self) -> None:
        self.let_in()
        csrf = self.csrf(self.phone)["X_Parachute_CSRF"]
        rows = [row for row in ROWS if row.who in ("person", "owner") and row.method != "GET"]
        rows = [row for row in rows if row.proof not in ("bearer", "secret") and not row.rule.startswith(ELSEWHERE)]
        self.assertGreater(len(rows), 100)
        others = Row("DELETE", "/api/account/sessions/<session_id>", "person", "page", "session-ended", by_link=True)
        rows.remove(others)
        self.assertTrue(self.refused(others, csrf))
        wrong = [f"{row.method} {row.rule}" for row in rows if self.refused(row, csrf) == row.by_link]
        self.assertEqual(wrong, [])
        self.assertEqual(self.phone.get_json("/api/me")["user"]["role"], "member")
