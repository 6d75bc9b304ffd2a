"""Startup settings: options over environment over defaults, in one frozen value.

This is the only reader of the environment. Settings that an owner changes at runtime are in the database.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from attrs import field

from parachute_hub.system.records import frozen

DEFAULT_PORT = 1939
HOST_PORT = 1940
"""Where a module host listens."""
_ENDPOINT = re.compile(
    r"tcp6?:(?:port=)?(\d{1,5})(?::(?:interface=)?(?!\w+=)(?:[^:\\]|\\.)*)?(?::backlog=\d{1,5})?", re.ASCII
)
"""The endpoints of Twisted for a TCP port."""
_UNSEEN = re.compile(r"[\x00-\x20\x7f]")
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f:.]*:[0-9a-f:.]*")
REFERENCE_CATALOG = Path(__file__).parent / "static" / "packs" / "catalog.json"
"""The reference modules that a wheel carries: `--catalog reference`."""
MODULE_PREFIX = "PARACHUTE_ENV_"
MODULE_PORTS = range(1940, 2950)
"""Ports that the hub gives to modules."""

# Passed on to modules unchanged; nothing else of the hub's environment is.
_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "NODE_ENV",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
# Passed only to bun when it installs or queries a registry.
_REGISTRY = re.compile(r"(?i)^(bun_config_|npm_config_)")

# How many addresses each platform's edge appends to X-Forwarded-For. Fly appends the client's and the app's anycast
# address, so the client is the second from the right.
_TRUSTED_HOPS = {"local": 0.0, "render": 1.0, "fly": 2.0}

_HTTPS_UNSEEN = (
    "The public address begins with https, but PARACHUTE_TRUSTED_HOPS is 0, so the hub cannot tell https from http and "
    "marks no cookie as Secure. If one proxy in front of this hub handles https, set PARACHUTE_TRUSTED_HOPS=1."
)


class BadSetting(Exception):
    """An invalid option or variable. The text says which and what it must be."""


@frozen(kw_only=True)
class InitialAdmin:
    """The first owner, as configured on the hosting platform."""

    username: str
    password: str = field(repr=False)


@frozen(kw_only=True)
class Settings:
    """Everything fixed for the life of this process.

    `home` holds all state. `hosted` is the one module of a module host, None for a hub; `probe_port` is where a host
    answers probes. `listen` is a Twisted endpoint description, `port` its TCP port, `another_port` how
    one chooses another. `origin` is the configured
    public origin (`scheme://host[:port]`, no trailing slash), `origin_source` where it was configured. `lock_wait` is
    how many seconds to wait for another hub to release the home. `trusted_hops` counts the proxies in front of us whose
    forwarding headers are trusted. `memory_limit` is in bytes. `module_ports` are those that modules may have; all if
    None. `module_variables` are the raw `PARACHUTE_ENV_*`.
    `warnings` are logged at startup.
    """

    home: Path
    listen: str
    port: int
    hosted: str | None = None
    probe_port: int | None = None
    another_port: str = "--listen 1940"
    origin: str | None = None
    origin_source: Literal["option", "environment", "render", "fly", "none"] = "none"
    platform: Literal["render", "fly", "local"] = "local"
    catalog: Path | None = None
    bun: str | None = None
    lock_wait: float = 0.0
    trusted_hops: int = 0
    memory_limit: int | None = None
    module_ports: range | None = None
    safe_mode: bool = False
    channel: Literal["latest", "rc"] | None = None
    isolation: Literal["auto", "required", "off"] = "auto"
    access_log: Literal["off", "combined", "json"] = "off"
    log: Literal["text", "json"] = "text"
    websockets_per_address: int = 32
    websockets_total: int = 512
    initial_admin: InitialAdmin | None = None
    reset_owner: str | None = field(default=None, repr=False)
    user_home: Path = Path("/")
    passed_on: Mapping[str, str] = field(factory=dict, repr=False)
    registry_variables: Mapping[str, str] = field(factory=dict, repr=False)
    module_variables: Mapping[str, str] = field(factory=dict, repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def local_origin(self) -> str:
        """The origin on this machine, always with a port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def local_origins(self) -> tuple[str, str]:
        """The origins a local browser may use."""
        return (self.local_origin, f"http://localhost:{self.port}")

    @property
    def issuer(self) -> str:
        """The canonical origin, used in tokens, metadata and module environments."""
        return self.origin or self.local_origin

    @property
    def origins(self) -> tuple[str, ...]:
        """All origins of this hub, the issuer first."""
        return tuple(dict.fromkeys((self.issuer, *self.local_origins)))


