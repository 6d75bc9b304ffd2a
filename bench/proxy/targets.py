"""The programs compared: each on its own port, all in front of the same module."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from parachute_hub.modules.packages import bun
from tests.live.ports import free_port

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")
# The proxy has one core to itself where there are two; the load and the module share the other.
_PROXY_CORE, _LOAD_CORE = ("0", "1") if (os.cpu_count() or 1) > 1 else ("0", "0")

_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder}; client_max_body_size 0; proxy_request_buffering off;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  keepalive_requests 100000000;
  upstream module {{ server 127.0.0.1:{module}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location /echo/ {{
      proxy_pass http://module; proxy_http_version 1.1;
      proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""


@frozen
class Target:
    """A server on a port; `process` is what its cost is measured on."""

    name: str
    port: int
    process: int

    def url(self, path: str) -> str:
        """The URL of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def cpu_seconds(self) -> float:
        """CPU time used by the process."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def memory(self) -> tuple[float, float]:
        """(megabytes resident, peak)."""
        lines = dict(
            line.split(":", 1) for line in Path(f"/proc/{self.process}/status").read_text().splitlines() if ":" in line
        )
        return int(lines["VmRSS"].split()[0]) / 1024, int(lines["VmHWM"].split()[0]) / 1024


def on_load_core(command: list[str]) -> list[str]:
    """The command, pinned away from the proxy's core."""
    return ["taskset", "-c", _LOAD_CORE, *command]


@contextmanager
def running(only: list[str]) -> Iterator[dict[str, Target]]:
    """All targets, or those named, by name; `direct` is the module itself."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-proxy-")))
        program = str(bun.find(os.environ.get("PARACHUTE_BUN")))
        module = _start(stack, "direct", lambda port: [program, "run", str(HERE / "module.ts")], core=_LOAD_CORE)
        commands = {
            "nginx": lambda port: _nginx(folder, port, module.port),
            "bun": lambda port: [program, "run", str(HERE / "peer.ts")],
            "stock": lambda port: [sys.executable, "-m", "bench.proxy.stock", str(port), str(module.port)],
            "ours": lambda port: [sys.executable, "-m", "bench.proxy.ours", str(port), str(module.port)],
            "bare-site": lambda port: [
                *(sys.executable, "-m", "bench.proxy.ours", str(port), str(module.port), "--bare-site"),
            ],
        }
        targets = {"direct": module}
        for name, command in commands.items():
            if not only or name in only:
                targets[name] = _start(stack, name, command, module_port=module.port)
        yield targets


@contextmanager
def our_hubs(options: list[list[str]]) -> Iterator[list[Target]]:
    """One of our fronts for each list of options, all before the same module."""
    with ExitStack() as stack:
        program = str(bun.find(os.environ.get("PARACHUTE_BUN")))
        module = _start(stack, "direct", lambda port: [program, "run", str(HERE / "module.ts")], core=_LOAD_CORE)
        yield [
            _start(
                stack,
                "ours",
                lambda port, more=more: [sys.executable, "-m", "bench.proxy.ours", str(port), str(module.port), *more],
            )
            for more in options
        ]


def _nginx(folder: Path, port: int, module_port: int) -> list[str]:
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        sys.exit("The comparison needs nginx: apt-get install nginx-light wrk")
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(folder=folder, port=port, module=module_port))
    return [program, "-p", str(folder), "-c", str(configuration)]


def _start(stack: ExitStack, name: str, command, *, core: str = _PROXY_CORE, module_port: int = 0) -> Target:  # type: ignore[no-untyped-def]
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "MODULE_PORT": str(module_port)}
    process = subprocess.Popen(
        ["taskset", "-c", core, *command(port)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return Target(name, port, process.pid)
        time.sleep(0.05)
    sys.exit(f"{name} did not start")
