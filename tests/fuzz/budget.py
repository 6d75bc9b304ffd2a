"""How long to fuzz: a fixed small number of examples in CI, or until PARACHUTE_FUZZ_SECONDS have passed."""

import os
import time
from collections.abc import Callable, Iterator

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

SECONDS = float(os.environ.get("PARACHUTE_FUZZ_SECONDS", "0"))
_QUIET = tuple(HealthCheck)


def rounds(seconds: float) -> Iterator[int]:
    """Seeds: one for CI, always the same; new ones until the time is up for the long form."""
    yield 1
    end, first = time.monotonic() + seconds, int(time.time())
    number = 0
    while time.monotonic() < end:
        number += 1
        yield first + number


def fuzz(
    strategy: SearchStrategy[object], check: Callable[..., None], *, examples: int, seconds: float = SECONDS
) -> int:
    """Check that many examples in each round; what fails is shrunk and raised. The number of rounds."""
    done = 0
    for number in rounds(seconds):
        # In the long form a failing example is found again by its seed, which trial prints with the error.
        tried = settings(
            max_examples=examples, deadline=None, database=None, print_blob=True, suppress_health_check=_QUIET
        )(seed(number)(given(strategy)(check)))
        tried()
        done += 1
    return done
