"""Refresh tokens that several processes share: who goes on, who ends the connection, and what its user is told."""

from typing import Any

from tests.oauth.flows import FlowCase
from tests.support.oauth import fake_csrf

MINUTE = 60.0


class BranchTests(FlowCase):
    def setUp(self) -> None:
        super().setUp()
        self.client_id = self.approved()
        self.began = self.world.clock.seconds()
        self.first = str(self.connect(self.client_id)["refresh_token"])

    def at(self, minute: float) -> None:
        """Let the time be so many minutes after the first refresh."""
        self.world.clock.advance(self.began + minute * MINUTE - self.world.clock.seconds())

    def use(self, token: str) -> str | None:
        """The next token, or None when it was refused."""
        reply = self.refresh(self.client_id, token)
        if reply.status == 400:
            self.assertEqual(reply.json["error"], "invalid_grant")
            return None
        return str(reply.json["refresh_token"])

    def must(self, token: str) -> str:
        """The next token."""
        following = self.use(token)
        assert following is not None
        return following

    def app(self) -> dict[str, Any]:
        """The app as its user sees it."""
        (app,) = self.send("GET", "/api/apps", who="owner").json["apps"]
        return dict(app)

    def a_goes_on(self) -> str:
        """Process A refreshes three times within half an hour; its newest token."""
        token = self.first
        for minute in (0, 10, 20):
            self.at(minute)
            token = self.must(token)
        return token

    def test_b_comes_with_the_first_token_at_minute_29(self) -> None:
        """Both live on, each in its own branch, and their user sees two."""
        a = self.a_goes_on()
        self.at(29)
        b = self.must(self.first)
        for _ in range(3):
            a, b = self.must(a), self.must(b)
        self.assertEqual((len(self.app()["branches"]), self.app()["ended"]), (2, None))

    def test_b_comes_with_the_first_token_at_minute_31(self) -> None:
        """The connection ends, access tokens too; its user is told, and it is in the record."""
        a = self.a_goes_on()
        access = self.refresh(self.client_id, a).json
        self.at(31)
        self.assertIsNone(self.use(self.first))
        self.assertIsNone(self.use(access["refresh_token"]))
        self.assertTrue(self.is_refused(access["access_token"]))
        app = self.app()
        self.assertEqual((app["active"], app["branches"], app["ended"]["at"]), (False, [], self.world.clock.seconds()))
        self.assertIn("used again", app["ended"]["why"])
        page = self.send("GET", "/account/apps", who="owner").text
        self.assertIn("used again after it had been replaced", page)
        (act,) = self.world.database.read("SELECT * FROM audit WHERE action = 'app-key-reused'")
        self.assertEqual((act["actor"], act["subject"], act["outcome"]), (self.client_id, "owner", "refused"))

    def test_a_lost_answer_costs_nothing_however_late(self) -> None:
        """As long as no successor was used; the first one that is used settles it."""
        lost = self.must(self.first)
        self.at(3 * 24 * 60)
        found = self.must(self.first)
        self.must(found)
        self.at(4 * 24 * 60)
        self.assertIsNone(self.use(self.first))
        self.assertIsNone(self.use(lost))

    def test_inside_a_branch_the_one_before_the_last_may_be_repeated(self) -> None:
        """An answer that was lost on the way, or a second window."""
        second = self.must(self.first)
        third = self.must(second)
        again = self.must(second)
        self.must(third)
        self.must(again)

    def test_inside_a_branch_an_older_one_ends_the_connection(self) -> None:
        """Within the half hour, too: its own process has gone on twice."""
        second = self.must(self.first)
        third = self.must(second)
        fourth = self.must(third)
        self.assertIsNone(self.use(second))
        self.assertIsNone(self.use(fourth))

    def test_at_most_eight_branches(self) -> None:
        """The ninth process must connect by itself; nobody else is signed out."""
        tokens = [self.must(self.first) for _ in range(8)]
        self.assertIsNone(self.use(self.first))
        self.assertEqual(len(self.app()["branches"]), 8)
        for token in tokens:
            self.must(token)

    def test_disconnecting_ends_every_branch(self) -> None:
        tokens = [self.must(self.first) for _ in range(3)]
        data = {"client_id": self.client_id}
        self.send("POST", "/api/apps/disconnect", data=data, who="owner", X_Parachute_CSRF=fake_csrf("owner"))
        self.assertEqual([self.use(token) for token in tokens], [None] * 3)

    def test_the_page_lists_the_branches(self) -> None:
        self.must(self.first)
        self.must(self.first)
        page = self.send("GET", "/account/apps", who="owner").text
        self.assertIn("It is used in 2 places:", page)
        self.assertIn("from 192.0.2.1", page)