def from_process(options: Mapping[str, str | None]) -> Settings:
    """Combine this command line's options with the process environment."""
    return fold(options, os.environ)


def fold(options: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Options over environment over defaults; an empty string counts as unset. Raises BadSetting."""
    given = {name: value for name, value in environ.items() if value.strip()}

    def setting(option: str, variable: str) -> str | None:
        return options.get(option) or given.get(variable)

    user_home = Path(given.get("HOME", "/"))
    home = _home(setting("home", "PARACHUTE_HOME"), user_home)
    hosted = _hosted(given)
    listen = _listen(setting("listen", "PARACHUTE_LISTEN"), given, is_host=hosted is not None)
    origin, source = _origin(options.get("origin"), given)
    platform: Literal["render", "fly", "local"] = "local"
    if "RENDER" in given or "RENDER_EXTERNAL_URL" in given:
        platform = "render"
    elif "FLY_APP_NAME" in given:
        platform = "fly"
    catalog = setting("catalog", "PARACHUTE_CATALOG")
    hops = int(_number("PARACHUTE_TRUSTED_HOPS", given, _TRUSTED_HOPS[platform]))
    channel, warnings = _channel(given)
    if not hops and origin is not None and origin.startswith("https:"):
        warnings += (_HTTPS_UNSEEN,)
    return Settings(
        home=home,
        listen=listen,
        port=_port_of(listen),
        hosted=hosted,
        probe_port=int(_number("PARACHUTE_PROBE_PORT", given, 0)) or None,
        another_port=_another_port(_port_of(listen), options, given),
        origin=origin,
        origin_source=source,
        platform=platform,
        catalog=_catalog(catalog),
        bun=given.get("PARACHUTE_BUN"),
        lock_wait=_number("PARACHUTE_LOCK_WAIT", given, 0.0),
        trusted_hops=hops,
        memory_limit=_bytes("PARACHUTE_MEM_LIMIT", given),
        module_ports=_ports("PARACHUTE_MODULE_PORTS", given),
        safe_mode=_flag("PARACHUTE_SAFE_MODE", given),
        channel=channel,
        isolation=_choice("PARACHUTE_ISOLATION", given, ("auto", "required", "off")) or "auto",  # type: ignore[arg-type]
        access_log=_choice("PARACHUTE_ACCESS_LOG", given, ("off", "combined", "json")) or "off",  # type: ignore[arg-type]
        log=_choice("PARACHUTE_LOG", given, ("text", "json")) or "text",  # type: ignore[arg-type]
        websockets_per_address=int(_number("PARACHUTE_WS_MAX_PER_IP", given, 32)) or 32,
        websockets_total=int(_number("PARACHUTE_WS_MAX_TOTAL", given, 512)) or 512,
        initial_admin=_initial_admin(given),
        reset_owner=given.get("PARACHUTE_RESET_OWNER"),
        user_home=user_home,
        passed_on={name: given[name] for name in _PASSED_ON if name in given},
        registry_variables={name: value for name, value in given.items() if _REGISTRY.match(name)},
        module_variables={name: value for name, value in given.items() if name.startswith(MODULE_PREFIX)},
        warnings=warnings,
    )


def _home(chosen: str | None, user_home: Path) -> Path:
    try:
        return Path(chosen or user_home / ".parachute").expanduser().absolute()
    except RuntimeError:
        raise BadSetting(f"The home folder {chosen} begins with the name of a user who is not known here.") from None


def normal_origin(text: str, name: str) -> str:
    """Normalize an origin to `scheme://host[:port]`, in lower case and without a default port. Raises BadSetting.

    A name in other letters becomes what browsers send for it.

    >>> normal_origin("https://Hub.Example.com:443/", "--origin"), normal_origin("https://bücher.example", "--origin")
    ('https://hub.example.com', 'https://xn--bcher-kva.example')
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        if port == 0 or _UNSEEN.search(text.strip()):
            raise ValueError
        name_or_number = parts.hostname or ""
        if not name_or_number.isascii():
            name_or_number = name_or_number.encode("idna").decode()
    except ValueError:
        raise BadSetting(f"{name} is not a URL: give it as https://hub.example.com") from None
    plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
    if parts.scheme not in ("http", "https") or not is_host(name_or_number) or not plain:
        raise BadSetting(f"{name} must be an origin such as https://hub.example.com, with no path and no user name.")
    host = f"[{name_or_number}]" if ":" in name_or_number else name_or_number
    default = 443 if parts.scheme == "https" else 80
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != default else "")


