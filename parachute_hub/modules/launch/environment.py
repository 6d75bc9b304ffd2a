"""Complete environments for module processes; nothing is inherited from the hub."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from parachute_hub.settings import MODULE_PREFIX
from parachute_hub.system.records import frozen

DOTENV_LIMIT = 1024 * 1024
"""Size limit of a module's `.env` in bytes."""

_USUAL_PATH = "/usr/local/bin:/usr/bin:/bin"
_INSTALLER_LEAVES = frozenset({"NODE_ENV"})


@frozen(kw_only=True)
class BaseEnvironment:
    """The part of the environment common to all modules.

    `home` is PARACHUTE_HOME, `user_home` the HOME of the user running the hub. `passed_on` are the hub's variables that
    children may see, `registry` those for bun's installer only, `module_variables` the raw
    `PARACHUTE_ENV_<SHORT>_<NAME>`. `issuer` is the canonical origin, `origins` all of them.
    """

    home: Path
    user_home: Path
    issuer: str
    origins: tuple[str, ...]
    passed_on: Mapping[str, str]
    registry: Mapping[str, str]
    module_variables: Mapping[str, str]

    @property
    def modules(self) -> Path:
        """BUN_INSTALL of everything the hub starts."""
        return self.home / "modules"

    @property
    def installer(self) -> Path:
        """HOME of the installer. An .npmrc or .bunfig.toml there belongs to the hub, not to the user."""
        return self.home / "hub" / "installer"

    @property
    def scratch(self) -> Path:
        """TMPDIR. On the same disk as the modules, because bun renames files from there."""
        return self.home / "tmp"


def for_module(
    around: BaseEnvironment, short: str, port: int, layers: Iterable[Mapping[str, str]], bun_folder: Path
) -> dict[str, str]:
    """The whole environment of a module. Later layers win; none can override what the hub sets.

    `layers` are the module's `.env` and the owner's settings. The hub's `PARACHUTE_ENV_<SHORT>_*` come last.
    """
    decided = {
        "HOME": str(around.home),
        "PORT": str(port),
        "PARACHUTE_HOME": str(around.home),
        "PARACHUTE_HUB_ORIGIN": around.issuer,
        "PARACHUTE_HUB_ORIGINS": ",".join(around.origins),
        "BUN_INSTALL": str(around.modules),
        "BUN_INSTALL_BIN": str(around.modules / "bin"),
        "TMPDIR": str(around.scratch),
    }
    environment = {"LANG": "C.UTF-8", "NODE_ENV": "production", **around.passed_on}
    environment["PATH"] = _path(around, bun_folder)
    for layer in (*layers, from_hub(around.module_variables, short)):
        environment.update(layer)
    return {**environment, **decided}


def inside(environment: Mapping[str, str], view: Path) -> dict[str, str]:
    """The environment of a module that sees a view instead of the home."""
    own = {
        "HOME": view,
        "PARACHUTE_HOME": view,
        "BUN_INSTALL": view / ".bun",
        "BUN_INSTALL_BIN": view / ".bun" / "bin",
        "TMPDIR": view / "tmp",
    }
    return {**environment, **{name: str(path) for name, path in own.items()}}


def for_installer(around: BaseEnvironment, bun_folder: Path, stall_seconds: int) -> dict[str, str]:
    """The environment of `bun add` and `bun info`: the hub's own HOME, no module commands on PATH, no git."""
    kept = {name: value for name, value in around.passed_on.items() if name not in _INSTALLER_LEAVES}
    return {
        "LANG": "C.UTF-8",
        "BUN_CONFIG_HTTP_RETRY_COUNT": "1",
        **kept,
        **around.registry,
        "PATH": ":".join(dict.fromkeys((str(bun_folder), *around.passed_on.get("PATH", _USUAL_PATH).split(":")))),
        "HOME": str(around.installer),
        "XDG_CONFIG_HOME": str(around.installer),
        "GIT_ALLOW_PROTOCOL": "none",
        "BUN_INSTALL": str(around.modules),
        "BUN_INSTALL_BIN": str(around.modules / "bin"),
        "TMPDIR": str(around.scratch),
        "BUN_CONFIG_HTTP_IDLE_TIMEOUT": str(stall_seconds),
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
    }


def of_registry(variables: Mapping[str, str], *, keys: bool) -> dict[str, str]:
    """The registry settings for a module that fetches packages itself: the URL, and with `keys` everything.

    >>> of_registry({"BUN_CONFIG_REGISTRY": "https://ann:pw@r.test:8/n/?a=1", "BUN_CONFIG_TOKEN": "x"}, keys=False)
    {'BUN_CONFIG_REGISTRY': 'https://r.test:8/n/'}
    """
    if keys:
        return dict(variables)
    found = {name: _bare(value) for name, value in variables.items() if name.lower().endswith("registry")}
    return {name: value for name, value in found.items() if value}


def _bare(url: str) -> str:
    """The URL without user info, query and fragment; empty unless http(s)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme in ("http", "https") and host else ""


def from_hub(variables: Mapping[str, str], short: str) -> dict[str, str]:
    """Variables for this module: scribe sees `PARACHUTE_ENV_SCRIBE_OPENAI_API_KEY=x` as `OPENAI_API_KEY=x`.

    >>> from_hub({"PARACHUTE_ENV_SCRIBE_KEY": "x", "PARACHUTE_ENV_VAULT_KEY": "y"}, "scribe")
    {'KEY': 'x'}
    """
    prefix = MODULE_PREFIX + short.upper().replace("-", "_") + "_"
    return {
        name[len(prefix) :]: value
        for name, value in variables.items()
        if name[len(prefix) :] and name.startswith(prefix)
    }


def parse_dotenv(text: str) -> dict[str, str]:
    """Parse a `.env` file in the dialect that all modules read.

    >>> parse_dotenv('A=1\\nB="two words"\\n=no\\nnothing')
    {'A': '1', 'B': 'two words'}
    """
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if equals and name and "\0" not in line:
            found[name] = _unquoted(value.removesuffix("\r"))
    return found


def change_dotenv(text: str, changes: Mapping[str, str | None]) -> str:
    """Set or remove (None) variables in a `.env` file. Other lines and their order are kept.

    >>> change_dotenv("A=1\\nB=2\\n", {"A": None, "B": "3", "C": "4"})
    'B=3\\nC=4\\n'
    """
    lines = text.split("\n")
    while lines and not lines[-1]:
        lines.pop()
    for name, value in changes.items():
        at = next((index for index, line in enumerate(lines) if line.startswith(f"{name}=")), None)
        if value is None:
            lines = [line for line in lines if not line.startswith(f"{name}=")]
        elif at is None:
            lines.append(f"{name}={value}")
        else:
            lines[at] = f"{name}={value}"
    return "".join(f"{line}\n" for line in lines)


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _path(around: BaseEnvironment, bun_folder: Path) -> str:
    """PATH: bun (scripts refer to it), the hub's own path, then module commands, which cannot shadow anything."""
    inherited = around.passed_on.get("PATH", _USUAL_PATH)
    return ":".join(dict.fromkeys((str(bun_folder), *inherited.split(":"), str(around.modules / "bin"))))
