"""Jobs: one per module, undone on failure, remembered across restarts."""

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.events import Event, JobChanged
from parachute_hub.jobs.model import Job
from parachute_hub.jobs.runner import KEPT, LINE_LENGTH, LOG_LINES, NOT_UNDONE, JobFailed, Jobs, Work
from parachute_hub.site.errors import Refused
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.logs import Masker
from tests.support.later import Later


class Bench:
    """Jobs in a folder, with a list as the world they change."""

    def __init__(self, folder: Path, files: FileWriter | None = None) -> None:
        self.folder = folder
        self.files = files
        self.world: list[str] = []
        self.events: list[Event] = []
        self.time = 1000.0
        self.ids = 0
        self.jobs = self.restarted()

    def restarted(self) -> Jobs:
        """The hub restarts on the same folder."""
        self.jobs = Jobs(
            folder=self.folder,
            files=self.files,
            handlers={"take": self.take, "fail": self.fail},
            emit=self.events.append,
            mask=Masker(),
            now=self.now,
            new_id=self.new_id,
        )
        return self.jobs

    def now(self) -> float:
        self.time += 1.0
        return self.time

    def new_id(self) -> str:
        self.ids += 1
        return f"job-{self.ids:04}"

    async def take(self, given: Mapping[str, Any]) -> None:
        if given["what"] in self.world:
            self.world.remove(given["what"])

    async def fail(self, given: Mapping[str, Any]) -> None:
        """Refuses until there is space, that is, until only the needed entries are left."""
        if self.world != given.get("until"):
            raise OSError(28, "No space left on device")

    async def put(self, work: Work, what: str, **options: Any) -> None:
        await work.undo("take", f"{what} is gone.", what=what, **options)
        self.world.append(what)


class TestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench(Path(self.mktemp()))
        self.gate: Deferred[None] = Deferred()

    @property
    def jobs(self) -> Jobs:
        return self.bench.jobs

    def start(self, work: Callable[[Work], Awaitable[None]], short: str = "toy", **params: Any) -> Job:
        return self.jobs.start("install", short, params, work)

    def recover(self) -> list[Job]:
        return self.successResultOf(Deferred.fromCoroutine(self.bench.restarted().recover()))

    async def waiting(self, work: Work) -> None:
        work.step("first")
        await self.bench.put(work, "a")
        work.step("second")
        await self.bench.put(work, "b")
        await self.gate

    async def forever(self, work: Work) -> None:
        await Deferred()

    def on_disk(self, job: Job) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.bench.folder / f"{job.id}.json").read_bytes())
        return found


