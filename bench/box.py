"""The hub as a whole in a container of half a processor and 512 MB, and with the same memory and a whole machine.

`python -m bench box`, or `python -m bench.box PART ...` of `start`, `note`, `load`, `sleep`. Hub, modules and bun are
in cgroups (v1), who asks is outside. Bars: twice the increments of `bench start`, no kill for lack of memory, no
failed request.
"""

import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import friend_loop, sleep, start
from bench.soak import Load, sign_ins
from bench.stalled.honest import Neighbour
from bench.stalled.subjects import Group
from tests.live.harness import fetch, packed_examples

QUOTA = 50_000
RUNS = 10
NOTES = 5
MODULES = 6
CONNECTIONS = 16
SECONDS = 60.0


@contextmanager
def box(quota: int | None) -> Iterator[Group]:
    """The container."""
    group = Group(quota)
    try:
        yield group
    finally:
        group.end()


def first_second(quota: int | None) -> None:
    """What `bench start` measures."""
    with box(quota) as group:
        start.main(RUNS, group.entering)


def note(quota: int | None) -> None:
    """From the wizard's first question to a written note, as its steps."""
    packed_examples()
    cache: Path | None = None
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as name, friend_loop.registry() as address:
        for kind in ("cold", "warm"):
            runs = []
            for number in range(NOTES):
                folder = Path(name) / f"{kind}-{number}"
                folder.mkdir()
                hub = friend_loop.fresh_hub(folder, address, cache)
                with box(quota) as group:
                    hub.program = (*group.entering, *hub.program)
                    try:
                        times = friend_loop.loop(hub, ("vault",))
                    finally:
                        hub.end()
                runs.append([time - times[1] for time in times[2:]])
            if cache is None:
                cache = Path(name) / "cache"
                shutil.copytree(folder / "home" / "modules" / "install" / "cache", cache)
            owner, module, written = (statistics.median(step) * 1e3 for step in zip(*runs, strict=True))
            print(f"{kind} package cache: owner {owner:.0f}, vault runs {module:.0f}, note written {written:.0f} ms")


def load(quota: int | None) -> None:
    """Six modules at rest, under load and afterwards."""
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as folder, box(quota) as group:
        hub, names = sleep.prepared(Path(folder), MODULES)
        hub.program = (*group.entering, *hub.program)
        try:
            hub.start()
            for name in names:
                hub.wait_for(lambda name=name: fetch(f"{hub.url}/{name}/health").status == 200, name)
            clients = [sleep.Client(hub.port) for _ in range(CONNECTIONS)]
            loads = [Load("requests", _in_turn(client, names), 0.0) for client in clients]
            loads.append(Load("sign-ins", sign_ins(hub), 0.5))
            neighbour = Neighbour(hub.port, ("/health",))
            neighbour.start()
            for what, seconds, busy in (("at rest", 20.0, []), ("under load", SECONDS, loads), ("after", SECONDS, [])):
                for each in busy:
                    each.start()
                time.sleep(seconds)
                found, failed = neighbour.take()
                parts = " ".join(f"{kind} {size / 1e6:.0f}" for kind, size in group.parts().items())
                print(f"{what}: MB {parts}; /health p99 {found['/health']:.0f} ms, {failed} failed", flush=True)
                for each in busy:
                    each.over = True
                for each in busy:
                    each.join(90)
            neighbour.over = True
            neighbour.join()
            done: Counter[str] = sum((each.done for each in loads[:-1]), Counter())
            answers: Counter[int] = sum((client.answers for client in clients), Counter())
            print(f"requests {dict(answers)}, {dict(done)}; sign-ins {dict(loads[-1].done)}")
            print(f"killed for lack of memory: {group.kills()}; highest with page cache {group.highest() / 1e6:.0f} MB")
        finally:
            hub.end()


def _in_turn(client: sleep.Client, names: list[str]) -> Callable[[], object]:
    order = itertools.cycle(names)
    return lambda: client.ask(next(order))


PARTS: dict[str, Callable[[int | None], None]] = {
    "start": first_second,
    "note": note,
    "load": load,
    "sleep": sleep.main,
}


def main(*names: str) -> None:
    """Measure and print."""
    with box(QUOTA) as group:
        if not group:
            print("not measured: it needs root and cgroups (v1)")
            return
    for name in names or PARTS:
        for quota in (None, QUOTA):
            print(f"{name}, {'half a' if quota else 'no limit of the'} processor", flush=True)
            PARTS[name](quota)


if __name__ == "__main__":
    main(*sys.argv[1:])
