"""What a module host keeps: its name, its key, which hub it belongs to, and the code that pairs it with one."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from attrs import asdict, evolve, field

from parachute_hub.link import certificates, code
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, read_bounded
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

NAME: Final = "host.json"
_CODE, _PRIVATE, _CERTIFICATE = "pairing.json", "host.key", "host.crt"
_LIMIT: Final = 256 * 1024


class UnusableRecord(Exception):
    """A file of the host cannot be read. The text says which, and what to do."""


@frozen(kw_only=True)
class Hub:
    """The hub that this host belongs to: its address, and its key in hex. `next_key` counts as well, and replaces
    `key` once it was used.
    """

    origin: str
    key: str
    next_key: str | None = None

    def admits(self, key: bytes) -> bool:
        """True for the hub's key, and the next one."""
        return key.hex() in (self.key, self.next_key)


@frozen(kw_only=True)
class Record:
    """The host's own file. `environment` are public values that the hub gives the module."""

    id: str
    short: str
    hub: Hub | None = None
    environment: Mapping[str, str] = field(factory=dict)

    @classmethod
    def parse(cls, told: Any) -> "Record":
        """From JSON. Raises TypeError, KeyError or ValueError if it is malformed."""
        hub = told["hub"]
        environment = told["environment"]
        words = [told["id"], told["short"], *environment, *environment.values()]
        if hub is not None:
            words += [hub["origin"], hub["key"], hub["next_key"] or ""]
            hub = Hub(**hub)
        if not all(isinstance(word, str) for word in words):
            raise ValueError("not text")
        return cls(id=told["id"], short=told["short"], hub=hub, environment=environment)


class HostRecords:
    """The files in the home's folder `hub`. They are small, and what is read is kept until a file changes, so that the
    command on the same machine can change them too. Writes block.
    """

    def __init__(self, folder: Path, short: str | None = None) -> None:
        self._folder = folder
        self._short = short
        self._kept: tuple[tuple[int, int], Record] | None = None

    @property
    def path(self) -> Path:
        """The record's file."""
        return self._folder / NAME

    def current(self) -> Record:
        """The record; a new one in a new home. Raises UnusableRecord."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return self._begin()
        sign = (found.st_mtime_ns, found.st_ino)
        if self._kept is None or self._kept[0] != sign:
            self._kept = (sign, self._read())
        return self._kept[1]

    def _read(self) -> Record:
        try:
            return Record.parse(strict_json.read(read_bounded(self.path, _LIMIT), limit=_LIMIT).value)
        except (OSError, BadJson, KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnusableRecord(
                f"{self.path} cannot be read: {error}. Without it this host does not know its hub. Restore the file, "
                "or delete it and pair the host again; the module's data is not affected."
            ) from None

    def _begin(self) -> Record:
        if self._short is None:
            raise UnusableRecord(f"There is no module host in {self._folder.parent}.")
        record = Record(id=str(uuid4()), short=self._short)
        self.write(record)
        return record

    def write(self, record: Record) -> None:
        """Replace the record. Raises OSError."""
        atomic_write(self.path, strict_json.write(asdict(record), indent=1))
        self._kept = None

    def identity(self) -> tuple[bytes, bytes]:
        """The host's private key and certificate, made in a new home. Raises OSError."""
        private, certificate = self._folder / _PRIVATE, self._folder / _CERTIFICATE
        if not certificate.exists():
            # The certificate is written last, so that a key without one is from an interrupted start.
            made = certificates.make(f"parachute host {self.current().id}")
            atomic_write(private, made[0])
            atomic_write(certificate, made[1])
        return read_bounded(private, _LIMIT), read_bounded(certificate, _LIMIT)

    # --- the code

    def offer(self, now: float, random: Callable[[int], bytes]) -> str:
        """A new code, which replaces the one before. Raises OSError."""
        made = code.new_code(random)
        self._write_code({"code": made, "until": now + code.LIFE_SECONDS, "wrong": 0})
        return made

    def offered(self, now: float) -> str | None:
        """The code that is valid now."""
        told = self._read_code()
        return told["code"] if told is not None and self._is_valid(told, now) else None

    def is_burnt(self) -> bool:
        """True if the last code ended because it was guessed wrongly."""
        told = self._read_code()
        return told is not None and told["wrong"] >= code.MOST_TRIES

    def guessed_wrong(self) -> None:
        """Count a wrong proof. Raises OSError."""
        told = self._read_code()
        if told is not None:
            self._write_code({**told, "wrong": told["wrong"] + 1})

    def withdraw(self) -> None:
        """End the code: it was used. Raises OSError."""
        (self._folder / _CODE).unlink(missing_ok=True)

    @staticmethod
    def _is_valid(told: dict[str, Any], now: float) -> bool:
        # A clock that was set back must not make a code last longer.
        return bool(0 < told["until"] - now <= code.LIFE_SECONDS and told["wrong"] < code.MOST_TRIES)

    def _read_code(self) -> dict[str, Any] | None:
        try:
            told = strict_json.read(read_bounded(self._folder / _CODE, _LIMIT), limit=_LIMIT).value
            code.normal(told["code"])
            return {"code": told["code"], "until": float(told["until"]), "wrong": int(told["wrong"])}
        except (OSError, BadJson, KeyError, TypeError, ValueError, AttributeError):
            return None

    def _write_code(self, told: dict[str, Any]) -> None:
        atomic_write(self._folder / _CODE, strict_json.write(told, indent=1))


def paired(record: Record, origin: str, key: bytes) -> Record:
    """The record of a host that belongs to this hub."""
    return evolve(record, hub=Hub(origin=origin, key=key.hex()))


def settled(record: Record, key: bytes) -> Record:
    """The record after the hub connected with `key`: a next key that was used is the key."""
    hub = record.hub
    if hub is None or hub.next_key != key.hex():
        return record
    return evolve(record, hub=evolve(hub, key=hub.next_key, next_key=None))
