"""Restores: unpack beside the present home, show what would change, then exchange both at a restart."""

import hmac
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from attrs import field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from parachute_hub.backup import switch
from parachute_hub.backup.archive.parts import Part, name_vault
from parachute_hub.backup.worker_process import Run, Workers, WorkFailed
from parachute_hub.jobs.model import Job
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.copied_hub import add_act, clear_credentials, keep_vaults
from parachute_hub.store.database import shipped_migrations
from parachute_hub.store.rows import Act
from parachute_hub.system.doer import Doer, Done, acting, doer
from parachute_hub.system.random_tokens import new_token
from parachute_hub.system.records import define, frozen
from parachute_hub.system.timestamps import to_the_second

IDLE_SECONDS = 1800.0
"""A restore that nobody goes on with is dropped, and the room that it takes is given back."""

_MOST_BYTES = 1 << 44
_TOLD = ("files", "size", "databases", "modules", "vaults", "apps")
_log = Logger()
Phase = Literal["receiving", "checking", "ready", "failed", "applying"]


@define
class _Restore:
    """`by` began it; the later steps, which only show their ticket, are that person's."""

    id: str
    ticket: str
    claimed: bool
    session_id: str | None
    only: Part | None
    by: Doer
    run: Run | None = None
    received: int = 0
    phase: Phase = "receiving"
    header: Mapping[str, Any] = field(factory=dict)
    result: Mapping[str, Any] = field(factory=dict)
    progress: Mapping[str, Any] = field(factory=dict)
    error: WorkFailed | None = None
    busy: bool = False
    touched_at: float = 0.0


class PartRestorer(Protocol):
    """Exchanges the data of a module, or of one vault, while the module is stopped."""

    async def restore(self, part: Part, folder: Path) -> Job:
        """Start the job that puts `folder` in place. Raises Refused."""

    async def ended(self, job: Job) -> None:
        """Wait for its end, and remove what it left."""


@frozen
class Started:
    """A restore that was begun. `ticket` is needed for each further step."""

    id: str
    ticket: str


