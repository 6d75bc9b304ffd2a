"""Destinations of archives: a folder, or a bucket of an S3-compatible service."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore import exceptions as wrong
from obstore.store import LocalStore, S3Store

from parachute_hub.backup.archive.layout import parse_name
from parachute_hub.system.records import frozen

PATIENCE_SECONDS = 120.0
"""Seconds for which transient failures are retried."""
PART_BYTES = 5 * 1024 * 1024
_AT_ONCE = 2
_PROBE = "parachute-test-"


@frozen
class StoredArchive:
    """An archive at a destination. `made_at` is in epoch seconds, `size` in bytes."""

    name: str
    hub_id: str
    made_at: float
    size: int


class DestinationFailed(Exception):
    """The operation failed. The text says why and what to do; `kind` is a stable word."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@frozen
class Destination:
    """An open destination. All methods block and raise DestinationFailed."""

    _store: Any
    _prefix: str

    @classmethod
    def open(cls, told: dict[str, Any]) -> "Destination":
        """From `{kind: "folder", path}` or `{kind: "s3", endpoint, region, bucket, prefix, key_id, secret}`."""
        if told["kind"] == "folder":
            folder = Path(told["path"])
            if not folder.is_dir():
                raise DestinationFailed(
                    "no_folder",
                    f"The folder {folder} does not exist. Is the disk mounted? Create the folder, then try again.",
                )
            return cls(LocalStore(folder), "")
        prefix = str(told.get("prefix") or "").strip("/")
        options: Any = {
            "timeout": "30m",
            "connect_timeout": "10s",
            "read_timeout": "60s",
            "allow_http": str(told["endpoint"]).startswith("http://"),
        }
        patience = float(told.get("patience", PATIENCE_SECONDS))
        retry: Any = {"max_retries": 10, "retry_timeout": timedelta(seconds=patience)}
        if "certificate" in told:
            options["root_certificate"] = told["certificate"]
        store = S3Store(
            told["bucket"],
            endpoint=told["endpoint"],
            region=told.get("region") or "auto",
            access_key_id=told["key_id"],
            secret_access_key=told["secret"],
            virtual_hosted_style_request=False,
            client_options=options,
            retry_config=retry,
        )
        return cls(store, f"{prefix}/" if prefix else "")

    def put(self, name: str, chunks: Iterator[bytes]) -> None:
        """Store an archive atomically."""
        with _explained(missing=_NOTHING_THERE):
            obstore.put(
                self._store,
                self._prefix + name,
                chunks,
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=_AT_ONCE,
            )

    def get(self, name: str) -> Iterator[bytes]:
        """Read an archive."""
        with _explained():
            for chunk in obstore.get(self._store, self._prefix + name).stream(min_chunk_size=256 * 1024):
                yield bytes(chunk)

    def all(self) -> list[StoredArchive]:
        """All archives, oldest first."""
        found = []
        with _explained(missing=_NOTHING_THERE):
            for page in obstore.list(self._store, prefix=self._prefix or None):
                for each in page:
                    name = str(each["path"]).removeprefix(self._prefix)
                    parsed = parse_name(name)
                    if parsed is not None:
                        found.append(StoredArchive(name, parsed[0], parsed[1], int(each["size"])))
        return sorted(found, key=lambda one: (one.made_at, one.name))

    def delete(self, name: str) -> None:
        """Delete an archive; a missing one is not an error."""
        with _explained():
            try:
                obstore.delete(self._store, self._prefix + name)
            except (FileNotFoundError, wrong.NotFoundError):
                return

    def probe(self) -> None:
        """Write, read and delete a small test object."""
        name, content = f"{self._prefix}{_PROBE}{time.time_ns()}", b"Parachute can write here.\n"
        with _explained(missing=_NOTHING_THERE):
            obstore.put(self._store, name, content)
        with _explained(missing=_LIES):
            found = bytes(obstore.get(self._store, name).bytes())
        if found != content:
            raise DestinationFailed(*_LIES)
        try:
            with _explained():
                obstore.delete(self._store, name)
        except DestinationFailed as error:
            if error.kind != "refused":
                raise
            raise DestinationFailed(
                "no_delete",
                "Writing and reading work, but deleting was refused. Backups can be made here; old ones will not be "
                "removed by this hub, so set up a rule of the bucket that does.",
            ) from error


_LIES = ("lies", "What was written could not be read back. Choose another place for backups.")
_NOTHING_THERE = ("no_bucket", "There is no bucket at this address. Check the address and the name of the bucket.")


class _explained:
    """Converts errors of the library into DestinationFailed. `missing` is the kind and text for what is absent."""

    def __init__(self, missing: tuple[str, str] | None = None) -> None:
        self._missing = missing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, wrong.BaseError | OSError) and not isinstance(error, DestinationFailed):
            failed = explain(str(error))
            if failed.kind == "missing" and self._missing is not None:
                failed = DestinationFailed(*self._missing)
            raise failed from error


def explain(text: str) -> DestinationFailed:
    """Explain a library error to the user. Its own text may contain URLs, so it is not shown."""
    said = text.partition("\n\nDebug source")[0]
    for kind, marks, told in _MEANINGS:
        if any(mark in said for mark in marks):
            return DestinationFailed(kind, told)
    return DestinationFailed("failed", "The destination could not be used. Check its address, then try again.")


_MEANINGS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "clock",
        ("RequestTimeTooSkewed", "RequestExpired"),
        "The clock of this machine is wrong, so the service refuses its requests. Set the clock, then try again.",
    ),
    (
        "region",
        ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraint", "redirect without LOCATION"),
        "The bucket is in another region. Correct the region, then try again.",
    ),
    (
        "wrong_key",
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "Unauthorized"),
        "The service does not accept this access key. Check the key and its secret for missing characters.",
    ),
    ("no_bucket", ("NoSuchBucket",), "There is no bucket with this name. Create it, or correct the name."),
    (
        "changed",
        ("XAmzContentSHA256Mismatch", "BadDigest"),
        "What was sent arrived changed, so the service refused it. Check this machine's network and memory, then try "
        "again.",
    ),
    (
        "refused",
        ("AccessDenied", "status code: 403", "Permission denied", "Operation not permitted"),
        "Access was denied. Allow this key to read, write and list in this bucket.",
    ),
    ("full", ("No space left", "QuotaExceeded", "Disk quota"), "The destination is full."),
    ("read_only", ("Read-only file system",), "The folder is on a read-only disk."),
    ("missing", ("NoSuchKey", "status code: 404", "not found", "NotFound"), "This backup no longer exists."),
    (
        "slow_down",
        ("SlowDown", "status code: 5", "InternalError", "ServiceUnavailable"),
        "The service was unavailable for several minutes. The hub will try again with the next backup.",
    ),
    (
        "interrupted",
        ("body error", "decoding response body"),
        "The connection to the service broke off in the middle. Check this machine's network, then try again.",
    ),
    (
        "unreachable",
        ("dns error", "Connect", "connect", "timed out", "timeout", "certificate", "error sending request"),
        "The service could not be reached. Check the address and this machine's network.",
    ),
)
