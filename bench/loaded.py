"""Memory of the hub with three modules under 60 s of mixed load, and one and five minutes after it.

Sixteen connections ask a module and the owner signs in, all at once. `python -m bench loaded`
"""

import http.client
import threading
import time

from bench.idle import memory, settled
from bench.soak import sign_ins
from tests.live.harness import HubProcess

SECONDS = 60.0
CONNECTIONS = 16


class _Load:
    """Clients until a moment. Those that get anything but 200 end and are counted."""

    def __init__(self, hub: HubProcess, seconds: float) -> None:
        self._hub = hub
        self._until = time.monotonic() + seconds
        self.answers = 0
        self.signed_in = 0
        self.failed: list[str] = []

    def ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._hub.port, timeout=30)
        while time.monotonic() < self._until:
            connection.request("GET", "/hello/health")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                self.failed.append(f"/hello/health answered {answer.status}")
                return
            self.answers += 1

    def sign_in(self) -> None:
        sign = sign_ins(self._hub)
        while time.monotonic() < self._until:
            sign()
            self.signed_in += 1

    def run(self) -> None:
        threads = [threading.Thread(target=each) for each in (*[self.ask] * CONNECTIONS, self.sign_in)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()


def _tell(when: str, pid: int) -> None:
    print(f"{when:24}" + "  ".join(f"{name} {size:.1f} MB" for name, size in memory(pid).items()), flush=True)


def main() -> None:
    """Install, restart, wait, load, wait, print."""
    with settled() as (hub, pid):
        _tell("idle", pid)
        load = _Load(hub, SECONDS)
        threading.Timer(SECONDS - 1, _tell, ("at the end of the load", pid)).start()
        load.run()
        print(f"{load.answers} answers, {load.signed_in} sign-ins; failed: {load.failed or 'none'}", flush=True)
        time.sleep(60)
        _tell("a minute later", pid)
        time.sleep(240)
        _tell("five minutes later", pid)


if __name__ == "__main__":
    main()
