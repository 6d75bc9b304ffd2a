"""Records as JSON and back."""

import json
from enum import StrEnum
from typing import Any, Literal

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.strict_records import BadRecord, plain, record
from tests.proxy.few import few


class Colour(StrEnum):
    RED = "red"


@frozen
class Inner:
    number: float
    text: str | None


@frozen
class Outer:
    count: int
    data: bytes
    flag: bool
    word: Literal["yes", "no"]
    colour: Colour
    inner: Inner | None
    all: tuple[Inner, ...]


INNER = st.builds(Inner, st.floats(allow_nan=False, allow_infinity=False), st.none() | st.text())
OUTER = st.builds(
    Outer,
    st.integers(),
    st.binary(),
    st.booleans(),
    st.sampled_from(("yes", "no")),
    st.just(Colour.RED),
    st.none() | INNER,
    st.lists(INNER, max_size=3).map(tuple),
)
GOOD = Outer(1, b"\xff", True, "yes", Colour.RED, Inner(1.5, None), (Inner(2, "x"),))


class RecordTests(SynchronousTestCase):
    @few(200)
    @given(OUTER)
    def test_what_is_written_is_read(self, value: Outer) -> None:
        self.assertEqual(record(Outer, json.loads(json.dumps(plain(value)))), value)

    def test_everything_else_is_refused_with_its_place(self) -> None:
        for change, where in (
            ({"count": "1"}, "Outer.count"),
            ({"count": True}, "Outer.count"),
            ({"count": 1.5}, "Outer.count"),
            ({"count": None}, "Outer.count"),
            ({"data": "*"}, "Outer.data"),
            ({"data": 1}, "Outer.data"),
            ({"flag": 1}, "Outer.flag"),
            ({"word": "maybe"}, "Outer.word"),
            ({"word": []}, "Outer.word"),
            ({"colour": "blue"}, "Outer.colour"),
            ({"inner": []}, "Outer.inner"),
            ({"inner": {"number": 1}}, "Outer.inner has other fields: text"),
            ({"all": {}}, "Outer.all"),
            ({"all": [None]}, "Outer.all"),
            ({"more": 1}, "Outer has other fields: more"),
        ):
            with self.assertRaises(BadRecord, msg=str(change)) as caught:
                record(Outer, {**plain(GOOD), **change})
            self.assertIn(where, str(caught.exception))

    def test_a_missing_field_is_refused(self) -> None:
        whole: dict[str, Any] = plain(GOOD)
        for name in whole:
            with self.assertRaises(BadRecord, msg=name):
                record(Outer, {key: value for key, value in whole.items() if key != name})
