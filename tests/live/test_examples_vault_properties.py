"""Invariants of a running vault: no acknowledged text is lost, and all devices end with the same notes."""

import io
import json
import uuid
import zipfile
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from twisted.trial.unittest import SynchronousTestCase

from tests.live.vault_rig import RunningVault, running_vault

SLOW = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MACHINE = settings(SLOW, max_examples=30, stateful_step_count=30)

PIECES = [
    "\r\n",
    "\n",
    "---\n",
    "parachute: 1\n",
    "#tag ",
    "[[p]] ",
    "[[dir/q|x]]",
    "`",
    "\0",
    "\ufeff",
    "𝒳",
    "word ",
    '"',
]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.lists(st.sampled_from(PIECES)).map("".join)
words = st.sampled_from(["a", "B", "ü", "c-d", "x/y", "日本"])
paths = st.none() | st.sampled_from(["p", "P", "dir/p", "dir/q", "q: [x]"])


class Device:
    """A device: its copy of the notes by id, and its position in the feed."""

    def __init__(self) -> None:
        self.notes: dict[str, Any] = {}
        self.since = 0


class Sync(RuleBasedStateMachine):
    """Two devices that write at any time, also from old copies, and repeat requests."""

    vault: RunningVault
    ids: Bundle[str] = Bundle("ids")
    binned: Bundle[str] = Bundle("binned")

    @initialize()
    def begin(self) -> None:
        for note in self.vault.ask("GET", "api/notes?limit=500").json():
            self.vault.ask("DELETE", f"api/notes/{note['id']}")
        self.vault.ask("DELETE", "api/trash")
        self.devices = (Device(), Device())
        self.acknowledged: dict[str, list[str]] = {}

    @rule(target=ids, content=texts, path=paths, tags=st.lists(words, max_size=2), repeat=st.booleans())
    def create(self, content: str, path: str | None, tags: list[str], repeat: bool) -> str:
        body = {"id": str(uuid.uuid4()), "content": content, "path": path, "tags": tags}
        reply = self.vault.ask("POST", "api/notes", body)
        if reply.status == 409:
            assert reply.json()["code"] == "path_taken", reply.body
            body["path"] = None
            reply = self.vault.ask("POST", "api/notes", body)
        assert reply.status == 201, reply.body
        if repeat:
            again = self.vault.ask("POST", "api/notes", body)
            assert (again.status, again.json()) == (200, reply.json())
        self.acknowledged[body["id"]] = [content]  # type: ignore[index]
        return str(body["id"])

    @rule(who=st.integers(0, 1))
    def catch_up(self, who: int) -> None:
        device = self.devices[who]
        more = True
        while more:
            page = self.vault.ask("GET", f"api/changes?since={device.since}&limit=2&include_content=true").json()
            assert "reset" not in page
            for change in page["changes"]:
                device.notes.pop(change["id"], None)
                if change["kind"] == "saved":
                    device.notes[change["id"]] = change["note"]
            device.since, more = page["next"], page["more"]

    @rule(
        who=st.integers(0, 1),
        id=ids,
        content=texts,
        editor=st.none() | st.sampled_from(["e1", "e2"]),
        fresh=st.booleans(),
    )
    def edit(self, who: int, id: str, content: str, editor: str | None, fresh: bool) -> None:
        """From this device's copy, however old. An editor's intermediate steps need not be kept."""
        if fresh:
            self.catch_up(who)
        known = self.devices[who].notes.get(id)
        if known is None:
            return
        change = {"content": content, "if_updated_at": known["updatedAt"]}
        if editor:
            change["editor"] = f"{who}{editor}"
        present = self.vault.ask("GET", f"api/notes/{id}").json()
        reply = self.vault.ask("PATCH", f"api/notes/{id}", change)
        if present.get("updatedAt", known["updatedAt"]) != known["updatedAt"] and present["content"] != content:
            assert reply.status == 409, reply.body
        if reply.status == 409:
            current = reply.json()["current"]
            assert current["updatedAt"] != known["updatedAt"]
            self.devices[who].notes[id] = current
        elif reply.status == 200:
            if not editor:
                self.acknowledged[id].append(content)
            self.devices[who].notes[id] = reply.json()
            again = self.vault.ask("PATCH", f"api/notes/{id}", change)
            assert again.status == 200
            assert again.json()["updatedAt"] == reply.json()["updatedAt"]
        else:
            assert reply.status == 404, reply.body

    @rule(id=ids, first=texts, second=texts)
    def collide(self, id: str, first: str, second: str) -> None:
        """Both write from the same copy."""
        self.catch_up(0)
        self.catch_up(1)
        self.edit(0, id, first, None, False)
        self.edit(1, id, second, None, False)

    @rule(id=ids, path=paths)
    def rename(self, id: str, path: str | None) -> None:
        assert self.vault.ask("PATCH", f"api/notes/{id}", {"path": path}).status in (200, 404, 409)

    @rule(target=binned, id=ids)
    def delete(self, id: str) -> str:
        assert self.vault.ask("DELETE", f"api/notes/{id}").status in (200, 404)
        return id

    @rule(id=binned)
    def restore(self, id: str) -> None:
        assert self.vault.ask("POST", f"api/trash/{id}/restore").status in (200, 404)

    @rule(id=consumes(binned))
    def purge(self, id: str) -> None:
        if self.vault.ask("DELETE", f"api/trash/{id}").status == 200:
            self.acknowledged[id] = []

    @invariant()
    def no_acknowledged_text_is_lost(self) -> None:
        for id, written in self.acknowledged.items():
            if not written:
                continue
            found = self.vault.ask("GET", f"api/notes/{id}")
            trashed = self.vault.ask("GET", f"api/trash/{id}")
            assert (found.status == 200) != (trashed.status == 200)
            kept = {(found if found.status == 200 else trashed).json()["content"]}
            for version in self.vault.ask("GET", f"api/notes/{id}/versions?limit=500").json():
                kept.add(self.vault.ask("GET", f"api/notes/{id}/versions/{version['version']}").json()["content"])
            assert set(written) <= kept, (written, kept)

    def teardown(self) -> None:
        if not hasattr(self, "devices"):
            return
        for who in (0, 1):
            self.catch_up(who)
        listed = self.vault.ask("GET", "api/notes?limit=500&include_content=true").json()
        server = {note["id"]: note for note in listed}
        assert self.devices[0].notes == self.devices[1].notes == server


