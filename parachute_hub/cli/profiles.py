"""Hubs on other machines that somebody signed in to: their addresses, and where their tokens are kept.

Tokens are in the system's keyring if the optional package `keyring` finds one, else in a file for this user alone.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from attrs import asdict, field

from parachute_hub.cli.client import CommandError
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, read_bounded
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

_SERVICE = "parachute-hub"
_LIMIT = 1024 * 1024
_HERE = "local"
"""What --hub calls the hub on this machine."""


@frozen
class Profile:
    """One hub. `origin` is its scheme, host and port: its tokens go nowhere else."""

    name: str
    origin: str


@frozen(kw_only=True)
class Held:
    """The tokens of one sign-in. `expires_at` is when the access token ends, in epoch seconds."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    scope: str


class Secrets(Protocol):
    """Keeps a text for each origin."""

    def get(self, origin: str) -> str | None:
        """The text, if there is one."""

    def put(self, origin: str, text: str) -> None:
        """Keep or replace it."""

    def drop(self, origin: str) -> None:
        """Forget it."""


class SecretsFile:
    """A file that only this user can read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, origin: str) -> str | None:
        text = _read(self._path).get(origin)
        return text if isinstance(text, str) else None

    def put(self, origin: str, text: str) -> None:
        _write(self._path, {**_read(self._path), origin: text})

    def drop(self, origin: str) -> None:
        _write(self._path, {name: text for name, text in _read(self._path).items() if name != origin})


class SystemKeyring:
    """The system's keyring, through the package `keyring`."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def get(self, origin: str) -> str | None:
        with _keyring():
            text = self._backend.get_password(_SERVICE, origin)
        return text if isinstance(text, str) else None

    def put(self, origin: str, text: str) -> None:
        with _keyring():
            self._backend.set_password(_SERVICE, origin, text)

    def drop(self, origin: str) -> None:
        if self.get(origin) is not None:
            with _keyring():
                self._backend.delete_password(_SERVICE, origin)


@contextmanager
def _keyring() -> Iterator[None]:
    """Raises CommandError for what a keyring raises: it is locked, or its service has gone."""
    from keyring.errors import KeyringError

    try:
        yield
    except (KeyringError, RuntimeError, OSError) as error:
        raise CommandError(f"The keyring of this system cannot be used: {error}. Unlock it, then try again.") from None


def system_keyring() -> SystemKeyring | None:
    """The keyring, if the package is installed and found one that can be used."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        backend = keyring.get_keyring()
        # The backends for "there is none" have no positive priority.
        return SystemKeyring(backend) if backend.priority > 0 else None
    except (KeyringError, RuntimeError):
        return None


class Profiles:
    """The hubs that are known here, in `folder`. The one that was signed in to last comes first."""

    def __init__(self, folder: Path, secrets: Secrets | None = None) -> None:
        self._folder = folder
        self._list = folder / "hubs.json"
        self._secrets: Secrets = secrets or SecretsFile(folder / "tokens.json")

    def all(self) -> list[Profile]:
        """Every hub."""
        hubs = _read(self._list).get("hubs")
        known = [hub for hub in hubs if isinstance(hub, dict)] if isinstance(hubs, list) else []
        return [Profile(hub["name"], hub["origin"]) for hub in known if _is_profile(hub)]

    def get(self, name: str) -> Profile | None:
        """By its name or address."""
        return next((one for one in self.all() if name in (one.name, one.origin)), None)

    def check(self, profile: Profile) -> None:
        """Raises CommandError for a name that leads nowhere, or that another hub has, which would be lost."""
        if profile.name == _HERE or not profile.name.isprintable():
            raise CommandError(f"A hub elsewhere cannot be called {profile.name}. Choose another --name.", code=2)
        for one in self.all():
            if one.name == profile.name and one.origin != profile.origin:
                raise CommandError(
                    f"{one.origin} is called {one.name} already. Choose another --name, or sign out of that one: "
                    f"parachute logout {one.name}"
                )

    def put(self, profile: Profile, held: Held) -> None:
        """Remember a sign-in, as the last. Raises CommandError if it cannot be kept."""
        with self.locked():
            self.check(profile)
            others = [one for one in self.all() if one.origin != profile.origin]
            self.keep(profile, held)
            self._save([profile, *others])

    def remove(self, profile: Profile) -> None:
        """Forget a hub and its tokens."""
        with self.locked():
            self._secrets.drop(profile.origin)
            self._save([one for one in self.all() if one != profile])

    def held(self, profile: Profile) -> Held | None:
        """The tokens for a hub."""
        text = self._secrets.get(profile.origin)
        try:
            value = strict_json.read_strictly(text or "{}", limit=_LIMIT)
            return Held(**value)
        except (BadJson, TypeError):
            return None

    def keep(self, profile: Profile, held: Held) -> None:
        """Replace the tokens for a hub."""
        self._secrets.put(profile.origin, json.dumps(asdict(held)))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One command at a time: a refresh token is used once."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _save(self, profiles: list[Profile]) -> None:
        _write(self._list, {"hubs": [asdict(one) for one in profiles]})


def folder_of(environ: Mapping[str, str]) -> Path:
    """Where a user's settings for this command are (XDG base directories)."""
    base = environ.get("XDG_CONFIG_HOME", "")
    # A relative one is invalid, and to be ignored.
    return (Path(base) if base.startswith("/") else Path(environ.get("HOME") or "/") / ".config") / "parachute"


def profiles() -> Profiles:
    """Those of this user."""
    return Profiles(folder_of(os.environ), system_keyring())


def _is_profile(hub: Mapping[str, Any]) -> bool:
    return isinstance(hub.get("name"), str) and isinstance(hub.get("origin"), str)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = strict_json.read_strictly(read_bounded(path, _LIMIT), limit=_LIMIT)
    except FileNotFoundError:
        return {}
    except (OSError, BadJson):
        raise CommandError(f"{path} cannot be read. Remove it, then sign in again.") from None
    return value if isinstance(value, dict) else {}


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    atomic_write(path, f"{json.dumps(value, indent=1)}\n".encode(), 0o600)
