"""Does the duration of a wrong sign-in reveal whether the name exists? Alternating, on a real hub. Every attempt comes
from another address, so that the throttle does not answer instead. `|t|` is Welch's; below about 2 the two cannot
be distinguished with this number of attempts. `python -m bench signin`
"""

import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.live.harness import OWNER, HubProcess, fetch

TRIES = 200
WARM_UP = 10
KNOWN = OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"]
UNKNOWN = "nobody"[: len(KNOWN)]


class Stranger:
    """Someone guessing over one connection with one page's token."""

    def __init__(self, hub: HubProcess) -> None:
        page = fetch(f"{hub.url}/account/session")
        self._token = page.json()["csrf"]
        self._headers = {
            "Content-Type": "application/json",
            "Cookie": page.headers["set-cookie"].partition(";")[0],
        }
        self._connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=20)
        self._tries = 0

    def guess(self, username: str) -> float:
        """The duration of one wrong sign-in in milliseconds. Raises SystemExit when the response was not about the
        password.
        """
        self._tries += 1
        body = json.dumps({"__csrf": self._token, "username": username, "password": "not the right words"})
        address = f"198.18.{self._tries >> 8}.{self._tries & 255}"
        began = time.perf_counter()
        self._connection.request("POST", "/login", body, {**self._headers, "X-Forwarded-For": address})
        answer = self._connection.getresponse()
        said = answer.read()
        took = time.perf_counter() - began
        if answer.status != 401 or json.loads(said)["error"] != "invalid_credentials":
            raise SystemExit(f"a wrong sign-in was answered with {answer.status}: {said[:200]!r}")
        return took * 1000

    def leave(self) -> None:
        """Close the connection."""
        self._connection.close()


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """Welch's t of two samples."""
    spread = statistics.variance(first) / len(first) + statistics.variance(second) / len(second)
    return float((statistics.fmean(first) - statistics.fmean(second)) / spread**0.5)


def measure(hub: HubProcess) -> None:
    """Print the medians and t. The order alternates between pairs."""
    times: dict[str, list[float]] = {KNOWN: [], UNKNOWN: []}
    stranger = Stranger(hub)
    for number in range(WARM_UP + TRIES):
        for name in (KNOWN, UNKNOWN) if number % 2 else (UNKNOWN, KNOWN):
            took = stranger.guess(name)
            if number >= WARM_UP:
                times[name].append(took)
    stranger.leave()
    for words, name in (("known name", KNOWN), ("unknown name", UNKNOWN)):
        middle, quartiles = statistics.median(times[name]), statistics.quantiles(times[name])
        print(f"{words:14}{middle:8.2f} ms median{quartiles[0]:8.2f} to {quartiles[2]:.2f} ms (n = {TRIES})")
    print(f"{'Welch t':14}{welch(times[KNOWN], times[UNKNOWN]):8.2f}")


def main() -> None:
    """Start a hub with an owner, measure, stop it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**OWNER, "PARACHUTE_TRUSTED_HOPS": "1"}
        hub = HubProcess(home=Path(folder) / "home", environment=environment)
        try:
            measure(hub.start())
        finally:
            hub.end()


if __name__ == "__main__":
    main()