def is_host(name: str) -> bool:
    """True for a name or number of a machine, in ASCII and lower case (RFC 1123 3.5)."""
    return _HOST.fullmatch(name) is not None and len(name) <= 253 and all(len(part) <= 63 for part in name.split("."))


def is_origin(text: str) -> bool:
    """True if the text is an origin as `normal_origin` writes it."""
    try:
        return normal_origin(text, "") == text
    except BadSetting:
        return False


def _hosted(given: Mapping[str, str]) -> str | None:
    """The module of a module host."""
    if _choice("PARACHUTE_ROLE", given, ("hub", "host")) != "host":
        return None
    short = given.get("PARACHUTE_MODULE", "").strip()
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,63}", short):
        raise BadSetting("A module host needs the short name of its module, such as vault (PARACHUTE_MODULE).")
    return short


def _listen(chosen: str | None, given: Mapping[str, str], *, is_host: bool = False) -> str:
    """The endpoint description; `chosen` may also be a port, or an address and a port as in `0.0.0.0:8080`.

    >>> _listen("8080", {}), _listen("[::]:8080", {})
    ('tcp:8080:interface=127.0.0.1', 'tcp:8080:interface=\\\\:\\\\:')
    """
    # A host is there for another machine, and lets nobody in without the right key.
    interface = given.get("PARACHUTE_BIND_HOST", "0.0.0.0" if is_host else "127.0.0.1")
    port, name = given.get("PORT", str(HOST_PORT if is_host else DEFAULT_PORT)), "PORT"
    if chosen:
        short = re.fullmatch(r"(?!tcp[46]?:)(?:(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]*):)?(\d+)", chosen.strip(), re.ASCII)
        if short is None:
            return chosen
        port, name = short[2], "--listen"
        if short[1] is not None:
            interface = short[1].strip("[]") or "0.0.0.0"
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise BadSetting(f"{name}: {port} is not a port; it must be a number from 1 to 65535.")
    if interface == "localhost":
        interface = "127.0.0.1"
    return "tcp:{}:interface={}".format(port, interface.replace(":", r"\:"))


def _catalog(chosen: str | None) -> Path | None:
    """The catalog's file; None for the published modules."""
    if chosen is None or chosen == "published":
        return None
    return REFERENCE_CATALOG if chosen == "reference" else Path(chosen).absolute()


def _another_port(port: int, options: Mapping[str, str | None], given: Mapping[str, str]) -> str:
    """How to choose another port, in the words of the way in which this hub was started."""
    other = port + 1 if 1024 <= port < 65535 else 8080
    begun = given.get("PARACHUTE_STARTED_BY")
    if begun == "make run":
        return f"PORT={other} make run"
    if begun == "parachute serve":
        return f"parachute serve --listen {other}"
    if not options.get("listen"):
        for name, value in (("PARACHUTE_LISTEN", f"127.0.0.1:{other}"), ("PORT", other)):
            if name in given:
                return f"{name}={value}"
    return f"--listen {other}"


