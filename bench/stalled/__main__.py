"""What clients that stop moving cost a hub in a container of 512 MB, and what others notice of them; beside nginx.

`python -m bench stalled [SCALE]`: 10,000 readers, 5,000 uploads and 5,000 WebSockets at once, from 200 addresses
of 127/8; SCALE multiplies that. Bars: at most 40 MB more, 5 MB a minute after they left, /health and neighbours at
most twice as slow (p99), and slow honest clients are not cut off. Compared with a hub in use, which has served ten
of each kind. As root everything runs in a network of its own, so
that nobody else's connections are measured, and in a memory cgroup (v1) that counts the kernel's buffers too.
"""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.stalled.crowd import Crowd
from bench.stalled.honest import Neighbour, slow_clients
from bench.stalled.subjects import Group, NotInstalled, Subject, hub, nginx, rss

_CROWDS = {"readers": 10_000, "uploads": 5_000, "websockets": 5_000}
_SECONDS = 40.0
_PAUSE = 60.0
# Clients of each honest kind before: what the first ones load, in the hub and in the module, is not the crowd's.
_EARLIER = 10
_ALONE = "PARACHUTE_BENCH_ALONE"


def measure(name: str, subject: Subject, group: Group, scale: float) -> list[str]:
    """Use it as usual; attack and print, then let go and print. Returns the bars that were missed."""
    for _ in range(_EARLIER):
        for client in slow_clients(subject.port, subject.prefix, 1.0):
            client.join(150)
            if client.outcome != "whole":
                raise RuntimeError(f"{client.kind}, before the attack: {client.outcome}")
    neighbour = Neighbour(subject.port, subject.neighbours)
    neighbour.start()
    time.sleep(10)
    before, resident = group.parts(), rss(subject.pid)
    quiet, _ = neighbour.take()
    missed: list[str] = []
    highest = 0

    def line(what: str) -> tuple[float, dict[str, float]]:
        found, failed = neighbour.take()
        parts = {kind: (size - before[kind]) / (1 << 20) for kind, size in group.parts().items()}
        total = sum(parts.values())
        figures = ", ".join(f"{kind} {size:+.1f}" for kind, size in parts.items())
        waits = ", ".join(f"{path} p99 {ms:.1f} ms" for path, ms in found.items())
        own = (rss(subject.pid) - resident) / (1 << 20)
        print(f"  {what}: {total:+.1f} MB ({figures}; {name} itself {own:+.1f}); {waits}, {failed} failed", flush=True)
        return total, found

    print(f"  before: {sum(before.values()) >> 20} MB; " + ", ".join(f"{k} p99 {v:.1f} ms" for k, v in quiet.items()))
    honest = slow_clients(subject.port, subject.prefix, _PAUSE)
    seconds = _SECONDS * min(1.0, max(0.25, scale))
    crowds = [
        Crowd(subject.port, subject.prefix, kind, int(count * scale), count * scale / seconds)
        for kind, count in _CROWDS.items()
    ]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.25)
        highest = max(highest, sum(group.parts().values()) - sum(before.values()))
    for crowd in crowds:
        crowd.wait()
    line("while they came, " + _living(crowds))
    print(f"  highest meanwhile: {highest / (1 << 20):+.1f} MB")
    time.sleep(20)
    total, found = line("20 s later, " + _living(crowds))
    if max(total, highest / (1 << 20)) > 40:
        missed.append(f"{max(total, highest / (1 << 20)):.0f} MB more")
    missed += [
        f"{path} p99 {ms:.1f} ms, {quiet[path]:.1f} before" for path, ms in found.items() if ms > 2 * quiet[path]
    ]
    for client in honest:
        client.join(150)
        if client.outcome != "whole":
            missed.append(f"{client.kind}: {client.outcome}")
    print("  " + "; ".join(f"{client.kind}: {client.outcome}" for client in honest), flush=True)
    for crowd in crowds:
        crowd.leave()
    time.sleep(60)
    total, _ = line("a minute after they left")
    if total > 5:
        missed.append(f"{total:.0f} MB a minute later")
    neighbour.over = True
    neighbour.join()
    return missed


def _living(crowds: list[Crowd]) -> str:
    return ", ".join(f"{crowd.kind} {crowd.living()}/{crowd.count}" for crowd in crowds)


def run(scale: float, names: list[str]) -> int:
    """Measure each; 1 if the hub missed a bar."""
    kinds = {
        "hub": hub,
        "nginx": lambda folder, group: nginx(folder, group, buffering=True),
        "nginx, unbuffered": lambda folder, group: nginx(folder, group, buffering=False),
    }
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {files} descriptors, scale {scale}", flush=True)
    missed: list[str] = []
    for name, kind in kinds.items():
        if names and name not in names:
            continue
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            group = Group()
            try:
                with kind(Path(folder) / "it", group) as subject:
                    found = measure(name, subject, group, scale)
            except NotInstalled as error:
                print(f"  not measured: {error} is not installed (apt-get install nginx-light)")
                continue
            finally:
                group.end()
        print(f"  missed: {'; '.join(found) or 'nothing'}", flush=True)
        if name == "hub":
            missed = found
    return len(missed) and 1


def main() -> None:
    """In a network of its own where that is possible."""
    arguments = sys.argv[2:] if sys.argv[1:2] == ["stalled"] else sys.argv[1:]
    if os.geteuid() == 0 and shutil.which("unshare") and not os.environ.get(_ALONE):
        command = ["unshare", "--net", sys.executable, "-m", "bench.stalled", *arguments]
        sys.exit(subprocess.call(command, env={**os.environ, _ALONE: "1"}))
    if os.environ.get(_ALONE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    scale = float(arguments[0]) if arguments else 1.0
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(run(scale, arguments[1:]))


if __name__ == "__main__":
    main()
