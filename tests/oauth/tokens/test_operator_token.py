from twisted.logger import LogLevel, capturedLogs, formatEvent

from parachute_hub.oauth.tokens.claims import Claims
from parachute_hub.oauth.tokens.operator_token import LIFETIME
from tests.oauth.world import WorldCase
from tests.support.at_once import at_once
from tests.support.oauth import ISSUER


class OperatorTokenTests(WorldCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "operator.token"
        self.token = self.world.oauth.operator

    def held(self) -> Claims:
        return self.world.issuer.verify(self.path.read_text().strip())

    def test_the_token_is_created_at_boot(self) -> None:
        """One line, 0600, audience `operator`, every scope of the hub, 90 days, on the list of tokens."""
        at_once(self.token.ensure())
        claims = self.held()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual((claims.audience, claims.extra["pa_scope_set"]), (("operator",), "admin"))
        self.assertLessEqual({"hub:admin", "parachute:host:admin", "parachute:host:auth"}, claims.scopes)
        self.assertEqual(claims.expires_at - self.world.clock.seconds(), LIFETIME)
        record = self.world.tokens.get(claims.jti)
        assert record is not None
        self.assertEqual((record.created_via, record.user_id), ("operator_mint", None))

    def test_a_good_one_is_left_alone_but_made_private(self) -> None:
        """The next boot changes nothing except wrong file modes."""
        at_once(self.token.ensure())
        before = self.path.read_text()
        self.path.chmod(0o644)
        at_once(self.token.ensure())
        self.assertEqual((self.path.read_text(), self.path.stat().st_mode & 0o777), (before, 0o600))

    def test_renewed_in_its_last_week(self) -> None:
        """With the same set of scopes; the old one is revoked."""
        at_once(self.token.rotate("start"))
        old = self.held()
        self.world.clock.advance(LIFETIME - 6 * 86400)
        at_once(self.token.ensure())
        self.assertNotEqual(self.held().jti, old.jti)
        self.assertEqual(self.held().extra["pa_scope_set"], "start")
        self.assertFalse(self.world.tokens.is_live(old.jti))

    def test_healed_when_the_address_changed(self) -> None:
        """Even when the old address is no longer the hub's, and never with more scopes."""
        at_once(self.token.rotate("auth"))
        self.world.issuer.move("https://new.test", [])
        at_once(self.token.ensure())
        self.assertEqual((self.held().issuer, self.held().scopes), ("https://new.test", {"parachute:host:auth"}))

    def test_anything_else_gives_way(self) -> None:
        """Nothing, an opaque token of an older hub, a token for something else, binary data."""
        wrong = self.mint("vault:work:read").token
        for content in (None, b"", b"parachute-operator-abc\n", wrong.encode(), b"\xff\xfe"):
            if content is None:
                self.path.unlink(missing_ok=True)
            else:
                self.path.write_bytes(content)
            at_once(self.token.ensure())
            self.assertEqual(self.held().extra["pa_scope_set"], "admin")
            self.assertEqual(self.held().issuer, ISSUER)

    def test_a_file_that_somebody_else_wrote(self) -> None:
        self.assertFalse(self.token.is_foreign())
        at_once(self.token.ensure())
        self.assertFalse(self.token.is_foreign())
        own = self.path.read_bytes()
        self.path.write_bytes(b"parachute-operator-abc\n")
        self.assertTrue(self.token.is_foreign())
        self.path.write_bytes(own)
        self.assertFalse(self.token.is_foreign())

    def test_a_signature_that_was_verified_is_not_verified_again(self) -> None:
        """Each look of an idle hub would bring megabytes of cryptography's code back into its memory."""
        at_once(self.token.ensure())
        verified: list[str] = []
        signed = self.world.issuer.signed

        def noted(token: str) -> Claims:
            verified.append(token)
            return signed(token)

        self.patch(self.world.issuer, "signed", noted)
        self.assertFalse(self.token.is_foreign())
        self.assertFalse(self.token.is_foreign())
        self.assertEqual(len(verified), 1)
        at_once(self.token.rotate("auth"))
        self.assertFalse(self.token.is_foreign())
        self.assertEqual(verified[-1], self.path.read_text().strip())

    def test_a_revoked_one_is_replaced(self) -> None:
        """Revoking it by its id leads to a new one at the next boot."""
        at_once(self.token.ensure())
        old = self.held()
        self.world.do(self.world.tokens.revoke, old.jti, self.world.clock.seconds())
        at_once(self.token.ensure())
        self.assertNotEqual(self.held().jti, old.jti)

    def test_a_disk_that_takes_no_file(self) -> None:
        """Is logged; the hub starts anyway."""
        self.path.mkdir()
        (self.path / "in the way").touch()
        with capturedLogs() as logged:
            at_once(self.token.ensure())
        (event,) = [event for event in logged if event["log_level"] is LogLevel.error]
        self.assertIn("could not be written", formatEvent(event))

    def test_an_unknown_scope_set_is_refused(self) -> None:
        """Is refused, and the file stays."""
        at_once(self.token.ensure())
        before = self.path.read_text()
        self.assertRaises(KeyError, at_once, self.token.rotate("everything"))
        self.assertEqual(self.path.read_text(), before)
