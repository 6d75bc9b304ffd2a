"""A module's link to another machine, as the owner set it. Only the hub's own records hold one."""

import ipaddress
import re
from typing import Any, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from attrs import asdict

from parachute_hub.modules.definition import validation
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.system.public_addresses import is_nearby, is_public
from parachute_hub.system.records import frozen

Kind: TypeAlias = Literal["host", "upstream"]
Near: TypeAlias = Literal["public", "private", "loopback"]
KINDS: Final = ("host", "upstream")
NEARNESS: Final = ("public", "private", "loopback")
HOST_PORT: Final = 1940
"""Where `parachute module host` listens unless it is told otherwise."""
_MOST_CA: Final = 64 * 1024
_NAME = re.compile(r"(?=.{1,253}\Z)[0-9a-z_]([0-9a-z_-]*[0-9a-z_])?(\.[0-9a-z_]([0-9a-z_-]*[0-9a-z_])?)*\Z").match
_PIN = re.compile(r"[0-9a-f]{64}\Z").match
_ID = re.compile(r"[0-9a-f]{16}\Z").match


@frozen(kw_only=True)
class Address:
    """Where another machine listens. `host` is a name in lower case, or a numeric address without brackets."""

    host: str
    port: int
    tls: bool = True

    @property
    def origin(self) -> str:
        """The form of URLs, without a default port."""
        scheme, usual = ("https", 443) if self.tls else ("http", 80)
        return f"{scheme}://{self.named}" + ("" if self.port == usual else f":{self.port}")

    @property
    def named(self) -> str:
        """The host as URLs have it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def numeric(self) -> bool:
        """True for an address rather than a name."""
        return _numeric(self.host)

    @classmethod
    def parse(cls, text: str, *, port: int | None = None) -> Self:
        """An address that a person typed: a URL without a path, or with `port` as the default a bare `host[:port]`.

        Raises Invalid.
        """
        text = text.strip()
        given = text if "://" in text else f"https://{text}"
        if port is None and given is not text:
            raise Invalid("address", "must begin with https://")
        try:
            parts = urlsplit(given)
            host, number = (parts.hostname or "").lower().rstrip("."), parts.port
        except ValueError:
            raise Invalid("address", "is not an address") from None
        if (
            not text.isprintable()
            or parts.scheme not in ("https", "http")
            or (port is not None and parts.scheme == "http")
        ):
            raise Invalid("address", "must begin with https://")
        if parts.username is not None or parts.query or parts.fragment or parts.path not in ("", "/"):
            raise Invalid("address", "must be a machine alone, such as https://notes.example.com, without a path")
        if not _numeric(host) and _NAME(host) is None:
            raise Invalid("address", "is not a machine's name or address")
        tls = parts.scheme == "https"
        return cls(host=host, port=number or port or (443 if tls else 80), tls=tls)


@frozen(kw_only=True)
class Link:
    """One module's link. `id` names the folder of its key.

    `near` is what the owner approved: the address must be of that kind whenever it is looked up. `pin` is the SHA-256
    of the other side's SubjectPublicKeyInfo in hexadecimal, `ca` the PEM text of its own authority; without both, the
    system's authorities count. Only while it is `active` the module runs there. `filled` once a host had no data but
    what this hub sent there. `made_at` and `renewed_at` (when its
    key was made) are in epoch seconds.
    """

    id: str
    kind: Kind
    host: str
    port: int
    tls: bool = True
    near: Near = "public"
    pin: str | None = None
    ca: str | None = None
    active: bool = False
    filled: bool = False
    made_at: float = 0.0
    renewed_at: float = 0.0

    @property
    def address(self) -> Address:
        return Address(host=self.host, port=self.port, tls=self.tls)

    @property
    def paired(self) -> bool:
        """True for a host that this hub steers."""
        return self.kind == "host"

    @classmethod
    def parse(cls, raw: object) -> Self:
        """Parse the form of `to_json`. Raises Invalid."""
        given = validation.mapping(raw, "link")
        texts = {name: validation.path_text(given.get(name), f"link.{name}") for name in ("id", "host")}
        pin, ca = given.get("pin"), given.get("ca")
        if _ID(texts["id"]) is None or not (pin is None or (isinstance(pin, str) and _PIN(pin))):
            raise Invalid("link", "is not one that this hub wrote")
        if ca is not None and (not isinstance(ca, str) or len(ca) > _MOST_CA):
            raise Invalid("link.ca", "must be PEM text")
        kind: Any = validation.one_of(given.get("kind"), "link.kind", KINDS)
        near: Any = validation.one_of(given.get("near", "public"), "link.near", NEARNESS)
        tls = validation.flag(given.get("tls", True), "link.tls")
        if (kind == "host" and (pin is None or not tls)) or (not tls and near == "public"):
            raise Invalid("link", "would not be safe")
        times = {name: _seconds(given.get(name, 0.0), name) for name in ("made_at", "renewed_at")}
        port = validation.port(given.get("port"), "link.port")
        active = validation.flag(given.get("active", False), "link.active")
        filled = validation.flag(given.get("filled", False), "link.filled")
        return cls(
            id=texts["id"],
            kind=kind,
            host=texts["host"],
            port=port,
            tls=tls,
            near=near,
            pin=pin,
            ca=ca,
            active=active,
            filled=filled,
            made_at=times["made_at"],
            renewed_at=times["renewed_at"],
        )

    def to_json(self) -> dict[str, Any]:
        """The form on disk."""
        return asdict(self)


def pin_of(text: str) -> str:
    """A fingerprint as people copy it: hexadecimal, with or without colons. Raises Invalid."""
    plain = text.strip().lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
    if _PIN(plain) is None:
        raise Invalid("pin", "must be the SHA-256 of the public key: 64 hexadecimal digits")
    return plain


def nearness(addresses: list[str]) -> Near | None:
    """Of which kind all addresses are; None if they differ, or are of a kind that no link may have.

    >>> nearness(["93.184.216.34"]), nearness(["10.0.0.5", "fd00::1"]), nearness(["10.0.0.5", "127.0.0.1"])
    ('public', 'private', None)
    """
    kinds = {_nearness(address) for address in addresses}
    return kinds.pop() if len(kinds) == 1 else None


def _nearness(address: str) -> Near | None:
    if is_public(address):
        return "public"
    if is_nearby(address):
        return "private"
    try:
        return "loopback" if ipaddress.ip_address(address).is_loopback else None
    except ValueError:
        return None


def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _seconds(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise Invalid(f"link.{name}", "must be a time")
    return float(value)
