"""The container in figures: size of the root, start to /health at half a CPU, and a memory table.

Run it as root with `python -m bench container`; tests/live/container/ says how a container is made without Docker.
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

from tests.live.container.box import Answer, Box
from tests.live.container.disk import MEBIBYTE, Disk
from tests.live.container.image import Image, build
from tests.live.container.journey import OWNER, Registry, command_line, install, wait_ready
from tests.live.container.network import Network
from tests.live.harness import PACKS, packed_examples

RUNS = 5
BROWSER = {"Accept": "text/html,*/*", "Accept-Encoding": "gzip"}
_SHORTS = ("vault", "notes", "scribe")
# A part of a command line tells the role; the first that fits counts.
_ROLES = {
    "twistd": "hub",
    **{f"@openparachute/{short}/": short for short in _SHORTS},
    "bun": "installer",
    "bin/parachute": "command",
}


def memory(box: Box) -> dict[str, float]:
    """MB by role: the proportional share of each process, their sum, and what the kernel charges without page cache."""
    table: dict[str, float] = {}
    for pid in box.processes():
        words = command_line(pid)
        role = next((role for part, role in _ROLES.items() if part in words), "rest")
        with contextlib.suppress(OSError):  # it has ended since
            table[role] = table.get(role, 0.0) + _share(pid)
    table["all processes"] = sum(table.values())
    table["charged"] = box.group.anonymous() / 1e6
    return table


@contextlib.contextmanager
def watched(box: Box) -> Iterator[dict[str, float]]:
    """The highest figure of each role while the block runs, sampled fifty times a second."""
    highest: dict[str, float] = {}
    done = Event()

    def sample() -> None:
        while not done.wait(0.02):
            for role, size in memory(box).items():
                highest[role] = max(size, highest.get(role, 0.0))

    thread = Thread(target=sample)
    thread.start()
    try:
        yield highest
    finally:
        done.set()
        thread.join()


def starts(image: Image, disk: Disk) -> None:
    """From the start of the container to the first 200 of /health: seconds, and seconds of CPU."""
    walls, cpus = [], []
    for _ in range(RUNS):
        network = Network()
        box = Box(image, disk, network)
        walls.append(box.wait_healthy())
        cpus.append(sum(_cpu(pid) for pid in box.group.members()))
        box.stop()
        box.close()
        network.close()
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    print(f"start to /health at half a CPU: median {wall:.2f} s of {RUNS}, worst {max(walls):.2f} s; CPU {cpu:.2f} s")


def first_view(box: Box) -> None:
    """What a browser that was never here fetches to show the admin app: the page, then each file that it names."""
    box.wait_phase("up")
    took, sizes = [], []
    for _ in range(RUNS):
        began = time.perf_counter()
        page = box.request("GET", "/admin/", BROWSER)
        files = sorted(set(re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|svg))"', _text(page))))
        sizes = [len(page.body), *(len(box.request("GET", file, BROWSER).body) for file in files)]
        took.append(time.perf_counter() - began)
    text = (
        f"first view: {len(sizes)} files, {sum(sizes) / 1000:.0f} KB, median {statistics.median(took):.2f} s of {RUNS}"
    )
    print(f"{text}, worst {max(took):.2f} s")


def journey(image: Image, disk: Disk) -> None:
    """Install the reference modules one after another and print what each state takes."""
    network = Network()
    registry = Registry(network, PACKS)
    box = Box(image, disk, network, variables={**OWNER, **registry.variables})
    try:
        box.wait_phase("up")
        time.sleep(3)
        show("hub alone, idle", memory(box))
        first_view(box)
        for short in _SHORTS:
            with watched(box) as highest:
                install(box, short)
            show(f"install of {short}, highest", highest)
        wait_ready(box, *_SHORTS)
        time.sleep(5)
        show("three modules, idle", memory(box))
        print(f"highest charge of the group with page cache: {box.group.peak() / MEBIBYTE:.0f} MiB of 512")
        print(f"killed for memory: {box.group.oom_kills()}; disk in use: {disk.used() / MEBIBYTE:.0f} MiB")
        code, seconds = box.stop()
        print(f"stop with three modules: {seconds:.2f} s, exit code {code}")
    finally:
        box.close()
        registry.close()
        network.close()


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
    """Seconds of CPU of a process and of its children that have ended."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def main() -> None:
    """Measure and print."""
    image = build()
    packed_examples()
    print(f"root: {image.size / 1e6:.0f} MB; layers " + ", ".join(f"{size / 1e6:.1f}" for size in image.layer_sizes()))
    disk = Disk()
    try:
        starts(image, disk)
        journey(image, disk)
    finally:
        disk.remove()


if __name__ == "__main__":
    main()
