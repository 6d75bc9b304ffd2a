"""Which update is installed at night, and when."""

from typing import Any

from attrs import define, evolve, field
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.model import Job
from parachute_hub.modules.operations.night_updates import AGAIN_AFTER, HOURS, NightUpdates, may_try
from parachute_hub.modules.operations.upgrade import UpgradeRequest
from parachute_hub.modules.packages.updates import Availability
from tests.modules.homes import Home, at_once
from tests.support.at_once import at_once as result

NIGHT, DAY = 864_000 + HOURS[0] * 3600.0, 864_000 + 12 * 3600.0
FAILED = Job(
    id="1",
    kind="upgrade",
    short="toy",
    params={"version": "1.1.0"},
    started_at=0.0,
    finished_at=1.0,
    status="failed",
    outcome="failed",
)


@define
class FakeJobs:
    """Jobs that are known, and what was started."""

    known: list[Job] = field(factory=list)
    started: list[UpgradeRequest] = field(factory=list)

    def all(self) -> list[Job]:
        return self.known

    def upgrade(self, request: UpgradeRequest) -> Job:
        self.started.append(request)
        return FAILED


class FakeRegistry:
    async def add(self, folder: Any, spec: str, on_line: Any, min_age: int = 0, *options: str) -> None:
        raise AssertionError

    async def info(self, package: str, about: str, folder: Any, seconds: float) -> Any:
        return {"latest": "1.1.0"}


class NightTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home, self.now = Home(self.mktemp()), NIGHT
        self.home.register(version="1.0.0")
        self.home.records.change("toy", package="@toys/toy", row="toys-toy", night=True)
        self.jobs = FakeJobs()
        self.updates = NightUpdates(
            directory=self.home.directory,
            availability=Availability(
                bun=FakeRegistry(),
                folder=self.home.path,
                now=lambda: self.now,
                in_thread=at_once,
                catalog=self.home.catalog,
            ),
            upgrader=self.jobs,
            jobs=self.jobs,
            channel=lambda: "latest",
            now=lambda: self.now,
            hour=lambda at: int(at // 3600) % 24,
        )

    def tick(self) -> list[UpgradeRequest]:
        result(self.updates.tick())
        return self.jobs.started

    def test_a_newer_version_is_installed_at_night(self) -> None:
        self.now = DAY
        self.assertEqual(self.tick(), [])
        self.now = NIGHT
        self.assertEqual(self.tick(), [UpgradeRequest(short="toy", version="1.1.0")])

    def test_who_is_left_alone(self) -> None:
        for change in ({"night": False}, {"pin": True}, {"linked": "/x"}):
            self.home.records.change("toy", **{"night": True, "pin": False, "linked": None, **change})
            self.assertEqual(self.tick(), [], change)

    def test_nothing_is_started_while_something_runs(self) -> None:
        self.jobs.known = [evolve(FAILED, finished_at=None, status="running", short="other")]
        self.assertEqual(self.tick(), [])


class TryTests(SynchronousTestCase):
    def test_a_version_that_failed_is_tried_once_more_days_later(self) -> None:
        request = UpgradeRequest(short="toy", version="1.1.0")
        later = evolve(FAILED, started_at=AGAIN_AFTER)
        for jobs, at, may in (
            ([], 0.0, True),
            ([FAILED], AGAIN_AFTER - 1, False),
            ([FAILED], AGAIN_AFTER, True),
            ([FAILED, later], 100 * AGAIN_AFTER, False),
            ([evolve(FAILED, params={"version": "1.0.9"})], 1.0, True),
            ([evolve(FAILED, short="other")], 1.0, True),
            ([evolve(FAILED, status="succeeded")], 1.0, True),
        ):
            self.assertEqual(may_try(jobs, request, at), may, (jobs, at))
