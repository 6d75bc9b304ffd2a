"""Room in vaults: sizes, measured now and then in a thread, and the quotas that they are held against."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub.accounts.assemble import Accounts
from parachute_hub.accounts.people.deletion_policy import DAY, WARNED, ends_at
from parachute_hub.accounts.people.vault_deletions import VaultDeletions
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.elsewhere.links import Links
from parachute_hub.modules.state.vault_sizes import VaultSize, measured
from parachute_hub.problems.checks.machine import size_words
from parachute_hub.problems.checks.vaults import LeavingVault, UsedRoom
from parachute_hub.proxy.routes import ErrorResponse
from parachute_hub.proxy.vault_writes import Ended
from parachute_hub.store.rows import User
from parachute_hub.supervise.far import Unreached
from parachute_hub.system.records import define, frozen
from parachute_hub.system.timers import every

DELETION_SECONDS = 600.0
DELETION_FIRST = 5.0
SETTLES = 2.0
"""Seconds from the end of a change to the measurement that includes it."""
RESERVED_AT_MOST = 64 << 20
"""Bytes that one request holds before the vault has seen its credential. A larger one must fit, but holds no more."""
MEASURED_ANYWAY = 600.0
_READ_AGAIN = 1.0
_NOTHING = VaultSize(0, 0)
_log = Logger()
Measures = Callable[[Sequence[str]], Awaitable[Mapping[str, VaultSize] | None]]
"""Measures vaults on another machine, as far as it answers. None if it does not tell sizes."""


@frozen
class Limit:
    """A quota: of the vault or person `whose`, over all of `vaults`, in bytes."""

    whose: str
    kind: str
    vaults: tuple[str, ...]
    size: int


def limits_of(users: Iterable[User], quotas: Mapping[str, int]) -> list[Limit]:
    """All quotas that are set.

    >>> limits_of([], {"work": 5})
    [Limit(whose='work', kind='vault', vaults=('work',), size=5)]
    """
    found = [Limit(vault, "vault", (vault,), size) for vault, size in quotas.items()]
    return found + [Limit(user.called, "person", user.own, user.quota) for user in users if user.quota and user.own]


def full(limit: Limit, used: int) -> ErrorResponse:
    """507, with what to do (RFC 4918, 11.5)."""
    if limit.kind == "vault":
        why = f"The vault {limit.whose} has no room for this: {size_words(used)} of {size_words(limit.size)} are used."
    else:
        # People with whom the vault is shared read this as well, and the owner's figures are not theirs to know.
        why = "This vault has no room for this: its owner's limit is reached."
    text = (
        f"{why} Reading and deleting still work. Delete notes or files and empty the trash, or ask the person who "
        "runs this hub for more room."
    )
    # The names that modules and their apps read as well as the hub's own.
    return ErrorResponse(507, "no_room", text, detail={"code": "no_room", "message": text})


_NO_LENGTH_TEXT = "This vault has a limit, so what you send must say how large it is (Content-Length)."
NO_LENGTH = ErrorResponse(
    411, "length_required", _NO_LENGTH_TEXT, detail={"code": "length_required", "message": _NO_LENGTH_TEXT}, close=True
)


@define
class MeasuredRoom:
    """Implements `proxy.vault_writes.VaultRoom`. Only vaults with a quota are measured without being asked.

    What is coming, and what came since the last measurement, counts as announced. `folder` has a folder for each vault,
    `vaults` names them, `people` and `quotas` are read at most once a second, while somebody writes. `elsewhere` is
    None while the vaults are here. `counts` is False if they are where nobody tells their sizes, or has not yet: then
    quotas do not apply.
    """

    folder: Path
    clock: IReactorTime
    in_thread: Callable[..., Awaitable[Any]]
    vaults: Callable[[], Sequence[str]]
    people: Callable[[], Sequence[User]]
    quotas: Callable[[], Mapping[str, int]]
    elsewhere: Callable[[], Measures | None] = field(default=lambda: None)
    counts: bool = field(default=True, init=False)
    _sizes: dict[str, VaultSize] = field(factory=dict, init=False)
    _coming: dict[str, int] = field(factory=dict, init=False)
    _added: dict[str, int] = field(factory=dict, init=False)
    _changed: set[str] = field(factory=set, init=False)
    _limits: list[Limit] = field(factory=list, init=False)
    _read_at: float | None = field(default=None, init=False)
    _soon: IDelayedCall | None = field(default=None, init=False)

    def refusal(self, vault: str, adding: int | None) -> ErrorResponse | None:
        for limit in self._now():
            if vault not in limit.vaults:
                continue
            if (used := self.used(limit)) + max(1, adding or 0) > limit.size:
                return full(limit, used)
            if adding is None:
                return NO_LENGTH
        return None

    def reserve(self, vault: str, adding: int) -> Ended:
        if not any(vault in limit.vaults for limit in self._now()):
            return lambda stored: None
        held = min(adding, RESERVED_AT_MOST)
        self._coming[vault] = self._coming.get(vault, 0) + held
        return partial(self._ended, vault, held)

    def _ended(self, vault: str, held: int, stored: bool) -> None:
        self._coming[vault] -= held
        if stored:
            self._added[vault] = self._added.get(vault, 0) + held
        self._measure_soon([vault])

    def used(self, limit: Limit) -> int:
        """What a limit's vaults take now, as far as it is known."""
        return sum(
            self._sizes.get(name, _NOTHING).total + self._added.get(name, 0) + self._coming.get(name, 0)
            for name in limit.vaults
        )

    async def measure(self, names: Iterable[str] | None = None) -> Mapping[str, VaultSize]:
        """Measure these vaults, or all, now."""
        wanted = tuple(self.vaults() if names is None else names)
        # What comes while the thread measures counts until the next time.
        before = {name: self._added.get(name, 0) for name in wanted}
        far = self.elsewhere()
        found: Mapping[str, VaultSize] | None
        found = await (self.in_thread(_measured, self.folder, wanted) if far is None else far(wanted))
        for name, size in (dict.fromkeys(wanted, _NOTHING) if found is None else found).items():
            self._sizes[name] = size
            self._added[name] = max(0, self._added.get(name, 0) - before[name])
        self.counts = found is not None and self._sizes.keys() >= {*wanted}
        return {name: self._sizes.get(name, _NOTHING) for name in wanted}

    async def totals(self, names: Iterable[str]) -> Mapping[str, int]:
        """Bytes of these vaults, measured now."""
        return {name: size.total for name, size in (await self.measure(names)).items()}

    async def measure_limited(self) -> None:
        """Measure the vaults that have a quota."""
        names = {name for limit in self._now() for name in limit.vaults}
        if names:
            await self.measure(names)

    def rooms(self) -> list[UsedRoom]:
        """Every quota and its use, for the checks."""
        return [
            UsedRoom(limit.whose, limit.kind, self.used(limit), limit.size, self._largest(limit))
            for limit in self._now()
        ]

    def largest(self, most: int = 3) -> list[tuple[str, int]]:
        """The largest vaults of those that were measured."""
        sizes = [(name, size.total) for name, size in self._sizes.items()]
        return sorted(sizes, key=lambda one: one[1], reverse=True)[:most]

    def timer(self) -> LoopingCall:
        """Measure at start, and now and then, since not every change passes the proxy."""
        Deferred.fromCoroutine(self.measure_limited()).addErrback(lambda why: _log.failure("Measuring vaults", why))
        return every(
            self.clock, MEASURED_ANYWAY, lambda: Deferred.fromCoroutine(self.measure_limited()), "Measuring vaults"
        )

    def _largest(self, limit: Limit) -> list[tuple[str, int]]:
        if limit.kind == "person":
            return [(f"the vault {name}", self._sizes[name].total) for name in limit.vaults if name in self._sizes]
        size = self._sizes.get(limit.whose, _NOTHING)
        return [("its files", size.files), ("its notes", size.total - size.files)]

    def _now(self) -> list[Limit]:
        now = self.clock.seconds()
        if self._read_at is None or now - self._read_at >= _READ_AGAIN:
            self._read_at = now
            self._limits = limits_of(self.people(), self.quotas())
            unknown = {name for limit in self._limits for name in limit.vaults} - self._sizes.keys()
            if unknown:
                self._measure_soon(unknown)
        return self._limits

    def _measure_soon(self, names: Iterable[str]) -> None:
        self._changed.update(names)
        if self._soon is None:
            self._soon = self.clock.callLater(SETTLES, self._measure_changed)

    def _measure_changed(self) -> None:
        self._soon = None
        names, self._changed = self._changed, set()
        Deferred.fromCoroutine(self.measure(names)).addErrback(lambda why: _log.failure("Measuring vaults", why))