class PropertyTests(SynchronousTestCase):
    def test_no_word_is_lost_and_devices_agree(self) -> None:
        with running_vault() as vault:
            machine = type("OnThisVault", (Sync,), {"vault": vault})
            test = machine.TestCase  # type: ignore[attr-defined]
            test.settings = MACHINE
            test("runTest").debug()

    def test_any_text_comes_back_from_every_way_out_and_in(self) -> None:
        notes = st.lists(st.tuples(texts, st.lists(words, max_size=3)), min_size=1, max_size=5)

        with running_vault() as vault, running_vault() as other:

            @settings(SLOW, max_examples=25)
            @given(notes, st.sampled_from(["markdown", "obsidian", "json", "ndjson"]))
            def check(written: list[tuple[str, list[str]]], kind: str) -> None:
                made = [
                    vault.ask("POST", "api/notes", {"content": text, "tags": tags}).json() for text, tags in written
                ]
                assert [note["content"] for note in made] == [text for text, _ in written]
                packed = vault.ask("GET", f"api/export?format={kind}").body
                if kind in ("markdown", "obsidian"):
                    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
                        assert archive.testzip() is None
                        assert len(archive.namelist()) == len(made)
                elif kind == "json":
                    assert len(json.loads(packed)["notes"]) == len(made)
                report = other.ask("POST", "api/import", data=packed).json()
                assert (report["created"], report["problems"]) == (len(made), []), report
                assert [other.ask("GET", f"api/notes/{note['id']}").json() for note in made] == made
                for each in (vault, other):
                    for note in made:
                        assert each.ask("DELETE", f"api/notes/{note['id']}").status == 200

            check()
