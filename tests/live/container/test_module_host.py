"""The image as a module host, on a machine of its own behind a cable that is cut and slow."""

import contextlib
import hashlib
import http.client
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.live.container.case import ContainerTestCase
from tests.live.engine import MEBIBYTE, Cable, Container
from tests.live.harness import PACKS, Reply, packed_examples
from tests.live.host_rig import LinkClient

_ROLE = {"PARACHUTE_ROLE": "host", "PARACHUTE_MODULE": "vault", "PORT": "1940"}
_BROKEN = (OSError, http.client.HTTPException)


class ModuleHostTests(ContainerTestCase):
    """A stand-in for the hub is at the other end."""

    def setUp(self) -> None:
        super().setUp()
        packed_examples()
        self.here, self.there = self.machine(), self.machine()
        self.cable = Cable(self.here, self.there)
        self.variables = {**_ROLE, **self.registry(self.there, PACKS)}
        self.host = self.started()
        self.hub = LinkClient(1940, Path(self.mktemp()).absolute(), address=self.cable.addresses[1])

    def started(self) -> Container:
        host = self.container(self.there.volume(), self.there, variables=self.variables)
        self.wait_until(lambda: "Ready: " in host.log(), 60)
        return host

    def code(self) -> str:
        return str(re.findall(r"Code: +([0-9A-Z-]+)", self.host.log())[-1])

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        with self.here.inside():
            return self.hub.ask(method, path, body)

    @contextlib.contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Whoever waits longer has lost."""
        begun = time.monotonic()
        yield
        self.assertLess(time.monotonic() - begun, seconds)

    def test_a_link_that_is_cut_slow_and_mended(self) -> None:
        self.assertEqual(self.host.healthcheck(), "healthy")
        with self.here.inside():
            self.assertEqual(self.hub.pair(self.code()).status, 200)
            self.hub.install()
        self.assertLess(self.host.group.anonymous(), 160 * MEBIBYTE)

        # Cut in the middle of an upload: nothing of it stays, and it can be sent again.
        content = b"x" * (4 * MEBIBYTE)
        entry = {
            "path": "data/x",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "mode": 0o600,
            "mtime": 1,
        }
        begun = self.ask("POST", "data/begin", {"files": [entry]}).json()
        into = f"data/{begun['move']}/blobs/{entry['sha256']}"
        self.cable.slow(2000)
        with self.here.inside():
            broken = self.hub.connect(timeout=5)
        broken.putrequest("PUT", f"/.parachute/host/{into}")
        broken.putheader("X-Parachute-Link", "control")
        broken.putheader("Content-Length", str(len(content)))
        broken.endheaders(content[: MEBIBYTE // 4])
        self.cable.cut()
        with self.assertRaises(_BROKEN), self.here.inside():
            self.hub.connect(timeout=1)
        self.cable.mend()
        self.assertEqual(self.ask("PUT", into, content).status, 204)
        self.assertEqual(self.ask("GET", "state").json()["state"], "running")
        broken.close()
        self.wait_until(lambda: self.parts() == [], 60)

        # One slow request holds up no other.
        self.cable.slow(400)
        with self.here.inside():
            slow = self.hub.connect()
        with contextlib.closing(slow):
            slow.request("GET", "/.parachute/host/data/files", headers={"X-Parachute-Link": "control"})
            with self.patience(20):
                self.assertEqual(self.ask("GET", "state").status, 200)
            self.assertEqual(slow.getresponse().status, 200)
        self.cable.mend()

        # The command in the container, which runs as root there.
        self.assertEqual(self.host.run("parachute", "module", "host", "--unpair").returncode, 0)
        with self.here.inside():
            self.assertEqual(self.hub.ask("GET", "state").status, 403)
        shown = self.host.run("parachute", "module", "host", "--pair").stdout
        with self.here.inside():
            self.assertEqual(self.hub.pair(re.findall(r"Code: +(\S+)", shown)[0]).status, 200)
        code, seconds = self.host.stop()
        self.assertEqual((code, self.host.group.members()), (0, []), self.host.log())
        self.assertLess(seconds, 20)

    def parts(self) -> list[str]:
        return self.host.run("find", "/parachute/hub/moves", "-name", "*.part").stdout.split()
