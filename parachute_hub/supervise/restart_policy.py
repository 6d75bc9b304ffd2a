"""The restart policy after crashes. Pure: time and randomness are arguments."""

from typing import TypeAlias

from attrs import evolve

from parachute_hub.supervise.limits import Timing
from parachute_hub.system.records import frozen


@frozen
class CrashHistory:
    """A module's crashes since a user last started it.

    `crashes` are the times within the window, `streak` counts delays since it last ran well, `total` all crashes.
    `on_trial` is set while parked: if the next try fails, it is parked again at once.
    """

    crashes: tuple[float, ...] = ()
    streak: int = 0
    total: int = 0
    on_trial: bool = False


@frozen
class RestartAfter:
    delay: float


@frozen
class Park:
    """Parked after too many crashes: one try after `delay` seconds. `crashes` is their number within the window."""

    delay: float
    crashes: int


Verdict: TypeAlias = RestartAfter | Park


def after_crash(
    history: CrashHistory, now: float, ready_for: float | None, timing: Timing, chance: float
) -> tuple[CrashHistory, Verdict]:
    """The next step after a crash at `now` (seconds), and the updated history.

    `ready_for` is how long it had been answering, None if never. `chance` in 0..1 adds jitter, so that modules that
    crashed together do not restart together. The first restart, and one after a healthy run, is immediate.

    >>> after_crash(CrashHistory(), now=100.0, ready_for=5.0, timing=Timing(), chance=0.5)[1]
    RestartAfter(delay=0.0)
    >>> after_crash(CrashHistory(), now=100.0, ready_for=None, timing=Timing(), chance=0.5)[1]
    RestartAfter(delay=0.5)
    """
    if ready_for is not None and ready_for >= timing.stable:
        history = evolve(history, streak=0, on_trial=False)
    recent = (*(at for at in history.crashes if now - at < timing.window), now)
    history = evolve(history, crashes=recent, total=history.total + 1)
    if history.on_trial or len(recent) >= timing.crashes:
        spread = timing.parked_retry * (1 + timing.jitter * (chance - 0.5))
        return evolve(history, on_trial=True), Park(spread, len(recent))
    ran_well = ready_for is not None and (ready_for >= timing.stable or len(recent) == 1)
    if ran_well:
        return history, RestartAfter(0.0)
    delay = min(timing.longest_delay, timing.first_delay * 2 ** min(history.streak, 30))
    spread = delay * (1 + timing.jitter * (2 * chance - 1))
    return evolve(history, streak=history.streak + 1), RestartAfter(spread)
