"""The outbox of the Notes app on two devices with a real vault: no word is lost, and both end with the same notes."""

import json
import os
import sqlite3
import subprocess
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from tests.live.vault_rig import RunningVault, running_vault
from tests.support.examples import EXAMPLES, bun

FULL = os.environ.get("PARACHUTE_OUTBOX_EXAMPLES")
MACHINE = settings(
    deadline=None,
    derandomize=FULL is None,
    max_examples=int(FULL or 40),
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)
device = st.integers(0, 1)
choice = st.integers(0, 99)


class Hub:
    """A vault of which a copy can be made and restored."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = home / "vault/data/default/vault.db"
        self.copy = home / "copy.db"
        self.start()

    def start(self) -> None:
        self.running = ExitStack()
        self.vault: RunningVault = self.running.enter_context(running_vault(self.home))

    def address(self) -> str:
        return f"http://127.0.0.1:{self.vault.port}/vault/default"

    def back_up(self) -> None:
        self.copy.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.database)) as source, closing(sqlite3.connect(self.copy)) as target:
            source.backup(target)

    def restore(self) -> None:
        self.running.close()
        for path in self.database.parent.glob("vault.db*"):
            path.unlink()
        self.copy.rename(self.database)
        self.start()

    def texts(self) -> list[str]:
        """Everything that the vault has: notes, what is in the trash, and their versions."""
        notes = self.vault.ask("GET", "api/notes?limit=500&include_content=true").json()
        notes += self.vault.ask("GET", "api/trash?limit=500").json()
        texts = [note["content"] for note in notes]
        for note in notes:
            url = f"api/notes/{note['id']}/versions"
            for version in self.vault.ask("GET", f"{url}?limit=200").json():
                texts.append(self.vault.ask("GET", f"{url}/{version['version']}").json()["content"])
        return texts


class Devices:
    """Two devices in a bun process."""

    def __init__(self, hub: Hub) -> None:
        words = [bun(), "run", str(EXAMPLES / "notes/test/devices.ts"), hub.address(), hub.vault.key]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, do: str, device: int = 0, **more: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, "device": device, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the devices ended"
        return json.loads(line)

    def end(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class Outbox(RuleBasedStateMachine):
    """People write on two devices, offline or not; requests and answers get lost; the vault may be restored from a
    copy; nothing else is deliberate.
    """

    hub: Hub
    devices: Devices

    @initialize(forgets=st.booleans())
    def begin(self, forgets: bool) -> None:
        for note in self.hub.vault.ask("GET", "api/notes?limit=500").json():
            self.hub.vault.ask("DELETE", f"api/notes/{note['id']}")
        self.hub.vault.ask("DELETE", "api/trash")
        self.devices("begin")
        self.forgets = forgets
        self.words: set[str] = set()
        self.written = 0
        self.given_up: set[str] = set()

    def word(self) -> str:
        self.written += 1
        word = f"w{self.written}w"
        self.words.add(word)
        return word

    def notes(self, of: int) -> dict[str, dict[str, Any]]:
        return {id: note for id, note in self.devices("notes", of).items() if not note["deleted"]}

    def one(self, of: int, at: int) -> tuple[str, dict[str, Any]] | None:
        found = sorted(self.notes(of).items())
        return found[at % len(found)] if found else None

    @rule(of=device)
    def create(self, of: int) -> None:
        self.devices("create", of, text=f"{self.word()}\n")

    @rule(of=device, at=choice, place=st.sampled_from(["start", "middle", "end", "line"]))
    def write(self, of: int, at: int, place: str) -> None:
        if not (found := self.one(of, at)):
            return
        id, note = found
        word, text = self.word(), note["text"]
        lines = text.splitlines(keepends=True)
        half = len(lines) // 2
        changed = {
            "start": f"{word}\n{text}",
            "middle": "".join([*lines[:half], f"{word}\n", *lines[half:]]),
            "end": f"{text}{word}\n",
            "line": f"{word} {text}",
        }[place]
        self.devices("edit", of, id=id, shown=text, text=changed)

    @rule(of=device, at=choice)
    def write_from_an_old_text(self, of: int, at: int) -> None:
        """The editor showed a text that a change from elsewhere has replaced meanwhile."""
        if not (found := self.one(of, at)):
            return
        id, note = found
        self.devices("sync", of)
        if id in self.notes(of):
            self.devices("edit", of, id=id, shown=note["text"], text=f"{note['text']}{self.word()}\n")

    @rule(of=device, at=choice)
    def remove(self, of: int, at: int) -> None:
        if not (found := self.one(of, at)):
            return
        id, note = found
        if note["unsent"]:
            # Who deletes a note that was deleted elsewhere gives up what was written last.
            self.given_up |= set(note["text"].split())
        self.devices("remove", of, id=id)

    @rule(of=device, at=choice, how=st.sampled_from(["mine", "both"]))
    def choose(self, of: int, at: int, how: str) -> None:
        if (found := self.one(of, at)) and found[1]["theirs"] is not None:
            self.devices("choose", of, id=found[0], choice=how)

    @rule(of=device, push=st.booleans(), pull=st.booleans())
    def sync(self, of: int, push: bool, pull: bool) -> None:
        self.devices("sync", of, push=push, pull=pull)

    @rule(of=device, offline=st.booleans(), lose=st.integers(0, 2))
    def network(self, of: int, offline: bool, lose: int) -> None:
        self.devices("network", of, offline=offline, lose=lose)

    @precondition(lambda self: getattr(self, "forgets", False))
    @rule(of=device, at=choice, both=st.booleans())
    def restore_an_older_copy(self, of: int, at: int, both: bool) -> None:
        """What is on a device is not lost with what the vault had after the copy. Once in a run: it takes a while."""
        self.forgets = False
        self.hub.back_up()
        if found := self.one(of, at):
            id, note = found
            self.devices("edit", of, id=id, shown=note["text"], text=f"{note['text']}{self.word()}\n")
        self.devices("create", of, text=f"{self.word()}\n")
        for each in (of, 1 - of)[: 1 + both]:
            self.devices("network", each, offline=False, lose=0)
            self.devices("sync", each)
        self.hub.restore()
        self.devices("vault", address=self.hub.address())
        left = self.hub.texts()
        for each in (0, 1):
            for note in self.devices("notes", each).values():
                left += [note["text"], note["theirs"] or ""]
        self.words &= set(" ".join(left).split())

    @precondition(lambda self: bool(getattr(self, "words", None)))
    @rule()
    def settle(self) -> None:
        """Everybody is online, and chooses both of two versions."""
        for of in (0, 1):
            self.devices("network", of, offline=False, lose=0)
        for _ in range(8):
            for of in (0, 1):
                self.devices("sync", of)
                for id, note in self.notes(of).items():
                    if note["theirs"] is not None:
                        self.devices("choose", of, id=id, choice="both")
                    elif note["trouble"] == "gone":
                        self.devices("saveAsNew", of, id=id)
                    else:
                        assert note["trouble"] is None, note
        self.check()

    def check(self) -> None:
        on_hub = {
            note["id"]: note["content"]
            for note in self.hub.vault.ask("GET", "api/notes?limit=500&include_content=true").json()
        }
        for of in (0, 1):
            notes = self.devices("notes", of)
            assert not [note for note in notes.values() if note["unsent"]], notes
            assert {id: note["text"] for id, note in notes.items()} == on_hub, (of, notes, on_hub)
        texts = self.hub.texts()
        found = set(" ".join(texts).split())
        lost = self.words - found - self.given_up
        assert not lost, (lost, texts)

    def teardown(self) -> None:
        if getattr(self, "words", None):
            self.settle()


class OutboxTests(SynchronousTestCase):
    def test_no_word_is_lost_and_both_devices_agree(self) -> None:
        with tempfile.TemporaryDirectory(prefix="parachute-outbox-") as folder:
            Outbox.hub = Hub(Path(folder))
            Outbox.devices = Devices(Outbox.hub)
            try:
                run_state_machine_as_test(Outbox, settings=MACHINE)
            finally:
                Outbox.devices.end()
                Outbox.hub.running.close()
