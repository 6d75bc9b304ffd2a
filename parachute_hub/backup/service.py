"""Makes, verifies and prunes backups, by hand and on a schedule."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import Any

from attrs import evolve

from parachute_hub.backup.ledger import Ledger
from parachute_hub.backup.places import Places
from parachute_hub.backup.records import BackupCopy, BackupPlace, BackupState, RecoveryKey, SecretBox
from parachute_hub.backup.retention import Kept, to_prune
from parachute_hub.backup.schedule import DAY, backup_due, overdue, unpacking_due
from parachute_hub.backup.worker_process import Sink, Workers, WorkFailed
from parachute_hub.jobs.model import Job
from parachute_hub.jobs.runner import JobFailed, Jobs, Work
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.doer import Done
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import define, frozen

with lazily():
    from parachute_hub.backup.archive import layout

SHORT = "backup"
"""The name under which the jobs of backups run: one at a time."""

_MOST_BYTES = 1 << 44
_NOT_STORED = "The destination reported success, but the backup is not there. Choose another place for backups."


@frozen(kw_only=True)
class HubFacts:
    """What a header tells of the hub: asked anew for each backup."""

    hub_version: str
    schema: int
    origin: str
    modules: "tuple[layout.ModuleInfo, ...]"


@define(kw_only=True)
class Backups:
    """All that pages and commands ask of backups.

    `facts` are asked anew for each backup; `seals` keeps the recovery key unreadable on the disk.
    """

    home: str
    ledger: Ledger
    places: Places
    workers: Workers
    jobs: Jobs
    seals: SecretBox
    facts: Callable[[], HubFacts]
    now: Callable[[], float]
    new_id: Callable[[], str]
    done: Done

    # --- what there is

    @property
    def state(self) -> BackupState:
        """The records as they are now."""
        return self.ledger.state

    def problems(self) -> list[tuple[str, str]]:
        """What needs the owner: stable keys and sentences."""
        found = []
        if self.ledger.file.damaged:
            found.append(("backup-records", "The list of backups is damaged. Set backups up again."))
        key, now = self.state.key, self.now()
        if key is None:
            return found
        if key.confirmed_at is None:
            text = "No backups are made until you confirm that you have the recovery sheet. Open Backups to do so."
            return [*found, ("backup-sheet", text)]
        if not self.state.places:
            text = "Backups have nowhere to go. Open Backups and add a folder on another disk, or a bucket."
            return [*found, ("backup-nowhere", text)]
        for place in self.state.places:
            history = self.state.history(place)
            if overdue(history, max(place.added_at, key.confirmed_at), now):
                found.append((f"backup-overdue-{place.id}", _overdue(place, history.made_at, now)))
            elif place.error is not None:
                found.append((f"backup-failed-{place.id}", f"The last backup to {place.label} failed. {place.error}"))
        return found

    # --- the recovery key

    async def make_key(self) -> str:
        """A new key pair; the answer is the identity for the sheet. Older backups stay readable with older sheets."""
        try:
            made = await self.workers.do({"do": "keygen"})
        except WorkFailed as error:
            raise Refused(500, error.kind, str(error)) from None
        identity, recipient = str(made["identity"]), str(made["recipient"])
        sealed = self.seals.seal(identity, f"backup:{recipient}").hex()
        key = RecoveryKey(recipient=recipient, made_at=self.now(), identity=sealed)

        def with_key(state: BackupState) -> BackupState:
            older = state.older_keys if state.key is None else (*state.older_keys, state.key)
            return evolve(state, key=key, older_keys=older)

        await self.ledger.change(with_key)
        await self.done("backup-key-made")
        return identity

    async def confirm_sheet(self, typed: str) -> None:
        """The owner has the sheet: the last four characters of its key. Raises Refused."""
        key = self._key()
        identity = self.identity(key.recipient)
        if identity is None or typed.strip().upper() != identity[-4:].upper():
            raise Refused(400, "wrong_characters", "These are not the last four characters of the key on the sheet.")
        await self.ledger.change(lambda state: state.with_key(key.recipient, confirmed_at=self.now()))
        await self.done("backup-key-confirmed")

    async def forget_identity(self) -> None:
        """From now on the identity is on the sheet only, and verification cannot decrypt."""
        key = self._key()
        if key.confirmed_at is None:
            raise Refused(409, "not_confirmed", "Confirm first that you have the sheet.")

        def without(state: BackupState) -> BackupState:
            older = tuple(evolve(one, identity=None) for one in state.older_keys)
            return evolve(state.with_key(key.recipient, identity=None), older_keys=older)

        await self.ledger.change(without)
        await self.done("backup-key-removed")

    def identity(self, recipient: str) -> str | None:
        """The identity that opens backups for this recipient; None when it is on the sheet only."""
        keys = (*self.state.older_keys, *((self.state.key,) if self.state.key else ()))
        sealed = next((one.identity for one in keys if one.recipient == recipient), None)
        return None if sealed is None else self.seals.open(bytes.fromhex(sealed), f"backup:{recipient}")

    def _key(self) -> RecoveryKey:
        if self.state.key is None:
            raise Refused(409, "no_recovery_key", "Make a recovery sheet first.")
        return self.state.key

    # --- settings

    async def choose(self, *, hour: int, daily: bool, programs: bool) -> None:
        """When backups are made, and whether the modules' programs go along."""
        await self.ledger.change(lambda state: evolve(state, hour=hour, daily=daily, programs=programs))
        await self.done("backup-schedule-changed")

    # --- work

    def back_up(self, place_id: str) -> Job:
        """Back up to one destination, verify, prune. Raises Refused."""
        place = self.places.get(place_id)
        key = self._key()
        if key.confirmed_at is None:
            raise Refused(409, "not_confirmed", "Confirm first that you have the recovery sheet.")
        return self.jobs.start("backup", SHORT, {"place": place.id}, lambda work: self._back_up(work, place.id))

    def verify(self, place_id: str, name: str, *, whole: bool = False) -> Job:
        """Read one backup again, and check it; unpack the `whole` of it, if there is room. Raises Refused."""
        copy = self._copy(place_id, name)
        params = {"place": place_id, "name": name, "whole": whole}
        return self.jobs.start("verify", SHORT, params, lambda work: self._verify(work, copy, whole))

    def download(self, sink: Sink, on_report: Callable[[Mapping[str, Any]], None]) -> tuple[str, Any]:
        """Write an archive to `sink`: its name, and the running worker. Raises Refused or WorkFailed."""
        job = self._backup_job("stdout")
        return job["name"], self.workers.start(job, on_report, sink=sink)

    async def tick(self) -> None:
        """Start what is due: one thing at a time. Called every minute, and at once after sleep."""
        key = self.state.key
        if key is None or key.confirmed_at is None or self.jobs.active(SHORT) is not None:
            return
        now = self.now()
        for place in self.state.places:
            history = self.state.history(place)
            if self.state.daily and backup_due(history, self.state.hour, now):
                self.back_up(place.id)
                return
            newest = self.state.newest_verified(place.id)
            if newest is not None and unpacking_due(history, now):
                self.verify(place.id, newest.name, whole=True)
                return

    def _copy(self, place_id: str, name: str) -> BackupCopy:
        found = next((one for one in self.state.copies_at(place_id) if one.name == name), None)
        if found is None:
            raise not_found("There is no such backup.")
        return found

    def _backup_job(self, to: object) -> dict[str, Any]:
        facts, key, now = self.facts(), self._key(), self.now()
        hub_id = hub_id_of(key.recipient)
        header = layout.Header(
            id=self.new_id(),
            created_at=now,
            hub_id=hub_id,
            hub_version=facts.hub_version,
            schema=facts.schema,
            origin=facts.origin,
            modules=facts.modules,
            programs=self.state.programs,
        )
        return {
            "do": "backup",
            "home": self.home,
            "recipient": key.recipient,
            "header": header.to_json(),
            "name": layout.archive_name(hub_id, now),
            "to": to,
        }

    async def _back_up(self, work: Work, place_id: str) -> None:
        place = await self._try(place_id)
        try:
            copy = await self._stored(work, place)
            await self._checked_at_once(work, copy)
            await self._settle(place_id, None)
        except (WorkFailed, Refused) as error:
            await self._settle(place_id, (_kind(error), str(error)))
            raise _ended_by(error) from None
        await self._prune(work, place_id)

    async def _verify(self, work: Work, copy: BackupCopy, whole: bool) -> None:
        """Nobody watches the weekly one, so how it ended is noted."""
        if whole:
            await self._try(copy.place)
        try:
            await self._checked(work, copy, whole=whole)
        except (WorkFailed, Refused) as error:
            if whole:
                await self._settle(copy.place, (_kind(error), str(error)))
            raise _ended_by(error) from None
        if whole:
            await self._settle(copy.place, None, unpacked_at=self.now())

    async def _try(self, place_id: str) -> BackupPlace:
        """Count a failure until it has ended well: a kill is one, too."""
        place = self.places.get(place_id)
        tried = evolve(place, tried_at=self.now(), failures=place.failures + 1)
        await self.ledger.change(lambda state: state.updated(tried))
        return tried

    async def _settle(self, place_id: str, error: tuple[str, str] | None, *, unpacked_at: float | None = None) -> None:
        """Note how the last try ended."""
        place = self.state.place(place_id)
        if place is None:
            return
        kind, text = error or (None, None)
        ended = evolve(
            place,
            failures=place.failures if error else 0,
            error=text,
            error_kind=kind,
            unpacked_at=unpacked_at or place.unpacked_at,
        )
        await self.ledger.change(lambda state: state.updated(ended))

    async def _stored(self, work: Work, place: BackupPlace) -> BackupCopy:
        work.step("store")
        await self.places.guard(place)
        job = self._backup_job(self.places.address(place))
        began = self.now()
        done = await self.workers.do(job, lambda report: _follow(work, report))
        warnings = [f"{path} is damaged and was stored as it is." for path in done["damaged"]]
        warnings += [f"{path} changed while it was read." for path in done["changed"]]
        warnings += [f"{path} is not a file and is not in the backup." for path in done["skipped"]]
        copy = BackupCopy(
            place=place.id,
            name=job["name"],
            made_at=began,
            seconds=round(self.now() - began, 1),
            size=done["size"],
            stored=done["stored"],
            files=done["files"],
            sha256=done["sha256"],
            recipient=job["recipient"],
            warnings=tuple(warnings),
        )
        await self.ledger.change(lambda state: state.with_copy(copy))
        work.measured(copy.stored)
        return copy

    async def _checked(self, work: Work, copy: BackupCopy, *, whole: bool = False) -> None:
        """Read it back. One that is damaged is removed, so that no list offers it. Raises WorkFailed or Refused."""
        work.step("verify")
        place = self.places.get(copy.place)
        await self.places.guard(place)
        job = {
            "do": "verify",
            "home": self.home,
            "from": self.places.address(place),
            "name": copy.name,
            "identity": self.identity(copy.recipient),
            "most": _MOST_BYTES,
            "stored": copy.stored,
            "sha256": copy.sha256,
            "size": copy.size,
            "whole": whole,
        }
        try:
            done = await self.workers.do(job, lambda report: _follow(work, report))
        except WorkFailed as error:
            if error.kind in ("damaged", "missing"):
                unchecked = evolve(copy, verified_at=None, decrypted_at=None)
                await self.ledger.change(lambda state: state.with_copy(unchecked))
                with suppress(WorkFailed):
                    await self._remove(place, [copy.name])
            raise
        if done.get("unpacked"):
            work.line("The whole backup was restored into scratch space, and removed again.")
        now = self.now()
        checked = evolve(copy, verified_at=now, decrypted_at=now if done["decrypted"] else copy.decrypted_at)
        await self.ledger.change(lambda state: state.with_copy(checked))

    async def _checked_at_once(self, work: Work, copy: BackupCopy) -> None:
        """Check a backup that was just stored: one that is missing now was never stored."""
        try:
            await self._checked(work, copy)
        except WorkFailed as error:
            if error.kind != "missing":
                raise
            raise WorkFailed("lies", _NOT_STORED) from None

    async def _prune(self, work: Work, place_id: str) -> None:
        work.step("prune")
        place = self.places.get(place_id)
        copies = self.state.copies_at(place_id)
        gone = to_prune(Kept(one.name, one.made_at, one.verified_at is not None) for one in copies)
        if gone:
            try:
                await self._remove(place, gone)
            except WorkFailed as error:
                # A bucket may keep backups out of a thief's reach; then its own rules remove old ones.
                work.line(f"Old backups were not removed: {error}")

    async def _remove(self, place: BackupPlace, names: Sequence[str]) -> None:
        """Delete one after the other. Raises WorkFailed at the first that stays, whose record stays as it was.

        What is being deleted no longer counts as verified, because a kill may come between the file and its record.
        """
        for name in names:
            copy = self._copy(place.id, name)
            going = evolve(copy, verified_at=None, decrypted_at=None)
            await self.ledger.change(partial(_with_copy, going))
            try:
                await self.workers.do({"do": "delete", "at": self.places.address(place), "names": [name]})
            except WorkFailed:
                await self.ledger.change(partial(_with_copy, copy))
                raise
            await self.ledger.change(partial(_without_copy, copy))


