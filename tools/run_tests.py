"""Runs tests with trial: `python -m tools.run_tests [NAME ...]`, all of them without a name.

As root on Debian it first installs the programs that the tests need and the machine lacks. Tests whose needs are still
not met are left out and listed, with what would bring them. The last line is "N passed, N failed", and the exit status
is 0 when nothing failed. With CI=true, tests that were left out count as failed.

Whole files and packages run in several processes (PARACHUTE_TEST_WORKERS of them, twice the number of processors),
named classes and methods in this one.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.runner import TestLoader

from tests.requirements import Need, find, lacking, names_in
from tools import test_workers

_INSTALLED = "PARACHUTE_TEST_PACKAGES_INSTALLED"
_ATTEMPTS = 3
_SLOWEST = 40


def report(left_out: Counter[str], needs: Sequence[Need], root: bool) -> list[str]:
    """Lines that say what was skipped and what would bring it."""
    if not left_out:
        return []
    lines = [f"Left out: {left_out.total()} tests."]
    for need in needs:
        tests = sum(number for reason, number in left_out.items() if need.name in names_in(reason))
        if tests:
            lines.append(f"  {tests} need {need.name}" + ("" if need.package else f": {need.remedy}"))
    lines += [f"  {number}: {reason}" for reason, number in left_out.items() if not names_in(reason)]
    packages = sorted({need.package for need in needs if need.package})
    if packages:
        lines.append(f"For the programs: {'' if root else 'sudo '}apt-get install {' '.join(packages)}")
    return lines


def is_debian(os_release: Path = Path("/etc/os-release")) -> bool:
    """Whether the table's Debian packages are available here."""
    return os_release.exists() and "ID=debian" in os_release.read_text().splitlines()


def install(needs: Sequence[Need]) -> None:
    """Install what is missing, if possible, and start again."""
    packages = sorted({need.package for need in needs if need.package})
    if not packages or _INSTALLED in os.environ or os.geteuid() != 0 or not is_debian() or find("apt-get") is None:
        return
    print(f"Installing from Debian, once: {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    error = ""
    for _ in range(_ATTEMPTS):
        for words in (["update", "-qq"], ["install", "-qq", "--yes", "--no-install-recommends", *packages]):
            done = subprocess.run(["apt-get", *words], env=environment, capture_output=True, text=True)
            error = done.stderr
        if done.returncode == 0:
            break
    else:
        print(f"apt-get could not install them:\n{error[-2000:]}", flush=True)
    again = [sys.executable, "-m", "tools.run_tests", *sys.argv[1:]]
    os.execve(sys.executable, again, {**os.environ, _INSTALLED: "1"})  # noqa: S606


def main(names: Sequence[str]) -> int:
    """Run these tests, print the summary, and return the exit status."""
    # Hypothesis computes tables once; trial clears the folder in which it would keep them.
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(".cache", "hypothesis").absolute()))
    test_workers.same_examples()
    suite = TestLoader().loadByNames(list(names), recurse=True)
    install(lacking())
    files = test_workers.units(suite) if all(map(_is_module, names)) else []
    workers = min(int(os.environ.get("PARACHUTE_TEST_WORKERS", 2 * _cpus())), len(files))
    found = test_workers.run_in_processes(files, workers) if workers > 1 else test_workers.run_here(suite)
    passed, failed = found.verdict(strict=os.environ.get("CI") == "true")
    if workers > 1:
        print(f"The slowest of {len(found.seconds)} tests:", *found.slowest(_SLOWEST), sep="\n")
    print(*report(found.left_out, lacking(), os.geteuid() == 0), f"{passed} passed, {failed} failed", sep="\n")
    return int(failed > 0)


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _cpus() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["tests"]))
