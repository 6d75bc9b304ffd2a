"""The destinations of notices and what was sent, `<home>/hub/notices.json`. Addresses and secrets are encrypted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

from attrs import asdict, evolve, field
from attrs.validators import deep_iterable, in_, instance_of, optional

from parachute_hub.notices.model import SEVERITIES, Severity
from parachute_hub.notices.outbox import Outbox
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, read_bounded
from parachute_hub.system.records import frozen

FILE_LIMIT: Final = 1024 * 1024
Kind: TypeAlias = Literal["ntfy", "webhook", "email", "push", "apprise", "ping"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_TEXT = instance_of(str)
_TIME: Any = optional(instance_of((int, float)))


class SecretBox(Protocol):
    """Encrypts secrets for storage; `about` binds a ciphertext to its place."""

    def seal(self, secret: str, about: str) -> bytes:
        """Encrypt."""

    def open(self, sealed: bytes, about: str) -> str:
        """Decrypt. Raises an error if it was encrypted with a different key."""


@frozen(kw_only=True)
class Destination:
    """Where notices go. `sealed` is its address with all secrets, encrypted, in hexadecimal; `label` shows neither.

    `private`: the owner confirmed an address in a private network. `error` is a sentence while the last try failed.
    """

    id: str = field(validator=_TEXT)
    kind: Kind = field(validator=in_(KINDS))
    label: str = field(validator=_TEXT)
    sealed: str = field(validator=_TEXT, repr=False)
    added_at: float = field(validator=instance_of((int, float)))
    private: bool = field(default=False, validator=instance_of(bool))
    sent_at: float | None = field(default=None, validator=_TIME)
    error: str | None = field(default=None, validator=optional(_TEXT))

    def to_json(self) -> dict[str, Any]:
        """The form of the API: without the address."""
        return {
            "id": self.id,
            "kind": self.kind,
            "label": self.label,
            "private": self.private,
            "addedAt": self.added_at,
            "sentAt": self.sent_at,
            "error": self.error,
        }


@frozen(kw_only=True)
class Quiet:
    """Quiet hours: minutes of the day in a time zone such as Europe/Berlin."""

    begin: int = field(validator=instance_of(int))
    end: int = field(validator=instance_of(int))
    zone: str = field(validator=_TEXT)


@frozen(kw_only=True)
class NoticeState:
    """The whole file. `vapid` is the key pair for web push, encrypted, in hexadecimal."""

    destinations: tuple[Destination, ...] = field(default=(), validator=deep_iterable(instance_of(Destination)))
    least: Severity = field(default="warning", validator=in_(SEVERITIES))
    quiet: Quiet | None = field(default=None, validator=optional(instance_of(Quiet)))
    vapid: str | None = field(default=None, validator=optional(_TEXT), repr=False)

    def with_destination(self, added: Destination) -> "NoticeState":
        """Add one."""
        return evolve(self, destinations=(*self.destinations, added))

    def updated(self, changed: Destination) -> "NoticeState":
        """Replace one; one that was removed meanwhile stays removed."""
        return evolve(self, destinations=tuple(changed if one.id == changed.id else one for one in self.destinations))

    def without(self, destination_id: str) -> "NoticeState":
        """Remove one."""
        return evolve(self, destinations=tuple(one for one in self.destinations if one.id != destination_id))


class NoticesFile:
    """Reads the file once and rewrites it on each change. A damaged one counts as empty, and is kept beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged = False
        self.state, self.outbox = self._read()

    def _read(self) -> tuple[NoticeState, Outbox]:
        try:
            raw: Mapping[str, Any] = strict_json.read(read_bounded(self._path, FILE_LIMIT), limit=FILE_LIMIT).value
            quiet = raw["quiet"]
            state = NoticeState(
                destinations=tuple(Destination(**one) for one in raw["destinations"]),
                least=raw["least"],
                quiet=Quiet(**quiet) if quiet else None,
                vapid=raw["vapid"],
            )
            return state, Outbox.from_json(raw["outbox"])
        except FileNotFoundError:
            return NoticeState(), Outbox()
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self.damaged = True
            return NoticeState(), Outbox()

    def write(self, state: NoticeState, outbox: Mapping[str, Any]) -> None:
        """Store this. Blocks. Raises OSError, leaving the state unchanged."""
        if self.damaged:
            self._path.rename(self._path.with_suffix(".damaged.json"))
            self.damaged = False
        atomic_write(self._path, strict_json.write({**asdict(state), "outbox": outbox}, indent=1))
        self.state = state
