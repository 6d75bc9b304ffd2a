"""Where passkeys work, what an answer must say, and which ones stay."""

import json
from base64 import urlsafe_b64encode
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.passkeys.policy import (
    Answer,
    BadAnswer,
    in_use,
    losses,
    place,
    read_answer,
    why_foreign,
    why_it_stays,
)
from parachute_hub.store.rows import Passkey

HUB = "https://hub.example"
KEY = Passkey(
    id="a",
    user_id="ada",
    name="Laptop",
    rp_id="hub.example",
    public_key=b"",
    sign_count=0,
    synced=False,
    created_at=0.0,
)
OTHER = evolve(KEY, id="b", name="Phone")
OLD = evolve(KEY, id="old", name="Old", rp_id="old.example")
BLOCKED = evolve(KEY, id="blocked", name="Copied", blocked_at=1.0)


def answer(**changes: Any) -> str:
    client = {"type": "webauthn.get", "challenge": "c", "origin": HUB, "crossOrigin": False}
    client = {name: value for name, value in {**client, **changes}.items() if value is not None}
    told = urlsafe_b64encode(json.dumps(client).encode()).decode().rstrip("=")
    return json.dumps({"id": "a", "response": {"clientDataJSON": told, "userHandle": "YWRh"}})


class PlaceTests(SynchronousTestCase):
    def test_table(self) -> None:
        bound = [HUB, "http://127.0.0.1:1939", "http://localhost:1939"]
        for origin, rp_id, obstacle in (
            (HUB, "hub.example", ""),
            ("http://localhost:1939", "localhost", ""),
            ("https://old.example", "old.example", "former"),
            ("http://127.0.0.1:1939", "127.0.0.1", "number"),
            ("https://192.0.2.1", "192.0.2.1", "number"),
            ("https://[2001:db8::1]:8443", "2001:db8::1", "number"),
            ("http://hub.example", "hub.example", "plain"),
            ("http://hub.local:1939", "hub.local", "plain"),
            ("http://localhost.evil.example", "localhost.evil.example", "plain"),
            ("http://localhost:8080", "localhost", "stranger"),
            ("https://evil.example", "evil.example", "stranger"),
            ("https://hub.example:8443", "hub.example", "stranger"),
            ("https://", "", "stranger"),
            ("https://[", "", "stranger"),
        ):
            found = place(origin, bound=bound, former=["https://old.example"])
            self.assertEqual((found.rp_id, found.obstacle), (rp_id, obstacle), origin)
            self.assertEqual(found.works, obstacle in ("", "former"), origin)

    def test_what_can_sign_in_there(self) -> None:
        self.assertEqual(in_use([KEY, OTHER, OLD, BLOCKED], ["hub.example"]), [KEY, OTHER])


class AnswerTests(SynchronousTestCase):
    def test_a_good_one(self) -> None:
        found = read_answer(answer(), kind="webauthn.get", origin=HUB)
        self.assertEqual((found.credential_id, found.challenge, found.user_handle), ("a", "c", "ada"))
        read_answer(answer(crossOrigin=None), kind="webauthn.get", origin=HUB)

    def test_bad_ones(self) -> None:
        for changes in (
            {"type": "webauthn.create"},
            {"origin": "https://evil.example"},
            {"origin": "https://hub.example:8443"},
            {"crossOrigin": True},
            {"topOrigin": HUB},
            {"challenge": 3},
        ):
            with self.assertRaises(BadAnswer):
                read_answer(answer(**changes), kind="webauthn.get", origin=HUB)
        for text in (
            "",
            "null",
            "[]",
            "{}",
            "[" * 9000,
            "x" * 20_000,
            '{"id": "a", "response": {"clientDataJSON": "A"}}',
        ):
            with self.assertRaises(BadAnswer):
                read_answer(text, kind="webauthn.get", origin=HUB)

    def test_whose_it_is(self) -> None:
        said = Answer("a", "c", "ada", "")
        for known, told, owner, rp_id, why in (
            (KEY, said, None, "hub.example", None),
            (KEY, said, "ada", "hub.example", None),
            (KEY, evolve(said, user_handle=None), "ada", "hub.example", None),
            (KEY, evolve(said, user_handle=None), None, "hub.example", "names somebody else"),
            (KEY, evolve(said, user_handle="grace"), None, "hub.example", "names somebody else"),
            (KEY, evolve(said, user_handle="grace"), "ada", "hub.example", "names somebody else"),
            (KEY, said, "grace", "hub.example", "somebody else's"),
            (KEY, said, None, "old.example", "another address"),
            (BLOCKED, said, None, "hub.example", "blocked"),
            (None, said, None, "hub.example", "unknown"),
        ):
            self.assertEqual(why_foreign(known, told, owner=owner, rp_id=rp_id), why, (known, told, owner, rp_id))


class StayTests(SynchronousTestCase):
    def test_table(self) -> None:
        for passkeys, removed, only_factor, stays in (
            ([KEY], "a", False, False),
            ([KEY], "a", True, True),
            ([KEY, OTHER], "a", True, False),
            ([KEY, OLD], "a", True, True),
            ([KEY, BLOCKED], "a", True, True),
            ([KEY, OLD], "old", True, False),
            ([KEY, BLOCKED], "blocked", True, False),
            ([OLD], "old", True, False),
        ):
            why = why_it_stays(passkeys, removed, only_factor=only_factor, rp_ids=["hub.example", "localhost"])
            self.assertEqual(bool(why), stays, (passkeys, removed, only_factor))


class LossTests(SynchronousTestCase):
    def test_table(self) -> None:
        grace = evolve(KEY, id="g", user_id="grace", name="Key")
        moved = evolve(grace, id="h", rp_id="new.example")
        copied = evolve(BLOCKED, user_id="grace", rp_id="new.example")
        before, hub, new = ["hub.example", "old.example"], ["hub.example"], ["new.example"]
        for passkeys, after, codes, lost in (
            ([KEY, grace], hub, {}, []),
            ([KEY], new, {}, [("ada", ("Laptop",), True, False)]),
            ([KEY, OLD], hub, {}, [("ada", ("Old",), False, False)]),
            ([evolve(OLD, rp_id="older.example"), BLOCKED], new, {}, []),
            ([KEY, grace], new, {"grace": 0}, [("ada", ("Laptop",), True, False), ("grace", ("Key",), True, True)]),
            ([grace], new, {"grace": 3}, [("grace", ("Key",), True, False)]),
            ([grace, moved], new, {"grace": 0}, [("grace", ("Key",), False, False)]),
            ([grace, copied], new, {"grace": 0}, [("grace", ("Key",), True, True)]),
        ):
            found = [
                (one.user_id, one.passkeys, one.all, one.locked_out) for one in losses(passkeys, before, after, codes)
            ]
            self.assertEqual(found, lost, (passkeys, after, codes))
