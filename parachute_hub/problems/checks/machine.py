"""The machine: disk, memory and clock."""

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final, Literal

from attrs import field

from parachute_hub.problems.check import Wake
from parachute_hub.problems.facts import KnowsModules
from parachute_hub.problems.model import Problem, click, link, words
from parachute_hub.system.records import define, frozen

MB: Final = 1024 * 1024
GB: Final = 1024 * MB


def size_words(size: float) -> str:
    """Bytes for people.

    >>> size_words(300 * MB), size_words(2.5 * GB)
    ('300 MB', '2.5 GB')
    """
    return f"{size / MB:.0f} MB" if size < GB else f"{size / GB:.1f} GB"


@frozen(kw_only=True)
class DiskSpace:
    """A disk that is almost full, and what fills it. `space` gives free and total bytes.

    A share alone would call 300 GB free a problem, and bytes alone a small container's empty disk. `largest` tells what
    takes the most room, in words and bytes, as far as that is known, and `vaults` the largest vaults by name; they are
    asked only while the disk is full.
    """

    space: Callable[[], tuple[int, int]]
    largest: Callable[[], Sequence[tuple[str, int]]] = lambda: ()
    vaults: Callable[[], Sequence[tuple[str, int]]] = lambda: ()
    name: str = "room on the disk"
    period: float = 15.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """A warning above 80 % with less than 2 GB left, an error below 5 % and 500 MB, or where a single install may
        not fit.
        """
        free, total = self.space()
        if free < min(total * 0.05, 500 * MB) or free < min(total * 0.2, 100 * MB):
            severity: Literal["error", "warning"] = "error"
        elif free < min(total * 0.2, 2 * GB):
            severity = "warning"
        else:
            return []
        most = _listed(self.largest())
        vaults = _listed(self.vaults())
        return [
            Problem(
                key="disk-space",
                severity=severity,
                title="The disk is almost full",
                text=f"{size_words(free)} of {size_words(total)} are left. Once it is full, nothing can be saved."
                + (f" The most room is taken by {most}." if most else ""),
                detail=f"The largest vaults are {vaults}." if vaults else "",
                clears="It goes away once there is more room.",
                found={"free": free, "total": total},
                fixes=(
                    click("Clear downloads and old versions", "POST", "/api/modules/disk/clear", safe=True),
                    link("Show what is large", "/admin/space"),
                    words("Delete what you do not need, remove a module, or enlarge the disk."),
                ),
            )
        ]


