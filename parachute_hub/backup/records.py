"""The hub's backup records, `<home>/hub/backups.json`. Secrets are encrypted."""

from collections.abc import Mapping
from os.path import normpath
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from attrs import asdict, evolve, field
from attrs.validators import deep_iterable, ge, in_, instance_of, le, optional

from parachute_hub.backup.schedule import History
from parachute_hub.site.errors import Refused
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, read_bounded
from parachute_hub.system.records import frozen

FILE_LIMIT = 4 * 1024 * 1024
MOST_COPIES = 500
DEFAULT_HOUR = 3
_NO_PLACES = ("/proc/", "/sys/", "/dev/")

_TEXT = instance_of(str)
_NUMBER: Any = instance_of((int, float))
_TIME = optional(_NUMBER)
_TOLD = ("path", "endpoint", "region", "bucket", "prefix", "key_id")
_TEXTS = deep_iterable(_TEXT, instance_of(tuple))


class SecretBox(Protocol):
    """Encrypts secrets for storage; `about` binds a ciphertext to its place."""

    def seal(self, secret: str, about: str) -> bytes:
        """Encrypt."""

    def open(self, sealed: bytes, about: str) -> str:
        """Decrypt. Raises an error if it was encrypted with a different key."""


@frozen(kw_only=True)
class BackupPlace:
    """A destination. `kind` is `folder` (with `path`) or `s3`; `secret` is encrypted, in hexadecimal.

    `private`: the owner confirmed an address in a private network. `unpacked_at`: a backup was restored for practice.
    """

    id: str = field(validator=_TEXT)
    kind: Literal["folder", "s3"] = field(validator=in_(("folder", "s3")))
    label: str = field(validator=_TEXT)
    added_at: float = field(validator=_NUMBER)
    path: str = field(default="", validator=_TEXT)
    endpoint: str = field(default="", validator=_TEXT)
    region: str = field(default="", validator=_TEXT)
    bucket: str = field(default="", validator=_TEXT)
    prefix: str = field(default="", validator=_TEXT)
    key_id: str = field(default="", validator=_TEXT)
    secret: str = field(default="", validator=_TEXT)
    private: bool = field(default=False, validator=instance_of(bool))
    tried_at: float | None = field(default=None, validator=_TIME)
    failures: int = field(default=0, validator=[instance_of(int), ge(0)])
    unpacked_at: float | None = field(default=None, validator=_TIME)
    error: str | None = field(default=None, validator=optional(_TEXT))
    error_kind: str | None = field(default=None, validator=optional(_TEXT))

    def to_json(self) -> dict[str, Any]:
        """The API representation, without the secret."""
        hidden = {"secret", "tried_at", "added_at", "unpacked_at", "error_kind"}
        return {
            **{key: value for key, value in asdict(self).items() if key not in hidden},
            "addedAt": self.added_at,
            "triedAt": self.tried_at,
            "unpackedAt": self.unpacked_at,
            "errorKind": self.error_kind,
        }


def parse_place(told: Mapping[str, Any], place_id: str, now: float) -> BackupPlace:
    """A destination as an owner describes it; its secret is left out. Raises Refused 400.

    `{kind: "folder", path}` or `{kind: "s3", endpoint, region, bucket, prefix, key_id, secret}`, with `label` and
    `private` for either.
    """
    texts = {name: _text(told, name).strip() for name in (*_TOLD, "label", "secret")}
    kind = told.get("kind")
    if kind == "folder":
        if not texts["path"].startswith("/"):
            raise Refused(400, "invalid_path", "Give the whole path of the folder, beginning with /.")
        if f"{normpath(texts['path'])}/".startswith(_NO_PLACES):
            raise Refused(400, "invalid_path", "Files cannot be kept in this folder. Choose one on a disk.")
        label = texts["path"]
    elif kind == "s3":
        needed = texts["bucket"] and texts["key_id"] and texts["secret"]
        if not needed or not texts["endpoint"].startswith(("https://", "http://")):
            raise Refused(400, "invalid_request", "Give endpoint (https://...), bucket, key_id and secret.")
        label = f"{texts['bucket']} at {texts['endpoint'].partition('://')[2].rstrip('/')}"
    else:
        raise Refused(400, "invalid_kind", 'The kind of a destination is "folder" or "s3".')
    return BackupPlace(
        id=place_id,
        kind=kind,
        label=texts["label"] or label,
        added_at=now,
        private=told.get("private") is True,
        path=texts["path"],
        endpoint=texts["endpoint"].rstrip("/"),
        region=texts["region"],
        bucket=texts["bucket"],
        prefix=texts["prefix"].strip("/"),
        key_id=texts["key_id"],
    )


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name, "")
    if not isinstance(value, str) or len(value) > 4096:
        raise Refused(400, "invalid_request", f"Give {name} as a text.")
    return value


@frozen(kw_only=True)
class BackupCopy:
    """One backup at one destination. `size` is its content, `stored` its size there, both in bytes.

    `sha256` is of the encrypted archive. `verified_at` is None until it was read back and checked.
    """

    place: str = field(validator=_TEXT)
    name: str = field(validator=_TEXT)
    made_at: float = field(validator=_NUMBER)
    seconds: float = field(validator=_NUMBER)
    size: int = field(validator=instance_of(int))
    stored: int = field(validator=instance_of(int))
    files: int = field(validator=instance_of(int))
    sha256: str = field(validator=_TEXT)
    recipient: str = field(validator=_TEXT)
    verified_at: float | None = field(default=None, validator=_TIME)
    decrypted_at: float | None = field(default=None, validator=_TIME)
    warnings: tuple[str, ...] = field(default=(), validator=_TEXTS)

    def to_json(self) -> dict[str, Any]:
        """The form of the API."""
        return {
            "place": self.place,
            "name": self.name,
            "madeAt": self.made_at,
            "seconds": self.seconds,
            "size": self.size,
            "stored": self.stored,
            "files": self.files,
            "verifiedAt": self.verified_at,
            "decryptedAt": self.decrypted_at,
            "warnings": list(self.warnings),
        }


