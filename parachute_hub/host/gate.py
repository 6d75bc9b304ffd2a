"""Decides who may use the host: anybody may try to pair it while it has no hub, then that hub alone."""

from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from parachute_hub.host.records import HostRecords, Hub, Record, UnusableRecord, paired, settled
from parachute_hub.link import certificates, code
from parachute_hub.settings import is_origin
from parachute_hub.site.errors import Refused
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.timers import FailureLog

_WRONG = "This is not the code that the host shows, or it is no longer valid."


class Gate:
    """Reads the host's record for every decision, so that `--unpair` has effect at once.

    `files` runs what blocks; `now` is in epoch seconds.
    """

    _log = Logger()

    def __init__(self, *, records: HostRecords, files: FileWriter, now: Callable[[], float]) -> None:
        self._records = records
        self._files = files
        self._now = now
        self._failures = FailureLog()

    def record(self) -> Record | None:
        """The host's record; None while it cannot be read. Nobody is admitted then."""
        try:
            record = self._records.current()
        except (UnusableRecord, OSError):
            self._failures.failed("Reading which hub this host belongs to")
            return None
        self._failures.worked("Reading which hub this host belongs to")
        return record

    def hub(self) -> Hub | None:
        """The hub that it belongs to."""
        record = self.record()
        return None if record is None else record.hub

    def admits(self, key: bytes) -> bool:
        """Whether somebody with this key may connect at all."""
        record = self.record()
        return record is not None and (record.hub is None or record.hub.admits(key))

    def is_hub(self, key: bytes | None) -> bool:
        """Whether this key is the hub's. The next one replaces the one before when it is used."""
        hub = self.hub()
        if hub is None or key is None or not hub.admits(key):
            return False
        if hub.key != key.hex():
            done: Deferred[Any] = self._files.surely(self._settle, key)
            done.addErrback(lambda failure: self._failures.failed("Keeping the hub's next key", failure))
        return True

    def _settle(self, key: bytes) -> None:
        record = self._records.current()
        if (after := settled(record, key)) != record:
            self._records.write(after)

    # --- changes; they block

    def pair(self, body: dict[str, Any], key: bytes | None) -> dict[str, Any]:
        """Pair with the hub that proves to know the code; the host's own proof. Raises Refused or OSError."""
        record = self._records.current()
        if record.hub is not None:
            raise Refused(403, "paired", "This host already belongs to a hub. Unpair it there, or with --unpair here.")
        origin, pem, proof = (body.get(name) for name in ("hub", "certificate", "proof"))
        if not isinstance(origin, str) or not is_origin(origin):
            raise Refused(400, "invalid_request", "hub must be the hub's origin, such as https://hub.example.com.")
        hub_key = _key(pem)
        if key is None or hub_key != key:
            raise Refused(400, "other_certificate", "The certificate must be that of this connection.")
        offered = self._records.offered(self._now())
        if offered is None:
            if self._records.is_burnt():
                raise Refused(429, "too_many_tries", "The code was guessed wrongly too often. Ask for a new one.")
            raise Refused(403, "wrong_code", _WRONG)
        own = certificates.key_of_pem(self._records.identity()[1])
        if not isinstance(proof, str) or not code.same(proof, code.proof(offered, "hub", own, hub_key)):
            self._records.guessed_wrong()
            self._log.warn("Somebody tried to pair this host with a wrong code")
            raise Refused(403, "wrong_code", _WRONG)
        self._records.write(paired(record, origin, hub_key))
        self._records.withdraw()
        self._log.info("This host belongs to {hub} now", hub=origin)
        return {"host": record.id, "short": record.short, "proof": code.proof(offered, "host", own, hub_key)}

    def renew(self, body: dict[str, Any]) -> None:
        """Accept the hub's next certificate as well. Raises Refused or OSError."""
        record = self._records.current()
        if record.hub is not None:
            key = _key(body.get("certificate")).hex()
            self._records.write(evolve(record, hub=evolve(record.hub, next_key=None if key == record.hub.key else key)))

    def configure(self, origin: str, environment: dict[str, str]) -> bool:
        """Keep what the hub says of itself. True if that is new. Raises OSError."""
        record = self._records.current()
        if record.hub is None:
            return False
        after = evolve(record, hub=evolve(record.hub, origin=origin), environment=environment)
        if after == record:
            return False
        self._records.write(after)
        return True

    def unpair(self) -> None:
        """Forget the hub. Raises OSError."""
        record = self._records.current()
        self._records.write(evolve(record, hub=None))
        self._log.info("This host belongs to no hub any more")


def _key(pem: object) -> bytes:
    try:
        return certificates.key_of_pem(pem.encode() if isinstance(pem, str) else b"")
    except ValueError:
        raise Refused(400, "invalid_request", "certificate must be a certificate as PEM.") from None
