"""Vaults that will be deleted soon, and room that runs out."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from parachute_hub.problems.check import Wake
from parachute_hub.problems.checks.machine import size_words
from parachute_hub.problems.model import Fix, Problem, click, link
from parachute_hub.system.records import frozen

ALMOST: Final = 0.8


@frozen(kw_only=True)
class LeavingVault:
    """A vault that is deleted in `days`. `failure` says why it could not be deleted, if that was tried."""

    vault: str
    days: float
    failure: str = ""


@frozen(kw_only=True)
class LeavingVaults:
    """Tells in time of vaults that will be deleted, and of those that could not be."""

    leaving: Callable[[], Sequence[LeavingVault]]
    name: str = "vaults to be deleted"
    period: float = 600.0
    wakes: tuple[Wake, ...] = ("vault-kept", "vault-deleted")

    def look(self) -> list[Problem]:
        """One problem for each: a person decides about each of them."""
        return [self._failed(one) if one.failure else self._soon(one) for one in self.leaving()]

    def _soon(self, one: LeavingVault) -> Problem:
        days = max(1, round(one.days))
        return Problem(
            key=f"vault-leaving:{_unnamed(one.vault)}",
            severity="warning",
            title="A vault will be deleted soon",
            text=f"It is deleted in {days} day{'' if days == 1 else 's'} with everything in it, as an owner asked.",
            detail=f"It is the vault {one.vault}.",
            clears="It goes away once you keep the vault, or it is deleted.",
            found={"vault": one.vault, "days": round(one.days, 1)},
            fixes=(self._keep(one), link("Show vaults", "/admin/vaults")),
        )

    def _failed(self, one: LeavingVault) -> Problem:
        return Problem(
            key=f"vault-leaving:{_unnamed(one.vault)}",
            severity="warning",
            title="A vault could not be deleted",
            text="It should have been deleted by now. The hub tries again every day.",
            detail=f"It is the vault {one.vault}. {one.failure}",
            clears="It goes away once you keep the vault, or it is deleted.",
            found={"vault": one.vault},
            fixes=(self._keep(one), link("Show vaults", "/admin/vaults")),
            essence="failed",
        )

    def _keep(self, one: LeavingVault) -> Fix:
        return click("Keep it after all", "DELETE", f"/vaults/{one.vault}/deletion")


@frozen
class UsedRoom:
    """A quota, and how much of it is used, in bytes. `whose` names a vault, or a person with several.

    `largest` is what takes the most of it, in words and bytes.
    """

    whose: str
    kind: str
    used: int
    quota: int
    largest: Sequence[tuple[str, int]] = ()


@frozen(kw_only=True)
class QuotaRoom:
    """Quotas of which more than 80 % are used."""

    rooms: Callable[[], Sequence[UsedRoom]]
    name: str = "room within quotas"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ("quota-changed", "trash-emptied", "vault-deleted")

    def look(self) -> list[Problem]:
        """A warning from 80 % on, and another once it is full."""
        return [_of_room(room) for room in self.rooms() if room.used >= room.quota * ALMOST]


def _of_room(room: UsedRoom) -> Problem:
    full = room.used >= room.quota
    what = "A person" if room.kind == "person" else "A vault"
    most = ", ".join(f"{name} ({size_words(size)})" for name, size in room.largest)
    return Problem(
        key=f"quota:{room.kind}:{_unnamed(room.whose)}",
        severity="warning",
        title=f"{what} has no room left" if full else f"{what} has little room left",
        text=f"{size_words(room.used)} of {size_words(room.quota)} are used."
        + (" Nothing new can be saved there; reading and deleting work." if full else ""),
        detail=f"It is {room.whose}." + (f" The most room is taken by {most}." if most else ""),
        clears="It goes away once less is used, or there is more room.",
        found={"whose": room.whose, "used": room.used, "quota": room.quota},
        fixes=(link("Show what is large", "/admin/space"),),
        essence="full" if full else "",
    )


def _unnamed(name: str) -> str:
    """Stands for the name of a vault or person in keys, which notices send elsewhere."""
    return sha256(name.encode()).hexdigest()[:12]
