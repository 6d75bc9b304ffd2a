"""The same faults with supervisord (PyPI `supervisor`, default settings), for comparison. It is not a dependency: it
is installed into a virtual environment below `.cache` on first use.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from attrs import define, field

from tests.live.faults.outcome import spread
from tests.live.faults.rig import MODULES
from tests.live.harness import ROOT
from tests.live.ports import free_port

VERSION = "4.3.0"
_VENV = ROOT / ".cache" / f"supervisor-{VERSION}"
_PROGRAM_PATH = _VENV / "bin" / "supervisord"
_CONFIG = """
[supervisord]
nodaemon=true
user=root
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
[unix_http_server]
file={folder}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{folder}/s.sock
"""
_PROGRAM = """
[program:{name}]
command={python} -S -E {wild} {words}
environment=PORT="{port}"
autorestart=true
stdout_logfile={folder}/{name}.log
redirect_stderr=true
"""


@define
class Supervisord:
    """One supervisord with modules of `modules/wild.py`; `words` by name."""

    words: dict[str, str]
    folder: Path = field(factory=lambda: Path(tempfile.mkdtemp(prefix="control-")))
    ports: dict[str, int] = field(factory=dict)
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __enter__(self) -> "Supervisord":
        text = _CONFIG.format(folder=self.folder)
        for name, words in self.words.items():
            self.ports[name] = free_port()
            text += _PROGRAM.format(
                name=name,
                python=sys.executable,
                wild=MODULES / "wild.py",
                words=words,
                port=self.ports[name],
                folder=self.folder,
            )
        (self.folder / "c.conf").write_text(text)
        self.process = subprocess.Popen(
            [program(), "-c", str(self.folder / "c.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return self

    def __exit__(self, *_: object) -> None:
        everyone = psutil.Process(self.process.pid).children(recursive=True)
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for each in (*everyone, *self.leftovers()):
            if each.is_running():
                each.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def control(self, *words: str) -> str:
        argv = [str(Path(program()).with_name("supervisorctl")), "-c", str(self.folder / "c.conf"), *words]
        return subprocess.run(argv, capture_output=True, text=True).stdout

    def answers(self, name: str, timeout: float = 1.0) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.ports[name]), timeout) as connection:
                connection.settimeout(timeout)
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                return connection.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def pid(self, name: str) -> int:
        found = int(self.control("pid", name).strip() or 0)
        # A signal to 0 would be one to ourselves and all that is with us.
        assert found > 0, f"{name} has no process"
        return found

    def leftovers(self) -> list[psutil.Process]:
        """Processes that still run our script for one of our ports."""
        ports = {str(port) for port in self.ports.values()}
        return [each for each in psutil.process_iter() if _port_of(each) in ports]


def _port_of(process: psutil.Process) -> str | None:
    try:
        found = process.environ() if "wild.py" in " ".join(process.cmdline()) else {}
    except psutil.Error:
        return None
    return found.get("PORT")


def program() -> str:
    """supervisord's path; installs it if missing."""
    if not _PROGRAM_PATH.exists():
        subprocess.run([sys.executable, "-m", "venv", _VENV], check=True)
        pip = [
            str(_VENV / "bin" / "pip"),
            "install",
            "--quiet",
            "--disable-pip-version-check",
            f"supervisor=={VERSION}",
        ]
        subprocess.run(pip, check=True)
    return str(_PROGRAM_PATH)


def told(fault: str) -> str:
    """supervisord's result for this fault in one line, or that there is nothing to compare."""
    run = _FAULTS.get(fault)
    return f"supervisord {VERSION}: {run()}" if run else "none"


def _until(condition: Callable[[], object], patience: float) -> float | None:
    """Seconds until it holds; None if it does not."""
    began = time.monotonic()
    while time.monotonic() - began < patience:
        if condition():
            return time.monotonic() - began
        time.sleep(0.003)
    return None


def kill(n: int = 20) -> str:
    took = []
    with Supervisord({"victim": ""}) as control:
        _until(lambda: control.answers("victim"), 10)
        for _ in range(n):
            # Past its startsecs, or the kill counts as a failed start.
            time.sleep(1.2)
            os.kill(control.pid("victim"), signal.SIGKILL)
            took.append(_until(lambda: control.answers("victim"), 20) or 20.0)
    return f"n = {n}, answers again after {spread(took)}"


def loops() -> str:
    with Supervisord({"loop": "exit=0.01:3 late=9", "late": "exit=1.5:3", "calm": ""}) as control:
        time.sleep(25)
        log = (control.folder / "supervisord.log").read_text()
        state = control.control("status", "loop").split()[1]
        spawns = {name: log.count(f"spawned: '{name}'") for name in control.words}
        return (
            f"ends at once: {spawns['loop']} spawns in 25 s, then {state} for ever; "
            f"ends after 1.5 s: {spawns['late']} spawns in 25 s, never rests"
        )


def kin() -> str:
    with Supervisord({"wild": "kin=25 orphans=25"}) as control:
        _until(lambda: control.answers("wild"), 10)
        control.control("stop", "wild")
        return f"{len(control.leftovers())} of 50 grandchildren survive a stop"


def hang() -> str:
    with Supervisord({"stop": "hang=stop", "silent": "hang=silent"}) as control:
        _until(lambda: control.answers("silent"), 10)
        for name in ("stop", "silent"):
            os.kill(control.pid(name), signal.SIGSTOP if name == "stop" else signal.SIGUSR1)
        back = [_until(lambda name=name: control.answers(name), 20) for name in ("stop", "silent")]  # type: ignore[misc]
        return f"{sum(each is not None for each in back)} of 2 hung programs answer again within 20 s"


def flood() -> str:
    with Supervisord({"flooder": "flood=lines rate=100"}) as control:
        _until(lambda: control.answers("flooder", 5), 10)
        us = psutil.Process(control.process.pid)
        before, memory = us.cpu_times(), us.memory_info().rss
        time.sleep(5)
        after = us.cpu_times()
        cpu = (after.user + after.system - before.user - before.system) / 5 * 100
        grown = (us.memory_info().rss - memory) / 1e6
        return f"{cpu:.0f} % CPU, {grown:+.1f} MB; all that it reads goes to its log files"


_FAULTS = {"F01": kill, "F03": loops, "F04": kin, "F08": hang, "F27": flood}
