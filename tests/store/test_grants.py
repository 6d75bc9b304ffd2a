from tests.store.oauth_rows import OAuthRows


class GrantsTests(OAuthRows):
    def test_a_consent_adds_to_what_was_allowed(self) -> None:
        """First use stays, last use and scopes change; each consent is its own family."""
        self.allow(1, "app", "vault:a:read")
        self.allow(2, "app", "vault:a:write", "vault:a:read")
        grant = self.grants.get("u", "app")
        assert grant is not None
        self.assertEqual(grant.scopes, ("vault:a:read", "vault:a:write"))
        self.assertEqual((grant.first_at, grant.last_at), (1.0, 2.0))
        self.assertEqual(len(self.grants.live_families("u", "app")), 2)

    def test_a_consent_is_written_whole_or_not_at_all(self) -> None:
        """A duplicate code leaves no grant behind."""
        self.allow(1, "app")
        self.clients.put(self.client("other"))
        with self.assertRaises(Exception):  # noqa: B017
            self.allow(1, "other")
        self.assertIsNone(self.grants.get("u", "other"))

    def test_a_code_and_its_tokens(self) -> None:
        """Used once, then a chain of refresh tokens; use is noted on the grant, the first use on each token."""
        self.allow()
        first = self.refresh("first")
        self.grants.use_code("code-1", first, 5.0, "192.0.2.1")
        code = self.grants.code("code-1")
        assert code is not None
        self.assertEqual(code.used_at, 5.0)
        self.grants.rotate("first", self.refresh("second", generation=1, parent="first"), 6.0, "192.0.2.2")
        self.assertFalse(self.grants.children_used("first"))
        self.grants.rotate("second", self.refresh("third", generation=2, parent="second"), 7.0, "192.0.2.3")
        self.grants.rotate("first", self.refresh("fork", branch="c", generation=1, parent="first"), 7.0, "192.0.2.4")
        old = self.grants.refresh("first")
        assert old is not None
        self.assertEqual((old.used_at, self.grants.children_used("first")), (6.0, True))
        self.assertEqual([self.grants.newest_generation(branch) for branch in ("b", "c", "unknown")], [2, 1, 0])
        places = [(one.id, one.began_at, one.last_at, one.address) for one in self.grants.branches("family-1", 9.0)]
        self.assertEqual(sorted(places), [("b", 5.0, 7.0, "192.0.2.3"), ("c", 7.0, 7.0, "192.0.2.4")])
        self.assertEqual(self.grants.branches("family-1", 1000.0), [], "what has expired does not count")
        grant = self.grants.get("u", "app")
        assert grant is not None
        self.assertEqual(grant.last_at, 7.0)

    def test_ending_one_family_keeps_its_siblings(self) -> None:
        """One family; its siblings live."""
        self.allow(1)
        self.allow(2)
        self.grants.end_family("family-1", 9.0)
        self.grants.end_family("family-1", 10.0, "It came twice.")
        family = self.grants.family("family-1")
        assert family is not None
        self.assertEqual(family.ended_at, 9.0)
        self.assertEqual([one.id for one in self.grants.live_families("u")], ["family-2"])
        self.assertEqual(self.grants.live_families("u", "other"), [])
        self.assertIsNone(self.grants.last_trouble("u", "app"))
        self.grants.end_family("family-2", 11.0, "It came twice.")
        self.assertEqual(self.grants.last_trouble("u", "app"), (11.0, "It came twice."))
        self.allow(3)
        self.assertIsNone(self.grants.last_trouble("u", "app"), "connected again")

    def test_a_consent_is_withdrawn_once(self) -> None:
        """Once; then there is nothing."""
        self.allow()
        self.assertEqual((self.grants.forget("u", "app"), self.grants.forget("u", "app")), (True, False))
        self.assertEqual(self.grants.of_user("u"), [])

    def test_pruning_keeps_what_tells_a_replay(self) -> None:
        """A used code is kept an hour after its end, a used refresh token until its end; then the family goes."""
        self.allow()
        self.grants.use_code("code-1", self.refresh("r", expires_at=9000.0), 2.0, "192.0.2.1")
        self.assertEqual(self.grants.prune(3600.0), 0)
        self.assertIsNotNone(self.grants.code("code-1"))
        self.assertEqual(self.grants.prune(3662.0), 0)
        self.assertIsNone(self.grants.code("code-1"))
        self.assertEqual(self.grants.prune(9000.1), 1)
        self.assertIsNone(self.grants.family("family-1"))
        self.assertIsNotNone(self.grants.get("u", "app"))
