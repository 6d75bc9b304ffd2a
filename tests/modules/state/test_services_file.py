"""services.json: lenient reads, strict writes, nothing lost."""

import json
import os
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.model import ServiceRow
from parachute_hub.modules.state.legacy_rows import heal
from parachute_hub.modules.state.services_file import Registry, RegistryRefused, ServicesFile, parse
from tests.support.at_once import at_once


def raw(name: str, port: int, **fields: Any) -> dict[str, Any]:
    return {"name": name, "port": port, "paths": [f"/{name}"], "health": "/health", "version": "1.0.0", **fields}


def row(name: str, port: int, **fields: Any) -> ServiceRow:
    return ServiceRow.parse(raw(name, port, **fields))


def document(*rows: Any, **root: Any) -> bytes:
    return (json.dumps({**root, "services": list(rows)}, indent=2) + "\n").encode()


class Reading(SynchronousTestCase):
    def names(self, content: bytes) -> list[str]:
        return [row.name for row in parse(content).rows]

    def test_a_bad_row_takes_no_other_with_it(self) -> None:
        registry = parse(document(raw("a", 1), raw("bad", 0), raw("b", 2)))
        self.assertEqual([row.name for row in registry.rows], ["a", "b"])
        self.assertEqual(
            [str(problem) for problem in registry.problems],
            ['services.json, row "bad": port: must be a whole number from 1 to 65535'],
        )
        self.assertEqual(registry.unusable[0]["name"], "bad")

    def test_a_row_cannot_put_another_out_of_use_by_naming_its_port(self) -> None:
        content = document(raw("planted", 7), raw("b", 7), raw("b", 8))
        self.assertEqual(self.names(content), ["planted", "b"])
        self.assertIn('there is another row "b"', str(parse(content).problems[0]))

    def test_cut_at_every_byte(self) -> None:
        content = document(raw("a", 1), raw("b", 2, uis={"x": {"displayName": "X", "path": "/b/x"}}), raw("c", 3))
        ends = [content.index(b"\n    }", content.index(f'"name": "{name}"'.encode())) + 6 for name in "ac"]
        ends.insert(1, content.index(b"\n    }", content.index(b'"path": "/b/x"')) + 6)
        for cut in range(len(content) - 2):
            registry = parse(content[:cut])
            whole = [name for name, end in zip("abc", sorted(ends), strict=True) if end <= cut]
            self.assertEqual([row.name for row in registry.rows], whole, cut)
            self.assertTrue(registry.corrupt, cut)
            self.assertTrue(registry.problems, cut)

    def test_damaged_files_keep_their_readable_rows(self) -> None:
        good = document(raw("a", 1), raw("b", 2))
        self.assertEqual(self.names(good.replace(b'"b"', b'\0"b"')), ["a"])
        self.assertEqual(self.names(b"\xef\xbb\xbf" + good), ["a", "b"])
        for content in (
            b"",
            b"\0" * 4096,
            good.decode().encode("utf-16"),
            b"[]",
            b'{"services": {}}',
            b"null",
            b"[" * 99999,
        ):
            registry = parse(content)
            self.assertEqual((registry.rows, registry.corrupt, len(registry.problems)), ((), True, 1), content[:20])
        self.assertEqual(self.names(good.replace(b'"port": 1,', b'"port": 1,,')), ["b"])

    def test_legacy_rows_are_left_out(self) -> None:
        twin = [raw("scribe", 5), raw("parachute-scribe", 5), raw("notes", 6)]
        self.assertEqual(self.names(document(*twin)), ["parachute-scribe", "notes"])
        self.assertEqual(self.names(document(raw("app", 1946, paths=["/y"]), raw("x", 1))), ["x"])
        self.assertEqual(self.names(document(raw("parachute-app", 3, paths=["/surface/x"]))), [])
        self.assertEqual(self.names(document(raw("app", 1946, paths=["/app"]))), ["app"])
        self.assertEqual(self.names(document(raw("agent", 4), raw("channel", 5, installDir="/x"))), ["channel"])
        kept, notes = heal(["no object", raw("claw", 1, paths=["/claw"])])
        self.assertEqual((kept, notes[0][0]), (["no object"], 'row "claw"'))