class Course(TestCase):
    def test_one_that_succeeds(self) -> None:
        job = self.start(self.waiting)
        self.assertEqual((job.status, job.to_json()["cancellable"]), ("running", True))
        self.gate.callback(None)
        job = self.jobs.get(job.id)
        told = job.to_json()
        self.assertEqual((told["status"], told["outcome"], self.bench.world), ("succeeded", "succeeded", ["a", "b"]))
        self.assertEqual(
            [(step["name"], step["state"]) for step in told["steps"]], [("first", "done"), ("second", "done")]
        )
        self.assertTrue(told["startedAt"].endswith("Z") and told["finishedAt"] > told["startedAt"])
        self.assertNotIn("error", told)
        self.assertEqual(self.on_disk(job)["status"], "succeeded")
        self.assertIsInstance(self.bench.events[-1], JobChanged)

    def test_one_that_fails_is_undone_in_reverse(self) -> None:
        job = self.start(self.waiting)
        self.gate.errback(JobFailed("It was not to be.", {"error_type": "x"}))
        job = self.jobs.get(job.id)
        self.assertEqual((job.status, job.outcome, self.bench.world), ("failed", "failed", []))
        self.assertEqual(job.error, "It was not to be. b is gone. a is gone.")
        self.assertEqual((job.undone, job.error_detail), (("b is gone.", "a is gone."), {"error_type": "x"}))
        self.assertEqual(job.steps[-1].status, "failed")

    def test_what_does_not_outlive_the_hub_needs_no_place_on_the_disk(self) -> None:
        async def work(work: Work) -> None:
            work.undo_here("take", "a is gone.", what="a")
            self.bench.world.append("a")
            self.assertEqual(self.on_disk(work.job)["undo"], [])
            await self.bench.put(work, "b")
            self.assertEqual([undo["arguments"]["what"] for undo in self.on_disk(work.job)["undo"]], ["a", "b"])
            raise JobFailed("No.")

        self.assertEqual(self.jobs.get(self.start(work).id).error, "No. b is gone. a is gone.")
        self.assertEqual(self.bench.world, [])

    def test_a_failed_undo_is_reported(self) -> None:
        async def work(work: Work) -> None:
            await self.bench.put(work, "a")
            await work.undo("fail", "b is gone.")
            raise JobFailed("No.")

        job = self.jobs.get(self.start(work).id)
        self.assertEqual(job.error, f"No. a is gone. {NOT_UNDONE}")
        self.assertEqual(self.bench.world, [])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_what_a_full_disk_refused_is_tried_again_when_the_rest_has_made_room(self) -> None:
        async def work(work: Work) -> None:
            await self.bench.put(work, "a")
            await work.undo("fail", "b is gone.", until=[])
            raise JobFailed("No.")

        job = self.jobs.get(self.start(work).id)
        self.assertEqual((job.error, job.undo), ("No. a is gone. b is gone.", ()))

    def test_an_internal_error_reveals_nothing(self) -> None:
        async def work(work: Work) -> None:
            raise RuntimeError("secret detail")

        job = self.jobs.get(self.start(work).id)
        self.assertEqual(job.error, "Something went wrong in the hub. Its log has the details.")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_secrets_and_floods_in_the_log(self) -> None:
        async def work(work: Work) -> None:
            for number in range(LOG_LINES + 50):
                work.line(f"{number} http://me:pass@registry.test/ pvt_abcdefgh" + "x" * 5000)

        job = self.jobs.get(self.start(work).id)
        self.assertEqual(len(job.log), LOG_LINES)
        self.assertTrue(all(len(line) <= LINE_LENGTH for line in job.log))
        self.assertNotIn("me:pass", job.log[0])
        self.assertNotIn("abcdefgh", job.log[0])

    def test_after_the_commit_nothing_is_undone(self) -> None:
        async def work(work: Work) -> None:
            await self.bench.put(work, "a")
            await work.commit()
            raise JobFailed("Only the tidying failed.")

        job = self.jobs.get(self.start(work).id)
        self.assertEqual((self.bench.world, job.outcome, job.error), (["a"], "succeeded", None))
        self.assertEqual(job.log, ("Only the tidying failed.",))

    def test_a_commit_that_cannot_be_written_is_none(self) -> None:
        async def work(work: Work) -> None:
            await self.bench.put(work, "a")
            self.bench.folder.rename(self.bench.folder.with_name("away"))
            await work.commit()

        job = self.jobs.get(self.start(work).id)
        self.assertEqual((self.bench.world, job.outcome, job.committed), ([], "failed", False))
        self.flushLoggedErrors(OSError)


class Together(TestCase):
    def test_the_same_twice_is_one_another_is_refused(self) -> None:
        job = self.start(self.waiting, version="1")
        self.assertEqual(self.start(self.waiting, version="1").id, job.id)
        for kind, params in (("install", {"version": "2"}), ("uninstall", {})):
            with self.assertRaises(Refused) as caught:
                self.jobs.start(kind, "toy", params, self.waiting)
            self.assertEqual((caught.exception.status, caught.exception.detail), (409, {"operation_id": job.id}))
        self.assertEqual(self.start(self.waiting, short="other").status, "running")
        self.assertEqual(self.jobs.active("toy"), self.jobs.get(job.id))

    def test_a_name_that_is_learnt_must_be_free(self) -> None:
        async def renaming(work: Work) -> None:
            work.rename("toy")

        self.start(self.waiting)
        job = self.jobs.get(self.start(renaming, short="guess").id)
        self.assertIn("toy is busy", job.error or "")

    def test_a_disk_that_cannot_be_written_refuses_at_once(self) -> None:
        self.bench.folder.write_text("in the way")
        with self.assertRaises(Refused) as caught:
            self.start(self.waiting)
        self.assertEqual((caught.exception.status, caught.exception.error), (503, "not_saved"))
        self.assertEqual(self.bench.world, [])

    def test_no_change_without_its_undo_on_disk(self) -> None:
        async def work(work: Work) -> None:
            self.bench.folder.rename(self.bench.folder.with_name("away"))
            await self.bench.put(work, "a")

        job = self.jobs.get(self.start(work).id)
        self.assertEqual((self.bench.world, job.outcome), ([], "failed"))
        self.assertIn("The disk refused: No such file", job.error or "")
        self.flushLoggedErrors(OSError)


