"""What an idle hub of three modules does all day long. Each turn costs, so that a new one must be worth it."""

import json
import signal
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import HubProcess, hub, packed_examples

# Turns in five minutes at the most, by the name of the timer: one each ten seconds, thirty seconds, minute, or more.
BUDGET = {
    "Measuring memory": 31,
    "Measuring reactor lag": 31,
    "Keeping room on the disk": 11,
    "Looking for problems": 11,
    "Looking for unused modules": 11,
    "Sending notices": 11,
    "Watching files of modules": 11,
    "Starting backups that are due": 6,
    "Updating modules at night": 6,
    "Writing to the disk": 6,
    "Returning free memory": 2,
    # Health checks: each module's wait, every sixth time a connection; every five minutes, some for its settings.
    "Deferred.callback": 3 * 31,
    "_BaseBaseClient.resolveAddress": 3 * 6 + 3 * 2 * 2,
    "_BaseBaseClient.connectionLost": 3 * 6 + 3 * 2 * 2,
    # Clients that rest: a module may keep its connection to the hub for 255 seconds.
    "Ticks._turn": 3,
    # Once for each moment in which something above is due, and for what the modules answer.
    "wake-ups": 200,
}


class IdleTests(SynchronousTestCase):
    timeout = 120

    def test_each_timer_has_its_turns_and_no_more(self) -> None:
        told = Path(self.mktemp()).absolute()
        idle: HubProcess = hub(
            self,
            catalog=packed_examples(),
            environment={"IDLE": str(told)},
            program=(sys.executable, "-m", "tests.live.idle_hub"),
        )
        idle.start()
        for short in ("hello", "vault", "notes"):
            idle.install(short)
        assert idle.process is not None
        idle.process.send_signal(signal.SIGUSR2)
        idle.wait_for(told.exists, "five minutes to pass")
        turns = json.loads(told.read_text())
        self.assertEqual({name: count for name, count in turns.items() if count > BUDGET.get(name, 0)}, {}, turns)
        self.assertGreater(turns["Measuring memory"], 25, "the clock ran ahead")
