"""The outbox of the Notes app on two devices with a real vault: no word is lost, and both end with the same notes."""

import json
import os
import subprocess
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


class Devices:
    """Two devices in a bun process."""

    def __init__(self, vault: RunningVault) -> None:
        words = [bun(), "run", str(EXAMPLES / "notes/test/devices.ts")]
        words += [f"http://127.0.0.1:{vault.port}/vault/default", vault.key]
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
    """People write on two devices, offline or not; requests and answers get lost; nothing else is deliberate."""

    vault: RunningVault
    devices: Devices

    @initialize()
    def begin(self) -> None:
        for note in self.vault.ask("GET", "api/notes?limit=500").json():
            self.vault.ask("DELETE", f"api/notes/{note['id']}")
        self.vault.ask("DELETE", "api/trash")
        self.devices("begin")
        self.words: set[str] = set()
        self.given_up: set[str] = set()

    def word(self) -> str:
        word = f"w{len(self.words)}w"
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
            for note in self.vault.ask("GET", "api/notes?limit=500&include_content=true").json()
        }
        for of in (0, 1):
            notes = self.devices("notes", of)
            assert not [note for note in notes.values() if note["unsent"]], notes
            assert {id: note["text"] for id, note in notes.items()} == on_hub, (of, notes, on_hub)
        texts = list(on_hub.values())
        binned = self.vault.ask("GET", "api/trash?limit=500").json()
        texts += [note["content"] for note in binned]
        for id in [*on_hub, *(note["id"] for note in binned)]:
            for version in self.vault.ask("GET", f"api/notes/{id}/versions?limit=200").json():
                texts.append(self.vault.ask("GET", f"api/notes/{id}/versions/{version['version']}").json()["content"])
        found = set(" ".join(texts).split())
        lost = self.words - found - self.given_up
        assert not lost, (lost, texts)

    def teardown(self) -> None:
        if getattr(self, "words", None):
            self.settle()


class OutboxTests(SynchronousTestCase):
    def test_no_word_is_lost_and_both_devices_agree(self) -> None:
        with running_vault() as vault:
            Outbox.vault, Outbox.devices = vault, Devices(vault)
            try:
                run_state_machine_as_test(Outbox, settings=MACHINE)
            finally:
                Outbox.devices.end()