class Cancelling(TestCase):
    def test_what_was_done_is_undone(self) -> None:
        job = self.start(self.waiting)
        self.jobs.cancel(job.id)
        job = self.jobs.get(job.id)
        self.assertEqual((job.status, job.outcome, self.bench.world), ("failed", "cancelled", []))
        with self.assertRaises(Refused) as caught:
            self.jobs.cancel(job.id)
        self.assertEqual(caught.exception.error, "too_late")

    def test_not_after_the_commit(self) -> None:
        async def work(work: Work) -> None:
            await work.commit()
            await self.gate

        job = self.start(work)
        self.assertFalse(self.jobs.get(job.id).to_json()["cancellable"])
        with self.assertRaises(Refused):
            self.jobs.cancel(job.id)
        self.gate.callback(None)
        self.assertEqual(self.jobs.get(job.id).status, "succeeded")

    def test_a_part_that_must_stay_whole_ends_first(self) -> None:
        async def work(work: Work) -> None:
            await self.bench.put(work, "a")
            await work.whole(self.gate)
            self.bench.world.append("never")

        job = self.start(work)
        self.jobs.cancel(job.id)
        self.assertEqual((self.bench.world, self.jobs.get(job.id).over), (["a"], False))
        self.gate.callback(None)
        self.assertEqual((self.bench.world, self.jobs.get(job.id).outcome), ([], "cancelled"))

    def test_an_unknown_job_cannot_be_cancelled(self) -> None:
        with self.assertRaises(Refused) as caught:
            self.jobs.cancel("nothing")
        self.assertEqual(caught.exception.status, 404)

    def test_the_same_again_while_it_is_being_undone_is_not_the_same(self) -> None:
        """Someone who cancels and asks again wants a new job, not the one that is ending."""
        undoing: Deferred[None] = Deferred()

        async def slowly(given: Mapping[str, Any]) -> None:
            await undoing

        self.patch(self.bench, "take", slowly)
        self.bench.restarted()
        first = self.start(self.waiting)
        self.jobs.cancel(first.id)
        with self.assertRaises(Refused) as caught:
            self.start(self.waiting)
        self.assertEqual((caught.exception.status, caught.exception.error), (409, "operation_in_progress"))
        self.assertIn("being undone", caught.exception.description)
        undoing.callback(None)
        self.assertEqual(self.jobs.get(first.id).outcome, "cancelled")
        self.gate = Deferred()
        self.assertNotEqual(self.start(self.waiting).id, first.id)

    def test_running_jobs_are_undone_on_shutdown(self) -> None:
        job = self.start(self.waiting)
        ended = Deferred.fromCoroutine(self.jobs.stop())
        self.successResultOf(ended)
        job = self.jobs.get(job.id)
        self.assertEqual((job.outcome, self.bench.world), ("interrupted", []))

    def test_the_hub_stops_all_of_them_at_once_and_starts_nothing_for_it(self) -> None:
        async def slow(work: Work) -> None:
            await self.bench.put(work, work.job.short)
            await work.undo("fail", "It was started again.", live=True)
            await work.whole(self.gate)

        jobs = [self.start(slow, short=short) for short in ("toy", "other")]
        third = self.start(self.forever, short="third")
        stopping = Deferred.fromCoroutine(self.jobs.stop())
        self.assertEqual((self.bench.world, self.jobs.get(third.id).outcome), (["toy", "other"], "interrupted"))
        self.gate.callback(None)
        self.successResultOf(stopping)
        self.assertEqual([self.jobs.get(job.id).undone for job in jobs], [("toy is gone.",), ("other is gone.",)])

    def test_the_hub_stops_one_that_is_done_but_for_the_tidying(self) -> None:
        async def work(work: Work) -> None:
            await self.bench.put(work, "a")
            await work.commit()
            await self.gate

        job = self.start(work)
        self.successResultOf(Deferred.fromCoroutine(self.jobs.stop()))
        self.assertEqual((self.jobs.get(job.id).outcome, self.bench.world), ("succeeded", ["a"]))


