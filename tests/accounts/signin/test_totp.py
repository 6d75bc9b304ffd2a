"""Codes of authenticator apps and recovery codes."""

import os

import pyotp
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.signin import totp

# RFC 6238 appendix B, SHA-1: the last six of the eight digits.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = ((59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (2000000000, "279037"))


class CodeTests(SynchronousTestCase):
    def test_the_test_vectors_of_rfc_6238_match(self) -> None:
        for now, code in RFC_CODES:
            self.assertEqual(totp.matching_step(RFC_SECRET, code, now), now // 30)

    def test_codes_of_adjacent_steps_match(self) -> None:
        """One step early or late, no more."""
        for seconds, fits in ((-61, False), (-30, True), (0, True), (30, True), (61, False)):
            found = totp.matching_step(RFC_SECRET, pyotp.TOTP(RFC_SECRET).at(90_000 + seconds), 90_000)
            self.assertEqual(found is not None, fits, seconds)

    def test_spaces_in_codes_are_ignored(self) -> None:
        code = pyotp.TOTP(RFC_SECRET).at(59)
        self.assertEqual(totp.matching_step(RFC_SECRET, f" {code[:3]} {code[3:]}\n", 59), 1)

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(st.text(max_size=12))
    def test_no_other_text_matches(self, text: str) -> None:
        """No input raises, and digits of other scripts do not count."""
        found = totp.matching_step(RFC_SECRET, text, 59)
        if found is not None:
            self.assertTrue("".join(text.split()).isascii())

    def test_the_url_names_hub_and_person(self) -> None:
        url = totp.app_url(RFC_SECRET, "ada", "hub.example")
        self.assertTrue(url.startswith("otpauth://totp/Parachute%20Hub:ada%40hub.example?secret=GEZ"), url)

    def test_a_new_secret_has_160_bits(self) -> None:
        self.assertEqual(len(totp.new_secret(os.urandom)), 32)


class RecoveryCodeTests(SynchronousTestCase):
    def test_recovery_codes_are_readable_and_unique(self) -> None:
        codes = totp.new_recovery_codes(os.urandom)
        self.assertEqual(len(set(codes)), 10)
        for code in codes:
            self.assertRegex(code, r"^([a-z2-9]{4}-){3}[a-z2-9]{4}$")

    def test_read_as_people_write(self) -> None:
        (code, *_) = totp.new_recovery_codes(os.urandom)
        for typed in (code, code.upper(), code.replace("-", ""), code.replace("-", " ")):
            self.assertEqual(totp.recovery_hash(typed), totp.recovery_hash(code))

    def test_malformed_recovery_codes_have_no_hash(self) -> None:
        for text in ("", "123456", "abcd-efgh", "abcd-efgh-jkmn-pqr0", "x" * 17):
            self.assertIsNone(totp.recovery_hash(text))
