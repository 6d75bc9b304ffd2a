from joserfc.jwk import ECKey, RSAKey
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.tokens.keys import ROTATE_AFTER, Keyring, load_private_pem, make_private_pem
from parachute_hub.store.audit import Audit
from parachute_hub.store.keys import SigningKeys
from tests.oauth.world import WorldCase
from tests.support.oauth import PemSupply


class KeyringTests(WorldCase):
    def rotate(self) -> str:
        return self.successResultOf(Deferred.fromCoroutine(self.world.keys.rotate()))

    def maintain(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.world.keys.maintain()))

    def kids(self) -> list[str]:
        return [key["kid"] for key in self.world.keys.jwks()["keys"]]

    def test_only_public_parts_are_published(self) -> None:
        """The document holds exactly what RFC 7517 needs of an RSA key."""
        self.assertEqual(
            [sorted(key) for key in self.world.keys.jwks()["keys"]], [["alg", "e", "kid", "kty", "n", "use"]]
        )

    def test_a_restart_keeps_the_key(self) -> None:
        """A second keyring over the same table signs with the same key and makes none."""
        database, clock = self.world.database, self.world.clock
        again = Keyring(
            write=database.write,
            store=SigningKeys(database),
            note=Audit(database).note,
            clock=clock,
            off_thread=PemSupply(),
        )
        self.successResultOf(Deferred.fromCoroutine(again.ensure()))
        self.assertEqual(again.jwks(), self.world.keys.jwks())

    def test_a_new_key_is_published_before_it_signs(self) -> None:
        """Modules keep the key set for five minutes; the old key goes on signing for ten."""
        old = self.kids()[0]
        new = self.rotate()
        self.assertEqual((self.kids(), self.world.keys.signer().kid), ([new, old], old))
        self.world.clock.advance(599)
        self.assertEqual(self.world.keys.signer().kid, old)
        self.world.clock.advance(1)
        self.assertEqual(self.world.keys.signer().kid, new)

    def test_an_impatient_second_rotation_makes_no_key(self) -> None:
        """The key that waits is the answer."""
        self.assertEqual(self.rotate(), self.rotate())

    def test_a_key_stays_until_its_last_token_ends(self) -> None:
        """A token of 90 days survives the rotation of its key."""
        old = self.kids()[0]
        minted = self.mint("scribe:transcribe", lifetime=90 * 86400)
        new = self.rotate()
        self.world.clock.advance(89 * 86400)
        self.maintain()
        self.assertIn(old, self.kids())
        self.assertEqual(self.world.issuer.verify(minted.token).jti, minted.jti)
        self.world.clock.advance(86400)
        self.maintain()
        self.assertNotIn(old, self.kids())
        self.assertIn(new, self.kids())

    def test_a_key_without_tokens_goes_at_once_but_not_the_signer(self) -> None:
        """The signing key is never dropped, nor one that waits to sign."""
        old = self.kids()[0]
        new = self.rotate()
        self.maintain()
        self.assertEqual(self.kids(), [new, old])
        self.world.clock.advance(600)
        self.maintain()
        self.assertEqual(self.kids(), [new])

    def test_keys_are_rotated_by_age(self) -> None:
        """Every ninety days."""
        self.world.clock.advance(ROTATE_AFTER)
        self.maintain()
        self.assertEqual(len(self.kids()), 2)

    def test_a_clock_set_back_still_signs(self) -> None:
        """Before the first key's time, the oldest key signs."""
        self.world.clock.rightNow -= 3600
        self.assertEqual(self.world.keys.signer().kid, self.kids()[0])

    def test_the_private_key_is_in_a_private_file(self) -> None:
        """0600, the journal too, in a 0700 folder."""
        modes = {path.name: path.stat().st_mode & 0o777 for path in self.folder.iterdir()}
        self.assertEqual(set(modes.values()), {0o600})
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o700)


class StoredKeyTests(SynchronousTestCase):
    def test_a_stored_key_is_the_key_that_was_made(self) -> None:
        pem = make_private_pem()
        self.assertEqual(load_private_pem(pem).as_dict(private=True), RSAKey.import_key(pem).as_dict(private=True))

    def test_what_is_no_rsa_key_is_refused(self) -> None:
        elliptic = ECKey.generate_key("P-256", private=True).as_pem(private=True).decode()
        for pem in ("", "not a key", elliptic):
            with self.subTest(pem[:20]):
                self.assertRaises(ValueError, load_private_pem, pem)
