"""The hub's figures in the OpenMetrics text format. Labels name modules, never people, apps or notes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import field

from parachute_hub.system.records import frozen

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@frozen(kw_only=True)
class Traffic:
    """A module's requests by status class such as `2xx`; body bytes; `seconds` in total; `below`: limit and count."""

    module: str
    by_class: Mapping[str, int]
    sent: int
    received: int
    seconds: float
    below: Sequence[tuple[float, int]]


@frozen(kw_only=True)
class ModuleFigures:
    """One module: `state` of `states`, its restarts, memory in bytes or None, processor time in seconds."""

    short: str
    state: str
    states: Sequence[str]
    restarts: int
    memory: int | None
    processor: float


@frozen(kw_only=True)
class Figures:
    """Everything at one moment. Sizes are in bytes, times in epoch seconds, None where unknown.

    `jobs` counts ended operations by kind and outcome, `sign_ins` by outcome, `token_requests` by outcome and
    `refusals` requests for modules whose token was refused, by module and error. `backups` are all known archives;
    `verified_at` is when the newest good one was made.
    """

    version: str
    started_at: float
    processor: float
    memory_limit: int | None
    memory_used: int | None
    memory_hub: int
    disk_total: int
    disk_free: int
    traffic: Sequence[Traffic] = ()
    modules: Sequence[ModuleFigures] = ()
    running_jobs: int = 0
    jobs: Mapping[tuple[str, str], int] = field(factory=dict)
    sign_ins: Mapping[str, int] = field(factory=dict)
    token_requests: Mapping[str, int] = field(factory=dict)
    refusals: Mapping[tuple[str, str], int] = field(factory=dict)
    backups: int = 0
    verified_at: float | None = None


def render(figures: Figures) -> bytes:
    """The whole text. The library is loaded on the first call, so that a hub without a collector does without it."""
    from prometheus_client.openmetrics.exposition import generate_latest

    return bytes(generate_latest(_Families(figures)))


@frozen
class _Families:
    """What the library asks of a registry."""

    figures: Figures

    def collect(self) -> Iterator[Any]:
        yield from _hub(self.figures)
        yield from _traffic(self.figures.traffic)
        yield from _modules(self.figures.modules)
        yield from _work(self.figures)


def _hub(figures: Figures) -> Iterator[Any]:
    from prometheus_client.core import InfoMetricFamily

    yield InfoMetricFamily("parachute_hub", "The running hub.", {"version": figures.version})
    yield _gauge("parachute_hub_start_time_seconds", "When the hub started.", figures.started_at)
    yield _counter("parachute_hub_cpu_seconds", "Processor time of the hub.", (), [((), figures.processor)])
    yield _gauge("parachute_hub_memory_bytes", "Memory of the hub.", figures.memory_hub)
    yield _gauge("parachute_memory_used_bytes", "Memory in use, modules included.", figures.memory_used)
    yield _gauge("parachute_memory_limit_bytes", "Memory that may be used.", figures.memory_limit)
    yield _gauge("parachute_disk_size_bytes", "Size of the disk with the hub's home.", figures.disk_total)
    yield _gauge("parachute_disk_free_bytes", "Free space on that disk.", figures.disk_free)


def _traffic(traffic: Sequence[Traffic]) -> Iterator[Any]:
    from prometheus_client.core import HistogramMetricFamily

    by_class = {(one.module, word): count for one in traffic for word, count in one.by_class.items()}
    yield _counter(
        "parachute_requests", "Answered requests; `hub` for its own.", ("module", "status"), by_class.items()
    )
    sizes = {(one.module, "sent"): one.sent for one in traffic}
    sizes |= {(one.module, "received"): one.received for one in traffic}
    yield _counter("parachute_body_bytes", "Bytes of bodies.", ("module", "direction"), sizes.items())
    latency = HistogramMetricFamily("parachute_request_seconds", "From the head to the end.", labels=("module",))
    for one in traffic:
        buckets = [(str(limit), float(count)) for limit, count in one.below]
        total = float(sum(one.by_class.values()))
        latency.add_metric((one.module,), [*buckets, ("+Inf", total)], one.seconds)
    yield latency


def _modules(modules: Sequence[ModuleFigures]) -> Iterator[Any]:
    from prometheus_client.core import GaugeMetricFamily, StateSetMetricFamily

    states = StateSetMetricFamily("parachute_module_state", "The state of a module.", labels=("module",))
    memory = GaugeMetricFamily("parachute_module_memory_bytes", "Memory of a module.", labels=("module",))
    for one in modules:
        states.add_metric((one.short,), {word: word == one.state for word in one.states})
        if one.memory is not None:
            memory.add_metric((one.short,), one.memory)
    yield states
    yield memory
    restarts = {(one.short,): one.restarts for one in modules}
    yield _counter(
        "parachute_module_restarts", "Restarts after crashes, since somebody started it.", ("module",), restarts.items()
    )
    seconds = {(one.short,): one.processor for one in modules}
    yield _counter("parachute_module_cpu_seconds", "Processor time of a module.", ("module",), seconds.items())


def _work(figures: Figures) -> Iterator[Any]:
    yield _gauge("parachute_jobs_running", "Operations under way.", figures.running_jobs)
    yield _counter("parachute_jobs", "Operations that ended.", ("kind", "outcome"), figures.jobs.items())
    yield _gauge("parachute_backups", "Known backups.", figures.backups)
    yield _gauge(
        "parachute_backup_verified_timestamp_seconds", "When the newest good backup was made.", figures.verified_at
    )
    yield _counter("parachute_sign_ins", "Attempts to sign in.", ("outcome",), _by_word(figures.sign_ins))
    tokens = _by_word(figures.token_requests)
    yield _counter("parachute_token_requests", "Requests of apps for tokens.", ("outcome",), tokens)
    refused = "Requests for modules whose token was refused."
    yield _counter("parachute_token_refusals", refused, ("module", "error"), figures.refusals.items())


def _by_word(counts: Mapping[str, int]) -> Iterator[tuple[tuple[str, ...], float]]:
    return (((word,), count) for word, count in counts.items())


def _gauge(name: str, text: str, value: float | None) -> Any:
    """One without labels; an unknown value is left out."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, text, labels=())
    if value is not None:
        family.add_metric((), value)
    return family


def _counter(name: str, text: str, labels: Sequence[str], counts: Iterable[tuple[tuple[str, ...], float]]) -> Any:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in sorted(counts):
        family.add_metric(values, count)
    return family
