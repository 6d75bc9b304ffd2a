"""All numeric limits of the supervisor."""

from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class Timing:
    """In seconds unless the name says otherwise. Tests on real processes use shorter values."""

    # readiness
    poll: float = 0.025
    slow_poll: float = 0.25
    late: float = 20.0
    unanswered: float = 120.0
    # liveness
    liveness_period: float = 10.0
    # Checks in a row that are left out while nobody uses the hub.
    spared: int = 5
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
    # When a module that is held because its port is taken tries again.
    port_poll: float = 15.0
    # stopping
    stop_grace: float = 8.0
    hung_grace: float = 3.0
    shutdown: float = 20.0
    # How long open requests may take when a module is restarted for its memory.
    finish: float = 3.0
    drain: float = 0.5
    group: float = 2.0
    sweep: float = 1.0
    # boot
    boot_batch: int = 4
    boot_step: float = 0.1


@frozen(kw_only=True)
class MemoryLimits:
    """When a module is restarted for its memory. Fractions of the container's limit, bytes, seconds."""

    soft: float = 0.8
    hard: float = 0.9
    # The share of a module without its own limit.
    budget: int = 128 << 20
    # The hub's own share: above it the hub is counted before a module is blamed.
    hub: int = 128 << 20
    # Growing back to this fraction of its former size means that the restart did not help.
    as_large: float = 0.9
    forget: float = 600.0
    period: float = 2.0
    # The same while nobody uses the hub, if the memory in use is glanced at.
    resting_period: float = 10.0
    # How often the memory in use is read in between: while modules work, and otherwise. They work for `calm` seconds
    # after a request began or the memory grew by `stirring`, and always above the fraction `near`.
    glance: float = 0.1
    rest: float = 1.0
    # Out of a rest, the growth in bytes a second that is seen in time, and the longest pause where much is free.
    spurt: int = 200 << 20
    longest_rest: float = 5.0
    near: float = 0.6
    calm: float = 5.0
    stirring: int = 1 << 20
    # How far ahead it is extrapolated, and the growth that counts.
    ahead: float = 0.3
    surge: int = 64 << 20
    # A module with more processes than this is out of control.
    processes: int = 256


@frozen(kw_only=True)
class LogLimits:
    """How much of a module's output is kept. Bytes, and bytes per second."""

    ring: int = 256 * 1024
    line: int = 64 * 1024
    rate: int = 2 * 1024 * 1024
    burst: int = 4 * 1024 * 1024
    # The minimum charge per line, since short lines cost as much work as long ones: a thousand lines per second.
    line_charge: int = 2048
