"""Every number of the supervisor, in one place."""

from attrs import frozen


@frozen(kw_only=True)
class Timing:
    """Seconds, unless a name says otherwise. Tests on real processes pass shorter ones."""

    # readiness
    poll: float = 0.025
    slow_poll: float = 0.25
    late: float = 20.0
    unanswered: float = 120.0
    # liveness
    liveness_period: float = 10.0
    probe_timeout: float = 3.0
    misses: int = 3
    # restarts
    first_delay: float = 0.5
    longest_delay: float = 60.0
    jitter: float = 0.2
    stable: float = 60.0
    window: float = 120.0
    crashes: int = 5
    parked_retry: float = 300.0
    # stopping
    stop_grace: float = 8.0
    hung_grace: float = 3.0
    shutdown: float = 20.0
    # So long may requests under way take when a module must give up memory.
    finish: float = 3.0
    drain: float = 0.5
    group: float = 2.0
    sweep: float = 1.0
    # boot
    boot_batch: int = 4
    boot_step: float = 0.1


@frozen(kw_only=True)
class MemoryLimits:
    """When a module must give up memory. Shares of the container's limit, bytes, seconds."""

    soft: float = 0.8
    hard: float = 0.9
    # What a module without a limit of its own may take before it is the first to go.
    budget: int = 128 << 20
    # Back at this part of its former size, a restart did not help.
    as_large: float = 0.9
    forget: float = 600.0
    period: float = 2.0


@frozen(kw_only=True)
class LogLimits:
    """How much of a module's output is kept. Bytes, and bytes a second."""

    ring: int = 256 * 1024
    line: int = 64 * 1024
    rate: int = 2 * 1024 * 1024
    burst: int = 4 * 1024 * 1024
    # A short line costs us as much work as a long one, so none is charged less than this: a thousand lines a second.
    line_charge: int = 2048
    file: int = 1024 * 1024
