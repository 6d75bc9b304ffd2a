"""The whole hub is killed while notes are written, tokens refreshed and modules changed: nothing acknowledged is lost.

The suite kills a few times; `python -m tests.live.test_hub_kill --full [kills]` is the storm.
"""

import base64
import hashlib
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import OWNER, HubProcess, fetch, packed_examples
from tests.live.oauth_rig import Person

SMALL, FULL = 20, 500
BACK = "http://127.0.0.1:9/back"
VERIFIER = "v" * 64
BASE = 512 << 20


# Between refreshes: a fast machine would otherwise reach the limit of 60 a minute within one life of the hub.
PAUSE = 0.06


class Lost(Exception):
    """Something acknowledged is gone; the text says what."""


@define
class Storm:
    """A hub with two modules, and what it has acknowledged so far."""

    hub: HubProcess
    random: Random
    client: str = ""
    refresh_token: str = ""
    variable: int = 0
    notes: list[tuple[str, str]] = field(factory=list)
    done: Counter[str] = field(factory=Counter)
    refused: list[str] = field(factory=list)
    over: bool = False

    @classmethod
    def begin(cls, root: Path) -> "Storm":
        """Install the modules, and connect an app."""
        hub = HubProcess(root / "home", catalog=packed_examples(), environment=OWNER)
        hub.start()
        for short in ("vault", "hello"):
            hub.install(short)
        storm = cls(hub, Random(20261129))
        storm.connect()
        return storm

    def connect(self) -> None:
        """An app gets its refresh token from the owner."""
        told = {"redirect_uris": [BACK], "client_name": "Storm", "token_endpoint_auth_method": "none"}
        self.client = fetch(f"{self.hub.url}/oauth/register", method="POST", body=told).json()["client_id"]
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": BACK,
            "scope": "vault:default:read",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = f"{self.hub.url}/oauth/authorize?{urllib.parse.urlencode(asked)}"
        location = Person(self.hub.url).sign_in().allow(address)
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["code"][0]
        self.exchange(
            {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
        )

    def exchange(self, form: dict[str, str]) -> None:
        """The refresh token counts once it has arrived."""
        data = urllib.parse.urlencode({**form, "client_id": self.client}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = fetch(f"{self.hub.url}/oauth/token", method="POST", body=data, headers=headers)
        if b"processes use this connection" in answer.body:
            # Each answer that a kill swallowed counts as one more process; at the limit the owner allows it anew.
            self.done["connections"] += 1
            self.connect()
            return
        if answer.status != 200:
            raise Lost(f"the token of an app: {answer.status} {answer.body!r}")
        self.refresh_token = answer.json()["refresh_token"]

    # --- what is done until the hub dies

    def refresh(self) -> None:
        self.exchange({"grant_type": "refresh_token", "refresh_token": self.refresh_token})
        time.sleep(PAUSE)

    def write(self) -> None:
        text = f"note {len(self.notes)} {self.random.random()}"
        url, headers = self._vault()
        made = fetch(url, method="POST", body={"content": text, "path": f"storm/{len(self.notes)}"}, headers=headers)
        if made.status == 201:
            self.notes.append((made.json()["id"], text))

    def change(self) -> None:
        number = self.variable + 1
        self.hub.client.call("PUT", "/api/modules/hello/settings", {"memory_limit": BASE + number})
        self.variable = number

    def _vault(self) -> tuple[str, dict[str, str]]:
        key = (self.hub.home / "vault" / "data" / "default" / "initial-key").read_text().strip()
        return f"{self.hub.url}/vault/default/api/notes", {"Authorization": f"Bearer {key}"}

    def _keep(self, name: str, use: Callable[[], None]) -> None:
        while not self.over:
            try:
                use()
            except Lost as error:
                if not self.over:
                    self.refused.append(str(error))
                return
            except Exception:
                if self.over:
                    return
                time.sleep(0.02)
            else:
                self.done[name] += 1

    def kill(self, longest: float) -> None:
        """Use it, kill it at a random moment, start it again and look."""
        self.over = False
        uses = (("notes", self.write), ("refreshes", self.refresh), ("changes", self.change))
        threads = [threading.Thread(target=self._keep, args=use) for use in uses]
        for thread in threads:
            thread.start()
        time.sleep(self.random.uniform(0.1, longest))
        self.over = True
        self.hub.kill()
        for thread in threads:
            thread.join()
        self.hub.start()
        self.check()
        self.done["kills"] += 1

    # --- what must be there

    def check(self) -> None:
        """Everything that was acknowledged. Raises Lost."""
        url, headers = self._vault()
        self.hub.wait_for(lambda: fetch(f"{url}?limit=1", headers=headers).status == 200, "the vault")
        for note, text in self.notes[-50:]:
            found = fetch(f"{url}/{note}", headers=headers)
            if found.status != 200 or found.json()["content"] != text:
                raise Lost(f"note {note}: {found.status}")
        settings: Any = self.hub.client.call("GET", "/api/modules/hello/settings")
        kept = int(settings["memory_limit"] or BASE) - BASE
        # The last one may have been stored without its answer.
        if kept not in (self.variable, self.variable + 1):
            raise Lost(f"a setting: {self.variable} was acknowledged, {kept} is there")
        self.variable = kept
        jobs = self.hub.client.call("GET", "/api/modules/operations")["operations"]
        if any(job["status"] == "running" for job in jobs):
            raise Lost("an operation that nobody runs")
        self.refresh()

    def check_all(self) -> None:
        """Every note ever acknowledged."""
        url, headers = self._vault()
        for note, text in self.notes:
            found = fetch(f"{url}/{note}", headers=headers)
            if found.status != 200 or found.json()["content"] != text:
                raise Lost(f"note {note}: {found.status}")


def storm(root: Path, kills: int, longest: float) -> Counter[str]:
    """Kill so many times; the counts of what was done. Raises Lost."""
    one = Storm.begin(root)
    try:
        for number in range(kills):
            one.kill(longest)
            if number % 25 == 24:
                print(dict(one.done), flush=True)
        one.check_all()
        if one.refused:
            raise Lost(f"refused while the hub ran: {one.refused}")
        return one.done
    finally:
        one.hub.end()


class HubKillTests(SynchronousTestCase):
    def test_nothing_acknowledged_is_lost(self) -> None:
        root = Path(self.mktemp()).absolute()
        root.mkdir(parents=True)
        done = storm(root, SMALL, 0.6)
        self.assertEqual(done["kills"], SMALL)
        self.assertEqual([name for name in ("notes", "refreshes", "changes") if not done[name]], [], done)


if __name__ == "__main__":
    count = int(sys.argv[sys.argv.index("--full") + 1]) if len(sys.argv) > 2 else FULL
    with tempfile.TemporaryDirectory() as folder:
        print(dict(storm(Path(folder), count, 3.0)))
