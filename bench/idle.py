"""What an idle hub with three modules costs: memory, wake-ups a second, processor time a minute, from /proc.
`python -m bench idle`, or `python -m bench.idle SECONDS` for another time than a minute.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from tests.live.harness import OWNER, HubProcess, packed_examples

MODULES = ("hello", "vault", "notes")
# Until nobody has used the hub for a while and free pages have gone back.
SETTLE = 25.0
# What is dear shows in one of these, and not in the others.
SLICE = 10.0


def memory(pid: int) -> dict[str, float]:
    """MB by kind, from smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(rest.split()[0]) / 1024 for name, _, rest in (line.partition(":") for line in lines)}
    return {name: sizes[name] for name in ("Rss", "Pss", "Anonymous")}


def scheduled(pid: int) -> tuple[float, int]:
    """Seconds on a processor, and how often a thread was put on one."""
    numbers = [(each / "schedstat").read_text().split() for each in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(ran) for ran, _, _ in numbers) / 1e9, sum(int(times) for _, _, times in numbers)


@contextmanager
def settled() -> Iterator[tuple[HubProcess, int]]:
    """A hub that was restarted with the modules and that nobody has used for a while, and its process."""
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as folder:
        hub = HubProcess(home=Path(folder) / "home", catalog=packed_examples(), environment=OWNER)
        try:
            hub.start()
            for short in MODULES:
                hub.install(short)
            hub.stop()
            hub.start()
            hub.wait_for(lambda: all(hub.module(short)["pid"] for short in MODULES), "the modules")
            assert hub.process is not None
            time.sleep(SETTLE)
            yield hub, hub.process.pid
        finally:
            hub.end()


def main(seconds: float = 60.0) -> None:
    """Install, restart, wait, measure, print."""
    with settled() as (_, pid):
        marks = [(time.monotonic(), *scheduled(pid))]
        began, ran, times = marks[0]
        while (left := began + seconds - time.monotonic()) > 0:
            time.sleep(min(left, SLICE))
            marks.append((time.monotonic(), *scheduled(pid)))
        ended, ran_after, times_after = marks[-1]
        print("  ".join(f"{name} {size:.1f} MB" for name, size in memory(pid).items()))
        print(f"{(times_after - times) / (ended - began):.1f} wake-ups a second")
        print(f"{(ran_after - ran) / (ended - began) * 60_000:.0f} ms of processor time a minute")
        most, at = max((after[1] - before[1], before[0] - began) for before, after in pairwise(marks))
        print(f"{most * 1000:.0f} ms at most in {SLICE:.0f} s, {at:.0f} s after the beginning")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
