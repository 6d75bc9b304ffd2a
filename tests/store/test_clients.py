from attrs import evolve

from tests.store.oauth_rows import OAuthRows


class ClientsTests(OAuthRows):
    def test_what_was_put_comes_back(self) -> None:
        """Every field, including lists and objects; nothing for an unknown id."""
        client = self.client(secret_hash="h", vouched_by="owner", fresh_until=5.0, same_hub=True)
        self.clients.put(client)
        self.assertEqual(self.clients.get("app"), client)
        self.assertIsNone(self.clients.get("other"))

    def test_a_newer_copy_changes_what_it_says_but_not_its_standing(self) -> None:
        """A re-read document cannot approve itself or add a secret."""
        self.clients.put(self.client())
        self.clients.put(
            self.client(
                name="New", redirect_uris=("https://b.test/",), fresh_until=9.0, secret_hash="h", vouched_by="x"
            )
        )
        expected = self.client(name="New", redirect_uris=("https://b.test/",), fresh_until=9.0)
        self.assertEqual(self.clients.get("app"), expected)

    def test_apps_that_wait_are_counted(self) -> None:
        self.clients.put(self.client("one", status="pending"))
        self.clients.put(self.client("two", status="approved"))
        self.assertEqual(self.clients.count_waiting(), 1)

    def test_only_an_identical_client_is_reused(self) -> None:
        """Only the very same, public, registered and of the same standing."""
        client = self.client()
        self.clients.put(client)
        self.assertEqual(self.clients.like(evolve(client, client_id="new")), client)
        for changes in ({"name": "X"}, {"redirect_uris": ("https://x/",)}, {"scope": ""}, {"status": "pending"}):
            self.assertIsNone(self.clients.like(evolve(client, **changes)), changes)
        self.clients.put(self.client("secret", name="S", secret_hash="h"))
        self.assertIsNone(self.clients.like(self.client(name="S")))

    def test_approving_names_who_did(self) -> None:
        """It is then no longer pruned."""
        self.clients.put(self.client(status="pending"))
        self.assertEqual(self.clients.count_unvouched(), 1)
        self.clients.approve("app", "owner")
        client = self.clients.get("app")
        assert client is not None
        self.assertEqual((client.status, client.vouched_by, self.clients.count_unvouched()), ("approved", "owner", 0))

    def test_only_old_unused_unapproved_clients_are_pruned(self) -> None:
        """Old, without anybody's word, and without a consent: all three."""
        self.clients.put(self.client("old", created_at=1.0))
        self.clients.put(self.client("young", created_at=50.0))
        self.clients.put(self.client("vouched", created_at=1.0, vouched_by="owner"))
        self.clients.put(self.client("used", created_at=1.0))
        self.clients.put(self.client("document", created_at=1.0, source="document"))
        self.allow(1, "used")
        self.assertEqual(self.clients.count_documents(), 1)
        self.assertEqual(self.clients.prune(50.0), 2)
        self.assertEqual([client.client_id for client in self.clients.all()], ["young", "used", "vouched"])

    def test_deleting_takes_everything_along_and_revokes(self) -> None:
        """Consents, codes and refresh tokens are deleted; apps' access tokens stay on the list as revoked."""
        family = self.allow()
        self.grants.use_code("code-1", self.refresh("r"), 2.0, "192.0.2.1")
        self.tokens.add(self.token("of-app", family_id=family))
        self.tokens.add(self.token("minted"))
        self.assertTrue(self.clients.delete("app"))
        self.assertFalse(self.clients.delete("app"))
        self.assertIsNone(self.grants.code("code-1"))
        self.assertIsNone(self.grants.refresh("r"))
        self.assertEqual((self.tokens.revoked(5.0), self.tokens.is_live("minted")), (["of-app"], True))