def _listed(sizes: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{what} ({size_words(size)})" for what, size in sizes)


@frozen(kw_only=True)
class DiskWrites:
    """A disk that does not accept writes. `state` is `ok`, `unconfigured` or `error: ...` (`system.disk_probe`)."""

    state: Callable[[], str]
    name: str = "writing to the disk"
    period: float = 15.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """What the last test write met."""
        state = self.state()
        if not state.startswith("error"):
            return []
        why = state.partition(": ")[2]
        text = {
            "disk_full": "The disk is full.",
            "disk_read_only": "The disk has become read-only, which often means that it is failing.",
            "disk_failing": "The disk reports errors.",
            "not_answering": "The disk does not answer.",
        }.get(why, f"The disk refuses writes ({why}).")
        return [
            Problem(
                key="disk-writes",
                severity="error",
                title="Nothing can be saved",
                text=f"{text} Reading still works, but changes are refused.",
                clears="It goes away once the hub can write again; it tries every minute.",
                found={"why": why},
                fixes=(words("Make room, or check the disk and its mount."),),
                essence=why,
            )
        ]


_MORE_MEMORY: Final = "Let modules sleep while nobody uses them (on their pages), stop one, or add memory."


@define(kw_only=True)
class MemoryTight:
    """Memory that stays almost full. `memory` gives used and total bytes, None where there is no limit.

    A short peak is none: it must be so at three looks in a row.
    """

    memory: Callable[[], tuple[int | None, int | None]]
    name: str = "memory"
    period: float = 15.0
    wakes: tuple[Wake, ...] = ()
    _times: int = field(default=0, init=False)

    def look(self) -> list[Problem]:
        """An error above 92 % of the limit."""
        used, limit = self.memory()
        full = used is not None and limit is not None and used > limit * 0.92
        self._times = self._times + 1 if full else 0
        if self._times < 3 or used is None or limit is None:
            return []
        return [
            Problem(
                key="memory",
                severity="error",
                title="Memory is almost full",
                text=f"{size_words(used)} of {size_words(limit)} are in use. The hub will have to restart modules.",
                clears="It goes away once less is used.",
                found={"used": used, "limit": limit},
                fixes=(link("Modules", "/admin/modules"), words(_MORE_MEMORY)),
            )
        ]


@frozen(kw_only=True)
class NoRoomToWake:
    """Modules that sleep and could not be woken for lack of memory. `refused` has their short names."""

    modules: KnowsModules
    refused: Callable[[], Container[str]]
    name: str = "room for modules that sleep"
    period: float = 15.0
    wakes: tuple[Wake, ...] = ("modules",)

    def look(self) -> list[Problem]:
        """An error for each, until it runs."""
        return [
            Problem(
                key=f"no-room-to-wake:{module.short}",
                severity="error",
                title=f"There is no memory left to wake {module.name}",
                text="Somebody wanted to use it, and no other module could go to sleep instead.",
                clears="It goes away once it runs.",
                fixes=(link("Modules", "/admin/modules"), words(_MORE_MEMORY)),
                short=module.short,
            )
            for module in self.modules()
            if module.short in self.refused()
        ]


HOURS: Final = 6
GROWTH: Final = 64 * MB


@frozen(kw_only=True)
class GrowingMemory:
    """A module whose memory only grows. `minutes` gives each module's peak of each minute in KiB, oldest first."""

    modules: KnowsModules
    minutes: Callable[[str], Sequence[int]]
    name: str = "modules that take more and more memory"
    period: float = 300.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """The lowest of each of the last six hours: never less, and by half and 64 MB more in all."""
        return [
            Problem(
                key=f"module-memory:{module.short}",
                severity="warning",
                title=f"{module.name} takes more and more memory",
                text=f"It used {size_words(first)} six hours ago, {size_words(last)} now, and never gave any back.",
                clears="It goes away once it uses less, for example after a restart.",
                found={"before": first, "now": last},
                fixes=(link("Details", module.page), words("Restart it. If it grows again, report it to its author.")),
                short=module.short,
            )
            for module in self.modules()
            if (grown := growth(self.minutes(module.short))) is not None
            for first, last in (grown,)
        ]


def growth(minutes: Sequence[int]) -> tuple[int, int] | None:
    """The least in the first and the last of six hours, in bytes, if memory only grew; None if it did not.

    >>> growth([100 * 1024] * 180 + [200 * 1024] * 180), growth([100 * 1024] * 360), growth([1] * 30)
    ((104857600, 209715200), None, None)
    """
    if len(minutes) < HOURS * 60:
        return None
    window = minutes[-HOURS * 60 :]
    floors = [min(window[at : at + 60]) * 1024 for at in range(0, HOURS * 60, 60)]
    rising = all(earlier <= later * 1.01 for earlier, later in zip(floors, floors[1:], strict=False))
    first, last = floors[0], floors[-1]
    return (first, last) if rising and last > first * 1.5 and last - first > GROWTH else None


CLOCK_SECONDS: Final = 120.0


@frozen(kw_only=True)
class ClockWrong:
    """A clock that is wrong, which makes sign-ins, tokens and certificates fail for no visible reason.

    `offsets` gives by how many seconds the clock is ahead of others, by the others' name; it is measured elsewhere.
    """

    offsets: Callable[[], Mapping[str, float]]
    name: str = "the clock"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """More than two minutes off. A clock that somebody else has wrong does not count alone against ours."""
        off = {name: seconds for name, seconds in self.offsets().items() if abs(seconds) > CLOCK_SECONDS}
        if not off:
            return []
        whose, seconds = max(off.items(), key=lambda item: abs(item[1]))
        direction = "ahead of" if seconds > 0 else "behind"
        return [
            Problem(
                key="clock",
                severity="error",
                title="The clock of this machine is wrong",
                text=f"It is {_duration(abs(seconds))} {direction} {whose}. Sign-ins and certificates can fail.",
                clears="It goes away within a few hours of the clock being right, or when the hub restarts.",
                found={name: round(seconds) for name, seconds in off.items()},
                fixes=(words("Turn on time synchronisation (NTP) on this machine."),),
                essence=direction,
            )
        ]


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"
