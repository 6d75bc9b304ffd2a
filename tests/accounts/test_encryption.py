"""Secrets in the database are encrypted with a key that is not in it."""

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.encryption import Sealer, Unsealable


class SealerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "accounts.key"

    def test_opens_what_it_sealed_also_after_a_restart(self) -> None:
        sealed = Sealer.from_file(self.path, os.urandom).seal("secret words", "row 1")
        self.assertNotIn(b"secret", sealed)
        self.assertEqual(Sealer.from_file(self.path, os.urandom).open(sealed, "row 1"), "secret words")

    def test_the_key_is_the_owners_alone(self) -> None:
        Sealer.from_file(self.path, os.urandom)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_what_does_not_open(self) -> None:
        """Another row, another key, a modified or truncated secret."""
        sealer = Sealer.from_file(self.path, os.urandom)
        sealed = sealer.seal("secret words", "row 1")
        other = Sealer(os.urandom(32), os.urandom)
        for one, secret, about in (
            (sealer, sealed, "row 2"),
            (other, sealed, "row 1"),
            (sealer, sealed[:-1] + bytes([sealed[-1] ^ 1]), "row 1"),
            (sealer, sealed[:10], "row 1"),
            (sealer, b"", "row 1"),
        ):
            self.assertRaises(Unsealable, one.open, secret, about)

    def test_a_damaged_key_is_told(self) -> None:
        for text in ("", "abcd", "not hex"):
            self.path.write_text(text)
            with self.assertRaisesRegex(ValueError, str(self.path)):
                Sealer.from_file(self.path, os.urandom)

    def test_a_hubs_tag_is_its_own_and_lasts(self) -> None:
        tag = Sealer.from_file(self.path, os.urandom).tag("cookies of port 1939")
        again = Sealer.from_file(self.path, os.urandom)
        self.assertRegex(tag, r"^[0-9a-f]{8}$")
        self.assertEqual(again.tag("cookies of port 1939"), tag)
        self.assertNotEqual(again.tag("cookies of port 1940"), tag)
        self.assertNotEqual(Sealer(os.urandom(32), os.urandom).tag("cookies of port 1939"), tag)
