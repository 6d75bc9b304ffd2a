"""Opens and closes the way to this hub. One is open at a time; what was before comes back when it is closed."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from parachute_hub.reach import findings
from parachute_hub.reach.findings import Facts
from parachute_hub.reach.looking import Look
from parachute_hub.reach.programs import Programs
from parachute_hub.reach.records import ReachFile, Record
from parachute_hub.reach.surroundings import Failed, Progress, Surroundings
from parachute_hub.reach.tunnel import DidNotStart, Tunnel
from parachute_hub.reach.ways import BY_ID, TUNNEL, WAYS, Plan, Situation, plan, target
from parachute_hub.site.errors import Refused, not_found

if TYPE_CHECKING:
    from parachute_hub.reach.lan import Lan

CHECK_SECONDS: Final = 5.0
_CHECKS: Final = 12
_log = Logger()


class Reach:
    """The engine behind the page and the command."""

    def __init__(
        self, *, around: Surroundings, look: Look, programs: Programs, file: ReachFile, lan: "Callable[[], Lan]"
    ) -> None:
        self._around = around
        self._look = look
        self._programs = programs
        self._file = file
        self._make_lan = lan
        self._record: Record | None = None
        self._tunnel: Tunnel | None = None
        self.busy = False
        self.lan: Lan | None = None
        self.progress = Progress()

    @property
    def record(self) -> Record | None:
        """The way that is open, or about to be."""
        return self._record

    @property
    def pid(self) -> int | None:
        """The process that keeps it open."""
        return self._tunnel.pid if self._tunnel is not None else None

    async def plans(self, given: Mapping[str, str]) -> list[Plan]:
        """What each way would do here. Asks the programs; takes seconds if one does not answer."""
        facts, here = await self._look(), self._situation()
        return [plan(way, facts, here, given) for way in WAYS]

    async def begin(self, way_id: str, given: Mapping[str, str]) -> Plan:
        """Begin to open a way; `progress` and `record` tell the rest. Raises Refused 404, 409."""
        way = BY_ID.get(way_id)
        if way is None:
            raise not_found(f"There is no way {way_id}.")
        if self.busy:
            raise Refused(409, "busy", "Wait until the last change is done.")
        self.busy = True
        try:
            facts = await self._look()
            planned = plan(way, facts, self._situation(), given)
            if planned.wrong and not planned.refused:
                raise Refused(400, "invalid_choice", planned.wrong)
            if planned.refused:
                raise Refused(409, "not_possible", planned.refused, detail={"remedy": planned.remedy})
        except BaseException:
            self.busy = False
            raise
        self._start(self._open(planned, facts))
        return planned

    async def end(self, *, force: bool = False) -> None:
        """Begin to close the open way. `force`: even if its program cannot be told. Raises Refused 404, 409."""
        if self.busy:
            raise Refused(409, "busy", "Wait until the last change is done.")
        if self._record is None:
            raise not_found("No way is open.")
        self.busy = True
        self._start(self._close(self._record, force=force))

    def recall(self) -> None:
        """Before the first request: which way was open, and so who is believed. Reads a small file."""
        self._record = self._file.read()
        self._around.trust(self._record is not None and bool(self._record.way.program))

    async def boot(self) -> None:
        """After `recall`: go on with the way that was open, or undo what was half done. Never raises."""
        record = self._record
        if record is None:
            return
        await self._around.in_thread(self._around.end_left_over)
        if record.stage != "open" or record.way_id == "cloudflare-quick":
            self.busy = True
            await self._run(self._close(record, force=False))
            if record.stage == "open" and self._record is None:
                self.progress = Progress(error="The quick tunnel ended with the restart of this hub.")
            return
        await self._resume(record)

    async def stop(self) -> None:
        """The hub stops: so does what it runs. It goes on after the next start."""
        if self._tunnel is not None:
            await self._tunnel.stop()
        if self.lan is not None:
            await self.lan.close()

    async def trouble(self) -> str:
        """Why the open way does not lead here any more; "" if it does, or none is open."""
        record = self._record
        if record is None or record.stage != "open" or self.busy:
            return ""
        if record.way_id == "lan":
            return "" if self.lan is not None and self.lan.is_open else self.progress.error or "It is not open."
        if record.way.program != "tailscale":
            gone = self._tunnel is not None and not self._tunnel.is_up
            return f"{record.way.program} has ended. {self._tunnel.why}".strip() if gone and self._tunnel else ""
        if (path := self._programs.find("tailscale")) is None:
            return "tailscale is not installed any more."
        status, served = await self._look.tailscale(path)
        if status.state != "running":
            return "Tailscale does not run, or is signed out."
        leads = served.proxy == target(self._around.situation().port)
        right = leads and served.funnel == (record.way_id == "tailscale-funnel")
        return "" if right or not served.known else "Tailscale does not serve this hub any more."

    def _situation(self) -> Situation:
        active = self._record.way.id if self._record is not None else None
        return evolve(self._around.situation(), active=active, folder=str(self._file.folder))

    def _start(self, work: Any) -> None:
        Deferred.fromCoroutine(self._run(work)).addErrback(
            lambda failure: _log.failure("Changing the way to this hub failed", failure)
        )

    async def _run(self, work: Any) -> None:
        try:
            await work
        except Failed as failed:
            self.progress = Progress(error=str(failed), remedy=failed.remedy)
        except (OSError, Refused) as error:
            self.progress = Progress(error=str(error))
        finally:
            self.busy = False
        record = self._record
        if record is not None and record.stage == "open" and not self.progress.error:
            self._start_check(record)

    # Opening.

    async def _open(self, planned: Plan, facts: Facts) -> None:
        way = planned.way
        self.progress = Progress(doing="Preparing")
        record = Record(
            way_id=way.id,
            choices=dict(planned.choices),
            before=self._around.address.stored(),
            at=self._around.now(),
            origin=planned.origin,
        )
        try:
            record = await self._switch_on(await self._keep(record), planned)
            self.progress = Progress(doing="Changing the hub’s address")
            # The hub itself serves the local name, so nobody speaks for its clients.
            self._around.trust(bool(way.program))
            await self._around.address.choose(record.origin, self._around.now())
            await self._keep(evolve(record, stage="open"))
        except Exception as error:
            if not isinstance(error, Failed | DidNotStart | OSError | Refused):
                _log.failure("A way to this hub could not be opened")
                error = Failed("Something went wrong in the hub. Its log has the details.")
            await self._around.failed("reach-opened", way.title, str(error))
            remedy = error.remedy if isinstance(error, Failed) else ""
            await self._undo_failed(self._record)
            raise Failed(str(error), remedy) from None
        await self._around.done("reach-opened", f"{way.title}: {record.origin}")
        self.progress = Progress()

    async def _switch_on(self, record: Record, planned: Plan) -> Record:
        """Raises Failed, DidNotStart or OSError."""
        way = planned.way
        if planned.config:
            await self._around.in_thread(self._file.configure, way, planned.config)
        if way.id == "lan":
            self.progress = Progress(doing="Listening in your network")
            record = await self._keep(evolve(record, began=True))
            self.lan = self._make_lan()
            await self.lan.open(_host(record.origin))
            return record
        if planned.by_hand or planned.runs_already:
            return record
        record = await self._keep(evolve(record, began=True))
        *first, last = planned.commands
        if way.id == "cloudflare-named":
            record = await self._prepare_tunnel(record, first)
        if not planned.stays:
            await self._command(last)
            return record
        self.progress = Progress(doing=f"Starting {way.program}")
        self._tunnel = self._tunnel_for(last, record)
        found = await self._tunnel.open()
        return await self._keep(evolve(record, origin=found)) if way.id == "cloudflare-quick" else record

    async def _prepare_tunnel(self, record: Record, commands: Sequence[Sequence[str]]) -> Record:
        create, route = commands
        listed = await self._programs.look((create[0], "tunnel", "list", "--output", "json"))
        if not listed.ok:
            raise Failed(f"Cloudflare does not list your tunnels. {findings.last_words(listed.said)}")
        if TUNNEL not in findings.tunnels_of(listed.out):
            record = await self._keep(evolve(record, made_tunnel=True))
            await self._command(create)
        await self._command(route)
        return record

    async def _command(self, command: Sequence[str]) -> None:
        """Run one to its end. Raises Failed."""
        program = command[0].rpartition("/")[2]
        self.progress = Progress(doing=f"Running {program} {command[1]}")
        ran = await self._programs.run(command, enough=lambda said: findings.tailscale_wants(said) is not None)
        link = findings.tailscale_wants(ran.said)
        if link is not None:
            raise Failed("Your tailnet does not allow this yet. Open the link, allow it, then try again.", link)
        if ran.ok:
            return
        if "Access denied" in ran.said or "access denied" in ran.said:
            raise Failed(
                "Tailscale takes no orders from this user.", "Run this once: sudo tailscale set --operator=$USER"
            )
        why = findings.last_words(ran.said) if ran.code is not None else "It did not end within a minute."
        raise Failed(f"{program} failed. {why}".strip())

    def _tunnel_for(self, command: Sequence[str], record: Record) -> Tunnel:
        ready = findings.quick_address if record.way_id == "cloudflare-quick" else _is_ready
        again = record.way_id != "cloudflare-quick"
        return Tunnel(command, start=self._programs.start, clock=self._around.clock, ready=ready, again=again)

    async def _resume(self, record: Record) -> None:
        if record.way_id == "lan":
            self.lan = self._make_lan()
            try:
                await self.lan.resume(_host(record.origin))
            except DidNotStart as error:
                self.progress = Progress(error=str(error))
        elif record.began and record.way.program in ("cloudflared", "caddy"):
            path = self._programs.find(record.way.program)
            if path is None:
                self.progress = Progress(error=f"{record.way.program} is not installed any more.")
                return
            self._tunnel = self._tunnel_for(self._plan_again(record, path).commands[-1], record)
            self._tunnel.keep()

    def _plan_again(self, record: Record, path: str) -> Plan:
        facts = Facts(programs={record.way.program: findings.Program(path=path)})
        return plan(record.way, facts, self._situation(), record.choices)

    # Closing.

    async def _close(self, record: Record, *, force: bool) -> None:
        self.progress = Progress(doing="Closing")
        try:
            record = await self._keep(evolve(record, stage="closing"))
        except OSError as error:
            # A full disk must not keep the hub open to the internet.
            _log.warn("That a way is being closed was not written: {why}", why=error.strerror)
        await self._switch_off(record, force=force)
        if record.origin and self._around.address.stored() == record.origin:
            forgets = record.way_id == "cloudflare-quick"
            await self._around.address.choose(record.before, self._around.now(), forgets=forgets)
        self._around.trust(False)
        await self._keep(None)
        await self._around.done("reach-closed", f"{record.way.title}: {record.origin}")
        self.progress = Progress()

    async def _undo_failed(self, record: Record | None) -> None:
        """After a failure to open: close what was opened, and leave the record if that fails, too."""
        if record is None:
            return
        try:
            await self._close(record, force=False)
        except (Failed, OSError, Refused) as error:
            _log.warn("What was begun could not be undone: {why}", why=str(error))

    async def _switch_off(self, record: Record, *, force: bool) -> None:
        """Raises Failed if a program that serves this hub cannot be told to stop."""
        if self._tunnel is not None:
            tunnel, self._tunnel = self._tunnel, None
            await tunnel.stop()
        if self.lan is not None:
            lan, self.lan = self.lan, None
            await lan.close()
        if not record.began:
            return
        path = self._programs.find(record.way.program) if record.way.program else None
        if path is None:
            if record.way.program == "tailscale" and not force:
                raise Failed(
                    "The command tailscale is missing, so the hub cannot tell Tailscale to stop.",
                    "If Tailscale is gone from this computer, close it anyway (in a terminal: --force).",
                )
            return
        planned = self._plan_again(record, path)
        if record.way.program == "tailscale":
            await self._tailscale_off(record, path, planned.undo[0], force=force)
        elif record.made_tunnel:
            await self._programs.run(planned.undo[0])

    async def _tailscale_off(self, record: Record, path: str, command: Sequence[str], *, force: bool) -> None:
        """What it serves at this name now may be something else; then that stays."""
        status, served = await self._look.tailscale(path)
        if status.state == "running" and served.known and served.proxy != target(self._around.situation().port):
            return
        ran = await self._programs.run(command)
        if not ran.ok and not force:
            why = findings.last_words(ran.said)
            raise Failed(f"Tailscale did not stop serving this hub. {why}".strip(), f"Run this: {' '.join(command)}")

    # Asking at the address.

    def _start_check(self, record: Record) -> None:
        Deferred.fromCoroutine(self._check(record)).addErrback(
            lambda failure: _log.failure("Asking for this hub at its address failed", failure)
        )

    async def _check(self, record: Record) -> None:
        """New names and certificates take a while, so it is asked again for a minute."""
        for _ in range(_CHECKS):
            finding = await self._around.probe(record.origin)
            if self._record is None or self._record.origin != record.origin or self.busy:
                return
            self.progress = _found(finding)
            if finding is None:
                return
            await deferLater(self._around.clock, CHECK_SECONDS)

    async def check(self) -> None:
        """Ask once more, now. Raises Refused 404 if no way is open."""
        if self._record is None or self._record.stage != "open":
            raise not_found("No way is open.")
        self.progress = _found(await self._around.probe(self._record.origin))
        await self._around.done("reach-checked", self._record.origin)

    async def _keep(self, record: Record | None) -> Any:
        """Write the record before what it says is done. Raises OSError."""
        await self._around.in_thread(self._file.write, record)
        self._record = record
        return record


def _found(finding: str | None) -> Progress:
    return Progress(reachable=finding is None, finding=finding or "")


def _host(origin: str) -> str:
    return origin.partition("://")[2].partition(":")[0]


def _is_ready(said: str) -> str | None:
    """`cloudflared tunnel run` and `caddy run` say so when they serve."""
    for sign in ("Registered tunnel connection", "serving initial configuration"):
        if sign in said:
            return sign
    return None
