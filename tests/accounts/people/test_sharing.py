"""People share their own vaults: `/account/sharing`."""

from attrs import evolve

from parachute_hub.accounts.people.users import Actor
from parachute_hub.store.rows import User
from tests.accounts.doors import DoorCase
from tests.support.at_once import at_once
from tests.support.front_door import PASSWORD, BrowserTab

HERE = "/account/sharing"


class SharingCase(DoorCase):
    """Grace has a vault of her own and reads the family's; Heidi has nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.owner()
        people = self.door.accounts.people
        person = self.now(people.person("grace", PASSWORD, vaults={"grace": "write", "family": "read"}))
        at_once(self.door.database.write(people.admit, evolve(person, own=("grace",))))
        self.grace = self.sign_in("grace")
        self.heidi = self.member("heidi")

    def user(self, name: str) -> User:
        (found,) = [user for user in self.door.accounts.people.all() if user.username == name]
        return found

    def share(self, **fields: str) -> int:
        return self.share_from(self.grace, **fields)

    def share_from(self, tab: BrowserTab, **fields: str) -> int:
        said = {"vault": "grace", "username": "heidi", "role": "read", "password": PASSWORD, **fields}
        tab.get("/account/name")
        self.answer = tab.post(HERE, said)
        return self.answer.status

    def end(self, tab: BrowserTab, vault: str, name: str) -> int:
        tab.get("/account/name")
        return tab.post(f"{HERE}/end", {"vault": vault, "user": self.user(name).id}).status


class SharingTests(SharingCase):
    def test_a_vault_is_shared_and_taken_back(self) -> None:
        for role in ("read", "write", "read"):
            self.assertEqual(self.share(role=role), 303)
            self.assertEqual((self.user("heidi").vaults, self.user("heidi").own), ({"grace": role}, ()))
        page = self.grace.get(HERE).body.decode()
        self.assertIn("heidi", page)
        self.assertIn("May read", page)
        self.assertEqual(self.end(self.grace, "grace", "heidi"), 303)
        self.assertEqual(self.user("heidi").vaults, {})
        # What was issued to them is looked at each time: a narrower role ends tokens, too.
        self.assertEqual(self.door.watch.changed, [self.user("heidi").id] * 4)
        self.assertEqual(self.end(self.grace, "grace", "heidi"), 404)

    def test_what_cannot_be_shared_says_why(self) -> None:
        for fields, status, words in (
            ({"vault": "family"}, 404, "no vault of this name that you can share"),
            ({"vault": "default"}, 404, "no vault of this name that you can share"),
            ({"username": "nobody"}, 404, "Nobody here signs in as"),
            ({"username": "grace"}, 400, "You can use this vault already"),
            ({"username": "ADA"}, 400, "runs this hub and can use every vault"),
            ({"password": "wrong"}, 401, "That is not right"),
            ({"password": ""}, 400, "Type your password"),
        ):
            self.assertEqual(self.share(**fields), status, fields)
            self.assertIn(words, self.answer.body.decode(), fields)
            typed = fields.get("username", "heidi")
            self.assertIn(f'value="{typed}"', self.answer.body.decode())
        self.assertEqual(self.user("heidi").vaults, {})

    def test_only_their_own_vaults_can_be_shared(self) -> None:
        """Not those that are shared with them, even to write, and not by somebody whose vault it is no more."""
        self.share(role="write")
        self.assertEqual(self.share_from(self.heidi, username="grace"), 404)
        self.assertEqual(self.end(self.heidi, "grace", "grace"), 404)
        self.assertIn("You have no vault of your own", self.heidi.get(HERE).body.decode())
        self.assertNotIn(HERE, self.heidi.get("/account").body.decode())
        self.assertIn(HERE, self.grace.get("/account").body.decode())
        people = self.door.accounts.people
        ada = self.user("ada")
        self.now(people.set_vaults(Actor(name="ada"), self.user("heidi").id, {"grace": "write"}, ["grace"]))
        self.assertEqual((self.user("heidi").own, self.user("grace").own), (("grace",), ()))
        self.assertEqual(self.share(username="heidi"), 404)
        self.now(people.set_vaults(Actor(name=ada.username), self.user("heidi").id, {"grace": "read"}))
        self.assertEqual(self.user("heidi").own, ())

    def test_each_is_audited(self) -> None:
        self.share()
        self.end(self.grace, "grace", "heidi")
        acts = [(act.actor, act.action, act.subject) for _, act in self.door.accounts.audit.latest(limit=2)]
        self.assertEqual(acts, [("grace", "share-ended", "grace: heidi"), ("grace", "vault-shared", "grace: heidi")])

    def test_an_invitation_makes_a_vault_of_ones_own(self) -> None:
        invitations = self.door.accounts.invitations
        _, token = self.now(invitations.make(Actor(name="ada"), vaults={"family": "write"}, own_vault=True))
        self.now(invitations.redeem(token, "kim", PASSWORD, "192.0.2.9"))
        self.assertEqual((self.user("kim").own, sorted(self.user("kim").vaults)), (("kim",), ["family", "kim"]))