@define(kw_only=True)
class Restores:
    """One restore at a time. `restart` ends this process and starts the hub anew.

    `replaced` gives what the present hub has, for the plan: its address, modules with versions, and vaults. `data` puts
    the data of one module in place. `session_lives` tells whether a session is still signed in.
    """

    home: Path
    workers: Workers
    restart: Callable[[], None]
    in_thread: Callable[..., Awaitable[Any]]
    replaced: Callable[[], Mapping[str, Any]]
    data: PartRestorer
    session_lives: Callable[[str], bool]
    now: Callable[[], float]
    new_id: Callable[[], str]
    random: Callable[[int], bytes]
    done: Done
    _one: _Restore | None = field(default=None, init=False)

    async def begin(
        self,
        identity: str,
        source: Mapping[str, Any] | None = None,
        name: str = "",
        *,
        claimed: bool = False,
        session_id: str | None = None,
        only: Part | None = None,
    ) -> Started:
        """Start to unpack: what `feed` brings, or the archive `name` at a destination. Raises Refused.

        With `only`, just this part takes room on the disk; the whole archive is checked all the same. The restore ends
        with the session that began it.
        """
        self.drop_idle()
        if self._one is not None and self._one.phase in ("receiving", "checking", "applying"):
            raise Refused(409, "restore_in_progress", "Another restore is under way. Finish or cancel it first.")
        if not identity.strip().upper().startswith("AGE-SECRET-KEY-1"):
            raise Refused(400, "wrong_recovery_key", "This is not a recovery key. It begins with AGE-SECRET-KEY-1.")
        self._forget()
        one = _Restore(self.new_id(), new_token(self.random), claimed, session_id, only, doer(), touched_at=self.now())
        job = {
            "do": "unpack",
            "home": str(self.home),
            "from": "stdin" if source is None else dict(source),
            "name": name,
            "identity": identity.strip().upper(),
            "most": _MOST_BYTES,
            "into": str(switch.staging(self.home, one.id)),
            "hub": only is None,
            "only": None if only is None else only.source,
        }
        try:
            one.run = self.workers.start(job, lambda report: self._reported(one, report), keep_stdin=source is None)
        except WorkFailed as error:
            raise Refused(500, error.kind, str(error)) from None
        if source is not None:
            one.phase = "checking"
        one.run.ended.addCallbacks(
            lambda result: self._unpacked(one, result), lambda failure: self._failed(one, failure.value)
        )
        self._one = one
        await self.done("restore-begun")
        return Started(one.id, one.ticket)

    def check(self, restore_id: str, ticket: str, *, claimed: bool) -> None:
        """Raises Refused 403 unless the ticket is that of this restore, whether or not there is such a restore."""
        one = self._one
        # The setup token proves nothing any more once the hub has an owner.
        if one is not None and claimed and not one.claimed:
            one = None
        if one is not None and one.session_id is not None and not self.session_lives(one.session_id):
            one = None
        if one is None or one.id != restore_id or not hmac.compare_digest(ticket.encode(), one.ticket.encode()):
            raise Refused(403, "wrong_ticket", "This restore is over, or was begun by somebody else. Begin again.")

    async def feed(self, restore_id: str, offset: int, data: bytes) -> int:
        """The next part of an uploaded archive: how much is there now. Raises Refused for any other part."""
        one = self._find(restore_id)
        if one.error is not None:
            raise self._refusal(one.error)
        if one.phase != "receiving" or one.run is None:
            raise Refused(409, "not_receiving", "This restore takes no more data.")
        if offset != one.received or one.busy:
            raise Refused(409, "wrong_offset", "Send the part that follows.", detail={"received": one.received})
        one.busy = True
        try:
            await one.run.feed(data)
        except WorkFailed as error:
            # Its pipe closes before it ends; only then is it known why.
            await one.run.gone
            raise self._refusal(one.error or error) from None
        finally:
            one.busy = False
        one.received += len(data)
        return one.received

    def end(self, restore_id: str) -> None:
        """The whole archive was sent."""
        one = self._find(restore_id)
        if one.phase == "receiving" and one.run is not None:
            one.phase = "checking"
            one.run.finish()

    def state(self, restore_id: str) -> dict[str, Any]:
        """How far it is, and the plan once the archive was read."""
        one = self._find(restore_id)
        return {
            "id": one.id,
            "phase": one.phase,
            "received": one.received,
            "progress": dict(one.progress),
            "backup": dict(one.header),
            "result": {key: one.result[key] for key in _TOLD if key in one.result},
            "replaces": dict(self.replaced()),
            "error": str(one.error) if one.error else None,
            "errorKind": one.error.kind if one.error else None,
        }

    async def apply(self, restore_id: str, mode: str) -> None:
        """Exchange the homes at a restart, which follows at once. Raises Refused; nothing has changed then."""
        one = self._find(restore_id)
        self._need_ready(one)
        if one.only is not None:
            raise Refused(
                409, "only_a_part", "Only a part of this backup was unpacked. Begin again to restore all of it."
            )
        if mode not in ("move", "copy"):
            raise Refused(400, "invalid_mode", 'Say "move" or "copy".')
        one.phase = "applying"
        try:
            await self.in_thread(self._commit, one, mode, self._restored(one))
        except Exception as error:
            one.phase = "ready"
            _log.failure("A restore could not be applied")
            if isinstance(error, OSError):
                text = f"The disk refused to take the restored files: {error.strerror}. Nothing was changed."
                raise Refused(507, "disk_full", text) from error
            raise Refused(500, "failed", "This backup cannot be applied. The hub's log has the details.") from error
        self.restart()

    async def apply_part(self, restore_id: str, part: Part) -> Job:
        """Put one module's data or one vault in place, on the running hub. Raises Refused; nothing has changed then."""
        one = self._find(restore_id)
        self._need_ready(one)
        if not one.claimed:
            raise Refused(409, "no_hub_yet", "A part of a backup is restored on a hub that is set up.")
        kind, name = ("modules", part.short) if part.vault is None else ("vaults", part.vault)
        if name not in one.result[kind]:
            raise Refused(404, "not_in_backup", f"{part.title} is not in this backup.")
        if part.short not in self.replaced()["modules"]:
            raise Refused(409, "not_installed", f"{part.short} is not installed on this hub. Install it first.")
        one.phase = "applying"
        try:
            folder = switch.staging(self.home, one.id) / part.source
            if part.vault is not None:
                await self.in_thread(name_vault, folder, part.alias or part.vault)
            job = await acting(one.by, Deferred.fromCoroutine, self.data.restore(part, folder))
        except Exception as error:
            one.phase = "ready"
            if isinstance(error, OSError | ValueError):
                raise Refused(507, "disk_full", f"This could not be prepared: {error}. Nothing was changed.") from error
            raise
        Deferred.fromCoroutine(self._until_over(one, job)).addErrback(
            lambda failure: _log.failure("What a restore left could not be removed", failure)
        )
        return job

    async def _until_over(self, one: _Restore, job: Job) -> None:
        try:
            await self.data.ended(job)
        finally:
            await self.in_thread(switch.discard, self.home, one.id)
            if self._one is one:
                self._one = None

    def _need_ready(self, one: _Restore) -> None:
        if one.phase != "ready":
            raise Refused(409, "not_ready", "The backup has not been read to its end.")

    async def cancel(self, restore_id: str) -> None:
        """Drop what was unpacked. Raises Refused 409 when it is too late."""
        one = self._find(restore_id)
        if one.phase == "applying":
            raise Refused(409, "too_late", "It is too late to cancel: the hub is restarting.")
        if one.run is not None:
            one.run.kill()
            await one.run.gone
        self._forget()
        await acting(one.by, Deferred.fromCoroutine, self.done("restore-cancelled"))

    def drop_idle(self) -> None:
        """Give back the room of a restore that was left alone. Called every minute."""
        one = self._one
        if one is not None and one.phase != "applying" and self.now() - one.touched_at > IDLE_SECONDS:
            if one.run is not None:
                one.run.kill()
            self._forget()

    def _restored(self, one: _Restore) -> Act:
        """For the audit log of the restored hub, so that it is there if, and only if, that hub takes over."""
        who, at = one.by, self.now()
        made = to_the_second(float(one.header["created_at"])) if "created_at" in one.header else ""
        return Act(at=at, actor=who.name, action="restored", subject=made, means=who.means, address=who.address)

    def _commit(self, one: _Restore, mode: str, act: Act) -> None:
        staged = switch.staging(self.home, one.id)
        if mode == "copy":
            clear_credentials(staged / "parachute.db")
            for name in ("operator.token", "hub/backups.json"):
                (staged / name).unlink(missing_ok=True)
            # Another machine's module belongs to the hub that keeps running.
            shutil.rmtree(staged / "hub" / "links", ignore_errors=True)
        keep_vaults(staged / "parachute.db")
        add_act(staged / "parachute.db", act)
        os.sync()
        switch.commit(self.home, one.id, {"backup": dict(one.header), "mode": mode, "at": self.now()})

    def _reported(self, one: _Restore, report: Mapping[str, Any]) -> None:
        one.touched_at = self.now()
        if report["event"] == "header":
            one.header = report["header"]
            if int(one.header["schema"]) > len(shipped_migrations()) and one.run is not None:
                one.error = WorkFailed("newer_hub", "This backup was made by a newer hub. Update this hub first.")
                one.run.kill()
        elif report["event"] == "progress":
            one.progress = {"bytes": report["bytes"], "of": report["of"]}

    def _unpacked(self, one: _Restore, result: Mapping[str, Any]) -> None:
        one.phase, one.result, one.touched_at = "ready", result, self.now()

    def _failed(self, one: _Restore, error: Exception) -> None:
        if one.error is None:
            one.error = error if isinstance(error, WorkFailed) else WorkFailed("failed", "The restore was stopped.")
        one.phase = "failed"
        switch.discard(self.home, one.id)

    def _find(self, restore_id: str) -> _Restore:
        if self._one is None or self._one.id != restore_id:
            raise not_found("There is no such restore. Begin again.")
        self._one.touched_at = self.now()
        return self._one

    def _forget(self) -> None:
        if self._one is not None:
            shutil.rmtree(self.home / switch.FOLDER / self._one.id, ignore_errors=True)
            self._one = None

    def _refusal(self, error: WorkFailed) -> Refused:
        return Refused(400, error.kind, str(error))
