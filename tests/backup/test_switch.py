"""Putting a restored home in place. Killed at any moment, the hub has the state before or the state after."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup import switch
from tests.backup.archive.test_archive import make_home

OLD = {
    "parachute.db": b"old", "services.json": b"old", "gone/note": b"old", "vault/note": b"old",
    "hub/modules.json": b"old",
    "hub/lock": b"held", "hub/jobs/1": b"job", "modules/store/x": b"program", "hub/only-old": b"old",
}  # fmt: skip
NEW = {
    "parachute.db": b"new",
    "vault/note": b"new",
    "scribe/.env": b"new",
    "hub/modules.json": b"new",
    "hub/keys/k": b"n",
}
STAY = {"hub/lock": b"held", "hub/jobs/1": b"job", "modules/store/x": b"program"}


class _Killed(Exception):
    """The hub dies here."""


class SwitchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = make_home(Path(self.mktemp()), OLD)
        make_home(switch.staging(self.home, "r1"), NEW)

    def files(self) -> dict[str, bytes]:
        found = {str(path.relative_to(self.home)): path for path in self.home.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items() if not name.startswith(switch.FOLDER)}

    def test_nothing_changes_until_it_is_decided(self) -> None:
        self.assertFalse(switch.finish(self.home))
        self.assertEqual(self.files(), OLD)
        self.assertFalse((self.home / switch.FOLDER / "r1").exists())

    def test_the_restored_home_takes_the_place(self) -> None:
        switch.commit(self.home, "r1", {"mode": "move"})
        self.assertEqual(self.files(), OLD)
        self.assertTrue(switch.finish(self.home))
        self.assertEqual(self.files(), {**NEW, **STAY})
        self.assertEqual(switch.restored(self.home), {"mode": "move"})
        self.assertFalse(switch.finish(self.home))
        switch.settle(self.home)
        self.assertIsNone(switch.restored(self.home))
        self.assertEqual(os.listdir(self.home / switch.FOLDER), [])

    def test_killed_at_any_change_the_next_start_ends_it(self) -> None:
        calls = self.counted(self.exchange)
        self.assertGreater(calls, 10)
        for number in range(calls):
            self.setUp()
            with self.assertRaises(_Killed):
                self.killed_at(number, self.exchange)
            decided = switch.finish(self.home)
            after = {**NEW, **STAY}
            self.assertIn(self.files(), (OLD, after), f"change {number}")
            self.assertEqual(
                self.files() == after, decided or switch.restored(self.home) is not None, f"change {number}"
            )

    def test_a_marker_that_cannot_be_read_changes_nothing(self) -> None:
        for content in (b"", b"[]", b"{}", b'{"id": 1'):
            (self.home / switch.FOLDER / "ready.json").write_bytes(content)
            with self.assertRaises(switch.RestoreStuck):
                switch.finish(self.home)
            self.assertEqual(self.files(), OLD, content)

    def exchange(self) -> None:
        switch.commit(self.home, "r1", {})
        switch.finish(self.home)

    def counted(self, act: Callable[[], object]) -> int:
        count = 0

        def one(*_: Any) -> None:
            nonlocal count
            count += 1

        self.each_change(one, act)
        return count

    def killed_at(self, number: int, act: Callable[[], object]) -> None:
        left = number

        def one(*_: Any) -> None:
            nonlocal left
            if left == 0:
                raise _Killed
            left -= 1

        self.each_change(one, act)

    def each_change(self, before: Callable[..., None], act: Callable[[], object]) -> None:
        """Call `before` ahead of every change of a name on the disk."""
        real = {name: getattr(os, name) for name in ("rename", "replace", "unlink")}

        def changing(name: str) -> Callable[..., Any]:
            def change(*args: Any, **kwargs: Any) -> Any:
                before(name, *args)
                return real[name](*args, **kwargs)

            return change

        for name in real:
            self.patch(os, name, changing(name))
        try:
            act()
        finally:
            for name, function in real.items():
                setattr(os, name, function)
