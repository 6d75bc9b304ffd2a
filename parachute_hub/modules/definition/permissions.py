"""What a module may access beyond its own data and program: `permissions` in module.json."""

import ipaddress
import re
from typing import Any, Literal, Self, TypeAlias

from parachute_hub.modules.definition import validation
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.system.records import frozen

Network: TypeAlias = Literal["any", "none"] | tuple[str, ...]
_HOST = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_MOST = 50
_LEAST_MEMORY, _MOST_MEMORY = 64, 1 << 20


@frozen(kw_only=True)
class Permissions:
    """`network` is `any`, `none`, or the hosts it may reach by https: names (`*.` matches subdomains) or addresses.

    `folders` are outside the home, absolute or with `~/`, and writable. `programs` are names on the PATH. `memory` is
    in MiB. The default is the network and nothing else.
    """

    network: Network = "any"
    folders: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    memory: int | None = None

    @classmethod
    def parse(cls, value: object, at: str = "permissions") -> Self:
        """Parse the JSON value. Raises Invalid."""
        raw = validation.mapping(value, at)
        unknown = sorted(raw.keys() - {"network", "folders", "programs", "memory"})
        if unknown:
            raise Invalid(f"{at}.{unknown[0][:40]}", "is unknown; use network, folders, programs or memory")
        return cls(
            network=_network(raw.get("network", "any"), f"{at}.network"),
            folders=_texts(raw.get("folders"), f"{at}.folders", _folder),
            programs=_texts(raw.get("programs"), f"{at}.programs", _program),
            memory=_memory(raw.get("memory"), f"{at}.memory"),
        )

    def to_json(self) -> dict[str, Any]:
        """The API representation, which `parse` accepts."""
        return {
            "network": self.network if isinstance(self.network, str) else list(self.network),
            "folders": list(self.folders),
            "programs": list(self.programs),
            "memory": self.memory,
        }

    def beyond(self, granted: "Permissions") -> tuple[str, ...]:
        """What this requests beyond `granted`, as short phrases for the user.

        >>> Permissions(programs=("ffmpeg",)).beyond(Permissions(network="none"))
        ('use the whole network', 'run ffmpeg')
        >>> Permissions(network=("a.example",)).beyond(Permissions())
        ()
        """
        more: list[str] = []
        if self.network == "any" and granted.network != "any":
            more.append("use the whole network")
        elif isinstance(self.network, tuple) and granted.network != "any":
            had = granted.network if isinstance(granted.network, tuple) else ()
            more += [f"reach {host}" for host in self.network if host not in had]
        more += [f"read and change {folder}" for folder in self.folders if folder not in granted.folders]
        more += [f"run {program}" for program in self.programs if program not in granted.programs]
        return tuple(more)


def allows(hosts: tuple[str, ...], host: str) -> bool:
    """True if a host is among those named.

    >>> allows(("*.example.com", "api.test"), "a.b.example.com"), allows(("*.example.com",), "example.com")
    (True, False)
    """
    name = host.lower().rstrip(".")
    return any(name == known or (known.startswith("*.") and name.endswith(known[1:])) for known in hosts)


def _network(value: object, at: str) -> Network:
    if value == "any":
        return "any"
    if value == "none":
        return "none"
    if isinstance(value, str):
        raise Invalid(at, "must be any, none, or a list of host names")
    return _texts(value, at, _host) or "none"


def _texts(value: object, at: str, check: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    found = validation.texts(value, at)
    if len(found) > _MOST:
        raise Invalid(at, f"must be at most {_MOST}")
    return tuple(dict.fromkeys(check(text, f"{at}[{index}]") for index, text in enumerate(found)))


def _host(value: str, at: str) -> str:
    name = value.lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return _name(name, at)
    if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
        raise Invalid(at, "must not be an address of this machine or its link; modules are named in dependencies")
    return str(address)


def _name(name: str, at: str) -> str:
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise Invalid(at, "must be a host name such as api.example.com or *.example.com, without a port")
    return name


def _folder(value: str, at: str) -> str:
    path = validation.path_text(value, at)
    rooted = path.startswith(("/", "~/"))
    if not rooted or not path.isprintable() or ".." in path.split("/") or path.strip("~/") == "":
        raise Invalid(at, "must be a folder such as ~/Notes or /srv/notes")
    return path.rstrip("/")


def _program(value: str, at: str) -> str:
    if not _PROGRAM.fullmatch(value):
        raise Invalid(at, "must be the name of a program, such as ffmpeg")
    return value


def _memory(value: object, at: str) -> int | None:
    if value is None:
        return None
    number = isinstance(value, int) and not isinstance(value, bool)
    if not number or not _LEAST_MEMORY <= int(str(value)) <= _MOST_MEMORY:
        raise Invalid(at, f"must be a whole number of MiB, at least {_LEAST_MEMORY}")
    return int(str(value))
