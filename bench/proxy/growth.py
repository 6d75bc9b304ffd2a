"""What a request costs with more modules and more open connections: `python -m bench.proxy.growth`. In turns, so that a
busy machine disturbs all alike; what counts is the ratio of processor time to the first row.
"""

import argparse
import resource
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median

from bench.proxy import loads
from bench.proxy.targets import Target, our_hubs

MODULES = (1, 10, 100)
IDLE = (0, 1_000, 10_000)
_CONNECTIONS = 16


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.proxy.growth")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with our_hubs([["--modules", str(count)] for count in MODULES]) as hubs:
        table([f"{count} modules" for count in MODULES], hubs, options)
    with our_hubs([[] for _ in IDLE]) as hubs, ExitStack() as stack:
        for hub, count in zip(hubs, IDLE, strict=True):
            stack.enter_context(idle_clients(hub, count))
        table([f"{count} idle clients" for count in IDLE], hubs, options)


def table(names: list[str], hubs: list[Target], options: argparse.Namespace) -> None:
    """Requests for a small answer."""
    rates: list[list[loads.Rate]] = [[] for _ in hubs]
    for turn in range(options.rounds + 1):
        for hub, found in zip(hubs, rates, strict=True):
            rate = loads.requests(hub, "/echo/1k", _CONNECTIONS, options.seconds)
            if turn:
                found.append(rate)
    print(
        f"\n/echo/1k, {_CONNECTIONS} connections\n"
        f"{'':20}{'req/s':>9}{'cpu us':>9}{'x first':>9}{'p99 ms':>9}{'errors':>8}"
    )
    for name, found in zip(names, rates, strict=True):
        ratio = median(rate.cpu / first.cpu for rate, first in zip(found, rates[0], strict=True))
        speed, cpu, p99 = (median(getattr(rate, field) for rate in found) for field in ("per_second", "cpu", "p99"))
        errors = sum(rate.errors for rate in found)
        print(f"{name:20}{speed:9.0f}{cpu:9.1f}{ratio:9.2f}{p99:9.2f}{errors:8}", flush=True)


@contextmanager
def idle_clients(hub: Target, count: int) -> Iterator[None]:
    """Clients that had an answer and keep their connection."""
    clients = []
    try:
        for number in range(count):
            client = socket.socket()
            client.bind((f"127.0.{1 + number % 200}.1", 0))
            client.connect(("127.0.0.1", hub.port))
            client.sendall(f"GET /echo/1k HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\n\r\n".encode())
            if not client.recv(4096).startswith(b"HTTP/1.1 200"):
                sys.exit("An idle client was refused.")
            clients.append(client)
        yield
    finally:
        for client in clients:
            client.close()


if __name__ == "__main__":
    main(sys.argv[1:])
