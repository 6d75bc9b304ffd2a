"""The records behave as those of attrs itself."""

import copy
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system import records


def _made(kit: Any) -> dict[str, Any]:
    """The same classes, by attrs or by the hub."""

    @kit.frozen
    class Value:
        name: str
        size: int = 1
        _hidden: str = attrs.field(default="secret", repr=False, eq=False)

    @kit.frozen
    class More(Value):
        more: str = "more"

    @kit.frozen
    class Empty:
        pass

    @kit.define
    class Changing:
        name: str
        inner: object = None

    @kit.define(eq=False)
    class Thing:
        name: str

    @kit.frozen
    class Named:
        name: str
        size: int = 1

        def __repr__(self) -> str:
            return "a name"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Named) and other.name == self.name

        def __hash__(self) -> int:
            return hash(self.name)

    @kit.frozen
    class Broken(Exception):
        why: str

    found: dict[str, Any] = {each.__name__: each for each in (Value, More, Empty, Changing, Thing, Named, Broken)}
    return found


def _told(kit: Any) -> dict[str, object]:
    made = _made(kit)
    value, more, changing, named = made["Value"], made["More"], made["Changing"], made["Named"]
    thing = made["Thing"]("x")
    broken = made["Broken"]("x")
    return {
        "shown": repr(value("x")),
        "shown when nested": repr(changing("x", more("y"))),
        "shown of none": repr(made["Empty"]()),
        "own way to show": repr(named("x")),
        "equal": value("x") == value("x"),
        "one field differs": value("x") == value("x", 2),
        "differs otherwise": value("x") != value("x", 2),
        "hidden differs": value("x", hidden="a") == value("x", hidden="b"),
        "a subclass": value("x") == more("x"),
        "another kind": value("x") == "x",
        "none": made["Empty"]() == made["Empty"](),
        "one hash": hash(value("x", hidden="a")) == hash(value("x", hidden="b")),
        "in a set": len({value("x"), value("x"), value("y"), more("x")}),
        "changing is equal": changing("x") == changing("x"),
        "changing has a hash": changing.__hash__ is not None,
        "a thing is itself": thing == thing,
        "things differ": thing == made["Thing"]("x"),
        "a thing has a hash": hash(thing) == hash(thing),
        "own equality": named("x") == named("x", 2),
        "own hash": hash(named("x")) == hash("x"),
        "evolved": attrs.evolve(value("x"), size=2) == value("x", 2),
        "errors differ": broken == made["Broken"]("x"),
        "slots": hasattr(value("x"), "__dict__"),
        "fields": [each.name for each in attrs.fields(more)],
        "an inherited field": [each.inherited for each in attrs.fields(more)],
        "a copy": copy.copy(changing("x")) == changing("x"),
        "as a dictionary": attrs.asdict(changing("x", value("y"))),
        "as a tuple": attrs.astuple(value("x")),
    }


class RecordTests(SynchronousTestCase):
    def test_they_compare_hash_and_show_as_those_of_attrs(self) -> None:
        expected = _told(attrs)
        for what, found in _told(records).items():
            with self.subTest(what):
                self.assertEqual(found, expected[what])

    def test_a_record_that_holds_itself_can_be_shown(self) -> None:
        changing = _made(records)["Changing"]
        around = changing("x")
        around.inner = around
        self.assertEqual(repr(around), "Changing(name='x', inner=...)")

    def test_attrs_makes_no_method_of_its_own_for_them(self) -> None:
        value, other = (_made(records)[name] for name in ("Value", "Changing"))
        for name in ("__repr__", "__eq__"):
            self.assertIs(vars(value)[name], vars(other)[name])
