from tests.store.oauth_rows import OAuthRows


class SigningKeysTests(OAuthRows):
    def test_keys_are_listed_newest_first(self) -> None:
        """As they are published; the private part does not show in a log."""
        self.keys.add(self.key("old", 1.0))
        self.keys.add(self.key("new", 2.0))
        self.assertEqual([key.kid for key in self.keys.all()], ["new", "old"])
        self.assertNotIn("pem", repr(self.keys.all()).replace("private_pem", ""))

    def test_only_what_nothing_needs_is_dropped(self) -> None:
        """Not the signer, not a newer one that waits, not one that a token needs."""
        for kid, signs_from in (("needed", 1.0), ("unneeded", 2.0), ("signer", 3.0), ("waiting", 4.0)):
            self.keys.add(self.key(kid, signs_from))
        self.tokens.add(self.token("a", kid="needed", expires_at=100.0))
        self.assertEqual(self.keys.drop_unneeded("signer", 99.0), 1)
        self.assertEqual([key.kid for key in self.keys.all()], ["waiting", "signer", "needed"])
        self.assertEqual(self.keys.drop_unneeded("signer", 100.0), 1)
        self.assertEqual(self.keys.drop_unneeded("unknown", 100.0), 0)
