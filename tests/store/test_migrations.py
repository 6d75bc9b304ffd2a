"""Databases of earlier hubs: what is in them after the steps that rebuild something."""

import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.store.database import Database, shipped_migrations
from parachute_hub.store.grants import Grants
from parachute_hub.store.users import Users

OLD = """
INSERT INTO users (id, username, password_hash, role, must_change_password, created_at, password_changed_at)
    VALUES ('u', 'ada', 'h', 'admin', 0, 1, 1);
INSERT INTO clients (client_id, source, status, name, redirect_uris, scope, auth_method, created_at)
    VALUES ('app', 'registered', 'approved', 'App', '[]', '', 'none', 1);
INSERT INTO grants VALUES ('u', 'app', 'vault:a:read', 'https://app.test/cb', '192.0.2.9', 1, 30);
INSERT INTO families (id, user_id, client_id, scopes, auth_time, created_at) VALUES ('f', 'u', 'app', '', 1, 1);
INSERT INTO refresh_tokens VALUES ('one', 'f', 10, 9000, 20, 'two'), ('two', 'f', 20, 9000, 30, 'three'),
    ('three', 'f', 30, 9000, NULL, NULL);
"""


PEOPLE = """
INSERT INTO users (id, username, password_hash, role, must_change_password, created_at, password_changed_at)
    VALUES ('1', 'ada', 'h', 'admin', 0, 1, 1), ('2', 'Kim.Lee', 'h', 'member', 0, 1, 1),
           ('3', 'kim-lee', 'h', 'member', 0, 1, 1), ('4', 'jo', 'h', 'member', 0, 1, 1);
INSERT INTO user_vaults VALUES ('1', 'ada', 'write'), ('2', 'kim-lee', 'write'), ('3', 'kim-lee', 'write'),
    ('3', 'jo', 'write'), ('4', 'jo', 'read'), ('4', 'family', 'write');
"""


class OwnVaultTests(SynchronousTestCase):
    def test_a_vault_that_an_invitation_made_is_its_persons(self) -> None:
        """At most one person's, and nobody's who may only read it."""
        path = Path(self.mktemp()) / "parachute.db"
        before = next(step.number for step in shipped_migrations() if step.name == "vaults") - 1
        Database.open(path, shipped_migrations()[:before]).close()
        connection = sqlite3.connect(path)
        connection.executescript(PEOPLE)
        connection.close()
        database = Database.open(path)
        self.addCleanup(database.close)
        own = {user.id: user.own for user in Users(database).all()}
        self.assertEqual(own, {"1": (), "2": ("kim-lee",), "3": (), "4": ()})


class BranchTests(SynchronousTestCase):
    def test_a_chain_of_refresh_tokens_becomes_one_branch(self) -> None:
        """An app that was connected before the update stays connected, and its old tokens keep their order."""
        path = Path(self.mktemp()) / "parachute.db"
        Database.open(path, shipped_migrations()[:2]).close()
        connection = sqlite3.connect(path)
        connection.executescript(OLD)
        connection.close()
        database = Database.open(path, shipped_migrations()[:3])
        self.addCleanup(database.close)
        grants = Grants(database)
        chain = [grants.refresh(name) for name in ("one", "two", "three")]
        self.assertEqual(
            [(token.branch, token.generation, token.parent, token.used_at) for token in chain if token],
            [("f", 0, None, 20.0), ("f", 1, "one", 30.0), ("f", 2, "two", None)],
        )
        (branch,) = grants.branches("f", 100.0)
        self.assertEqual((branch.began_at, branch.last_at, branch.address), (10.0, 30.0, "192.0.2.9"))
        family = grants.family("f")
        assert family is not None
        self.assertIsNone(family.ended_why)
