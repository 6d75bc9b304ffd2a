"""Moves a module with its data to a paired host, and back: all or nothing.

The first pass copies while the module runs. Then requests get 503 with Retry-After until the end: the module is
stopped, what has changed is copied, both sides compare hashes, the module starts at its new place, and the record of
the link is switched. Whatever fails before that, or a kill, leaves the module where it was, with the data it had.
"""

import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import evolve
from twisted.internet.task import deferLater
from twisted.logger import Logger

from parachute_hub.elsewhere.blobs import Courier, Spoilt, assemble
from parachute_hub.elsewhere.calls import CallRefused
from parachute_hub.elsewhere.links import Links
from parachute_hub.elsewhere.machine import API, FarMachine, id_in
from parachute_hub.jobs.model import Job
from parachute_hub.jobs.runner import JobFailed, Work
from parachute_hub.link.files import FileEntry, UnsafeFiles, Walk, checked, digest
from parachute_hub.modules.assembly import ModuleServices
from parachute_hub.modules.operations.health_gate import HealthGate
from parachute_hub.modules.state.records import RecordsRefused
from parachute_hub.site.errors import Refused
from parachute_hub.supervise.far import Unreached
from parachute_hub.supervise.supervisor import Supervisor
from parachute_hub.system.atomic_files import private_folder, sync_folder
from parachute_hub.system.records import frozen

MOVED: Final = "moved_"
"""The names of snapshots of data that was moved away begin so."""
_GATE_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_QUIET_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.1
_LISTS: Final = 32 * 1024 * 1024
_LIST_SECONDS: Final = 120.0
T = TypeVar("T")


