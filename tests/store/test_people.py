"""Stores of accounts: users, sessions, second factors, invitations, throttles, audit, settings."""

from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.store import audit as audit_module
from parachute_hub.store import throttles as throttles_module
from parachute_hub.store.audit import Audit
from parachute_hub.store.database import Database
from parachute_hub.store.factors import Factors
from parachute_hub.store.invites import Invites
from parachute_hub.store.rows import Act, FailureCount, Invite, PendingLogin, Session, Totp, User
from parachute_hub.store.sessions import DEVICES_PER_USER, Sessions
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.throttles import Throttles
from parachute_hub.store.users import LastAdmin, UsernameTaken, Users
from tests.support.databases import new_database

ADA = User(
    id="1",
    username="ada",
    password_hash="h",
    role="admin",
    must_change_password=False,
    email=None,
    created_at=1.0,
    password_changed_at=1.0,
    vaults={"family": "read"},
)
GRACE = evolve(ADA, id="2", username="grace", role="member", created_at=2.0, vaults={})
SESSION = Session(
    id="s1",
    user_id="1",
    created_at=1.0,
    authenticated_at=1.0,
    last_seen_at=1.0,
    expires_at=100.0,
    methods="pwd",
    address="192.0.2.1",
    user_agent="x",
)


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = new_database(Path(self.mktemp()) / "parachute.db")
        self.addCleanup(self.database.close)
        # The stores write within a transaction; here it is one for the whole test.
        unit = self.database.unit()
        unit.__enter__()
        self.addCleanup(unit.__exit__, None, None, None)
        self.users = Users(self.database)
        self.users.add(ADA)
        self.users.add(GRACE)


class UserTests(Case):
    def test_rows_are_stored_as_given(self) -> None:
        self.assertEqual(self.users.all(), [ADA, GRACE])
        self.assertEqual(self.users.by_name("ADA"), ADA)
        self.assertEqual((self.users.by_id("3"), self.users.by_name("nobody")), (None, None))

    def test_a_name_of_an_older_hub_is_found_in_every_spelling(self) -> None:
        """Its letters may be beyond ASCII, which SQLite compares with case. A name spelled exactly so comes first."""
        older = evolve(GRACE, id="3", username="Groß", created_at=3.0)
        self.users.add(older)
        for name in ("Groß", "groß", "GROSS", "gross", "GROẞ", "groſs"):
            self.assertEqual(self.users.by_name(name), older, name)
        for name in ("gros", "groß ", "grosß"):
            self.assertIsNone(self.users.by_name(name), name)
        exact = evolve(GRACE, id="4", username="gross", created_at=4.0)
        self.users.add(exact)
        self.assertEqual([self.users.by_name(name) for name in ("GROSS", "GROß")], [exact, older])

    def test_names_are_unique_in_any_case(self) -> None:
        self.assertRaises(UsernameTaken, self.users.add, evolve(ADA, id="3", username="Ada"))
        self.assertEqual(self.users.count(), 2)

    def test_only_the_first_is_first(self) -> None:
        self.assertFalse(self.users.add_first(evolve(ADA, id="3", username="eve")))

    def test_the_last_admin_cannot_leave(self) -> None:
        self.assertRaises(LastAdmin, self.users.delete, "1")
        self.assertRaises(LastAdmin, self.users.set_role, "1", "member")
        self.users.set_role("2", "admin")
        self.users.delete("1")
        self.assertRaises(LastAdmin, self.users.set_role, "2", "member")

    def test_a_hash_is_replaced_only_by_its_heir(self) -> None:
        """A rehash that comes after a password change must not restore the old password."""
        self.users.set_password("1", "new", must_change=True, now=5.0)
        self.users.rehash("1", "h", "h2")
        found = self.users.by_id("1")
        assert found is not None
        self.assertEqual(
            (found.password_hash, found.must_change_password, found.password_changed_at), ("new", True, 5.0)
        )

    def test_no_hash_in_its_text(self) -> None:
        self.assertNotIn("password_hash", repr(ADA))


class SessionTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.sessions = Sessions(self.database)
        self.sessions.add(SESSION)

    def test_rows_are_stored_as_given(self) -> None:
        self.assertEqual(self.sessions.get("s1"), SESSION)
        self.sessions.touch("s1", 7.0, "")
        self.assertEqual(self.sessions.of_user("1"), [evolve(SESSION, last_seen_at=7.0)])

    def test_end_all_but_one(self) -> None:
        self.sessions.add(evolve(SESSION, id="s2"))
        self.sessions.add(evolve(SESSION, id="s3", user_id="2"))
        self.sessions.add_pending(PendingLogin(id="p", user_id="1", next="/", expires_at=10.0))
        self.assertEqual(self.sessions.end_all("1", except_id="s2"), 1)
        self.assertEqual([self.sessions.get(one) is not None for one in ("s1", "s2", "s3")], [False, True, True])
        self.assertIsNone(self.sessions.pending("p", 1.0))

    def test_a_pending_login_is_used_once(self) -> None:
        pending = PendingLogin(id="p", user_id="1", next="/x", expires_at=10.0)
        self.sessions.add_pending(pending)
        self.assertEqual(self.sessions.pending("p", 9.0), pending)
        self.assertIsNone(self.sessions.pending("p", 10.0))
        self.assertEqual([self.sessions.end_pending("p") for _ in range(2)], [True, False])

    def test_devices_are_bounded(self) -> None:
        for number in range(DEVICES_PER_USER + 5):
            self.sessions.know_device(f"d{number}", "1", float(number))
        self.assertFalse(self.sessions.knows_device("d0", "1"))
        self.assertTrue(self.sessions.knows_device("d24", "1"))
        self.assertFalse(self.sessions.knows_device("d24", "2"))

    def test_expired_rows_are_deleted(self) -> None:
        self.sessions.add(evolve(SESSION, id="s2", last_seen_at=50.0, expires_at=60.0))
        self.sessions.add(evolve(SESSION, id="s3", last_seen_at=50.0))
        self.assertEqual(self.sessions.prune(now=60.0, idle_since=1.0, devices_since=0.0), 2)
        self.assertEqual([session.id for session in self.sessions.of_user("1")], ["s3"])


class FactorTests(Case):
    TOTP = Totp(id="f", user_id="1", secret=b"sealed", created_at=1.0, confirmed_at=None, last_step=0)

    def setUp(self) -> None:
        super().setUp()
        self.factors = Factors(self.database)
        self.factors.begin(self.TOTP)

    def test_counts_only_when_confirmed(self) -> None:
        self.assertIsNone(self.factors.totp("1"))
        self.assertEqual(self.factors.unconfirmed("1"), self.TOTP)
        self.factors.confirm(self.TOTP, step=9, now=5.0, codes=["a", "b"])
        self.assertEqual(self.factors.totp("1"), evolve(self.TOTP, confirmed_at=5.0, last_step=9))
        self.assertEqual(self.factors.codes_left("1"), 2)

    def test_steps_only_go_up(self) -> None:
        self.factors.confirm(self.TOTP, step=9, now=5.0, codes=[])
        self.assertEqual(
            [self.factors.use_step("f", step) for step in (9, 10, 10, 8, 11)], [False, True, False, False, True]
        )

    def test_a_code_is_used_once_and_by_its_owner(self) -> None:
        self.factors.confirm(self.TOTP, step=9, now=5.0, codes=["a"])
        uses = [self.factors.use_code(user_id, "a") for user_id in ("2", "1", "1")]
        self.assertEqual(uses, [False, True, False])

    def test_a_new_start_replaces_the_old(self) -> None:
        self.factors.begin(evolve(self.TOTP, id="g"))
        self.assertEqual(self.factors.unconfirmed("1"), evolve(self.TOTP, id="g"))

    def test_switching_off_removes_factors_and_codes(self) -> None:
        self.factors.confirm(self.TOTP, step=9, now=5.0, codes=["a"])
        self.factors.off("1")
        self.assertEqual((self.factors.totp("1"), self.factors.codes_left("1")), (None, 0))


