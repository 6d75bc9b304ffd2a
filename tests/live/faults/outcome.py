"""What a fault run found."""

from attrs import frozen

from tests.live.faults.rig import Load, quantile

# A sibling's answers may take twice as long as in peace, but a few milliseconds are noise on a busy machine.
NOISE = 25.0


@frozen
class Outcome:
    """One row of the table: `n` times the fault, `figures` for people, `wrong` says which bars were missed."""

    fault: str
    what: str
    n: int
    figures: str
    wrong: tuple[str, ...] = ()


def spread(seconds: list[float]) -> str:
    """p50, p95 and the worst, in milliseconds."""
    p50, p95, worst = quantile(seconds, 0.5), quantile(seconds, 0.95), max(seconds, default=0.0)
    return f"p50 {p50 * 1000:.0f}, p95 {p95 * 1000:.0f}, max {worst * 1000:.0f} ms"


def sibling(load: Load, quiet: Load) -> str:
    """What the rest noticed."""
    return (
        f"sibling p99 {load.p99:.1f} ms (quiet {quiet.p99:.1f}), {load.errors} errors; "
        f"hub {load.cpu:.0f} % CPU, {load.grown:+.1f} MB"
    )


def unharmed(load: Load, quiet: Load) -> list[str]:
    """The bars that hold in every fault of a single module (reliability.md R1)."""
    wrong = []
    if load.errors:
        wrong.append(f"a sibling failed {load.errors} times")
    if load.p99 > max(2 * quiet.p99, NOISE):
        wrong.append(f"a sibling's p99 was {load.p99:.1f} ms, in peace {quiet.p99:.1f}")
    return wrong