@frozen(kw_only=True)
class Mover:
    """Moves modules. `under_way` is the number of open requests to a port or another machine."""

    links: Links
    modules: ModuleServices
    supervisor: Supervisor
    home: Path
    under_way: Callable[[int | str], int]
    clock: Any
    _log = Logger()

    def move(self, short: str, *, there: bool, keep: bool = False) -> Job:
        """Start the job. To `keep` is to use the data that is there already. Raises Refused."""
        link = self.links.link(short)
        if link is None or not link.paired:
            raise Refused(409, "not_paired", f"{short} is not paired with another machine. Pair them first.")
        if link.active is there:
            raise Refused(409, "already_there", f"{short} already runs {'there' if there else 'here'}.")
        work = partial(self._there, keep=keep) if there else self._here
        params = {"to": "there" if there else "here", **({"keep": True} if keep else {})}
        return self.modules.jobs.start("move", short, params, lambda handle: self._told(handle, work(handle, short)))

    def handlers(self) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[None]]]:
        """Undo handlers for `Jobs`."""
        return {"far_stop": self._far_stop, "resume": self._resume, "unstage": self._unstage}

    # --- to the other machine

    async def _there(self, work: Work, short: str, *, keep: bool) -> None:
        work.step("check")
        machine, records = self._machine(short), self.modules.files.directory.records
        wanted, link = records.wanted(short), machine.link
        if not keep and not link.filled:
            await self._refuse_to_replace(machine)
            link = evolve(link, filled=True)
            await records.change(short, link=link)
        work.step("install there")
        await machine.install()
        await self._stop_there(machine)
        if keep:
            work.step("stop")
            await self._pause(work, short, self._key(short))
        else:
            await self._copy(work, machine, short)
        work.step("start there")
        await work.undo("far_stop", short=short)
        if wanted:
            await machine.order("start")
            await self._runs_there(machine)
        await records.change(short, link=evolve(link, active=True, filled=True), wanted=wanted)
        await work.commit()
        await self._switched(short, wanted)
        work.step("finish")
        await work.whole(self._in_thread(self._set_aside, short, f"{MOVED}{work.id}"))
        work.line(f"{short} runs on {machine.address}. The data that was here is kept as a copy.")

    async def _refuse_to_replace(self, machine: FarMachine) -> None:
        """A host that was paired before may have the only data that there is."""
        told = await machine.call("GET", "/data/files", seconds=_LIST_SECONDS, most=_LISTS)
        if not isinstance(told, dict) or told.get("files"):
            raise JobFailed(
                "The other machine has data from an earlier link, which this would replace. To run it there with that "
                'data, choose "Use the data that is there" under Technical details. Otherwise delete it there first.'
            )

    async def _copy(self, work: Work, machine: FarMachine, short: str) -> None:
        data, walk = self.home / short, Walk()
        work.step("copy")
        files = await work.whole(self._in_thread(walk, data))
        await self._send(work, machine, data, files, changing=True)
        work.step("stop")
        await self._pause(work, short, self._key(short))
        work.step("copy changes")
        files = await work.whole(self._in_thread(walk, data))
        move = await self._send(work, machine, data, files, changing=False)
        work.step("compare")
        listed = {"files": [entry.to_json() for entry in files]}
        told = await machine.call("POST", f"/data/{move}/commit", listed, seconds=_LIST_SECONDS)
        if not isinstance(told, dict) or told.get("digest") != digest(files) or told.get("files") != len(files):
            raise JobFailed("The data there is not the same as here, so nothing was moved.")
        work.line(f"{len(files)} files are the same on both sides ({told['digest'][:12]}).")

    async def _send(
        self, work: Work, machine: FarMachine, folder: Path, files: Sequence[FileEntry], *, changing: bool
    ) -> str:
        """Upload what the other machine lacks. Returns the id of the move there."""
        listed = {"files": [entry.to_json() for entry in files]}
        begun = await machine.call("POST", "/data/begin", listed, seconds=_LIST_SECONDS, most=_LISTS)
        if not isinstance(begun, dict) or not isinstance(begun.get("missing"), list):
            raise JobFailed("The other machine does not say which files it lacks.")
        missing = {one for one in begun["missing"] if isinstance(one, str)}
        total = sum({entry.sha256: entry.size for entry in files if entry.sha256 in missing}.values())
        move, courier = id_in(begun, "move"), self._courier(machine)
        await courier.send(folder, files, missing, move, self._counted(work, total), changing=changing)
        return move

    async def _runs_there(self, machine: FarMachine) -> None:
        by = self.clock.seconds() + _GATE_SECONDS
        while True:
            state = await machine.state()
            if state.get("state") in ("running", "asleep"):
                return
            if state.get("state") in ("crashed", "parked", "held") or self.clock.seconds() > by:
                raise JobFailed(f"It does not run on the other machine. {state.get('message') or ''}".strip())
            await deferLater(self.clock, _POLL_SECONDS)

    async def _stop_there(self, machine: FarMachine) -> None:
        await machine.order("stop")
        by = self.clock.seconds() + _STOP_SECONDS
        while (await machine.state()).get("state") not in ("stopped", "not_installed"):
            if self.clock.seconds() > by:
                raise JobFailed("It could not be stopped on the other machine.")
            await deferLater(self.clock, _POLL_SECONDS)

    def _set_aside(self, short: str, name: str) -> None:
        """Keep the data that was moved away as a snapshot. Blocks."""
        data, kept = self.home / short, self.modules.snapshots.folder / short
        if data.is_dir():
            private_folder(self.modules.snapshots.folder)
            private_folder(kept)
            os.rename(data, kept / name)
            os.utime(kept / name)
            sync_folder(kept)
            sync_folder(self.home)
            self.modules.snapshots.keep_only(short, name, MOVED)

    # --- back

    async def _here(self, work: Work, short: str) -> None:
        work.step("check")
        machine, records = self._machine(short), self.modules.files.directory.records
        wanted, link, swap = records.wanted(short), machine.link, self.modules.data_restorer.swap
        await self._same_version(machine, short)
        staging = self._staging(short, work.id)
        await work.undo("unstage", short=short, name=work.id)
        work.step("copy")
        await self._fetch(work, machine, staging, changing=True)
        work.step("stop there")
        await self._pause(work, short, machine.key)
        await self._stop_there(machine)
        work.step("copy changes")
        files = await self._fetch(work, machine, staging, changing=False)
        work.step("compare")
        tree = staging / "data"
        await work.whole(self._in_thread(assemble, staging / "blobs", tree, files))
        arrived = await work.whole(self._in_thread(Walk(), tree))
        if digest(arrived) != digest(files):
            raise JobFailed("The data that arrived is not the same as there, so nothing was moved.")
        work.line(f"{len(files)} files are the same on both sides ({digest(files)[:12]}).")
        work.step("start")
        await work.undo("swap_back", "The data here is as it was.", short=short, name=work.id, place=short)
        await work.undo("remove", live=True, short=short)
        await self.supervisor.remove(short)
        await work.whole(self._in_thread(self._swap_in, short, work.id, tree))
        await records.change(short, link=evolve(link, active=False), wanted=wanted)
        if wanted:
            gate = HealthGate(supervisor=self.supervisor, clock=self.clock)
            await gate.prove(work, short, _GATE_SECONDS, 0.0)
        else:
            await self.supervisor.stop(short)
        await work.commit()
        self.links.closed.discard(short)
        work.step("finish")
        await work.whole(self._in_thread(swap.settle, short, work.id))
        await work.whole(self._in_thread(shutil.rmtree, staging, True))
        work.line(f"{short} runs here again. What is on {machine.address} stays there until the next move.")

    async def _fetch(self, work: Work, machine: FarMachine, staging: Path, *, changing: bool) -> tuple[FileEntry, ...]:
        """Download what is new there. Returns the list."""
        told = await machine.call("GET", "/data/files", seconds=_LIST_SECONDS, most=_LISTS)
        files = checked(told.get("files") if isinstance(told, dict) else None)
        total = sum({entry.sha256: entry.size for entry in files}.values())
        courier = self._courier(machine)
        if await courier.room(staging / "blobs", files) > self.modules.disk.free_bytes():
            raise JobFailed("The disk here has too little room for its data.")
        await courier.fetch(staging / "blobs", files, self._counted(work, total), changing=changing)
        return files

    async def _same_version(self, machine: FarMachine, short: str) -> None:
        here, state = self.links.knows.installed(short), await machine.state()
        there = (state.get("package"), state.get("version"))
        if here != there:
            raise JobFailed(f"{there[0]} {there[1]} runs there, and {here} is here. Update it first.")

    def _swap_in(self, short: str, name: str, tree: Path) -> None:
        swap = self.modules.data_restorer.swap
        swap.take(short, name, tree)
        swap.swap_in(short, name, short, replace=True)

    # --- both

    async def _told(self, work: Work, moving: Awaitable[None]) -> None:
        """Say in the job what went wrong on the way."""
        try:
            await moving
        except (Unreached, UnsafeFiles, Spoilt, RecordsRefused) as error:
            raise JobFailed(str(error)) from None
        except CallRefused as refused:
            raise JobFailed(f"The other machine refused: {refused}") from None

    async def _pause(self, work: Work, short: str, key: int | str) -> None:
        """From here on requests get 503; those under way may end. The module here, if it is here, stops."""
        records = self.modules.files.directory.records
        await work.undo("resume", live=True, short=short)
        await work.undo("record", short=short, record=records.get(short).to_json())
        self.links.closed.add(short)
        by = self.clock.seconds() + _QUIET_SECONDS
        while self.under_way(key) and self.clock.seconds() < by:
            await deferLater(self.clock, _POLL_SECONDS / 2)
        status = self.supervisor.status(short)
        if status is not None and status.elsewhere is None:
            await self.supervisor.stop(short)

    async def _switched(self, short: str, wanted: bool) -> None:
        """Let the supervisor see where the module runs now, and requests go there."""
        try:
            await self.supervisor.remove(short)
            await (self.supervisor.start if wanted else self.supervisor.stop)(short)
        finally:
            self.links.closed.discard(short)

    async def _resume(self, given: Mapping[str, Any]) -> None:
        """Run it again where it was; its record has been restored."""
        short = given["short"]
        await self._switched(short, self.modules.files.directory.records.wanted(short))

    async def _far_stop(self, given: Mapping[str, Any]) -> None:
        """The copy there must not go on by itself. A host that cannot be reached is stopped with the next move."""
        machine = self.links.paired(given["short"])
        try:
            if machine is not None:
                await machine.order("stop")
        except Unreached as error:
            self._log.warn("The module that was to move was not stopped there: {why}", why=str(error))

    async def _unstage(self, given: Mapping[str, Any]) -> None:
        await self._in_thread(shutil.rmtree, self._staging(given["short"], given["name"]), True)

    def _machine(self, short: str) -> FarMachine:
        machine = self.links.paired(short)
        if machine is None:
            raise JobFailed(f"{short} is not paired with another machine.")
        return machine

    def _key(self, short: str) -> int | str:
        return self.supervisor.owned_port(short) or 0

    def _staging(self, short: str, name: str) -> Path:
        return self.home / "hub" / "moving" / f"{short}-{name}"

    def _courier(self, machine: FarMachine) -> Courier:
        return Courier(caller=machine.caller, api=API, in_thread=self._in_thread)

    def _counted(self, work: Work, total: int) -> Callable[[int], None]:
        done = 0

        def count(size: int) -> None:
            nonlocal done
            done += size
            work.measured(done, total)

        return count

    @property
    def _in_thread(self) -> Callable[..., Awaitable[Any]]:
        return self.modules.files.outside.in_thread