class InviteTests(Case):
    INVITE = Invite(
        id="i",
        created_by="1",
        username=None,
        vaults={"family": "write"},
        max_uses=2,
        used_count=0,
        created_at=1.0,
        expires_at=10.0,
        revoked_at=None,
    )

    def setUp(self) -> None:
        super().setUp()
        self.invites = Invites(self.database)
        self.invites.add(self.INVITE)

    def test_rows_are_stored_as_given(self) -> None:
        self.assertEqual((self.invites.get("i"), self.invites.all()), (self.INVITE, [self.INVITE]))

    def test_each_use_is_counted(self) -> None:
        self.assertEqual([self.invites.use("i", 5.0) for _ in range(3)], [True, True, False])
        found = self.invites.get("i")
        assert found is not None
        self.assertEqual(found.status(5.0), "redeemed")

    def test_an_ended_invitation_is_unusable(self) -> None:
        self.assertFalse(self.invites.use("i", 10.0))
        self.assertEqual(self.INVITE.status(10.0), "expired")
        self.assertTrue(self.invites.revoke("i", 3.0))
        self.assertFalse(self.invites.use("i", 5.0))
        self.assertFalse(self.invites.revoke("nothing", 3.0))

    def test_expired_rows_are_deleted(self) -> None:
        self.invites.prune(10.0)
        self.assertEqual(self.invites.all(), [])


class BoundTests(Case):
    def test_audit_keeps_deeds_and_refusals_apart(self) -> None:
        """Repeated sign-in attempts do not push out what an owner did."""
        self.patch(audit_module, "KEPT", 5)
        self.patch(audit_module, "KEPT_REFUSALS", 3)
        audit = Audit(self.database)
        for number in range(20):
            audit.note(Act(at=number, actor="ada", action=f"deed {number}"))
            audit.note(Act(at=number, actor="eve", action="sign-in", outcome="refused"))
        lines = [act.action for _, act in audit.latest() if act.outcome == "ok"]
        self.assertEqual(lines, ["deed 19", "deed 18", "deed 17", "deed 16", "deed 15"])
        self.assertEqual(len(audit.latest()), 8)

    def test_throttle_rows_are_bounded(self) -> None:
        self.patch(throttles_module, "MOST_ROWS", 3)
        throttles = Throttles(self.database)
        for number in range(6):
            throttles.put(f"k{number}", FailureCount(1.0, float(number)))
        throttles.prune(0.0)
        self.assertEqual([throttles.get(f"k{number}") is not None for number in range(6)], [False] * 3 + [True] * 3)
        throttles.drop("k5")
        self.assertIsNone(throttles.get("k5"))

    def test_settings_are_stored_and_removed(self) -> None:
        stored = StoredSettings(self.database)
        self.assertIsNone(stored.get("a"))
        stored.put("a", "1", 1.0)
        stored.put("a", "2", 2.0)
        self.assertEqual(stored.get("a"), "2")
        stored.drop("a")
        self.assertIsNone(stored.get("a"))


class DeletionTests(Case):
    def test_deleting_a_user_deletes_dependent_rows(self) -> None:
        Sessions(self.database).add(evolve(SESSION, user_id="2"))
        Sessions(self.database).know_device("d", "2", 1.0)
        Factors(self.database).begin(evolve(FactorTests.TOTP, user_id="2"))
        Factors(self.database).replace_codes("2", ["a"])
        Invites(self.database).add(evolve(InviteTests.INVITE, created_by="2"))
        self.users.set_vaults("2", {"family": "write"})
        self.users.delete("2")
        tables = ("sessions", "devices", "second_factors", "recovery_codes", "invites")
        self.assertEqual([table for table in tables if self.database.read(f"SELECT * FROM {table}")], [])
        self.assertEqual([row["user_id"] for row in self.database.read("SELECT * FROM user_vaults")], ["1"])


class ToldTests(SynchronousTestCase):
    def test_acts_are_told_once_they_are_committed(self) -> None:
        database, heard = Database.open(Path(self.mktemp())), list[str]()
        self.addCleanup(database.close)
        audit = Audit(database)
        audit.subscribe(lambda act: heard.append(act.action))

        def broken() -> None:
            audit.note(Act(at=0, actor="ada", action="undone"))
            raise ValueError

        self.successResultOf(database.write(audit.note, Act(at=0, actor="ada", action="done")))
        self.failureResultOf(database.write(broken), ValueError)
        self.assertEqual(heard, ["done"])
