"""Notes out of a vault and back in, byte for byte, by the command, through a real hub and the reference vault."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import Reply, fetch, hub, packed_examples, registry

CATALOG = """{"modules": [{"short": "vault", "package": "@openparachute/vault", "displayName": "Vault",
  "tagline": "Notes", "focus": "core"}]}"""
NOTES: tuple[dict[str, Any], ...] = (
    {"content": "plain\n", "path": "Garden/Tools", "tags": ["work"], "metadata": {"rating": 4.5, "who": "Ünal"}},
    {"content": "\ufeffwith a mark, \r\n and no end", "path": "Grüße/🌍/日本"},
    {"content": "---\ntitle: not ours\n---\nbody", "path": "front matter"},
    {"content": '---\nparachute: 1\nid: "stolen"\n---\nbody', "path": "looks like ours"},
    {"content": "a", "path": "CON"},
    {"content": "b", "path": "a.md"},
    {"content": "c", "path": "a.md/b"},
    {"content": "d", "path": "a"},
    {"content": "e", "path": 'what? a "name": <x>|*'},
    {"content": "f", "path": "dots/.../x"},
    {"content": "# Same title\n1 #tag/deep"},
    {"content": "# Same title\n2", "pinned": True},
    {"content": "empty next"},
    {"content": " \n\t"},
    {"content": "x" * 7_000_000, "path": "huge"},
)


class ExportTests(SynchronousTestCase):
    timeout = 180

    def setUp(self) -> None:
        packed_examples()
        self.hub = hub(self, environment={"BUN_CONFIG_REGISTRY": registry(self)})
        self.hub.catalog = self.hub.home.with_name("catalog.json")
        self.hub.catalog.write_text(CATALOG)
        self.hub.start()
        self.assertEqual(self.hub.install("vault")["status"], "succeeded")
        self.keys = {"default": (self.hub.home / "vault/data/default/initial-key").read_text().strip()}
        self.keys["second"] = self.hub.client.call("POST", "/vaults", {"name": "second"})["token"]
        self.hub.wait_for(lambda: self.ask("second", "GET", "api/limits").status == 200, "the second vault")

    def ask(self, vault: str, method: str, path: str, body: Any = None, kind: str = "application/json") -> Reply:
        headers = {"Authorization": f"Bearer {self.keys[vault]}", "Content-Type": kind}
        return fetch(f"{self.hub.url}/vault/{vault}/{path}", method=method, body=body, headers=headers)

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        program = [sys.executable, "-m", "parachute_hub.cli.main", "--home", str(self.hub.home), *words]
        return subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)

    def done(self, *words: str) -> dict[str, Any]:
        ended = self.command(*words, "--json")
        self.assertEqual(ended.returncode, 0, ended.stderr + ended.stdout)
        told: dict[str, Any] = json.loads(ended.stdout)
        return told

    def everything(self, vault: str) -> tuple[dict[str, Any], dict[str, tuple[Any, ...]]]:
        """All notes, and all attachments with their bytes."""
        listed = self.ask(vault, "GET", "api/notes?limit=500").json()
        notes = {one["id"]: self.ask(vault, "GET", f"api/notes/{quote(one['id'])}").json() for one in listed}
        files = self.ask(vault, "GET", "api/attachments?limit=500").json()
        found = {
            one["id"]: (one["name"], one["note"], one["type"], self.ask(vault, "GET", one["url"]).body) for one in files
        }
        return notes, found

    def test_there_and_back(self) -> None:
        made = [self.ask("default", "POST", "api/notes", note) for note in NOTES]
        self.assertEqual([answer.status for answer in made], [201] * len(NOTES))
        first = made[0].json()["id"]
        for name, content in (("photo.png", os.urandom(3_000_000)), ("Grüße?.png", b"x"), ("photo.png", b"another")):
            path = f"api/attachments?name={quote(name)}&note={first}"
            self.assertEqual(self.ask("default", "POST", path, content, "image/png").status, 201)
        folder = self.hub.home.with_name("exported")
        told = self.done("export", str(folder))
        self.assertEqual((told["notes"], told["attachments"]), (len(NOTES), 3))
        self.assertTrue((folder / "notes/Garden/Tools.md").read_bytes().endswith(b"---\nplain\n"))
        report = self.done("import", str(folder), "--vault", "second")
        self.assertEqual((report["created"], report["attachments"], report["problems"]), (len(NOTES), 3, []))
        self.assertEqual(self.everything("second"), self.everything("default"))
        again = self.done("import", str(folder), "--vault", "second")
        self.assertEqual((again["created"], again["unchanged"]), (0, len(NOTES)))
        # And once more out: the same files.
        other = self.hub.home.with_name("exported-again")
        self.done("export", str(other), "--vault", "second")
        first_files, second_files = files_of(folder), files_of(other)
        self.assertEqual(sorted(second_files), sorted(first_files))
        self.assertEqual([name for name in first_files if first_files[name] != second_files[name]], [])

    def test_what_is_refused(self) -> None:
        folder = self.hub.home.with_name("mine")
        folder.mkdir()
        (folder / "x.md").write_text("x")
        for words, code, text in (
            (("export", str(folder)), 2, "is not empty"),
            (("export", str(folder / "new"), "--vault", "none"), 1, "There are: default, second."),
            (("import", str(folder / "missing")), 2, "There is no"),
            (("import", sys.executable), 2, "is none of"),
        ):
            ended = self.command(*words)
            self.assertEqual((ended.returncode, text in ended.stderr), (code, True), ended.stderr)

    def test_an_obsidian_vault_and_notes_json(self) -> None:
        folder = self.hub.home.with_name("obsidian")
        for name, text in (
            (".obsidian/app.json", "{}"),
            ("Daily/2026-11-29.md", "---\ntags: [daily]\nmood: good\n---\nSaw ![[bird.png]]\n"),
            ("bird.png", "\x89PNG"),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        report = self.done("import", str(folder), "--vault", "second")
        self.assertEqual((report["created"], report["attachments"], report["problems"]), (1, 1, []))
        note = self.ask("second", "GET", f"api/notes/{quote('Daily/2026-11-29', safe='')}").json()
        self.assertEqual((note["tags"], note["metadata"]), (["daily"], {"mood": "good"}))
        listed = self.hub.home.with_name("notes.json")
        listed.write_text(json.dumps({"notes": [{"id": "from-json-1", "content": "one", "path": "p", "tags": ["t"]}]}))
        self.assertEqual(self.done("import", str(listed))["created"], 1)
        self.assertEqual(self.ask("default", "GET", "api/notes/p").json()["id"], "from-json-1")


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file; of the list of attachments what an import keeps, which is not when they were first uploaded."""
    found = (path for path in folder.rglob("*") if path.is_file())
    files = {str(path.relative_to(folder)): path.read_bytes() for path in found}
    listed = json.loads(files["attachments/index.json"])
    kept = sorted(json.dumps({**one, "createdAt": None}) for one in listed)
    return {**files, "attachments/index.json": "\n".join(kept).encode()}
