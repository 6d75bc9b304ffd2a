import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system import strict_json
from parachute_hub.system.strict_json import BadJson

LIMIT = 1_000_000
# Text with lone surrogates and control characters, numbers of any size, NaN and infinities.
ANY_TEXT = st.text(st.characters(), max_size=20)
ANY_SCALAR = (
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.just(10**400) | st.just(-(10**4000))
)
ANY_VALUE = st.recursive(
    ANY_SCALAR,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(ANY_TEXT, inner, max_size=5),
    max_leaves=25,
)
CASES: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n",
    "NUL": b"\0",
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "not UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "cut in half": b'{"a":[1,2',
    "two documents": b"{}{}",
    "NaN": b'{"a":NaN}',
    "Infinity": b"[Infinity,-Infinity,1e999,-1e999]",
    "5,000 digits": b"9" * 5000,
    "lone surrogate": rb'{"\ud800":"\udfff"}',
    "a pair of surrogates": rb'"\ud83d\ude00"',
    "duplicate keys": b'{"a":1,"a":2}',
    "keys that differ only in what was repaired": rb'{"\ud800":1,"\ud801":2}',
    "nested too deep": b"[" * 100 + b"]" * 100,
    "nested past Python's stack": b"[" * 100_000 + b"]" * 100_000,
    "objects nested past Python's stack": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a control character in a string": b'"\x01"',
    "trailing comma": b"[1,]",
    "larger than the limit": b" " * (LIMIT + 1),
}


def as_python_writes(value: Any) -> bytes:
    """JSON as the most careless writer produces it: with NaN, and lone surrogates escaped."""
    return json.dumps(value).encode()


def is_clean(value: Any) -> bool:
    """Whether every reader and encoder accepts it."""
    match value:
        case str():
            return not any(0xD800 <= ord(one) <= 0xDFFF for one in value)
        case float():
            return math.isfinite(value)
        case dict():
            return all(is_clean(key) and is_clean(inner) for key, inner in value.items())
        case list():
            return all(map(is_clean, value))
    return True


class ReadTests(SynchronousTestCase):
    def test_every_case_is_read_or_refused_with_the_one_error(self) -> None:
        for name, content in CASES.items():
            with self.subTest(name):
                try:
                    value = strict_json.read(content, limit=LIMIT).value
                except BadJson as error:
                    self.assertTrue(str(error).startswith(("is ", "cannot ")), str(error))
                else:
                    self.assertTrue(is_clean(value))
                    self.assertEqual(strict_json.read(strict_json.write(value), limit=LIMIT).value, value)

    def test_a_number_out_of_range_spoils_nothing_beside_it(self) -> None:
        """Python refuses to convert more than 4,300 digits; other parsers make 309 an infinity."""
        for digits in (309, 5000):
            for sign in (b"", b"-"):
                content = b'{"a":' + sign + b"9" * digits + b',"b":1}'
                with self.subTest(f"{sign.decode()}{digits} digits"):
                    reading = strict_json.read(content, limit=LIMIT)
                    self.assertEqual(reading.value, {"a": None, "b": 1})
                    self.assertEqual(len(reading.repairs), 1)

    def test_strict_reading_refuses_what_lenient_reading_repairs(self) -> None:
        for name, content in CASES.items():
            with self.subTest(name):
                try:
                    repairs = strict_json.read(content, limit=LIMIT).repairs
                except BadJson:
                    repairs = ("refused",)
                if repairs:
                    self.assertRaises(BadJson, strict_json.read_strictly, content, limit=LIMIT)

    @given(ANY_VALUE)
    def test_any_value_is_clean_once_read_and_can_be_written_again(self, value: Any) -> None:
        read = strict_json.read(as_python_writes(value), limit=LIMIT).value
        self.assertTrue(is_clean(read))
        self.assertEqual(strict_json.read(strict_json.write(read), limit=LIMIT), strict_json.Reading(read))

    @given(st.binary(max_size=200))
    def test_any_bytes_raise_nothing_but_the_one_error(self, content: bytes) -> None:
        try:
            strict_json.read(content, limit=LIMIT)
        except BadJson:
            return

    @given(ANY_VALUE)
    def test_any_value_can_be_written(self, value: Any) -> None:
        """Also one that did not come from `read`: a response must not fail on a module's text."""
        written = strict_json.write(value)
        self.assertTrue(is_clean(json.loads(written.decode("utf-8"), parse_int=str)))

    @given(st.text(st.sampled_from('{}[]",:\\nu0 \ud800a'), max_size=200))
    def test_objects_are_found_in_any_damaged_text(self, text: str) -> None:
        for found in strict_json.objects_in("[" + text):
            self.assertTrue(is_clean(found))
