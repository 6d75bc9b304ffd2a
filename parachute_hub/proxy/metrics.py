"""Request counts and latencies per module, cheap enough for every request."""

from collections.abc import Iterator

# Buckets as in HdrHistogram: four per power of two of microseconds, accurate to 25 % over the whole range.
_STEPS = 4
_BUCKETS = 27 * _STEPS
_QUANTILES = (0.5, 0.9, 0.99)
# From 1 ms to 17 s: indexes of buckets that end at a power of four of microseconds.
_LIMITS = frozenset(range(7 * _STEPS, 22 * _STEPS, 2 * _STEPS))


def bucket(seconds: float) -> int:
    """The bucket of a latency: 0 below 8 us, then four per doubling, up to about 9 minutes."""
    micros = int(seconds * 1e6)
    power = micros.bit_length()
    if power < 4:
        return 0
    index = (power - 4) * _STEPS + ((micros >> (power - 3)) & (_STEPS - 1)) + 1
    return index if index < _BUCKETS else _BUCKETS - 1


def upper_bound(index: int) -> float:
    """The upper bound of the bucket in seconds."""
    if index == 0:
        return 8e-6
    power, step = divmod(index - 1, _STEPS)
    return float((_STEPS + step + 1) << (power + 1)) / 1e6


class Counters:
    """One module's requests and latencies, measured from the request head to the end of the response."""

    def __init__(self) -> None:
        self.requests = 0
        self.sent = 0
        self.received = 0
        self.seconds = 0.0
        self.by_class = [0] * 10
        self._buckets = [0] * _BUCKETS

    def add(self, status: int, seconds: float, sent: int, received: int) -> None:
        """Record one request; sizes are body bytes, down and up."""
        self.requests += 1
        self.sent += sent
        self.received += received
        self.seconds += seconds
        self.by_class[status // 100] += 1
        self._buckets[bucket(seconds)] += 1

    def cumulative(self) -> list[tuple[float, int]]:
        """For some limits in seconds, the number of requests that took less: each is four times the limit before."""
        found, total = [], 0
        for index, count in enumerate(self._buckets):
            total += count
            if index in _LIMITS:
                found.append((upper_bound(index), total))
        return found

    def quantile(self, share: float) -> float:
        """The latency quantile in seconds; 0 without requests."""
        wanted, seen = share * self.requests, 0
        for index, count in enumerate(self._buckets):
            seen += count
            if count and seen >= wanted:
                return upper_bound(index)
        return 0.0


class Metrics:
    """The counters of all modules by short name, and of the hub's own pages as `hub`."""

    def __init__(self) -> None:
        self._modules: dict[str, Counters] = {}

    def of(self, short: str) -> Counters:
        """The counters of one module."""
        counters = self._modules.get(short)
        if counters is None:
            counters = self._modules[short] = Counters()
        return counters

    def as_json(self) -> dict[str, dict[str, object]]:
        """Counts and latencies (in milliseconds) per module, for the admin app."""
        return {
            short: {
                "requests": counters.requests,
                "errors": counters.by_class[5],
                "bytes_sent": counters.sent,
                "bytes_received": counters.received,
                "latency_ms": {f"p{share * 100:g}": round(counters.quantile(share) * 1e3, 3) for share in _QUANTILES},
            }
            for short, counters in sorted(self._modules.items())
        }

    def all(self) -> Iterator[tuple[str, Counters]]:
        """Each short name with its counters."""
        yield from sorted(self._modules.items())