def _overdue(place: BackupPlace, made_at: float | None, now: float) -> str:
    if made_at is None:
        text = f"There is no backup at {place.label} yet that we know can be restored."
    else:
        days = int((now - made_at) // DAY)
        text = f"The newest backup at {place.label} that we know can be restored is {days} days old."
    return f"{text} {place.error or 'Make one now, and see why the daily one does not run.'}"


def _kind(error: WorkFailed | Refused) -> str:
    return error.kind if isinstance(error, WorkFailed) else error.error


def _ended_by(error: WorkFailed | Refused) -> JobFailed:
    return JobFailed(str(error), {"error_type": _kind(error)})


def _with_copy(copy: BackupCopy, state: BackupState) -> BackupState:
    return state.with_copy(copy)


def _without_copy(copy: BackupCopy, state: BackupState) -> BackupState:
    return state.without_copies(copy.place, frozenset((copy.name,)))


def _follow(work: Work, report: Mapping[str, Any]) -> None:
    if report["event"] == "progress":
        work.measured(report["bytes"], report["of"])


def hub_id_of(recipient: str) -> str:
    """Eight hexadecimal digits from a recipient (`age1...`): the same for all backups that one sheet opens.

    >>> len(hub_id_of("age1sjulytf7uv078xzywh98rrdrxx8llmhe3uehydkgcs67uytt8djqcplvmg"))
    8
    """
    return sha256(recipient.encode()).hexdigest()[:8]
