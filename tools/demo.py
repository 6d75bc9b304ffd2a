"""`make demo`: the main use step by step on its own hub: install the vault, write a note, read it back."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from parachute_hub.cli.client import HubClient
from parachute_hub.cli.progress import ProgressPrinter, follow
from tests.live.ports import free_port
from tools.pack_examples import pack_all

ROOT = Path(__file__).parent.parent
PATIENCE = 30.0


def say(text: str) -> None:
    """One step, with the time since the start."""
    print(f"{time.monotonic() - _BEGAN:6.2f} s  {text}", flush=True)


def fetch(url: str, key: str, body: dict[str, Any] | None = None) -> Any:
    """One JSON request to the vault with its key."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=PATIENCE) as answer:  # noqa: S310
        return json.load(answer)


def wait_until_up(home: Path, hub: "subprocess.Popen[bytes]") -> HubClient:
    """A client once the hub answers and has finished starting."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if hub.poll() is not None:
            sys.exit("The hub ended by itself; its log is above.")
        client = HubClient(home)
        if client.running and client.health().get("phase") == "up":
            return client
        time.sleep(0.02)
    sys.exit("The hub did not come up in time.")


def demo(folder: Path, catalog: Path) -> None:
    """All steps. Raises when one fails."""
    home = folder / "home"
    port = free_port()
    words = [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=", "parachute"]
    words += ["--home", str(home), "--catalog", str(catalog), "--listen", f"tcp:{port}:interface=127.0.0.1"]
    environment = {
        **os.environ,
        "PARACHUTE_INITIAL_ADMIN_USERNAME": "demo",
        "PARACHUTE_INITIAL_ADMIN_PASSWORD": "only-for-this-demo",
    }
    log = folder / "hub.log"
    with log.open("wb") as out:
        hub = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=ROOT)
    try:
        client = wait_until_up(home, hub)
        say(f"the hub is up on http://127.0.0.1:{port}")
        operation = client.call("POST", "/api/modules/vault/install", {})["operation_id"]
        say(f"asked it to install the vault: job {operation}")
        follow(client, operation, ProgressPrinter())
        say("the vault is installed, supervised, and answers")
        key = (home / "vault" / "data" / "default" / "initial-key").read_text().strip()
        notes = f"http://127.0.0.1:{port}/vault/default/api/notes"
        written = fetch(notes, key, {"content": "Hello from the demo", "path": "demo/hello", "tags": ["demo"]})
        say(f"wrote a note through the hub: {written['id']}")
        read = fetch(f"{notes}/{written['id']}", key)
        say(f"read it back: {read['content']!r}")
        if read["content"] != "Hello from the demo":
            sys.exit("The note is not what was written.")
    except (urllib.error.URLError, OSError):
        print(log.read_text(errors="replace"), file=sys.stderr)
        raise
    finally:
        hub.terminate()
        hub.wait(PATIENCE)
    say("stopped the hub; nothing is left running")


if __name__ == "__main__":
    packs = pack_all(ROOT / ".cache" / "packs")
    _BEGAN = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="parachute-demo-") as temporary:
        demo(Path(temporary), packs)
