"""Tries the README's two commands in clean Debian containers: `make proof NAME=fresh-machine`.

Each case starts from Debian's minimal system with python3, python3-venv, make and git, as root or as a user without
sudo, and a fresh clone of HEAD. `make run` must serve its first page, and `make test` must end with no failed test.
FRESH_MACHINE="13:root 12:user" picks cases; FRESH_MACHINE_COMMANDS="run" picks commands. Needs root, podman, crun and
debootstrap. The machine's certificates and package-client settings are mounted read-only.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from tools.podman import Podman, debian

ROOT = Path(__file__).parent.parent
SUITES = {"12": "bookworm", "13": "trixie"}
PACKAGES = ("ca-certificates", "git", "make", "python3", "python3-venv")
# Settings of package clients that this machine may need to reach its registries.
_SETTINGS = ("/etc/ssl/certs", "/etc/pip.conf", "/etc/xdg/pip", "/usr/local/share/ca-certificates")
_VARIABLE = re.compile(r"(?i)(pip_|npm_config_|bun_config_|ssl_cert|node_extra_ca|requests_ca|https?_proxy|no_proxy).*")
_PAGE = """
import urllib.request
page = urllib.request.Request("http://127.0.0.1:1939/", headers={"Accept": "text/html"})
assert b"<html" in urllib.request.urlopen(page, timeout=2).read()
"""
_RUN = f"""
SECONDS=0
make run > run.log 2>&1 &
for attempt in $(seq 3000); do
    if python3 -c '{_PAGE}' 2>/dev/null; then echo "first page after $SECONDS s"; break; fi
    sleep 0.1
done
kill $!
wait
tail -n 5 run.log >&2
"""
_COMMANDS = {
    "run": _RUN,
    "test": "make test > test.log 2>&1; grep -E '^tests[.][a-z_.]+[A-Z]' test.log | sort -u; tail -n 12 test.log",
}


@frozen
class Case:
    """One container: Debian release (`12`, `13`) and user (`root`, `user`)."""

    release: str
    who: str

    def __str__(self) -> str:
        return f"Debian {self.release} as {self.who}"


def image(release: str) -> str:
    """The name of a clean Debian image with a user `person` and without sudo; built once."""
    name = f"localhost/fresh-debian:{release}"

    def add_person(root: Path) -> None:
        subprocess.run(["chroot", str(root), "useradd", "--create-home", "person"], check=True)

    debian(name, SUITES[release], include=PACKAGES, prepare=add_person)
    return name


def client_options() -> list[str]:
    """How a container reaches this machine's package registries, as options of `podman run`."""
    mounts = [f"--volume={path}:{path}:ro" for path in (*_SETTINGS, *_folders_of_pip()) if Path(path).exists()]
    return [*mounts, *(f"--env={name}" for name in os.environ if _VARIABLE.fullmatch(name))]


def attempt(case: Case, command: str) -> tuple[bool, str]:
    """Run one command in a fresh clone; whether it succeeded, and a line of figures."""
    home = "/root" if case.who == "root" else "/home/person"
    clone = "git config --global --add safe.directory '*' && git clone -q /src hub && cd hub"
    script = f"cd {home} && {clone}\n{_COMMANDS[command]}"
    began = time.monotonic()
    done = Podman().try_run(
        "run", "--rm", "--network=host", f"--volume={ROOT / '.git'}:/src:ro", *client_options(),
        f"--user={'0' if case.who == 'root' else 'person'}", f"--env=HOME={home}", image(case.release),
        "bash", "-c", script,
    )  # fmt: skip
    took = time.monotonic() - began
    if command == "run":
        held = "first page after" in done.stdout
        return held, done.stdout.strip() if held else (done.stdout + done.stderr)[-2000:]
    summary = re.findall(r"(?m)^\d+ passed, (\d+) failed$", done.stdout)
    lines = [line for line in done.stdout.splitlines() if line.strip()][-12:]
    return summary == ["0"], f"{took:.0f} s: " + " | ".join(lines)


def _folders_of_pip() -> list[str]:
    """Local folders that pip is configured to use."""
    told = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    return sorted({match.rstrip("/") for match in re.findall(r"(?:file://|(?<=['\" ]))(/[^'\" ]+)", told)})


def main() -> int:
    """Run every case; 1 when one failed."""
    picked = os.environ.get("FRESH_MACHINE", "12:root 12:user 13:root 13:user").split()
    commands: Sequence[str] = os.environ.get("FRESH_MACHINE_COMMANDS", "run test").split()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    failed = 0
    for release, _, who in (case.partition(":") for case in picked):
        for command in commands:
            held, figures = attempt(Case(release, who), command)
            failed += not held
            line = {"case": str(Case(release, who)), "command": f"make {command}", "held": held, "figures": figures}
            print(json.dumps({"commit": commit.stdout.strip(), **line}), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