class OnDisk(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "services.json"
        self.problems: list[str] = []
        self.changes = 0
        self.file = ServicesFile(self.path, on_problem=self.problems.append, on_change=self.note)

    def note(self) -> None:
        self.changes += 1

    def saved(self) -> Any:
        return json.loads(self.path.read_bytes())

    def test_no_file_is_no_module(self) -> None:
        self.assertEqual(self.file.read(), Registry())
        self.assertEqual(self.problems, [])

    def test_a_file_that_vanishes_takes_no_module_with_it(self) -> None:
        """A program that removes the file and writes it anew may be seen in between."""
        self.path.write_bytes(document(raw("a", 1)))
        self.file.read()
        self.path.unlink()
        self.assertEqual([row.name for row in self.file.standing()], ["a"])
        self.assertEqual(len(self.problems), 1)
        self.file.update(lambda registry: registry.with_row(row("b", 2)))
        self.assertEqual([entry["name"] for entry in self.saved()["services"]], ["a", "b"])
        self.assertEqual(os.listdir(self.folder), ["services.json"])

    def test_the_same_object_until_the_file_changes(self) -> None:
        self.path.write_bytes(document(raw("a", 1)))
        first = self.file.read()
        self.assertIs(self.file.read(), first)
        self.assertFalse(self.file.changed())
        self.path.write_bytes(document(raw("a", 1), raw("b", 2)))
        self.assertTrue(self.file.changed())
        self.assertEqual(len(self.file.read().rows), 2)
        self.assertEqual(self.changes, 2)

    def test_a_lasting_problem_is_reported_once(self) -> None:
        for port in (0, 0, 1, 0):
            self.path.write_bytes(document(raw("a", port), tick=len(self.problems) + self.changes))
            self.file.read()
        self.assertEqual(len(self.problems), 2)

    def test_an_update_keeps_what_it_does_not_know(self) -> None:
        self.path.write_bytes(document(raw("a", 1, extra={"x": 1}), raw("bad", 0), schema=3))
        self.file.update(lambda registry: registry.with_row(row("b", 2)))
        saved = self.saved()
        self.assertEqual(saved["schema"], 3)
        self.assertEqual([entry["name"] for entry in saved["services"]], ["a", "b", "bad"])
        self.assertEqual(saved["services"][0]["extra"], {"x": 1})
        self.assertEqual(os.listdir(self.folder), ["services.json"])

    def test_an_update_sees_what_a_module_wrote_just_before(self) -> None:
        self.path.write_bytes(document(raw("a", 1)))
        self.file.read()
        self.path.write_bytes(document(raw("a", 1), raw("theirs", 9)))
        self.file.update(lambda registry: registry.with_row(row("b", 2)))
        self.assertEqual([entry["name"] for entry in self.saved()["services"]], ["a", "theirs", "b"])

    def test_a_bad_change_is_refused_and_changes_nothing(self) -> None:
        self.path.write_bytes(document(raw("a", 1)))
        before = self.path.read_bytes()
        for bad, text in (
            (evolve(row("b", 2), port=0), "port: must be"),
            (evolve(row("b", 2), health="x"), "health: must be"),
        ):
            with self.assertRaises(RegistryRefused) as caught:
                at_once(self.file.update(lambda registry, bad=bad: registry.with_row(bad)))  # type: ignore[misc]
            self.assertIn(text, str(caught.exception))
        self.assertEqual(self.path.read_bytes(), before)

    def test_a_row_with_a_start_error_is_no_obstacle(self) -> None:
        error = {"error_type": "x", "error_description": "old"}
        self.path.write_bytes(document(raw("a", 1, lastStartError=error)))
        self.file.update(lambda registry: registry.with_row(row("b", 2)))
        self.assertEqual(self.saved()["services"][0]["lastStartError"], error)
        self.file.update(lambda registry: registry.with_row(registry.rows[0].with_fields(last_start_error=None)))
        self.assertNotIn("lastStartError", self.saved()["services"][0])

    def test_no_change_writes_nothing(self) -> None:
        self.path.write_bytes(document(raw("a", 1)))
        before = self.path.stat()
        self.file.update(lambda registry: registry.with_row(registry.rows[0]))
        self.assertEqual(self.path.stat().st_ino, before.st_ino)

    def test_a_corrupt_file_is_kept_aside_at_the_first_write(self) -> None:
        damaged = document(raw("a", 1), raw("b", 2))[:-30]
        self.path.write_bytes(damaged)
        self.assertEqual([row.name for row in self.file.read().rows], ["a"])
        self.assertEqual(self.path.read_bytes(), damaged)
        self.file.update(lambda registry: registry.with_row(row("c", 3)))
        self.assertEqual([entry["name"] for entry in self.saved()["services"]], ["a", "c"])
        aside = [path for path in self.folder.iterdir() if path != self.path]
        self.assertEqual([path.read_bytes() for path in aside], [damaged])
        self.assertIn("It was kept as services.json.corrupt-", self.problems[-1])

    def test_a_full_disk_does_not_take_a_corrupt_file_away(self) -> None:
        def refuse(path: Path, data: bytes, mode: int = 0o600) -> None:
            raise OSError(28, "No space left on device")

        content = document(raw("a", 1940))[:-8]
        self.path.write_bytes(content)
        full = ServicesFile(self.path, write=refuse, on_problem=self.problems.append)
        with self.assertRaises(RegistryRefused):
            at_once(full.update(lambda found: found.with_row(row("b", 1941))))
        self.assertEqual(self.path.read_bytes(), content)

    def test_a_folder_or_a_link_in_its_place(self) -> None:
        self.path.mkdir()
        self.assertEqual(self.file.read().rows, ())
        self.file.update(lambda registry: registry.with_row(row("a", 1)))
        self.assertEqual(self.saved()["services"][0]["name"], "a")
        self.path.rename(self.folder / "elsewhere.json")
        self.path.symlink_to("elsewhere.json")
        self.assertEqual(len(self.file.read().rows), 1)

    def test_too_large_a_file_is_not_read(self) -> None:
        with self.path.open("wb") as file:
            file.truncate(100 * 1024 * 1024)
        registry = self.file.read()
        self.assertEqual((registry.rows, registry.corrupt), ((), True))