class Restarting(TestCase):
    def test_leftovers_of_a_killed_hub_are_undone_and_reported(self) -> None:
        job = self.start(self.waiting)
        self.assertEqual(self.bench.world, ["a", "b"])
        self.assertEqual([found.id for found in self.recover()], [job.id])
        job = self.jobs.get(job.id)
        self.assertEqual((job.status, job.outcome, self.bench.world), ("failed", "interrupted", []))
        self.assertEqual(job.error, "The hub was stopped while this was running. b is gone. a is gone.")
        self.assertEqual(self.recover(), [])

    def test_what_only_the_running_hub_undoes(self) -> None:
        async def work(work: Work) -> None:
            await self.bench.put(work, "started", live=True)
            await self.gate

        job = self.start(work)
        self.recover()
        self.assertEqual((self.bench.world, self.jobs.get(job.id).undone), (["started"], ()))

    def test_what_was_committed_stays(self) -> None:
        async def work(work: Work) -> None:
            await self.bench.put(work, "a")
            await work.commit()
            await self.gate

        job = self.start(work)
        self.assertEqual(self.recover(), [])
        self.assertEqual((self.jobs.get(job.id).outcome, self.bench.world), ("succeeded", ["a"]))

    def half_undone(self) -> Job:
        async def work(work: Work) -> None:
            await work.undo("fail", "b is gone.", until=["room"])
            raise JobFailed("No.")

        job = self.jobs.get(self.start(work).id)
        self.assertEqual(job.error, f"No. {NOT_UNDONE}")
        self.flushLoggedErrors(OSError)
        return job

    def test_what_could_not_be_undone_is_undone_at_the_next_start(self) -> None:
        job = self.half_undone()
        self.assertEqual(self.recover(), [])
        self.assertTrue(self.jobs.unsettled())
        self.flushLoggedErrors(OSError)
        self.bench.world = ["room"]
        self.assertEqual(self.recover(), [])
        self.assertEqual((self.jobs.get(job.id).undone[-1], self.jobs.unsettled()), ("b is gone.", False))
        self.assertEqual(self.on_disk(job)["undo"], [])

    def test_nothing_is_built_on_what_could_not_be_undone(self) -> None:
        async def nothing(work: Work) -> None:
            work.step("only")

        job = self.half_undone()
        refused = self.jobs.get(self.start(nothing).id)
        self.assertIn("An earlier operation on toy could not be undone yet. Free some space", refused.error or "")
        self.assertEqual(self.jobs.get(self.start(nothing, short="other").id).outcome, "succeeded")
        self.bench.world = ["room"]
        self.assertEqual(self.jobs.get(self.start(nothing).id).outcome, "succeeded")
        self.assertEqual((self.jobs.get(job.id).undone[-1], self.jobs.unsettled()), ("b is gone.", False))

    def test_nor_under_a_name_that_is_learnt_later(self) -> None:
        async def renaming(work: Work) -> None:
            work.rename("toy")

        self.half_undone()
        self.assertIn("could not be undone yet", self.jobs.get(self.start(renaming, short="guess").id).error or "")

    def test_it_is_tried_again_while_the_hub_runs(self) -> None:
        job = self.half_undone()
        self.successResultOf(Deferred.fromCoroutine(self.jobs.undo_left()))
        self.assertTrue(self.jobs.unsettled("toy"))
        self.assertFalse(self.jobs.unsettled("other"))
        self.bench.world = ["room"]
        self.successResultOf(Deferred.fromCoroutine(self.jobs.undo_left()))
        self.assertEqual((self.on_disk(job)["undo"], self.jobs.unsettled()), ([], False))
        self.assertEqual(self.recover(), [])

    def test_an_end_that_could_not_be_written_is_written_before_anything_else(self) -> None:
        """Otherwise the next boot would undo it again, together with later changes."""
        away = self.bench.folder.with_name("away")

        async def work(work: Work) -> None:
            await self.bench.put(work, "a")
            self.bench.folder.rename(away)
            raise JobFailed("No.")

        async def again(work: Work) -> None:
            await self.bench.put(work, "a")
            await work.commit()

        job = self.start(work)
        self.flushLoggedErrors(OSError)
        away.rename(self.bench.folder)
        self.assertEqual(self.on_disk(job)["status"], "running")
        self.start(again)
        self.assertEqual(self.on_disk(job)["status"], "failed")
        self.recover()
        self.assertEqual(self.bench.world, ["a"])

    def test_a_full_disk_is_reported_with_a_remedy(self) -> None:
        async def inside(work: Work) -> None:
            try:
                raise OSError(28, "No space left on device")
            except OSError:
                raise JobFailed("It could not be written.") from None

        async def bare(work: Work) -> None:
            raise OSError(28, "No space left on device")

        first, second = (self.jobs.get(self.start(work).id) for work in (inside, bare))
        self.assertIn("It could not be written. Free some space", first.error or "")
        self.assertIn("The disk is full. Free some space", second.error or "")
        for job in (first, second):
            self.assertEqual(job.error_detail, {"error_type": "disk_full"})
        self.flushLoggedErrors(OSError)

    def test_damaged_files_are_passed_over(self) -> None:
        job = self.start(self.waiting)
        self.gate.callback(None)
        for number, content in enumerate((b"", b"{", b"[]", b'{"id": "x"}', b"\xff")):
            (self.bench.folder / f"bad-{number}.json").write_bytes(content)
        self.assertEqual(self.recover(), [])
        self.assertEqual([kept.id for kept in self.jobs.all()], [job.id])

    def test_only_the_newest_are_kept(self) -> None:
        async def nothing(work: Work) -> None:
            work.step("only")

        for _ in range(KEPT + 7):
            self.start(nothing)
        self.assertEqual(len(list(self.bench.folder.iterdir())), KEPT)
        self.recover()
        self.assertEqual(len(self.jobs.all()), KEPT)


