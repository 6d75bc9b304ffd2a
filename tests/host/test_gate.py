import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.host.gate import Gate
from parachute_hub.host.records import HostRecords
from parachute_hub.link import certificates, code
from parachute_hub.site.errors import Refused
from parachute_hub.system.file_writer import FileWriter

NOW = 1000.0


class GateTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.records = HostRecords(folder, "vault")
        self.own = certificates.key_of_pem(self.records.identity()[1])
        self.now = NOW
        self.gate = Gate(records=self.records, files=FileWriter(), now=lambda: self.now)
        self.code = self.records.offer(NOW, os.urandom)
        _, self.pem = certificates.make("hub")
        self.key = certificates.key_of_pem(self.pem)

    def body(self, **changes: Any) -> dict[str, Any]:
        proof = code.proof(self.code, "hub", self.own, self.key)
        return {"hub": "https://hub.test", "certificate": self.pem.decode(), "proof": proof, **changes}

    def refused(self, body: dict[str, Any], key: bytes | None) -> str:
        with self.assertRaises(Refused) as caught:
            self.gate.pair(body, key)
        return str(caught.exception.error)

    def test_the_right_proof_pairs_once_and_is_answered_with_ours(self) -> None:
        self.assertTrue(self.gate.admits(b"anyone"))
        self.assertFalse(self.gate.is_hub(self.key))
        told = self.gate.pair(self.body(), self.key)
        self.assertTrue(code.same(told["proof"], code.proof(self.code, "host", self.own, self.key)))
        self.assertEqual([self.gate.is_hub(key) for key in (self.key, b"other", None)], [True, False, False])
        self.assertEqual([self.gate.admits(key) for key in (self.key, b"other")], [True, False])
        self.assertEqual(self.refused(self.body(), self.key), "paired")

    def test_a_code_is_not_used_twice(self) -> None:
        self.gate.pair(self.body(), self.key)
        self.gate.unpair()
        self.assertEqual(self.refused(self.body(), self.key), "wrong_code")

    def test_what_is_refused_without_counting(self) -> None:
        for body, key, word in (
            (self.body(hub="hub.test"), self.key, "invalid_request"),
            (self.body(hub=None), self.key, "invalid_request"),
            (self.body(certificate="x"), self.key, "invalid_request"),
            (self.body(certificate=None), self.key, "invalid_request"),
            (self.body(), None, "other_certificate"),
            # Somebody in between has another certificate than the hub.
            (self.body(), b"o" * 32, "other_certificate"),
        ):
            self.assertEqual(self.refused(body, key), word)
        self.assertEqual(self.records.offered(NOW), self.code)

    def test_five_wrong_proofs_end_the_code(self) -> None:
        for wrong in (
            "",
            None,
            code.proof(self.code, "host", self.own, self.key),
            code.proof(self.code, "hub", self.key, self.own),
            code.proof(code.new_code(os.urandom), "hub", self.own, self.key),
        ):
            self.assertEqual(self.refused(self.body(proof=wrong), self.key), "wrong_code")
        self.assertEqual(self.refused(self.body(), self.key), "too_many_tries")
        self.assertIsNone(self.gate.hub())

    def test_a_code_ends(self) -> None:
        self.now += code.LIFE_SECONDS
        self.assertEqual(self.refused(self.body(), self.key), "wrong_code")

    def test_the_next_certificate_replaces_the_first_when_it_is_used(self) -> None:
        self.gate.pair(self.body(), self.key)
        _, pem = certificates.make("hub")
        after = certificates.key_of_pem(pem)
        self.gate.renew({"certificate": pem.decode()})
        self.assertTrue(self.gate.is_hub(self.key))
        self.assertTrue(self.gate.is_hub(after))
        self.assertEqual([self.gate.is_hub(key) for key in (self.key, after)], [False, True])

    def test_a_record_that_cannot_be_read_admits_nobody(self) -> None:
        self.gate.pair(self.body(), self.key)
        self.records.path.write_bytes(b"{")
        self.assertEqual((self.gate.admits(self.key), self.gate.is_hub(self.key)), (False, False))
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_what_the_hub_says_of_itself_is_kept(self) -> None:
        self.assertFalse(self.gate.configure("https://other.test", {}))
        self.gate.pair(self.body(), self.key)
        self.assertTrue(self.gate.configure("https://other.test", {"A": "1"}))
        self.assertFalse(self.gate.configure("https://other.test", {"A": "1"}))
        hub = self.gate.hub()
        assert hub is not None
        self.assertEqual(hub.origin, "https://other.test")
        self.assertTrue(self.gate.is_hub(self.key))
