"""The reason for a failed start is in the row until the module has started."""

import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.runner import Jobs, Work
from parachute_hub.modules.reconcile.start_errors import StartErrors
from parachute_hub.supervise.model import ModuleState, Status
from tests.modules.homes import Home
from tests.support.at_once import at_once
from tests.support.supervising import FakeSupervisor

ERROR = {
    "error": "missing_dependency",
    "error_type": "missing_dependency",
    "error_description": "bun was not found. Install it.",
    "binary": "bun",
    "at": "2026-11-23T10:00:00.000Z",
}
NOTED = {name: value for name, value in ERROR.items() if name != "error"}


class Noting(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Home(self.mktemp())
        self.home.register(mine=1)
        self.supervisor = FakeSupervisor()
        self.jobs = Jobs(
            folder=Path(self.mktemp()),
            handlers={},
            emit=lambda event: None,
            mask=str,
            now=lambda: 0.0,
            new_id=lambda: "job",
        )
        self.errors = StartErrors(directory=self.home.directory, supervisor=self.supervisor, jobs=self.jobs)

    def started(self, state: ModuleState, error: dict[str, Any] | None) -> None:
        """It was started with this result, and then polled."""
        self.supervisor.outcome["toy"] = Status(short="toy", state=state, reason="", since=0.0, start_error=error)
        self.successResultOf(Deferred.fromCoroutine(self.supervisor.start("toy")))
        at_once(self.errors.look())

    def row(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.home.services.path.read_bytes())["services"][0]
        return found

    def test_a_failure_is_noted_and_success_clears_it(self) -> None:
        self.started(ModuleState.BACKOFF, ERROR)
        self.assertEqual((self.row()["lastStartError"], self.row()["mine"]), (NOTED, 1))
        self.started(ModuleState.STARTING, None)
        self.assertEqual(self.row()["lastStartError"], NOTED)
        self.started(ModuleState.READY, None)
        self.assertNotIn("lastStartError", self.row())

    def test_the_same_failure_is_written_once(self) -> None:
        self.started(ModuleState.BACKOFF, ERROR)
        written = self.home.services.path.stat().st_ino
        self.started(ModuleState.BACKOFF, {**ERROR, "at": "2026-11-23T10:05:00.000Z"})
        self.assertEqual(self.home.services.path.stat().st_ino, written)
        self.started(ModuleState.HELD, {**ERROR, "error_type": "port_squatter"})
        self.assertEqual(self.row()["lastStartError"]["error_type"], "port_squatter")

    def test_a_module_that_an_operation_is_about_is_left_alone(self) -> None:
        async def forever(work: Work) -> None:
            await Deferred()

        self.jobs.start("upgrade", "toy", {}, forever)
        self.started(ModuleState.BACKOFF, ERROR)
        self.assertNotIn("lastStartError", self.row())

    def test_no_row_is_made_for_it(self) -> None:
        self.home.services.path.write_text('{"services": []}')
        self.started(ModuleState.BACKOFF, ERROR)
        self.assertEqual(json.loads(self.home.services.path.read_bytes()), {"services": []})
