"""Container measurements: image size, start to /health at half a CPU, memory table. Run it as root with `python -m
bench container`; it needs podman (see `tests/live/engine.py`).
"""

import contextlib
import gzip
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import psutil

from tests.live import engine
from tests.live.container.journey import Registry, install, wait_ready
from tests.live.engine import MEBIBYTE, Answer, Container, Machine, command_line
from tests.live.harness import OWNER, PACKS, packed_examples

RUNS = 5
BROWSER = {"Accept": "text/html,*/*", "Accept-Encoding": "gzip"}
_SHORTS = ("vault", "notes", "scribe")
# A part of a command line tells the role; the first that fits counts.
_ROLES = {
    "-P -m parachute_hub": "hub",
    **{f"@openparachute/{short}/": short for short in _SHORTS},
    "bun": "installer",
    "bin/parachute": "command",
}


def memory(hub: Container) -> dict[str, float]:
    """MB by role: proportional set size of each process, their sum, and what the kernel charges without page cache."""
    table: dict[str, float] = {}
    for pid in hub.processes():
        words = command_line(pid)
        role = next((role for part, role in _ROLES.items() if part in words), "rest")
        with contextlib.suppress(OSError):  # it has ended since
            table[role] = table.get(role, 0.0) + _share(pid)
    table["all processes"] = sum(table.values())
    table["charged"] = hub.group.anonymous() / 1e6
    return table


@contextlib.contextmanager
def watched(hub: Container) -> Iterator[dict[str, float]]:
    """The maximum of each role while the block runs, sampled fifty times a second."""
    highest: dict[str, float] = {}
    done = Event()

    def sample() -> None:
        while not done.wait(0.02):
            for role, size in memory(hub).items():
                highest[role] = max(size, highest.get(role, 0.0))

    thread = Thread(target=sample)
    thread.start()
    try:
        yield highest
    finally:
        done.set()
        thread.join()


def starts(image: str) -> None:
    """Seconds and CPU seconds from the container's start to the first 200 of /health."""
    walls, cpus = [], []
    machine = Machine()
    home = machine.volume()
    for _ in range(RUNS):
        hub = machine.container(image, home)
        walls.append(hub.wait_healthy())
        cpus.append(sum(_cpu(pid) for pid in hub.group.members()))
        hub.stop()
    machine.close()
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    print(f"start to /health at half a CPU: median {wall:.2f} s of {RUNS}, worst {max(walls):.2f} s; CPU {cpu:.2f} s")


def first_view(hub: Container) -> None:
    """What a first visit to the admin app downloads: the page, then each file it names."""
    hub.wait_phase("up")
    took, sizes = [], []
    for _ in range(RUNS):
        began = time.perf_counter()
        page = hub.request("GET", "/admin/", BROWSER)
        files = sorted(set(re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|svg))"', _text(page))))
        sizes = [len(page.body), *(len(hub.request("GET", file, BROWSER).body) for file in files)]
        took.append(time.perf_counter() - began)
    text = (
        f"first view: {len(sizes)} files, {sum(sizes) / 1000:.0f} KB, median {statistics.median(took):.2f} s of {RUNS}"
    )
    print(f"{text}, worst {max(took):.2f} s")


def journey(image: str) -> None:
    """Install the reference modules one after another and print the memory of each state."""
    machine = Machine()
    registry = Registry(machine, PACKS)
    try:
        hub = machine.container(image, machine.volume(), variables={**OWNER, **registry.variables})
        hub.wait_phase("up")
        time.sleep(3)
        show("hub alone, idle", memory(hub))
        first_view(hub)
        for short in _SHORTS:
            with watched(hub) as highest:
                install(hub, short)
            show(f"install of {short}, highest", highest)
        wait_ready(hub, *_SHORTS)
        time.sleep(5)
        show("three modules, idle", memory(hub))
        print(f"highest charge of the group with page cache: {hub.group.peak() / MEBIBYTE:.0f} MiB of 512")
        used = hub.run("du", "-sm", "/parachute").stdout.split()[0]
        print(f"killed for memory: {hub.group.oom_kills()}; disk in use: {used} MiB")
        code, seconds = hub.stop()
        print(f"stop with three modules: {seconds:.2f} s, exit code {code}")
    finally:
        registry.close()
        machine.close()


def show(title: str, table: dict[str, float]) -> None:
    """One line of the memory table, in MB."""
    print(f"{title:30}" + "".join(f"  {role} {size:.0f}" for role, size in table.items()), flush=True)


def _text(answer: Answer) -> str:
    packed = answer.headers.get("content-encoding") == "gzip"
    return (gzip.decompress(answer.body) if packed else answer.body).decode()


def _share(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("Pss:"))


def _cpu(pid: int) -> float:
    """CPU seconds of a process and its ended children."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def main() -> None:
    """Measure and print."""
    image = engine.image()
    packed_examples()
    print(f"image: {engine.configuration(image)['Size'] / 1e6:.0f} MB")
    starts(image)
    journey(image)


if __name__ == "__main__":
    main()
