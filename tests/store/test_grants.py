from tests.store.oauth_rows import OAuthRows


class GrantsTests(OAuthRows):
    def test_a_consent_adds_to_what_was_allowed(self) -> None:
        """First use stays, last use and scopes move on; each consent is a family of its own."""
        self.allow(1, "app", "vault:a:read")
        self.allow(2, "app", "vault:a:write", "vault:a:read")
        grant = self.grants.get("u", "app")
        assert grant is not None
        self.assertEqual(grant.scopes, ("vault:a:read", "vault:a:write"))
        self.assertEqual((grant.first_at, grant.last_at), (1.0, 2.0))
        self.assertEqual(len(self.grants.live_families("u", "app")), 2)

    def test_a_consent_is_written_whole_or_not_at_all(self) -> None:
        """A doubled code leaves no grant behind."""
        self.allow(1, "app")
        self.clients.put(self.client("other"))
        with self.assertRaises(Exception):  # noqa: B017
            self.allow(1, "other")
        self.assertIsNone(self.grants.get("u", "other"))

    def test_a_code_and_its_tokens(self) -> None:
        """Used once, then a chain of refresh tokens that knows its tip; use is noted on the grant."""
        self.allow()
        first = self.refresh("first")
        self.grants.use_code("code-1", first, 5.0)
        code = self.grants.code("code-1")
        assert code is not None
        self.assertEqual(code.used_at, 5.0)
        self.grants.rotate("first", self.refresh("second"), 6.0)
        self.grants.rotate("second", self.refresh("third"), 7.0)
        old = self.grants.refresh("first")
        assert old is not None
        self.assertEqual((old.used_at, old.successor, self.grants.tip(old).hash), (6.0, "second", "third"))
        grant = self.grants.get("u", "app")
        assert grant is not None
        self.assertEqual(grant.last_at, 7.0)

    def test_ending(self) -> None:
        """One family; its siblings live."""
        self.allow(1)
        self.allow(2)
        self.grants.end_family("family-1", 9.0)
        self.grants.end_family("family-1", 10.0)
        family = self.grants.family("family-1")
        assert family is not None
        self.assertEqual(family.ended_at, 9.0)
        self.assertEqual([one.id for one in self.grants.live_families("u")], ["family-2"])
        self.assertEqual(self.grants.live_families("u", "other"), [])

    def test_taking_back(self) -> None:
        """Once; then there is nothing."""
        self.allow()
        self.assertEqual((self.grants.forget("u", "app"), self.grants.forget("u", "app")), (True, False))
        self.assertEqual(self.grants.of_user("u"), [])

    def test_pruning_keeps_what_tells_a_replay(self) -> None:
        """A used code stays an hour after its end, a used refresh token until its own end; then the family goes."""
        self.allow()
        self.grants.use_code("code-1", self.refresh("r", expires_at=9000.0), 2.0)
        self.assertEqual(self.grants.prune(3600.0), 0)
        self.assertIsNotNone(self.grants.code("code-1"))
        self.assertEqual(self.grants.prune(3662.0), 0)
        self.assertIsNone(self.grants.code("code-1"))
        self.assertEqual(self.grants.prune(9000.1), 1)
        self.assertIsNone(self.grants.family("family-1"))
        self.assertIsNotNone(self.grants.get("u", "app"))
