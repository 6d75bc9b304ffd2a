from parachute_hub.store.invites import Invites
from parachute_hub.store.rows import Invite, Session
from parachute_hub.store.sessions import Sessions
from tests.oauth.flows import FlowCase
from tests.support.oauth import NOW, fake_csrf


class LockTests(FlowCase):
    """Everything ends at once, and the owner is told what to connect again."""

    def setUp(self) -> None:
        super().setUp()
        self.sessions, self.invites = Sessions(self.world.database), Invites(self.world.database)
        session = Session(
            id="s",
            user_id=self.owner.id,
            created_at=NOW,
            authenticated_at=NOW,
            last_seen_at=NOW,
            expires_at=NOW + 1000,
            methods="pwd",
            address="",
            user_agent="",
        )
        invite = Invite(
            id="i",
            created_by=self.owner.id,
            username=None,
            vaults={},
            max_uses=1,
            used_count=0,
            created_at=NOW,
            expires_at=NOW + 1000,
            revoked_at=None,
            name="Jürgen",
        )
        self.world.do(self.sessions.add, session)
        self.world.do(self.invites.add, invite)
        self.client = self.approved()

    def lock(self, who: str = "owner", password: str = "right") -> int:
        said = {"__csrf": fake_csrf(who), "password": password}
        self.page = self.send("POST", "/account/lock", who=who, form=said)
        return self.page.status

    def test_nothing_that_was_given_out_works_any_more(self) -> None:
        tokens = self.connect(self.client)
        kids = {key["kid"] for key in self.send("GET", "/.well-known/jwks.json").json["keys"]}
        self.assertEqual(self.lock(), 200)
        for words in ("owner", "Jürgen", "App of owner"):
            self.assertIn(words, self.page.text)
        self.assertTrue(self.is_refused(tokens["access_token"]))
        self.assertEqual(self.refresh(self.client, tokens["refresh_token"]).status, 401)
        self.assertIsNone(self.sessions.get("s"))
        self.assertEqual([invite.status(NOW) for invite in self.invites.all()], ["revoked"])
        after = {key["kid"] for key in self.send("GET", "/.well-known/jwks.json").json["keys"]}
        self.assertEqual((len(after), kids & after), (1, set()))

    def test_apps_need_approval_and_then_work_again(self) -> None:
        self.connect(self.client)
        self.lock()
        self.assertIn("This app is new here", self.authorize(self.client).text)
        again = self.connect(self.client)
        self.assertFalse(self.is_refused(again["access_token"]))

    def test_a_wrong_password_ends_nothing(self) -> None:
        tokens = self.connect(self.client)
        self.assertEqual(self.lock(password="wrong"), 401)
        self.assertFalse(self.is_refused(tokens["access_token"]))

    def test_only_owners(self) -> None:
        self.world.add_user("other")
        self.assertEqual(self.lock("other"), 403)
        self.assertEqual(self.send("GET", "/account/lock", who="other").status, 403)
        self.assertEqual(self.send("POST", "/api/lock", who="owner", X_Parachute_CSRF=fake_csrf("owner")).status, 403)
        self.assertIsNotNone(self.sessions.get("s"))
