"""The result of a fault run."""

from attrs import frozen

from tests.live.faults.rig import Load, quantile

# A sibling's answers may take twice as long as in peace, but a few milliseconds are noise on a busy machine.
NOISE = 5.0


@frozen
class Outcome:
    """One row of the table: `n` times the fault, `figures` for people. `wrong` says what must never be, `slow` which
    time and CPU limits were missed (little use on a busy machine).
    """

    fault: str
    what: str
    n: int
    figures: str
    wrong: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()


def spread(seconds: list[float]) -> str:
    """p50, p95 and maximum, in milliseconds."""
    p50, p95, worst = quantile(seconds, 0.5), quantile(seconds, 0.95), max(seconds, default=0.0)
    return f"p50 {p50 * 1000:.0f}, p95 {p95 * 1000:.0f}, max {worst * 1000:.0f} ms"


def sibling(load: Load, quiet: Load) -> str:
    """The effect on other modules."""
    return (
        f"sibling p99 {load.p99:.1f} ms (quiet {quiet.p99:.1f}), {load.errors} errors; "
        f"hub {load.cpu:.0f} % CPU, {load.grown:+.1f} MB, {load.waited:.0f} % without a processor"
    )


def harmed(load: Load) -> list[str]:
    """What a fault of one module must never do to another."""
    return [f"a sibling failed {load.errors} times"] if load.errors else []


def slowed(load: Load, quiet: Load) -> list[str]:
    """How much slower a sibling may get."""
    if load.p99 <= max(2 * quiet.p99, NOISE):
        return []
    return [f"a sibling's p99 was {load.p99:.1f} ms, in peace {quiet.p99:.1f}"]
