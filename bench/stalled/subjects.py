"""What is attacked: a hub with two modules, and nginx before the same program; each in a memory cgroup of 512 MB."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from parachute_hub.modules.packages import bun
from tests.live.harness import OWNER, HubProcess
from tests.live.ports import free_port

LIMIT = 512 << 20
CGROUPS = Path("/sys/fs/cgroup/memory")
PROCESSORS = Path("/sys/fs/cgroup/cpu")
SERVER = """
const big = (process.env.TMPDIR ?? "/tmp") + "/big"
await Bun.write(big, new Uint8Array(8 << 20))
Bun.serve({
  hostname: "127.0.0.1", port: Number(process.env.PORT), idleTimeout: 0,
  async fetch(request, server) {
    const path = new URL(request.url).pathname
    if (path.endsWith("/ws") && server.upgrade(request)) return
    if (path.endsWith("/big")) return new Response(Bun.file(big))
    if (path.endsWith("/up")) { for await (const _ of request.body ?? []) {} ; return new Response("taken") }
    return new Response("ok")
  },
  websocket: { message() {}, idleTimeout: 0 },
})
"""
_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
worker_rlimit_nofile 20000; events {{ worker_connections 20000; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; {buffering}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://127.0.0.1:{module}; proxy_http_version 1.1;
      proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;
    }}
  }}
}}
"""


class NotInstalled(Exception):
    """The program is missing."""


@frozen
class Subject:
    """A server under attack. The attack goes to paths below `prefix`; `neighbours` are pages of others."""

    port: int
    pid: int
    prefix: str
    neighbours: tuple[str, ...]


class Group:
    """A memory cgroup (v1), or nothing where there is none to make.

    `quota` adds a limit of the processor: microseconds of every 100 ms.
    """

    def __init__(self, quota: int | None = None) -> None:
        self._folder: Path | None = CGROUPS / f"parachute-bench-{os.getpid()}"
        self._processor = PROCESSORS / self._folder.name if quota else None
        try:
            self._folder.mkdir()
            (self._folder / "memory.limit_in_bytes").write_text(str(LIMIT))
            # The kernel counts TCP buffers only where they have a limit.
            (self._folder / "memory.kmem.tcp.limit_in_bytes").write_text(str(LIMIT))
            if self._processor is not None:
                self._processor.mkdir()
                (self._processor / "cpu.cfs_quota_us").write_text(str(quota))
        except OSError:
            self.end()
            self._folder = self._processor = None

    def __bool__(self) -> bool:
        return self._folder is not None

    @property
    def entering(self) -> tuple[str, ...]:
        """Words before a command that run it inside, from its first instruction on."""
        folders = [folder for folder in (self._folder, self._processor) if folder is not None]
        join = "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in folders)
        return ("/bin/sh", "-c", join + 'exec "$0" "$@"') if join else ()

    def take(self, pid: int) -> None:
        """Put a process and its future children in."""
        if self._folder is not None:
            (self._folder / "cgroup.procs").write_text(str(pid))

    def parts(self) -> dict[str, int]:
        """Bytes of processes, of the kernel for them, and of TCP buffers, without the page cache; empty if unknown."""
        if self._folder is None:
            return {}
        stat = dict(line.split() for line in (self._folder / "memory.stat").read_text().splitlines())
        parts = {"processes": int(stat["total_rss"])}
        for name, file in (("kernel", "memory.kmem.usage_in_bytes"), ("TCP", "memory.kmem.tcp.usage_in_bytes")):
            with contextlib.suppress(OSError):
                parts[name] = int((self._folder / file).read_text())
        return parts

    def kills(self) -> int:
        """How many processes the kernel ended for lack of memory."""
        assert self._folder is not None
        told = dict(line.split() for line in (self._folder / "memory.oom_control").read_text().splitlines())
        return int(told["oom_kill"])

    def highest(self) -> int:
        """The most bytes that were ever charged, with the page cache."""
        assert self._folder is not None
        return int((self._folder / "memory.max_usage_in_bytes").read_text())

    def end(self) -> None:
        """Remove it, once it is empty."""
        for folder in (self._folder, self._processor):
            if folder is not None:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def rss(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def module(folder: Path, name: str = "load", port: int = 1947) -> Path:
    """The folder of a module to load."""
    manifest = {
        "name": name,
        "manifestName": name,
        "displayName": name.capitalize(),
        "tagline": "For measurements",
        "port": port,
        "paths": [f"/{name}"],
        "health": f"/{name}/health",
        "startCmd": [name],
        "publicExposure": "allowed",
        "websocket": True,
        "scopes": {"defines": [f"{name}:use"]},
    }
    (folder / ".parachute").mkdir(parents=True)
    (folder / ".parachute" / "module.json").write_text(json.dumps(manifest))
    package = {"name": name, "version": "1.0.0", "type": "module", "bin": {name: "server.ts"}}
    (folder / "package.json").write_text(json.dumps(package))
    (folder / "server.ts").write_text("#!/usr/bin/env bun\n" + SERVER)
    (folder / "server.ts").chmod(0o755)
    return folder


@contextlib.contextmanager
def hub(folder: Path, group: Group) -> Iterator[Subject]:
    """A hub with two modules; the attack is on one of them."""
    folder.mkdir()
    process = HubProcess(home=folder / "home", environment={**OWNER, "PARACHUTE_ISOLATION": "off"})
    try:
        pid = process.spawn().pid
        group.take(pid)
        process.wait_for(
            lambda: process.client.running and process.client.health().get("phase") == "up", "the hub to be up"
        )
        for number, name in enumerate(("load", "calm")):
            source = str(module(folder / name, name, 1947 + number))
            begun = process.client.call("POST", "/api/modules/install", {"source": source})
            job = f"/api/modules/operations/{begun['operation_id']}"
            process.wait_for(lambda job=job: process.client.call("GET", job)["status"] != "running", "the module")
        yield Subject(process.port, pid, "/load", ("/health", "/calm/health"))
    finally:
        process.end()
        if os.environ.get("SHOW_LOG"):
            print(process.log()[-4000:])


@contextlib.contextmanager
def nginx(folder: Path, group: Group, *, buffering: bool) -> Iterator[Subject]:
    """nginx before the same program. With `buffering`, its default, it writes what readers do not take to the disk."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise NotInstalled("nginx")
    folder.mkdir(parents=True)
    (folder / "server.ts").write_text(SERVER)
    port, behind = free_port(), free_port()
    environment = {**os.environ, "PORT": str(behind), "TMPDIR": str(folder)}
    behind_it = subprocess.Popen([str(bun.find(None)), "run", str(folder / "server.ts")], env=environment)
    group.take(behind_it.pid)
    quiet = "" if buffering else "proxy_buffering off; proxy_request_buffering off;"
    words = {
        "folder": folder,
        "port": port,
        "module": behind,
        "buffering": quiet,
        "files": 20_000,
        "connections": 20_000,
    }
    (folder / "nginx.conf").write_text(_NGINX.format(**words))
    proxy = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    group.take(proxy.pid)
    try:
        for one in (behind, port):
            _wait(one)
        yield Subject(port, proxy.pid, "/load", ("/health",))
    finally:
        for process in (proxy, behind_it):
            process.kill()
            process.wait()


def _wait(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")
