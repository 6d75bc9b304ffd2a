"""Kills the hub at any moment of moves under writes, there and back: `python -m tests.live.link_kills [N]`.

Every note that was confirmed must be there once, and the module at one place.
"""

import contextlib
import random
import sys
import tempfile
import time

from parachute_hub.cli.client import CommandError
from tests.live.test_links_paired import PairedCase, Writer, paths

_LONGEST = 2.5
"""Seconds from the start of a move, which takes less, to the kill."""


class LinkKills(PairedCase):
    kills = 40

    def runTest(self) -> None:
        self.pair()
        chance, ended = random.Random(5), {"there": 0, "here": 0}
        confirmed: set[str] = set()
        for number in range(self.kills):
            active = self.hub.client.call("GET", "/api/links/vault")["link"]["active"]
            writer = Writer(self.hub, self.token, name=f"kill {number}").start()
            try:
                self.hub.client.call("POST", "/api/links/vault/move", {"to": "here" if active else "there"})
                time.sleep(chance.random() * _LONGEST)
                self.hub.kill()
                self.hub.start()
                self.hub.wait_for(self.runs, "the vault")
            finally:
                writer.stop()
            confirmed |= set(writer.confirmed)
            found = paths(self.hub, self.token)
            self.assertEqual(len(found), len(set(found)), f"double after kill {number}")
            self.assertEqual(confirmed - set(found), set(), f"lost at kill {number}")
            ended["there" if self.hub.client.call("GET", "/api/links/vault")["link"]["active"] else "here"] += 1
        print(f"{self.kills} kills, {len(confirmed)} notes confirmed, 0 lost, 0 double; then {ended}")

    def runs(self) -> bool:
        try:
            return bool(self.hub.module("vault")["state"] == "ready")
        except CommandError:
            return False


if __name__ == "__main__":
    LinkKills.kills = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        LinkKills().debug()
