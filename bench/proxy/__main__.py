"""Our front compared with others, medians of rounds: `python -m bench.proxy [--rounds N] [--seconds S] [NAME]`. Only
ratios are meaningful, because everything runs on one machine in turn.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.proxy import loads
from bench.proxy.targets import Target, running

CASES = (("/echo/1k", 1), ("/echo/1k", 16), ("/echo/1k", 64), ("/echo/64k", 16))
PROXIES = ("direct", "nginx", "bun", "stock", "ours")
STREAM = 512


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.proxy")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("names", nargs="*", help="only these targets: nginx bun stock ours bare-site")
    options = parser.parse_args(arguments)
    with running(options.names) as targets, TemporaryDirectory() as folder:
        proxies = [targets[name] for name in PROXIES if name in targets]
        for path, connections in CASES:
            table(f"{path}, {connections} connections", proxies, path, connections, options)
        own = [targets[name] for name in ("bare-site", "ours") if name in targets]
        table("a page of the hub's own through Klein, 16 connections", own, "/api/hello", 16, options)
        file = Path(folder) / "upload"
        with file.open("wb") as upload:
            upload.truncate(STREAM * 1024 * 1024)
        streams(proxies, file, options.rounds)
        sockets(proxies, options.rounds, options.seconds)
        memory(proxies, file)


def table(title: str, targets: list[Target], path: str, connections: int, options: argparse.Namespace) -> None:
    """Requests per second, with the ratio to the second target (nginx) or the first."""
    rates: dict[str, list[loads.Rate]] = {target.name: [] for target in targets}
    for target in targets:
        loads.requests(target, path, connections, 1)
    for _ in range(options.rounds):
        for target in targets:
            rates[target.name].append(loads.requests(target, path, connections, options.seconds))
    names = list(rates)
    base = "nginx" if "nginx" in names else names[0]
    against = median(rate.per_second for rate in rates[base])
    print(f"\n{title}\n{'':12}{'req/s':>9}{'x ' + base:>12}{'p50 ms':>9}{'p99 ms':>9}{'cpu us':>9}{'errors':>8}")
    for name, found in rates.items():
        speed, p50, p99, cpu = (
            median(getattr(rate, field) for rate in found) for field in ("per_second", "p50", "p99", "cpu")
        )
        errors = sum(rate.errors for rate in found)
        print(f"{name:12}{speed:9.0f}{speed / against:12.2f}{p50:9.2f}{p99:9.2f}{cpu:9.1f}{errors:8}", flush=True)


def streams(targets: list[Target], file: Path, rounds: int) -> None:
    """One long body in each direction."""
    down: dict[str, list[loads.Pace]] = {target.name: [] for target in targets}
    waits: dict[str, list[loads.Pace]] = {target.name: [] for target in targets}
    up: dict[str, list[loads.Pace]] = {target.name: [] for target in targets}
    for _ in range(min(rounds, 3)):
        for target in targets:
            down[target.name].append(loads.stream_down(target, STREAM))
            waits[target.name].append(loads.stream_down(target, STREAM, waits=True))
            if target.name != "stock":
                # It holds the whole upload in memory.
                up[target.name].append(loads.stream_up(target, file, STREAM))
    titles = "".join(f"{title:>11}" for title in (*("down MB/s", "cpu us/MB") * 2, "up MB/s", "cpu us/MB"))
    print(f"\n{STREAM} MB in one body (0: failed); the second from a module that waits\n{'':12}{titles}")
    for name in down:
        columns = [
            median(pace[at] for pace in found or [(0.0, 0.0)])
            for found in (down[name], waits[name], up[name])
            for at in (0, 1)
        ]
        print(f"{name:12}" + "".join(f"{column:11.0f}" for column in columns), flush=True)


def sockets(targets: list[Target], rounds: int, seconds: int) -> None:
    """WebSocket echoes."""
    print(f"\nWebSocket echoes a second, 8 connections (0: none there)\n{'':12}{'echoes':>9}")
    echoes: dict[str, list[float]] = {target.name: [] for target in targets}
    for _ in range(min(rounds, 3)):
        for target in targets:
            echoes[target.name].append(loads.websocket_echoes(target, 8, seconds))
    for name, found in echoes.items():
        print(f"{name:12}{median(found):9.0f}", flush=True)


def memory(targets: list[Target], file: Path) -> None:
    """Memory of each after the runs, and what stalled readers and an upload add."""
    print(f"\nmemory, MB\n{'':12}{'resident':>9}{'peak':>9}{'growth':>9}")
    for target in targets:
        if target.name == "stock":
            continue
        resident, peak = target.memory
        print(f"{target.name:12}{resident:9.1f}{peak:9.1f}{loads.growth(target, 256, file):9.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
