from attrs import evolve

from parachute_hub.store.tokens import PAGE
from tests.store.oauth_rows import OAuthRows


class TokensTests(OAuthRows):
    def test_what_was_added_comes_back(self) -> None:
        """With its limits."""
        record = self.token(
            "a", permissions={"scoped_tags": ["x"]}, scopes=("vault:a:read", "vault:b:read"), name="Script"
        )
        self.tokens.add(record)
        self.assertEqual(self.tokens.get("a"), record)
        self.assertIsNone(self.tokens.get("b"))
        self.tokens.used("a", 5.0)
        self.assertEqual(self.tokens.get("a"), evolve(record, last_used_at=5.0))

    def test_only_what_was_signed_is_live(self) -> None:
        """A token without a row is not accepted."""
        self.tokens.add(self.token("a"))
        self.assertEqual((self.tokens.is_live("a"), self.tokens.is_live("b")), (True, False))

    def test_the_list_holds_what_is_revoked_and_not_over(self) -> None:
        """So it stays small."""
        for jti, end in (("a", 100.0), ("b", 50.0), ("c", 100.0)):
            self.tokens.add(self.token(jti, expires_at=end))
        self.assertEqual(self.tokens.revoke("a", 10.0), 10.0)
        self.assertEqual(self.tokens.revoke("a", 20.0), 10.0)
        self.assertIsNone(self.tokens.revoke("unknown", 10.0))
        self.tokens.revoke("b", 10.0)
        self.assertEqual((self.tokens.revoked(10.0), self.tokens.revoked(50.0)), (["a", "b"], ["a"]))

    def test_by_family_and_by_person(self) -> None:
        """Each takes only its own."""
        self.tokens.add(self.token("a", family_id="f"))
        self.tokens.add(self.token("b", family_id="g"))
        self.tokens.add(self.token("c", user_id=None))
        self.tokens.revoke_family("f", 1.0)
        self.assertEqual(self.tokens.revoked(1.0), ["a"])
        self.assertEqual([record.jti for record in self.tokens.of_user("u", 1.0)], ["b"])
        self.tokens.revoke_user("u", 1.0)
        self.assertEqual(self.tokens.revoked(1.0), ["a", "b"])

    def test_deleting_a_person_revokes_by_itself(self) -> None:
        """Nothing valid is left behind."""
        self.tokens.add(self.token("a", user_id="v"))
        self.tokens.add(self.token("b"))
        with self.database.transaction() as connection:
            connection.execute("UPDATE users SET id = 'v' WHERE id = 'u'")
            connection.execute("DELETE FROM users WHERE id = 'v'")
        self.assertEqual(self.tokens.revoked(1.0), ["a"])

    def test_tokens_are_paged_and_filtered(self) -> None:
        """The newest first, filtered, from where the last page ended; what is over is not shown."""
        for number in range(PAGE + 5):
            self.tokens.add(self.token(f"t{number:03}", created_at=float(number // 2), created_via="oauth"))
        self.tokens.add(self.token("over", expires_at=5.0))
        self.tokens.add(self.token("other", subject="x", user_id="x"))
        first = self.tokens.page(5.0, created_via="oauth")
        last = first[-1]
        second = self.tokens.page(5.0, created_via="oauth", before=(last.created_at, last.jti))
        self.assertEqual((len(first), len(second)), (PAGE, 5))
        self.assertEqual(len({record.jti for record in first + second}), PAGE + 5)
        self.assertEqual(first[0].jti, "t054")
        self.assertEqual([record.jti for record in self.tokens.page(5.0, subject="x")], ["other"])
        self.assertEqual([record.jti for record in self.tokens.page(5.0, user_id="x")], ["other"])
        self.tokens.revoke("other", 5.0)
        self.assertEqual([record.jti for record in self.tokens.page(5.0, revoked=True)], ["other"])
        self.assertNotIn("other", {record.jti for record in self.tokens.page(5.0, revoked=False)})

    def test_long_lived_tokens_that_expire_soon(self) -> None:
        """Not those of the token endpoint, of a short life, revoked, over, or with time left."""
        made = {"created_via": "cli_mint", "created_at": 0.0}
        self.tokens.add(self.token("soon", expires_at=100.0, **made))
        self.tokens.add(self.token("later", expires_at=300.0, **made))
        self.tokens.add(self.token("over", expires_at=50.0, **made))
        self.tokens.add(self.token("short", expires_at=100.0, created_via="cli_mint", created_at=90.0))
        self.tokens.add(self.token("app", expires_at=100.0, created_at=0.0, created_via="oauth_refresh"))
        self.tokens.add(self.token("revoked", expires_at=100.0, **made))
        self.tokens.revoke("revoked", 1.0)
        self.assertEqual([record.jti for record in self.tokens.expiring(60.0, 200.0, 80.0)], ["soon"])

    def test_expired_tokens_are_pruned(self) -> None:
        """What is over goes, revoked or not."""
        self.tokens.add(self.token("a", expires_at=5.0))
        self.tokens.add(self.token("b"))
        self.assertEqual(self.tokens.prune(5.0), 1)
        self.assertEqual((self.tokens.get("a"), self.tokens.is_live("b")), (None, True))