class Machine(RuleBasedStateMachine):
    """Any order of starting, continuing, failing, cancelling and killing leaves a module's world complete or
    untouched.
    """

    folder: Path
    count = 0

    def __init__(self) -> None:
        super().__init__()
        Machine.count += 1
        self.bench = Bench(self.folder / str(Machine.count))
        self.gates: dict[str, Deferred[None]] = {}
        self.done: set[str] = set()

    @rule(short=st.sampled_from("abc"))
    def start(self, short: str) -> None:
        async def work(work: Work) -> None:
            for part in "123":
                self.gates[short] = Deferred()
                await self.gates[short]
                await self.bench.put(work, short + part)
            await work.commit()

        before = self.bench.jobs.active(short)
        if before is None and f"{short}1" in self.bench.world:
            return
        job = self.bench.jobs.start("install", short, {}, work)
        assert before is None or job.id == before.id

    @precondition(lambda self: any(not gate.called for gate in self.gates.values()))
    @rule(data=st.data(), fails=st.booleans())
    def go_on(self, data: Any, fails: bool) -> None:
        short = data.draw(st.sampled_from(sorted(short for short, gate in self.gates.items() if not gate.called)))
        if fails:
            self.gates[short].errback(JobFailed("no"))
        else:
            self.gates[short].callback(None)

    @rule(short=st.sampled_from("abc"))
    def cancel(self, short: str) -> None:
        job = self.bench.jobs.active(short)
        if job is not None:
            self.bench.jobs.cancel(job.id)

    @rule()
    def kill(self) -> None:
        self.gates = {}
        Deferred.fromCoroutine(self.bench.restarted().recover())

    @invariant()
    def whole_or_nothing(self) -> None:
        for short in "abc":
            found = [what for what in self.bench.world if what.startswith(short)]
            if self.bench.jobs.active(short) is None:
                assert found in ([], [f"{short}1", f"{short}2", f"{short}3"]), found


