"""What of the older hub comes along, and what is said about the rest."""

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.migration.plan import Move, Tables, plan
from parachute_hub.store.older_hub import read
from parachute_hub.system.timestamps import to_the_millisecond
from tests.support.older_hub import CLIENT, FRIEND, KID, OWNER, SURFACE, make

NOW = 1_800_000_000.0


class PlanTests(SynchronousTestCase):
    def setUp(self) -> None:
        home = Path(self.mktemp()).absolute()
        make(home, now=NOW)
        found = read(home / "hub.db", to_the_millisecond(NOW))
        self.tables: dict[str, list[dict[str, Any]]] = {
            name: [dict(row) for row in rows] for name, rows in found.items()
        }

    def plan(self, *, keys_are_good: bool = True) -> Move:
        tables: Tables = self.tables
        return plan(
            tables, now=NOW, is_origin=lambda text: text.startswith("https://"), is_key=lambda pem: keys_are_good
        )

    def test_the_first_account_is_the_owners(self) -> None:
        owner, friend = self.plan().arrivals.users
        self.assertEqual((owner.id, owner.role, owner.must_change_password, owner.vaults), (OWNER, "admin", False, {}))
        self.assertEqual((friend.id, friend.role, friend.must_change_password), (FRIEND, "member", True))
        self.assertEqual((dict(friend.vaults), friend.email), ({"default": "write"}, "friend@example.com"))
        self.assertTrue(owner.password_hash.startswith("$argon2id$"))

    def test_names_that_differ_in_case_only(self) -> None:
        for first, second in (("owner", "Owner"), ("Groß", "GROSS")):
            for user, name in zip(self.tables["users"], (first, second), strict=True):
                user["username"] = name
            move = self.plan()
            self.assertEqual([user.username for user in move.arrivals.users], [first, f"{second}-2"])
            self.assertIn(f"The name {second} exists twice; one of them signs in as {second}-2.", move.remarks)

    def test_second_factors(self) -> None:
        (factor,) = self.plan().arrivals.factors
        self.assertEqual((factor.user_id, factor.secret[:4], len(factor.codes)), (OWNER, "S3FW", 2))
        self.tables["users"][0].update(totp_backup_codes="[broken")
        self.assertEqual(self.plan().arrivals.factors[0].codes, ())

    def test_apps(self) -> None:
        lab, notes = self.plan().arrivals.clients
        self.assertEqual((lab.client_id, lab.auth_method, lab.status), (CLIENT, "none", "approved"))
        self.assertEqual((lab.vouched_by, lab.redirect_uris), ("owner", ("http://127.0.0.1:33418/callback",)))
        self.assertEqual((notes.client_id, notes.same_hub), (SURFACE, True))

    def test_apps_that_cannot_come(self) -> None:
        """They are named, and nothing of theirs comes along."""
        for change in ({"redirect_uris": "{}"}, {"redirect_uris": "[]"}, {"client_secret_hash": "$2b$something"}):
            self.tables["clients"][0].update(redirect_uris='["http://127.0.0.1/cb"]', client_secret_hash=None)
            self.tables["clients"][0].update(change)
            move = self.plan()
            self.assertIn("The app lab must be connected again.", move.remarks)
            self.assertEqual((move.arrivals.grants, move.arrivals.families), ((), ()))
            self.assertEqual(len(move.arrivals.clients), 1)

    def test_an_app_with_a_secret(self) -> None:
        self.tables["clients"][0]["client_secret_hash"] = "a" * 64
        client = self.plan().arrivals.clients[0]
        self.assertEqual((client.auth_method, client.secret_hash), ("client_secret_post", "a" * 64))

    def test_refresh_tokens_with_their_past(self) -> None:
        """The replaced one stays known, so that its use is seen as a theft."""
        arrivals = self.plan().arrivals
        (family,) = arrivals.families
        first, second = arrivals.refreshes
        self.assertEqual((family.id, family.user_id, family.client_id), ("family", OWNER, CLIENT))
        self.assertEqual((first.used_at, second.used_at, second.parent), (NOW - 3600, None, first.hash))
        self.assertEqual((first.generation, second.generation), (1, 2))

    def test_connections_that_ended_do_not_come(self) -> None:
        self.tables["tokens"][2]["revoked_at"] = to_the_millisecond(NOW - 30)
        arrivals = self.plan().arrivals
        self.assertEqual((arrivals.families, arrivals.refreshes), ((), ()))
        # Modules still ask whether its access token was revoked.
        self.assertEqual(
            [(one.jti, one.revoked_at) for one in arrivals.tokens if one.revoked_at], [("second", NOW - 30)]
        )

    def test_tokens_that_are_out(self) -> None:
        """An access token that came with a refresh token lives for 15 minutes, whatever its row says."""
        records = {one.jti: one for one in self.plan().arrivals.tokens}
        self.assertEqual(sorted(records), ["operators", "second"])
        self.assertEqual((records["second"].kid, records["second"].expires_at), (KID, NOW - 60 + 900))
        self.assertEqual((records["operators"].subject, records["operators"].user_id), ("operator", None))

    def test_a_key_that_cannot_be_used(self) -> None:
        """It would keep the hub from starting."""
        move = self.plan(keys_are_good=False)
        self.assertEqual((move.arrivals.keys, move.arrivals.tokens), ((), ()))
        self.assertIn("A signing key of the older hub cannot be used. Tokens that it signed end.", move.remarks)

    def test_a_token_names_the_key_of_its_time(self) -> None:
        newer = {**self.tables["signing_keys"][0], "kid": "newer", "created_at": to_the_millisecond(NOW - 120)}
        self.tables["signing_keys"].append(newer)
        kids = {one.jti: one.kid for one in self.plan().arrivals.tokens}
        self.assertEqual(kids, {"operators": KID, "second": "newer"})

    def test_settings(self) -> None:
        self.tables["hub_settings"] += [
            {"key": "hub_origin", "value": "https://hub.example.com"},
            {"key": "admin_lock_pin_hash", "value": "x"},
        ]
        self.tables["hub_settings"][1]["value"] = "rc"
        move = self.plan()
        settings = move.arrivals.settings
        self.assertEqual((settings["hub_origin"], move.channel), ("https://hub.example.com", "rc"))
        self.assertEqual(settings["setup_expose_mode"], "localhost")
        self.assertIn('"reached": true', settings["setup_progress"])
        self.assertIn("PIN", " ".join(move.remarks))

    def test_an_address_that_is_none(self) -> None:
        self.tables["hub_settings"].append({"key": "hub_origin", "value": "javascript:1"})
        self.assertNotIn("hub_origin", self.plan().arrivals.settings)

    def test_what_stays_behind_is_said(self) -> None:
        self.tables["invites"] = [{"used_at": None, "revoked_at": None}]
        self.tables["vault_caps"] = [{"vault_name": "default"}]
        self.assertEqual(len(self.plan().remarks), 2)

    def test_nobody(self) -> None:
        self.tables["users"] = []
        self.assertIn("no owner yet", self.plan().remarks[0])

    def test_the_list_for_people_holds_no_secret(self) -> None:
        told = str(self.plan().to_json()) + repr(self.plan())
        for secret in ("S3FW4RY", "$argon2id", "PRIVATE KEY"):
            self.assertNotIn(secret, told)
