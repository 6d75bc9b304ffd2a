"""A row lost when two modules write at the same time."""

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.runner import Jobs
from parachute_hub.modules.reconcile.row_guard import RowKeeper
from parachute_hub.modules.state.services_file import with_port
from parachute_hub.supervise.model import ModuleState, Status
from tests.modules.homes import Home
from tests.support.at_once import at_once
from tests.support.supervising import FakeSupervisor


class Keeping(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp())
        self.supervisor = FakeSupervisor()
        self.told: list[str] = []
        jobs = Jobs(
            folder=Path(self.mktemp()), handlers={}, emit=self.ignore, mask=str, now=lambda: 0.0, new_id=lambda: "job"
        )
        self.keeper = RowKeeper(
            directory=self.home.directory, supervisor=self.supervisor, jobs=jobs, notice=self.told.append
        )
        self.home.register("toys-toy", 2711, mine={"kept": 1})
        self.home.register("parachute-vault", 1940, paths=["/vault/default"])
        at_once(self.keeper.look())

    def ignore(self, event: Any) -> None:
        """Nobody listens."""

    def started(self, short: str) -> None:
        try:
            self.supervisor.start(short).send(None)
        except StopIteration:
            return

    def write(self, *names: str) -> None:
        """A module writes the file as it read it before."""
        document = json.loads(self.home.services.path.read_bytes())
        document["services"] = [row for row in document["services"] if row["name"] in names]
        self.home.services.path.write_text(json.dumps(document))

    def names(self) -> list[str]:
        return [row.name for row in self.home.services.read().rows]

    def test_the_row_of_a_running_module_comes_back_whole(self) -> None:
        self.started("toy")
        self.write("parachute-vault")
        at_once(self.keeper.look())
        self.assertEqual(self.names(), ["parachute-vault", "toys-toy"])
        self.assertEqual(self.home.services.read().rows[1].raw["mine"], {"kept": 1})
        self.assertEqual(self.told, ["The row of toys-toy vanished from services.json and was restored."])
        at_once(self.keeper.look())
        self.assertEqual(len(self.told), 1)

    def test_one_that_is_lost_again_at_once_comes_back_again(self) -> None:
        """Before the keeper looked at what it had restored."""
        self.started("toy")
        for _ in range(2):
            self.write("parachute-vault")
            at_once(self.keeper.look())
            self.assertIn("toys-toy", self.names())
        for _ in range(2):
            self.home.services.path.write_bytes(b"[]")
            at_once(self.keeper.look())
            self.assertIn("toys-toy", self.names())

    def test_one_that_is_about_to_run_again_keeps_its_row(self) -> None:
        """Otherwise the next start would find nothing installed."""
        crashed = Status(short="toy", state=ModuleState.BACKOFF, reason="It exited with code 1.", since=0.0)
        self.supervisor.outcome["toy"] = crashed
        self.started("toy")
        self.write("parachute-vault")
        at_once(self.keeper.look())
        self.assertIn("toys-toy", self.names())

    def test_who_does_not_run_may_go(self) -> None:
        self.write("parachute-vault")
        at_once(self.keeper.look())
        self.assertEqual(self.names(), ["parachute-vault"])

    def test_a_row_does_not_reserve_its_port(self) -> None:
        self.started("toy")
        self.write("parachute-vault")
        self.home.register("parachute-thief", 2711, installed=False)
        at_once(self.keeper.look())
        self.assertEqual(self.names(), ["parachute-vault", "parachute-thief", "toys-toy"])

    def test_a_row_that_names_another_port_gets_its_own_back(self) -> None:
        """Published modules read their port there."""
        self.home.services.update(lambda registry: with_port(registry, "toys-toy", 6666))
        at_once(self.keeper.look())
        self.assertEqual({row.name: row.port for row in self.home.services.read().rows}["toys-toy"], 2711)
        self.assertIn("named port 6666", self.told[0])
