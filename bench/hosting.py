"""What one hub per tenant costs, for 10, 1,000 and 100,000 of them: `python -m bench hosting`.

Measures a hub with vault and notes, idle and used, and computes the rest from `PRICES`, which are list prices of the
day that they name. Change them, and what you know of your tenants, and run it again. docs/hosting.md has the table.
"""

import math
import tempfile
import time
from pathlib import Path

import psutil
from attrs import frozen

from tests.live.harness import OWNER, HubProcess, fetch, packed_examples

MODULES = ("vault", "notes")
TENANTS = (10, 1_000, 100_000)
NOTES = 1_000
SETTLE = 20.0
IDLE_SECONDS = 60.0
WORDS = "garden shed tomato watering plan winter recipe bread salt letter harbour evening train window".split()


@frozen(kw_only=True)
class Measured:
    """One hub with its modules: `memory` in MB and `processor` in parts of one, idle; `used_memory` in MB after work;
    `work` in seconds of the processor for each request; `disk` in MB with NOTES notes.
    """

    memory: float
    used_memory: float
    processor: float
    work: float
    disk: float


@frozen(kw_only=True)
class Tenants:
    """What tenants do: a part of the day in which somebody uses a hub, requests a day, and the size of the volume."""

    awake: float = 0.05
    requests: float = 500.0
    volume_gb: float = 1.0


@frozen(kw_only=True)
class Prices:
    """US dollars a month, without taxes and traffic."""

    # The price page of fly.io, as known on 2026-11-29: shared-cpu-1x with 256 MB for 1.94, and 5 for each further GB.
    fly_machine: float = 3.19
    fly_volume_gb: float = 0.15
    # Of a stopped machine; community.fly.io/t/17825. The image unpacks to 0.3 GB.
    fly_stopped_gb: float = 0.15
    fly_image_gb: float = 0.3
    # render.com/pricing: Starter and its disk, as known on 2026-11-29.
    render_service: float = 7.0
    render_disk_gb: float = 0.25
    # digitalocean.com/pricing: a basic machine of 4 GB and 2 processors for Kubernetes, and block storage; the price
    # list of 2022-07-01. Each machine takes 15 volumes.
    node: float = 24.0
    node_memory_mb: float = 4096.0
    node_processors: float = 2.0
    node_volumes: int = 15
    block_gb: float = 0.10


@frozen
class Cost:
    """A month of all tenants in dollars: the platform's `name`, the sum, and what bounds it."""

    name: str
    sum: float
    note: str = ""


PRICES, USE = Prices(), Tenants()
# What Kubernetes and the system keep of a node.
_KEPT_MEMORY_MB, _KEPT_PROCESSORS = 1536.0, 0.5


def costs(count: int, hub: Measured, use: Tenants = USE, prices: Prices = PRICES) -> list[Cost]:
    """What so many tenants cost on each platform.

    >>> hub = Measured(memory=100, used_memory=200, processor=0.001, work=0.01, disk=50)
    >>> [round(cost.sum) for cost in costs(10, hub)]
    [72, 33, 4, 25]
    """
    volumes = count * use.volume_gb
    awake = prices.fly_machine * use.awake + prices.fly_stopped_gb * prices.fly_image_gb * (1 - use.awake)
    per_node, bound = hubs_per_node(hub, use, prices)
    nodes = math.ceil(count / per_node)
    return [
        Cost("Render", count * prices.render_service + volumes * prices.render_disk_gb),
        Cost("Fly, always on", count * prices.fly_machine + volumes * prices.fly_volume_gb),
        Cost("Fly, asleep when unused", count * awake + volumes * prices.fly_volume_gb),
        Cost(
            "Kubernetes",
            nodes * prices.node + volumes * prices.block_gb,
            f"{nodes:,} nodes, {per_node} hubs each, for their {bound}",
        ),
    ]


def hubs_per_node(hub: Measured, use: Tenants, prices: Prices) -> tuple[int, str]:
    """How many hubs a node holds, and what bounds them."""
    memory = hub.memory * (1 - use.awake) + hub.used_memory * use.awake
    load = hub.processor + hub.work * use.requests / 86_400
    bounds = {
        "memory": int((prices.node_memory_mb - _KEPT_MEMORY_MB) / memory),
        "processors": int((prices.node_processors - _KEPT_PROCESSORS) / load),
        "volumes": prices.node_volumes,
    }
    bound = min(bounds, key=lambda name: bounds[name])
    return max(1, bounds[bound]), bound


def measured(folder: Path) -> Measured:
    """Start, install, wait, write and read notes."""
    hub = HubProcess(home=folder / "home", catalog=packed_examples(), environment=OWNER)
    try:
        hub.start()
        for short in MODULES:
            hub.install(short)
        token = hub.client.call("POST", "/api/auth/mint-token", {"scope": "vault:default:write vault:default:read"})[
            "token"
        ]
        time.sleep(SETTLE)
        memory, before, began = size(hub), processor(hub), time.monotonic()
        time.sleep(IDLE_SECONDS)
        idle = (processor(hub) - before) / (time.monotonic() - began)
        before = processor(hub)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        most = memory
        for number in range(NOTES):
            words = " ".join(WORDS[(number * step) % len(WORDS)] for step in range(1, 120))
            body = f'{{"content": "Note {number} {words}"}}'.encode()
            answer = fetch(f"{hub.url}/vault/default/api/notes", method="POST", body=body, headers=headers)
            if answer.status not in (200, 201):
                raise SystemExit(f"A note was not written: {answer.status} {answer.body[:200]!r}")
            if number % 100 == 99:
                most = max(most, size(hub))
        work = (processor(hub) - before) / NOTES
        disk = sum(path.stat().st_size for path in hub.home.rglob("*") if path.is_file() and not path.is_symlink())
        return Measured(memory=memory, used_memory=most, processor=idle, work=work, disk=disk / 1e6)
    finally:
        hub.end()


def _all(hub: HubProcess) -> list[psutil.Process]:
    assert hub.process is not None
    top = psutil.Process(hub.process.pid)
    return [top, *top.children(recursive=True)]


def size(hub: HubProcess) -> float:
    """The proportional memory of the hub and its modules in MB."""
    return float(sum(process.memory_full_info().pss for process in _all(hub))) / (1 << 20)


def processor(hub: HubProcess) -> float:
    """Their seconds on a processor."""
    return float(sum(sum(process.cpu_times()[:2]) for process in _all(hub)))


def main() -> None:
    """Print what was measured, and the table."""
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as folder:
        hub = measured(Path(folder))
    print(
        f"one hub with {' and '.join(MODULES)}: {hub.memory:.0f} MB idle, {hub.used_memory:.0f} MB at most while used; "
        f"{hub.processor * 100:.2f}% of a processor idle, {hub.work * 1e3:.1f} ms for a written note; "
        f"{hub.disk:.0f} MB of disk with {NOTES:,} notes"
    )
    print(f"{USE.awake:.0%} of the day in use, {USE.requests:.0f} requests a day, {USE.volume_gb:g} GB each")
    print("| tenants | " + " | ".join(cost.name for cost in costs(1, hub)) + " |")
    for count in TENANTS:
        told = [f"${cost.sum:,.0f}" + (f" ({cost.note})" if cost.note else "") for cost in costs(count, hub)]
        print(f"| {count:,} | " + " | ".join(told) + " |")


if __name__ == "__main__":
    main()