def _measured(folder: Path, names: Sequence[str]) -> dict[str, VaultSize]:
    return {name: measured(folder / name) for name in names}


@frozen(kw_only=True)
class VaultCare:
    """What the hub looks after in vaults: their room, and the end of those that are to be deleted."""

    room: MeasuredRoom
    _deletions: VaultDeletions
    _clock: Callable[[], float]

    def leaving(self) -> list[LeavingVault]:
        """The vaults that are deleted soon, or could not be, for the checks."""
        now = self._clock()
        return [
            LeavingVault(vault=one.vault, days=(ends_at(one) - now) / DAY, failure=one.failure)
            for one in self._deletions.all()
            if one.failure or ends_at(one) - now <= WARNED
        ]

    def timers(self) -> tuple[Callable[[], LoopingCall], ...]:
        """Start measuring and deleting. Deletions are looked for by the clock of the machine, also after it slept."""
        delete = lambda: Deferred.fromCoroutine(self._deletions.tick())  # noqa: E731

        def start() -> LoopingCall:
            # A laptop may never be on for the whole period.
            self.room.clock.callLater(DELETION_FIRST, delete)
            return every(self.room.clock, DELETION_SECONDS, delete, "Deleting vaults")

        return (self.room.timer, start)


def _elsewhere(links: Links) -> Measures | None:
    machine = links.machine("vault")
    if machine is None:
        return None

    async def measure(names: Sequence[str]) -> Mapping[str, VaultSize] | None:
        try:
            told = await machine.sizes()
        except Unreached:
            return {}
        return None if told is None else {name: VaultSize(*told.get(name, (0, 0))) for name in names}

    return measure


def vault_care(core: ProcessContext, engine: ModuleRuntime, accounts: Accounts) -> VaultCare:
    """Create both."""
    room = MeasuredRoom(
        core.settings.home / "vault" / "data",
        core.reactor,
        engine.modules.files.outside.in_thread,
        engine.installed_modules.vaults,
        accounts.people.all,
        accounts.quotas.vaults,
        partial(_elsewhere, engine.elsewhere),
    )
    return VaultCare(room=room, deletions=accounts.deletions, clock=accounts.clock)
