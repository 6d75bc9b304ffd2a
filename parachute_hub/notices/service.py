"""Listens for problems and sends notices of them; keeps destinations and quiet hours."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field
from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.logger import Logger

from parachute_hub.events import Bus, NumberedEvent, ProblemChanged
from parachute_hub.notices.model import Message, Severity, farewell, newcomer, test_message
from parachute_hub.notices.outbound import NotSent
from parachute_hub.notices.outbox import Outbox, is_quiet
from parachute_hub.notices.records import Destination, Kind, NoticesFile, NoticeState, Quiet, SecretBox
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system import strict_json
from parachute_hub.system.doer import Done
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import define, frozen
from parachute_hub.system.timers import FailureLog

with lazily():
    from parachute_hub.notices import webpush

if TYPE_CHECKING:
    from parachute_hub.notices.senders import Sender

TICK_SECONDS: Final = 2.0
# While nobody uses the hub.
RESTING_SECONDS: Final = 30.0
PING_SECONDS = 300.0
AGAIN_SECONDS: Final = (60.0, 300.0, 1800.0)
"""When a failed delivery is tried again."""

_MOST = 20
_LIMIT = 64 * 1024
_VAPID = "notices:vapid"


@frozen(kw_only=True)
class _Delivery:
    """One message on its way to one destination; `at` is when it is tried next, in epoch seconds."""

    destination: str
    message: Message
    at: float
    tries: int = 0


@define(kw_only=True, eq=False)
class Notices:
    """All that pages, commands and checks ask of notices.

    `page` is the link in a notice. `minute` gives the minute of the day in a time zone; it raises LookupError for an
    unknown one. `now` is in epoch seconds, `in_thread` runs what blocks. `senders` are asked for when one is needed.
    """

    file: NoticesFile
    seals: SecretBox
    senders: "Callable[[], Mapping[Kind, Sender]]"
    bus: Bus
    page: Callable[[], str]
    minute: Callable[[float, str], int]
    now: Callable[[], float]
    new_id: Callable[[], str]
    in_thread: Callable[..., Awaitable[Any]]
    done: Done
    _outbox: Outbox = field(init=False)
    _deliveries: list[_Delivery] = field(factory=list, init=False)
    _pinged_at: float = field(default=0.0, init=False)
    _one: DeferredLock = field(factory=DeferredLock, init=False)
    _failures: FailureLog = field(factory=FailureLog, init=False)
    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._outbox = self.file.outbox
        self.bus.subscribe(self._heard)

    # --- what there is

    @property
    def state(self) -> NoticeState:
        """Destinations and settings as they are now."""
        return self.file.state

    def failures(self) -> list[tuple[str, str, str]]:
        """Destinations whose last notice did not arrive: id, name, and why."""
        return [(one.id, one.label, one.error) for one in self.state.destinations if one.error is not None]

    # --- destinations

    def label_of(self, kind: Kind, told: Mapping[str, Any], *, private: bool) -> str:
        """What it is called if nobody names it. Raises Refused for one that cannot be used at sight."""
        if len(self.state.destinations) >= _MOST:
            raise Refused(409, "too_many", f"There can be {_MOST} destinations. Remove one first.")
        try:
            return self.senders()[kind].label(told, private=private)
        except NotSent as error:
            raise _refused(error) from None

    async def add(self, kind: Kind, told: Mapping[str, Any], *, private: bool, name: str = "") -> Destination:
        """Try it with a first notice, keep it, and tell the others. Raises Refused."""
        label = self.label_of(kind, told, private=private)
        destination_id = self.new_id()
        try:
            await self.senders()[kind].send(told, test_message(self.page()), private=private)
        except NotSent as error:
            raise _refused(error) from None
        sealed = self.seals.seal(strict_json.write(dict(told)).decode(), f"notice:{destination_id}").hex()
        now = self.now()
        destination = Destination(
            id=destination_id,
            kind=kind,
            label=name.strip()[:60] or label,
            sealed=sealed,
            added_at=now,
            private=private,
            sent_at=now,
        )
        others = [one for one in self.state.destinations if one.kind != "ping"]
        await self._change(lambda state: state.with_destination(destination))
        await self.done("notice-destination-added", destination.label)
        self._send_later(others, newcomer(destination.label, self.page()))
        return destination

    async def remove(self, destination_id: str) -> None:
        """Forget a destination, and tell it so if it still answers. Raises Refused 404."""
        destination = self.get(destination_id)
        told = self._open(destination)
        await self._change(lambda state: state.without(destination_id))
        await self.done("notice-destination-removed", destination.label)
        self._deliveries = [one for one in self._deliveries if one.destination != destination_id]
        if destination.kind == "ping":
            return
        try:
            await self.senders()[destination.kind].send(told, farewell(self.page()), private=destination.private)
        except NotSent as error:
            self._log.info("A removed destination of notices could not be told: {why}", why=error.kind)

    async def test(self, destination_id: str) -> None:
        """Send a notice there now. Raises Refused."""
        destination = self.get(destination_id)
        error = await self._deliver(destination, test_message(self.page()))
        if error is not None:
            raise Refused(400, error.kind, str(error))
        await self.done("notice-tested", destination.label)

    def get(self, destination_id: str) -> Destination:
        """The destination of this id. Raises Refused 404."""
        found = next((one for one in self.state.destinations if one.id == destination_id), None)
        if found is None:
            raise not_found("There is no such destination.")
        return found

    async def choose(self, *, least: Severity, quiet: Quiet | None) -> None:
        """Which problems are told, and when none is. Raises Refused."""
        if quiet is not None:
            try:
                self.minute(self.now(), quiet.zone)
            except LookupError:
                raise Refused(400, "invalid_zone", f"{quiet.zone} is not a time zone known here.") from None
        await self._change(lambda state: evolve(state, least=least, quiet=quiet))
        await self.done("notice-settings-changed")

    async def key(self) -> Any:
        """The hub's key pair for web push, made at its first use."""
        if self.state.vapid is None:
            sealed = self.seals.seal(webpush.stored(webpush.new_key()), _VAPID).hex()
            await self._change(lambda state: state if state.vapid else evolve(state, vapid=sealed))
        return webpush.restored(self.seals.open(bytes.fromhex(self.state.vapid or ""), _VAPID))

    # --- sending

    def _heard(self, numbered: NumberedEvent) -> None:
        event = numbered.event
        if not isinstance(event, ProblemChanged):
            return
        problem = event.problem
        if event.change in ("appeared", "changed"):
            self._outbox.appeared(problem["key"], problem["title"], problem["severity"])
        else:
            self._outbox.gone(problem["key"])

    async def tick(self) -> None:
        """Send what is due. Called every TICK_SECONDS; a destination that hangs holds up no other."""
        now = self.now()
        if not self.state.destinations:
            return
        due = self._outbox.due(now, quiet=self._quiet(now), least=self.state.least)
        for one in due:
            message = Message(
                key=one.key,
                headline=one.headline,
                severity=one.severity,
                link=self.page(),
                resolved=one.change == "resolved",
            )
            # An older notice of the same cause that is still on its way would only confuse.
            self._deliveries = [waiting for waiting in self._deliveries if waiting.message.key != one.key]
            self._send_later([each for each in self.state.destinations if each.kind != "ping"], message)
        if due:
            await self._change(lambda state: state)
        if now - self._pinged_at >= PING_SECONDS:
            self._pinged_at = now
            for ping in self.state.destinations:
                if ping.kind == "ping":
                    self._deliveries = [one for one in self._deliveries if one.destination != ping.id]
                    self._send_later([ping], test_message(self.page()))
        ready = [one for one in self._deliveries if one.at <= now]
        self._deliveries = [one for one in self._deliveries if one.at > now]
        await DeferredList([Deferred.fromCoroutine(self._attempt(one)) for one in ready], consumeErrors=True)

    def _quiet(self, now: float) -> bool:
        quiet = self.state.quiet
        if quiet is None:
            return False
        try:
            return is_quiet(self.minute(now, quiet.zone), (quiet.begin, quiet.end))
        except LookupError:
            return False

    def _send_later(self, destinations: list[Destination], message: Message) -> None:
        """At the next tick."""
        self._deliveries += [_Delivery(destination=one.id, message=message, at=0.0) for one in destinations]

    async def _attempt(self, delivery: _Delivery) -> None:
        destination = next((one for one in self.state.destinations if one.id == delivery.destination), None)
        if destination is None:
            return
        error = await self._deliver(destination, delivery.message)
        # A sign of life is due again soon anyway.
        if error is not None and delivery.tries < len(AGAIN_SECONDS) and destination.kind != "ping":
            at = self.now() + AGAIN_SECONDS[delivery.tries]
            self._deliveries.append(evolve(delivery, at=at, tries=delivery.tries + 1))

    async def _deliver(self, destination: Destination, message: Message) -> NotSent | None:
        """Send once, and note how it went."""
        error: NotSent | None = None
        try:
            told = self._open(destination)
            await self.senders()[destination.kind].send(told, message, private=destination.private)
        except NotSent as problem:
            error = problem
        except Exception:
            # The log line must not hold the address.
            self._failures.failed(f"Sending notices by {destination.kind}")
            error = NotSent("failed", "Something went wrong in the hub. Its log has the details.")
        text = None if error is None else str(error)
        current = next((one for one in self.state.destinations if one.id == destination.id), None)
        if current is not None and (text != current.error or destination.kind != "ping"):
            sent_at = self.now() if error is None else current.sent_at
            changed = evolve(current, error=text, sent_at=sent_at)
            await self._change(lambda state: state.updated(changed))
        return error

    def _open(self, destination: Destination) -> Mapping[str, Any]:
        try:
            text = self.seals.open(bytes.fromhex(destination.sealed), f"notice:{destination.id}")
        except Exception:
            raise NotSent("sealed", "Its address cannot be read any more. Remove it and add it again.") from None
        found: Mapping[str, Any] = strict_json.read(text.encode(), limit=_LIMIT).value
        return found

    async def _change(self, alter: Callable[[NoticeState], NoticeState]) -> None:
        """Write down what `alter` makes of the present state. Raises Refused 507."""
        await self._one.acquire()
        try:
            await self.in_thread(self.file.write, alter(self.state), self._outbox.to_json())
        except OSError as error:
            raise Refused(507, "disk_full", f"This could not be written down: {error.strerror}.") from None
        finally:
            self._one.release()


def _refused(error: NotSent) -> Refused:
    return Refused(409 if error.kind == "private_address" else 400, error.kind, str(error))
