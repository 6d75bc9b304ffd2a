"""A reference vault in a process, used over plain HTTP by tests without a reactor."""

import http.client
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import field, frozen

from tests.support.examples import EXAMPLES, Reply, bun

COMMAND = [bun(), "--smol", "run", str(EXAMPLES / "vault/src/cli.ts")]


def environment(home: Path) -> dict[str, str]:
    """The environment of the vault's command, as small as the hub's."""
    path = os.pathsep.join([str(Path(bun()).parent), "/usr/bin:/bin"])
    return {
        "PATH": path,
        "HOME": str(home),
        "PARACHUTE_HOME": str(home),
        "PORT": "0",
        "BUN_RUNTIME_TRANSPILER_CACHE_PATH": "0",
    }


@frozen
class RunningVault:
    """A vault that listens, and its first key."""

    home: Path
    process: "subprocess.Popen[str]"
    port: int
    key: str = field(repr=False)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request below the default vault. `body` is sent as JSON, `data` as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = {"Authorization": f"Bearer {self.key}", **(headers or {})}
            payload = data if body is None else json.dumps(body).encode()
            connection.request(method, f"/vault/default/{path}", payload, sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def command(self, *argv: str) -> str:
        """Output of another `parachute-vault` command in the same home."""
        words = [*COMMAND, *argv]
        done = subprocess.run(words, env=environment(self.home), capture_output=True, text=True, check=True)
        return done.stdout


@contextmanager
def running_vault(home: Path | None = None) -> Iterator[RunningVault]:
    """Starts a vault and kills it at the end."""
    with tempfile.TemporaryDirectory(prefix="parachute-vault-") as folder:
        place = home or Path(folder)
        words = [*COMMAND, "serve"]
        process = subprocess.Popen(words, env=environment(place), stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "listening on" in line)
            key = (place / "vault/data/default/initial-key").read_text().strip()
            yield RunningVault(place, process, int(line.rpartition(":")[2]), key)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