def _port_of(listen: str) -> int:
    found = _ENDPOINT.fullmatch(listen)
    if not found or int(found[1]) > 65535:
        raise BadSetting(
            f"--listen must be a port, an address and a port such as 127.0.0.1:{DEFAULT_PORT}, or a TCP endpoint "
            f"such as tcp:{DEFAULT_PORT}:interface=127.0.0.1."
        )
    return int(found[1])


def _origin(
    option: str | None, given: Mapping[str, str]
) -> tuple[str | None, Literal["option", "environment", "render", "fly", "none"]]:
    if option:
        return normal_origin(option, "--origin"), "option"
    if "PARACHUTE_HUB_ORIGIN" in given:
        return normal_origin(given["PARACHUTE_HUB_ORIGIN"], "PARACHUTE_HUB_ORIGIN"), "environment"
    if "RENDER_EXTERNAL_URL" in given:
        return normal_origin(given["RENDER_EXTERNAL_URL"], "RENDER_EXTERNAL_URL"), "render"
    if "FLY_APP_NAME" in given and "/" not in given["FLY_APP_NAME"]:
        return normal_origin(f"https://{given['FLY_APP_NAME']}.fly.dev", "FLY_APP_NAME"), "fly"
    return None, "none"


def _flag(name: str, given: Mapping[str, str]) -> bool:
    return given.get(name, "0").lower() not in ("0", "false", "no", "off")


def _number(name: str, given: Mapping[str, str], default: float) -> float:
    try:
        value = float(given.get(name, default))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise BadSetting(f"{name} must be a number, 0 or more.")
    return value


def _bytes(name: str, given: Mapping[str, str]) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    found = re.fullmatch(r"(?i)\s*(\d{1,15})\s*([kmg]?)i?b?\s*", text)
    if not found:
        raise BadSetting(f"{name} must be a size such as 512M.")
    return int(found[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[found[2].lower()]


def _ports(name: str, given: Mapping[str, str]) -> range | None:
    text = given.get(name)
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d{4})-(\d{4})\s*", text)
    ports = range(int(found[1]), int(found[2]) + 1) if found else range(0)
    if not ports or ports[0] not in MODULE_PORTS or ports[-1] not in MODULE_PORTS:
        raise BadSetting(f"{name} must be two ports from {MODULE_PORTS[0]} to {MODULE_PORTS[-1]}, such as 2000-2019.")
    return ports


def _choice(name: str, given: Mapping[str, str], choices: tuple[str, ...]) -> str | None:
    value = given.get(name)
    if value is not None and value not in choices:
        raise BadSetting(f"{name} must be one of {', '.join(choices)}.")
    return value


def _channel(given: Mapping[str, str]) -> tuple[Literal["latest", "rc"] | None, tuple[str, ...]]:
    """An invalid channel is ignored with a warning, so that it cannot keep a deployed hub from starting."""
    for name in ("PARACHUTE_INSTALL_CHANNEL", "PARACHUTE_MODULE_CHANNEL"):
        match given.get(name):
            case "latest" | "rc" as channel:
                return channel, ()
            case None:
                continue
            case _:
                return None, (f"{name} is neither latest nor rc and was ignored.",)
    return None, ()


def _initial_admin(given: Mapping[str, str]) -> InitialAdmin | None:
    username = given.get("PARACHUTE_INITIAL_ADMIN_USERNAME")
    password = given.get("PARACHUTE_INITIAL_ADMIN_PASSWORD")
    if username is None and password is None:
        return None
    if username is None or password is None:
        raise BadSetting(
            "Set PARACHUTE_INITIAL_ADMIN_USERNAME and PARACHUTE_INITIAL_ADMIN_PASSWORD together, or neither."
        )
    return InitialAdmin(username=username.strip(), password=password)
