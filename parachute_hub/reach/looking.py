"""Finds out what this machine has for each way."""

import http.client
import importlib.util
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
from twisted.internet.defer import Deferred, gatherResults

from parachute_hub.reach import findings
from parachute_hub.reach.findings import Cloudflared, Facts, Program, Served, Tailscale
from parachute_hub.reach.programs import Programs
from parachute_hub.system.public_addresses import is_nearby
from parachute_hub.system.records import frozen

_VERSIONS: Final = {"tailscale": ("version",), "cloudflared": ("--version",), "caddy": ("version",)}
CADDY_ADMIN: Final = 2019
_CADDY_SECONDS: Final = 1.0


@frozen(kw_only=True)
class Look:
    """`user_home` is the folder in which cloudflared keeps its own; `in_thread` runs what blocks."""

    programs: Programs
    user_home: Path
    in_thread: Callable[..., Awaitable[Any]]

    async def __call__(self) -> Facts:
        """Ask each program that is here. Takes seconds if one does not answer, and never raises."""
        paths = {name: path for name in _VERSIONS if (path := self.programs.find(name)) is not None}
        known: list[Program] = await gatherResults(
            [Deferred.fromCoroutine(self._program(name, path)) for name, path in paths.items()]
        )
        programs = dict(zip(paths, known, strict=True))
        tailscale, served = Tailscale(), Served()
        if (program := programs.get("tailscale")) is not None:
            tailscale, served = await self.tailscale(program.path)
        return Facts(
            programs=programs,
            tailscale=tailscale,
            served=served,
            cloudflared=await self.in_thread(_cloudflared, self.user_home),
            caddy_runs="caddy" in programs and await self.in_thread(caddy_runs),
            can_announce=importlib.util.find_spec("zeroconf") is not None,
            addresses=await self.in_thread(lan_addresses),
        )

    async def tailscale(self, path: str) -> tuple[Tailscale, Served]:
        """Whether it is signed in, and what it serves."""
        status = findings.tailscale_of((await self.programs.look((path, "status", "--json", "--peers=false"))).out)
        if status.state != "running":
            return status, Served()
        ran = await self.programs.look((path, "serve", "status", "--json"))
        return status, findings.served_at(ran.out if ran.ok else "", status.name)

    async def _program(self, name: str, path: str) -> Program:
        ran = await self.programs.look((path, *_VERSIONS[name]))
        return Program(path=path, version=findings.version_of(ran.said))


def _cloudflared(user_home: Path) -> Cloudflared:
    folder = user_home / ".cloudflared"
    return Cloudflared(
        signed_in=(folder / "cert.pem").is_file(),
        has_config=any((folder / name).is_file() for name in ("config.yml", "config.yaml")),
    )


def caddy_runs(port: int = CADDY_ADMIN) -> bool:
    """Whether a Caddy answers at its administration address on this machine. Blocks."""
    connection = http.client.HTTPConnection("localhost", port, timeout=_CADDY_SECONDS)
    try:
        connection.request("GET", "/config/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def lan_addresses() -> tuple[str, ...]:
    """The IPv4 addresses of this machine in private networks, without those of containers. Blocks."""
    found = []
    with suppress(OSError):
        up = {name for name, state in psutil.net_if_stats().items() if state.isup}
        for name, addresses in psutil.net_if_addrs().items():
            if name not in up or name.startswith(
                ("docker", "br-", "veth", "virbr", "podman", "cni", "tailscale", "utun")
            ):
                continue
            found += [one.address for one in addresses if one.family == socket.AF_INET and is_nearby(one.address)]
    return tuple(sorted(found))