class Stateful(SynchronousTestCase):
    def test_any_order_of_events_leaves_nothing_half_done(self) -> None:
        Machine.folder = Path(self.mktemp())
        Machine.folder.mkdir()
        run_state_machine_as_test(
            Machine, settings=settings(max_examples=30, stateful_step_count=20, deadline=None, derandomize=True)
        )
        self.assertTrue(list(Machine.folder.iterdir()))


class SlowDiskTests(SynchronousTestCase):
    """The journal is written by a thread: what a job and its callers wait for."""

    def setUp(self) -> None:
        self.later = Later()
        self.bench = Bench(Path(self.mktemp()), FileWriter(self.later))
        self.jobs = self.bench.jobs

    def begin(self, work: Any) -> Job:
        return self.jobs.start("install", "toy", {}, work)

    def test_work_begins_once_its_record_is_on_disk(self) -> None:
        begun: list[str] = []

        async def work(work: Work) -> None:
            begun.append(work.id)

        job = self.begin(work)
        waiting = Deferred.fromCoroutine(self.jobs.recorded(job))
        self.assertEqual((begun, self.jobs.active("toy"), self.jobs.all()), ([], job, []))
        self.assertNoResult(waiting)
        self.later.go()
        self.assertEqual((begun, self.successResultOf(waiting).id), ([job.id], job.id))

    def test_a_change_waits_for_its_undo(self) -> None:
        async def work(work: Work) -> None:
            await self.bench.put(work, "a")
            await work.commit()

        job = self.begin(work)
        for seen in ([], ["a"], ["a"]):
            self.later.go()
            self.assertEqual(self.bench.world, seen)
        self.later.go()
        self.assertEqual(self.jobs.get(job.id).outcome, "succeeded")

    def test_a_commit_on_its_way_to_the_disk_cannot_be_cancelled(self) -> None:
        """It may be there already: undoing it would leave half of it after a crash."""

        async def work(work: Work) -> None:
            await self.bench.put(work, "a")
            await work.commit()

        job = self.begin(work)
        self.later.go()
        self.later.go()
        with self.assertRaises(Refused) as caught:
            self.jobs.cancel(job.id)
        self.assertEqual(caught.exception.error, "too_late")
        stopping = Deferred.fromCoroutine(self.jobs.stop())
        self.later.go()
        self.later.go()
        self.successResultOf(stopping)
        self.assertEqual((self.jobs.get(job.id).outcome, self.bench.world), ("succeeded", ["a"]))

    def test_one_that_cannot_be_recorded_never_was(self) -> None:
        async def work(work: Work) -> None:
            self.fail("it must not begin")

        self.bench.folder.parent.mkdir(exist_ok=True)
        self.bench.folder.write_text("in the way")
        job = self.begin(work)
        waiting = [Deferred.fromCoroutine(self.jobs.recorded(job)), Deferred.fromCoroutine(self.jobs.finished(job.id))]
        self.later.go()
        for deferred in waiting:
            self.assertIn("could not be recorded", str(self.failureResultOf(deferred, Refused).value))
        self.assertEqual((self.jobs.active("toy"), self.jobs.all()), (None, []))

    def test_whoever_sees_the_end_may_begin_the_next_job(self) -> None:
        async def work(work: Work) -> None:
            await work.commit()

        self.begin(work)
        for _ in range(3):
            self.assertEqual([job.status for job in self.jobs.all() if job.over], [])
            self.later.go()
        self.assertEqual([job.status for job in self.jobs.all()], ["succeeded"])
        self.assertIsNone(self.jobs.active("toy"))
