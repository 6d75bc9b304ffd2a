from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.packages.signatures import BadSignature, keys_of, moment, verify
from tests.support.npm import Signer
from tests.system.test_strict_json import ANY_VALUE

TEXT = "@toys/toy@1.0.0:sha512-abc"


class Signatures(SynchronousTestCase):
    def test_a_key_that_the_registry_publishes(self) -> None:
        signer = Signer()
        verify(TEXT, [signer.sign(TEXT)], keys_of({"keys": signer.keys()}), None)

    def test_wrong_signatures_are_refused(self) -> None:
        signer, other = Signer(), Signer()
        keys = keys_of({"keys": signer.keys()})
        for case, signatures, words in (
            ("none", [], "no signature"),
            ("not a list", {"sig": "x"}, "no signature"),
            ("of another version", [signer.sign(TEXT + "x")], "invalid signature"),
            ("by another key", [other.sign(TEXT)], "not signed with a key"),
            ("by another key in its name", [{**other.sign(TEXT), "keyid": signer.sign(TEXT)["keyid"]}], "invalid"),
            ("no base64", [{**signer.sign(TEXT), "sig": "%%%"}], "invalid signature"),
        ):
            with self.subTest(case):
                with self.assertRaises(BadSignature) as caught:
                    verify(TEXT, signatures, keys, None)
                self.assertIn(words, str(caught.exception))

    def test_a_key_that_has_expired_counts_for_what_was_published_before(self) -> None:
        signer = Signer(expires="2025-01-29T00:00:00.000Z")
        keys = keys_of({"keys": signer.keys()})
        verify(TEXT, [signer.sign(TEXT)], keys, datetime(2024, 1, 1, tzinfo=UTC))
        for published in (None, datetime(2025, 2, 1, tzinfo=UTC)):
            with self.assertRaises(BadSignature):
                verify(TEXT, [signer.sign(TEXT)], keys, published)

    @given(ANY_VALUE, ANY_VALUE)
    def test_any_document_has_keys_or_none(self, document: Any, signatures: Any) -> None:
        moment(document)
        keys = (*keys_of(document), *keys_of({"keys": [document, {"scheme": "ecdsa-sha2-nistp256", "key": document}]}))
        with self.assertRaises(BadSignature):
            verify(TEXT, signatures, keys, None)
