"""Reads what the programs of others say: their versions, whether somebody is signed in, what they serve already.

Sources: the documentation of `tailscale status`, `serve` and `funnel`, of `cloudflared tunnel`, and of `caddy`.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field

from parachute_hub.system import strict_json
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

Version: TypeAlias = tuple[int, ...]
OUTPUT_LIMIT: Final = 4 * 1024 * 1024
_VERSION: Final = re.compile(r"\bv?(\d{1,5})\.(\d{1,5})(?:\.(\d{1,5}))?")
_LINK: Final = re.compile(r"https://login\.tailscale\.com/[A-Za-z0-9/?=_.~&%-]{1,300}")
_QUICK: Final = re.compile(r"\|\s+(https://[a-z0-9]+(?:-[a-z0-9]+)+\.trycloudflare\.com)\s+\|")
_STATES: Final = {"Running": "running", "NeedsLogin": "signed-out", "NoState": "signed-out"}

TailscaleState: TypeAlias = Literal["running", "signed-out", "stopped", "silent"]


@frozen(kw_only=True)
class Tailscale:
    """What `tailscale status --json` says. `name` is this machine's in the tailnet; `has_https`: it gets certificates.

    `silent`: the daemon does not run, or says nothing that can be read.
    """

    state: TailscaleState = "silent"
    name: str = ""
    has_https: bool = False


@frozen(kw_only=True)
class Served:
    """What Tailscale serves at one name, port 443. `proxy` is where `/` leads, `funnel` whether from the internet.

    Not `known`: it did not say, and may serve anything.
    """

    known: bool = True
    proxy: str = ""
    other: bool = False
    funnel: bool = False


@frozen(kw_only=True)
class Cloudflared:
    """`signed_in`: `cloudflared tunnel login` was done. `has_config`: its user has a configuration of their own."""

    signed_in: bool = False
    has_config: bool = False


@frozen(kw_only=True)
class Program:
    """A program on this machine: where, and its version, which is empty for one that did not say it."""

    path: str
    version: Version = ()

    @property
    def called(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


@frozen(kw_only=True)
class Facts:
    """What was found on this machine. `programs` are those that exist, by name."""

    programs: Mapping[str, Program] = field(factory=dict)
    tailscale: Tailscale = Tailscale()
    served: Served = Served()
    cloudflared: Cloudflared = Cloudflared()
    caddy_runs: bool = False
    can_announce: bool = True
    addresses: tuple[str, ...] = ()


def version_of(output: str) -> Version:
    """The first version in the output of a program.

    >>> version_of("1.102.4\\n  tailscale commit: 5f2b"), version_of("cloudflared version 2026.8.1 (built ...)")
    ((1, 102, 4), (2026, 8, 1))
    >>> version_of("v2.10.2 h1:g/gTYjGMD0dec="), version_of("command not found")
    ((2, 10, 2), ())
    """
    found = _VERSION.search(output)
    return tuple(int(part) for part in found.groups() if part is not None) if found else ()


def tailscale_of(output: str) -> Tailscale:
    """What `tailscale status --json` printed."""
    told = _object(output)
    state = told.get("BackendState")
    if not isinstance(state, str):
        return Tailscale()
    own = told.get("Self")
    name = own.get("DNSName") if isinstance(own, dict) else None
    return Tailscale(
        state=_STATES.get(state, "stopped"),  # type: ignore[arg-type]
        name=name.rstrip(".").lower() if isinstance(name, str) else "",
        has_https=bool(told.get("CertDomains")),
    )


def served_at(output: str, name: str) -> Served:
    """What `tailscale serve status --json` says of this name at port 443."""
    try:
        told = strict_json.read(output, limit=OUTPUT_LIMIT).value
    except BadJson:
        return Served(known=False)
    where = f"{name}:443"
    web = _within(told, "Web", where, "Handlers")
    port = _within(told, "TCP", "443")
    proxy = _within(web, "/").get("Proxy")
    is_web = bool(web) or port.get("HTTPS") is True or port.get("HTTP") is True
    return Served(
        proxy=proxy if isinstance(proxy, str) else "",
        other=bool(set(web) - {"/"}) or ("/" in web and not isinstance(proxy, str)) or (bool(port) and not is_web),
        funnel=_within(told, "AllowFunnel").get(where) is True,
    )


def _within(told: Any, *names: str) -> dict[str, Any]:
    for name in names:
        told = told.get(name) if isinstance(told, dict) else None
    return told if isinstance(told, dict) else {}


def tailscale_wants(output: str) -> str | None:
    """The link under which an administrator of the tailnet switches on what is missing; None if nothing is.

    The command prints it and then waits until it is done.

    >>> tailscale_wants("Serve is not enabled on your tailnet.\\nTo enable, visit:\\n\\n  https://login.tailscale.com/f/serve?node=n1")
    'https://login.tailscale.com/f/serve?node=n1'
    """
    found = _LINK.search(output) if "not enabled" in output else None
    return found[0] if found else None


def quick_address(output: str) -> str | None:
    """The address that `cloudflared tunnel --url` was given. It stands in a box; errors name other addresses there."""
    found = _QUICK.search(output)
    return found[1] if found else None


def tunnels_of(output: str) -> frozenset[str]:
    """The names that `cloudflared tunnel list --output json` lists; there is `null` if there are none."""
    try:
        told = strict_json.read(output, limit=OUTPUT_LIMIT).value
    except BadJson:
        return frozenset()
    rows = told if isinstance(told, list) else []
    return frozenset(row["name"] for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str))


def last_words(output: str, limit: int = 300) -> str:
    """The lines that say why a program failed, without its time stamps.

    >>> last_words("2026-11-29T10:00:00Z INF Starting\\n2026-11-29T10:00:01Z ERR Cannot connect error=refused\\n")
    'Cannot connect error=refused'
    """
    lines = [re.sub(r"^\d{4}-\d\d-\d\dT[\d:.]+Z?\s+", "", line.strip()) for line in output.splitlines()]
    wrong = [line for line in lines if re.match(r"(ERR|FTL|error|Error)\b", line)]
    told = [re.sub(r"^(ERR|FTL|INF|WRN)\s+", "", line) for line in (wrong[-1:] or lines[-3:]) if line]
    return " ".join(told)[-limit:]


def _object(output: str) -> dict[str, Any]:
    try:
        told = strict_json.read(output, limit=OUTPUT_LIMIT).value
    except BadJson:
        return {}
    return told if isinstance(told, dict) else {}
