"""`make proof NAME=host-kills`: kill -9 of the module host at any time of moves there and back, under writes."""

import os
import random
import time
from collections import Counter

from tests.live import test_links_paired as paired
from tests.live.harness import HubProcess

SECONDS = float(os.environ.get("PARACHUTE_HOST_KILLS_SECONDS", "170"))
_LATEST = 2.5


class HostKillTests(paired.PairedCase):
    """After each kill the vault runs at one place, and no confirmed note is lost or double."""

    def test_a_host_that_is_killed_while_a_vault_moves(self) -> None:
        real = paired.write

        def known(running: HubProcess, token: str, path: str) -> int:
            """A note whose confirmation was lost exists already (409) when it is sent again."""
            status = real(running, token, path)
            return 201 if status == 409 else status

        self.patch(paired, "write", known)
        self.pair()
        outcomes: Counter[str] = Counter()
        writer = paired.Writer(self.hub, self.token).start()
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                link = self.hub.client.call("GET", "/api/links/vault")["link"]
                to = "here" if link["active"] else "there"
                job = self.hub.client.call("POST", "/api/links/vault/move", {"to": to})["operation_id"]
                time.sleep(random.random() * _LATEST)
                self.there.kill()
                self.there.start()
                while (told := self.hub.client.call("GET", f"/api/modules/operations/{job}"))["status"] == "running":
                    time.sleep(0.1)
                outcomes[f"{to} {told['status']}"] += 1
                self.ready()
                before = len(writer.confirmed)
                self.hub.wait_for(lambda before=before: len(writer.confirmed) > before + 1, "writes to go on")
        finally:
            writer.stop()
        found = [path for path in paired.paths(self.hub, self.token) if path.startswith("under way ")]
        print(f"{dict(outcomes)}; {len(writer.confirmed)} notes confirmed, answers {writer.statuses}")
        self.assertEqual(sorted(set(found)), sorted(found))
        self.assertEqual(set(writer.confirmed) - set(found), set())
        self.assertLessEqual(set(writer.statuses), {200, 201, 502, 503})