@frozen(kw_only=True)
class RecoveryKey:
    """The age key pair. `identity` is encrypted, in hexadecimal; None if only the recovery sheet has it."""

    recipient: str = field(validator=_TEXT)
    made_at: float = field(validator=_NUMBER)
    identity: str | None = field(default=None, validator=optional(_TEXT))
    confirmed_at: float | None = field(default=None, validator=_TIME)


@frozen(kw_only=True)
class BackupState:
    """The whole file. `hour` (0 to 23, UTC) is the time of the daily backup."""

    places: tuple[BackupPlace, ...] = field(default=(), validator=deep_iterable(instance_of(BackupPlace)))
    copies: tuple[BackupCopy, ...] = field(default=(), validator=deep_iterable(instance_of(BackupCopy)))
    key: RecoveryKey | None = field(default=None, validator=optional(instance_of(RecoveryKey)))
    older_keys: tuple[RecoveryKey, ...] = field(default=(), validator=deep_iterable(instance_of(RecoveryKey)))
    hour: int = field(default=DEFAULT_HOUR, validator=[instance_of(int), ge(0), le(23)])
    daily: bool = field(default=True, validator=instance_of(bool))
    programs: bool = field(default=False, validator=instance_of(bool))

    def place(self, place_id: str) -> BackupPlace | None:
        return next((one for one in self.places if one.id == place_id), None)

    def copies_at(self, place_id: str) -> list[BackupCopy]:
        """Backups at this destination, newest first."""
        found = [one for one in self.copies if one.place == place_id]
        return sorted(found, key=lambda one: one.made_at, reverse=True)

    def newest_verified(self, place_id: str) -> BackupCopy | None:
        """The newest backup at this destination that was verified."""
        return next((one for one in self.copies_at(place_id) if one.verified_at is not None), None)

    def history(self, place: BackupPlace) -> History:
        """The input of the schedule."""
        newest = self.newest_verified(place.id)
        return History(
            since=place.added_at,
            made_at=None if newest is None else newest.made_at,
            unpacked_at=place.unpacked_at,
            tried_at=place.tried_at,
            failures=place.failures,
        )

    def with_key(self, recipient: str, **changes: Any) -> Self:
        """Change the present key, unless another one was made meanwhile."""
        if self.key is None or self.key.recipient != recipient:
            return self
        return evolve(self, key=evolve(self.key, **changes))

    def with_place(self, place: BackupPlace) -> Self:
        """Add a destination."""
        return evolve(self, places=(*self.places, place))

    def updated(self, place: BackupPlace) -> Self:
        """Replace a destination where it stands: commands know it by its number. One that was removed meanwhile stays
        removed.
        """
        return evolve(self, places=tuple(place if one.id == place.id else one for one in self.places))

    def without_place(self, place_id: str) -> Self:
        """Remove a destination and its backup records."""
        return evolve(
            self,
            places=tuple(one for one in self.places if one.id != place_id),
            copies=tuple(one for one in self.copies if one.place != place_id),
        )

    def with_copy(self, copy: BackupCopy) -> Self:
        """Add or replace a backup record; the oldest over the limit are dropped."""
        others = [one for one in self.copies if (one.place, one.name) != (copy.place, copy.name)]
        newest = sorted((*others, copy), key=lambda one: one.made_at)[-MOST_COPIES:]
        return evolve(self, copies=tuple(newest))

    def without_copies(self, place: str, names: frozenset[str]) -> Self:
        """Remove the records of deleted backups."""
        return evolve(self, copies=tuple(one for one in self.copies if one.place != place or one.name not in names))

    def to_bytes(self) -> bytes:
        """The form on disk."""
        return strict_json.write(asdict(self), indent=1)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Raises ValueError, TypeError, KeyError or AttributeError if malformed."""
        raw: Mapping[str, Any] = strict_json.read(content, limit=FILE_LIMIT).value
        key = raw.get("key")
        return cls(
            places=tuple(BackupPlace(**one) for one in raw["places"]),
            copies=tuple(BackupCopy(**{**one, "warnings": tuple(one["warnings"])}) for one in raw["copies"]),
            key=RecoveryKey(**key) if key else None,
            older_keys=tuple(RecoveryKey(**one) for one in raw["older_keys"]),
            hour=raw["hour"],
            daily=raw["daily"],
            programs=raw["programs"],
        )


class BackupsFile:
    """Reads the file once and rewrites it on each change. A damaged file is renamed, not overwritten."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged = False
        self.state = self._read()

    def _read(self) -> BackupState:
        try:
            return BackupState.from_bytes(read_bounded(self._path, FILE_LIMIT))
        except FileNotFoundError:
            return BackupState()
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self.damaged = True
            return BackupState()

    def change(self, state: BackupState) -> None:
        """Store this state. Blocks. Raises OSError, leaving the state unchanged."""
        if self.damaged:
            self._path.rename(self._path.with_suffix(".damaged.json"))
            self.damaged = False
        atomic_write(self._path, state.to_bytes())
        self.state = state
