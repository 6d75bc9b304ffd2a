"""Request counts and latencies per module, cheap enough for every request."""

from collections.abc import Iterator

# Buckets as in HdrHistogram: four per power of two of microseconds, accurate to 25 % over the whole range.
_STEPS = 4
_BUCKETS = 27 * _STEPS
_QUANTILES = (0.5, 0.9, 0.99)


def bucket(seconds: float) -> int:
    """The bucket of a latency: 0 below 8 us, then four per doubling, up to about 9 minutes."""
    micros = int(seconds * 1e6)
    if micros < 8:
        return 0
    power = micros.bit_length()
    step = (micros >> (power - 3)) & (_STEPS - 1)
    return min((power - 4) * _STEPS + step + 1, _BUCKETS - 1)


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

    def render(self) -> str:
        """The Prometheus text format, version 0.0.4."""
        return "".join(line + "\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        modules = [(short.replace("\\", "\\\\").replace('"', '\\"'), found) for short, found in self._modules.items()]
        yield "# TYPE parachute_proxy_requests_total counter"
        for short, counters in modules:
            for status, count in enumerate(counters.by_class):
                if not count:
                    continue
                yield f'parachute_proxy_requests_total{{module="{short}",status="{status}xx"}} {count}'
        yield "# TYPE parachute_proxy_bytes_total counter"
        for short, counters in modules:
            yield f'parachute_proxy_bytes_total{{module="{short}",direction="sent"}} {counters.sent}'
            yield f'parachute_proxy_bytes_total{{module="{short}",direction="received"}} {counters.received}'
        yield "# TYPE parachute_proxy_seconds summary"
        for short, counters in modules:
            for share in _QUANTILES:
                value = f"{counters.quantile(share):.6f}"
                yield f'parachute_proxy_seconds{{module="{short}",quantile="{share}"}} {value}'
            yield f'parachute_proxy_seconds_sum{{module="{short}"}} {counters.seconds:.6f}'
            yield f'parachute_proxy_seconds_count{{module="{short}"}} {counters.requests}'
