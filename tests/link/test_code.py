import os

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.link import code

HOST, HUB, OTHER = b"h" * 32, b"u" * 32, b"x" * 32


class CodeTests(SynchronousTestCase):
    def test_two_codes_differ_and_have_eight_groups(self) -> None:
        one, other = code.new_code(os.urandom), code.new_code(os.urandom)
        self.assertNotEqual(one, other)
        self.assertEqual([len(group) for group in one.split("-")], [3] * 8)

    def test_every_letter_of_the_alphabet_can_occur(self) -> None:
        drawn = "".join(code.new_code(os.urandom) for _ in range(100))
        self.assertEqual(len(set(drawn) - {"-"}), 32)

    def test_what_people_type_is_understood(self) -> None:
        right = code.normal("012-345-678-9AB-CDE-FGH-JKM-NPQ")
        for typed in (
            "012 345 678 9ab cde fgh jkm npq",
            " O12-345-678-9AB-CDE-FGH-JKM-NPQ\n",
            "0L2-345-678-9AB-CDE-FGH-JKM-NPQ",
            "0i2345678 9AB CDE FGH JKM NPQ.",
        ):
            self.assertEqual(code.normal(typed), right, typed)

    def test_what_cannot_be_a_code(self) -> None:
        for typed in ("", "012-345", "U12-345-678-9AB-CDE-FGH-JKM-NPQ", "é12-345-678-9AB-CDE-FGH-JKM-NPQ", "1" * 25):
            with self.assertRaises(ValueError, msg=typed):
                code.normal(typed)

    def test_a_proof_is_of_the_code_the_side_and_both_keys(self) -> None:
        one, other = code.new_code(os.urandom), code.new_code(os.urandom)
        right = code.proof(one, "hub", HOST, HUB)
        self.assertTrue(code.same(right, code.proof(one.lower(), "hub", HOST, HUB)))
        for wrong in (
            code.proof(other, "hub", HOST, HUB),
            code.proof(one, "host", HOST, HUB),
            code.proof(one, "hub", OTHER, HUB),
            code.proof(one, "hub", HOST, OTHER),
            code.proof(one, "hub", HUB, HOST),
            "",
            "\ud800é",
        ):
            self.assertFalse(code.same(right, wrong), wrong)
