"""When a vault that is to be deleted is warned of, and deleted."""

from typing import Final, Literal

from parachute_hub.store.rows import VaultDeletion

DAY: Final = 86400.0
AFTER: Final = 30 * DAY
WARNED: Final = 5 * DAY
"""For so long before, owners are told."""
WARNED_AT_LEAST: Final = 2 * DAY
"""On a laptop that slept, or whose clock jumped, the warning stands for so long all the same."""
TRIED_AGAIN: Final = DAY


def planned(vault: str, asked_by: str, now: float, whose: str = "") -> VaultDeletion:
    """The deletion of a vault 30 days after `now`, in epoch seconds."""
    return VaultDeletion(vault=vault, whose=whose, asked_by=asked_by, asked_at=now, due_at=now + AFTER)


def next_step(deletion: VaultDeletion, now: float) -> Literal["renew", "wait", "warn", "delete"]:
    """What to do with a deletion at `now`, in epoch seconds. To renew is to begin the 30 days anew.

    >>> asked = VaultDeletion(vault="kim", whose="", asked_by="ada", asked_at=0.0, due_at=AFTER)
    >>> next_step(asked, 24 * DAY), next_step(asked, 25 * DAY), next_step(asked, 90 * DAY)
    ('wait', 'warn', 'renew')
    """
    # What happened in the future happened while the clock was wrong.
    if deletion.due_at > now + AFTER + DAY:
        return "renew"
    if deletion.warned_at is None or deletion.warned_at > now:
        # Nobody was warned for so long: the clock was probably wrong when it was asked for.
        if now > deletion.due_at + AFTER:
            return "renew"
        return "warn" if now >= deletion.due_at - WARNED else "wait"
    if deletion.failed_at is not None and deletion.failed_at <= now < deletion.failed_at + TRIED_AGAIN:
        return "wait"
    return "delete" if now >= ends_at(deletion) else "wait"


def ends_at(deletion: VaultDeletion) -> float:
    """When the vault is deleted: on the day that was said, or once the warning has stood long enough."""
    warned = deletion.warned_at
    return deletion.due_at if warned is None else max(deletion.due_at, warned + WARNED_AT_LEAST)
