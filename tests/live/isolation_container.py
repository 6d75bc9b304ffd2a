"""Proof: the hostile module inside the real container, as uid 1000 under podman's default seccomp profile.

    python -m tests.live.isolation_container

Installs the reference vault and the hostile module from packs, and holds what the module reaches to the tables of
`test_isolation`.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from tests.live.engine import Container, Machine, image
from tests.live.harness import packed_examples
from tests.live.test_isolation import CLOSED, CLOSED_ANYHOW, HOSTILE, OPEN, OWN, packed

VARIABLES = {
    "PARACHUTE_INITIAL_ADMIN_USERNAME": "owner",
    "PARACHUTE_INITIAL_ADMIN_PASSWORD": "correct horse battery staple",
    "PARACHUTE_ISOLATION": "required",
}
_HOME = "/parachute"
_UID = 1000
# Runs in the container: asks the hub who is where, then the hostile module on its own port.
_ASK = textwrap.dedent("""
    import http.client, json, os, socket, sys
    def call(port, method, path, body=None, headers={}):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, body and json.dumps(body), headers)
        return json.loads(connection.getresponse().read())
    bearer = {"Authorization": "Bearer " + open("/parachute/operator.token").read().strip()}
    modules = {each["short"]: each for each in call(1939, "GET", "/api/modules", headers=bearer)["modules"]}
    hub = next(int(pid) for pid in os.listdir("/proc") if pid.isdigit()
               and b"-P\\0-m\\0parachute_hub" in open(f"/proc/{pid}/cmdline", "rb").read()
               and b"tini" not in open(f"/proc/{pid}/cmdline", "rb").read())
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("/parachute/hub/socket")
    listener.listen()
    targets = {"home": "/parachute", "hub": hub, "sibling": modules["vault"]["pid"], "hubPort": 1939, "freePort": 45999,
               "secret": "/parachute/vault/.env", "socket": "/parachute/hub/socket", "outside": "/parachute/outside",
               "program": "/parachute/modules/node_modules/@openparachute/vault/package.json"}
    found = call(modules["hostile"]["port"], "POST", "/hostile/try", targets)
    status = open(f"/proc/{modules['hostile']['pid']}/status").read()
    print(json.dumps({"found": found, "isolation": modules["hostile"]["isolation"], "status": status}))
""")


def main() -> int:
    """Prints a line for each attempt that went otherwise than the tables say; 0 when there is none."""
    machine = Machine()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        try:
            told = _try(machine.container(image(), home, variables=VARIABLES), home)
        finally:
            machine.close()
    wrong = _wrong(told["found"])
    for line in wrong:
        print(line)
    lines = [line for line in told["status"].splitlines() if line.startswith(("Uid", "NoNewPrivs", "Seccomp:"))]
    print(f"{len(told['found'])} attempts, {len(wrong)} wrong; {told['isolation']}; {'; '.join(lines)}".expandtabs(1))
    return 1 if wrong else 0


def _try(hub: Container, home: Path) -> dict[str, Any]:
    hub.wait_phase("up")
    packs = home / "tmp" / "packs"
    packs.mkdir(parents=True, exist_ok=True)
    (vault,) = packed_examples().parent.glob("vault-*.tgz")
    shutil.copy(vault, packs / "vault.tgz")
    (packs / "hostile.tgz").write_bytes(packed(HOSTILE))
    for name in ("bait", "bait2", "bait3", "bait4", "outside"):
        (home / name).write_text("bait")
    subprocess.run(["chown", "-R", f"{_UID}:{_UID}", *map(str, home.iterdir())], check=True)
    for short in ("vault", "hostile"):
        done = hub.run("parachute", "install", f"{_HOME}/tmp/packs/{short}.tgz", user=_UID)
        assert done.returncode == 0, (done.stdout, done.stderr, hub.log()[-2000:])
    (home / "vault" / ".env").write_text("STOLEN=yes\n")
    subprocess.run(["chown", f"{_UID}:{_UID}", str(home / "vault" / ".env")], check=True)
    done = hub.run("python3", "-c", _ASK, user=_UID)
    assert done.returncode == 0, (done.stderr, hub.log()[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _wrong(found: dict[str, str]) -> list[str]:
    closed = [f"it could {name}" for name in (*CLOSED, *CLOSED_ANYHOW) if found.get(name, "missing") == "got"]
    own = [f"it could not {name}: {found.get(name)}" for name in (*OPEN, *OWN) if found.get(name) != "got"]
    return closed + own


if __name__ == "__main__":
    sys.exit(main())
