"""Which module gives up memory, and what the container reports."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.limits import MemoryLimits
from parachute_hub.supervise.memory.cgroup import Cgroup
from parachute_hub.supervise.memory.policy import (
    Container,
    Fine,
    Hold,
    MemoryHistory,
    Restart,
    Tight,
    Usage,
    decide,
    decide_at_once,
    runs_full,
)

MB = 1 << 20
LIMITS = MemoryLimits()


class DecideTests(SynchronousTestCase):
    def test_thresholds_decide_who_restarts(self) -> None:
        """Thresholds to the megabyte, and who is chosen."""
        small, large = Usage("small", 50 * MB), Usage("large", 300 * MB)
        growing = Usage("growing", 60 * MB, None, 1e6)
        limited = Usage("limited", 101 * MB, 100 * MB)
        half = Container(500 * MB, 1000 * MB)
        for modules, container, lately, expected in (
            ([small, large], Container(), {}, Fine),
            ([small, large], half, {}, Fine),
            ([small, large], Container(799 * MB, 1000 * MB), {}, Fine),
            ([small, large], Container(800 * MB, 1000 * MB), {}, (Tight, "large")),
            ([small, large], Container(899 * MB, 1000 * MB), {}, (Tight, "large")),
            ([small, large], Container(900 * MB, 1000 * MB), {}, (Restart, "large")),
            ([small, large], Container(900 * MB, 1000 * MB), {"large": 310 * MB}, (Hold, "large")),
            ([small, large], Container(900 * MB, 1000 * MB), {"large": 400 * MB}, (Restart, "large")),
            ([small, growing], Container(900 * MB, 1000 * MB), {}, (Restart, "growing")),
            ([small], Container(990 * MB, 1000 * MB), {}, (Tight, None)),
            ([], Container(990 * MB, 1000 * MB), {}, (Tight, None)),
            ([small, large, limited], half, {}, (Restart, "limited")),
            ([Usage("limited", 100 * MB, 100 * MB)], Container(), {}, Fine),
            # What a module holds that is being stopped comes back.
            ([small, large], Container(950 * MB, 1000 * MB, leaving=51 * MB), {}, (Tight, "large")),
            ([small, growing], Container(950 * MB, 1000 * MB, leaving=300 * MB), {}, Fine),
            ([small, large], Container(950 * MB, 1000 * MB, leaving=49 * MB), {}, (Restart, "large")),
            # The hub itself is the largest for its share.
            ([small, large], Container(950 * MB, 1000 * MB, 400 * MB), {}, (Tight, None)),
            ([growing], Container(950 * MB, 1000 * MB, 200 * MB), {}, (Tight, None)),
            ([small, large], Container(950 * MB, 1000 * MB, 200 * MB), {}, (Restart, "large")),
            ([small, large], Container(950 * MB, 1000 * MB, 128 * MB), {}, (Restart, "large")),
        ):
            verdict = decide(modules, container, lately, LIMITS)
            found = Fine if isinstance(verdict, Fine) else (type(verdict), verdict.short)
            self.assertEqual(found, expected, (modules, container))

    def test_the_figures_are_told(self) -> None:
        verdict = decide([Usage("large", 300 * MB)], Container(900 * MB, 1000 * MB), {}, LIMITS)
        assert isinstance(verdict, Restart)
        self.assertEqual(verdict.why, "Memory use is 900 MB of 1000 MB, 300 MB of it in this module. Restarting it.")

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 4000), st.none() | st.integers(1, 4000), st.floats(-1e7, 1e7))),
        st.integers(0, 4000),
        st.integers(1, 4000),
    )
    def test_below_the_soft_threshold_only_own_limits_count(
        self, sizes: list[tuple[int, int | None, float]], used: int, limit: int
    ) -> None:
        modules = [
            Usage(f"m{number}", size * MB, own and own * MB, slope) for number, (size, own, slope) in enumerate(sizes)
        ]
        verdict = decide(modules, Container(used * MB, limit * MB), {}, LIMITS)
        over = {usage.short for usage in modules if usage.limit and usage.pss > usage.limit}
        if isinstance(verdict, Restart):
            self.assertTrue(verdict.short in over or used >= 0.9 * limit)
        else:
            self.assertEqual(over, set())


class AtOnceTests(SynchronousTestCase):
    def test_memory_that_runs_full_is_seen_before_it_is(self) -> None:
        """Three tenths of a second ahead, at the speed of the last tenth."""
        for before, now, limit, wanted in (
            (300, 364, 512, True),
            (300, 340, 512, False),
            (500, 500, 512, False),
            (511, 512, 512, True),
            (400, 100, 512, False),
        ):
            self.assertEqual(runs_full(before * MB, now * MB, LIMITS.glance, limit * MB, LIMITS), wanted, (before, now))

    def test_the_one_that_took_it_has_to_go(self) -> None:
        """Not the largest. When it did so before, it is held; when nobody took much, nothing is done."""
        large, taker = Usage("large", 300 * MB), Usage("taker", 200 * MB)
        before = {"large": 290 * MB, "taker": 40 * MB}
        verdict = decide_at_once([large, taker], before, {}, LIMITS)
        assert isinstance(verdict, Restart)
        self.assertEqual(verdict.short, "taker")
        self.assertIn("160 MB", verdict.why)
        self.assertIsInstance(decide_at_once([large, taker], before, {"taker": 210 * MB}, LIMITS), Hold)
        self.assertEqual(decide_at_once([large], before, {}, LIMITS), Fine())
        self.assertEqual(decide_at_once([], {}, {}, LIMITS), Fine())
        new = decide_at_once([Usage("new", 100 * MB)], {}, {}, LIMITS)
        self.assertIsInstance(new, Restart)


class ContainerTests(SynchronousTestCase):
    def test_free_memory_follows_from_limit_and_use(self) -> None:
        self.assertEqual([Container(3, 5).free, Container(5, 3).free], [2, 0])
        self.assertEqual([Container(3).free, Container(None, 5).free], [None, None])


class HistoryTests(SynchronousTestCase):
    def test_a_day_in_thirteen_kilobytes(self) -> None:
        """Every sample of an hour and the peak of every minute of a day, and no more."""
        history = MemoryHistory(samples_a_minute=30)
        for sample in range(50_000):
            history.add(sample << 10)
        self.assertEqual(history.recent, list(range(48_200, 50_000)))
        self.assertEqual(len(history.minutes), 1440)
        self.assertEqual(history.minutes[-1], 30 * (50_000 // 30) - 1)

    def test_the_slope_is_growth_per_second(self) -> None:
        history = MemoryHistory(samples_a_minute=30)
        self.assertEqual(history.slope(15, 2.0), 0.0)
        for size in range(20):
            history.add(size * 4096)
        self.assertEqual(history.slope(15, 2.0), 2048.0)


class CgroupTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.proc, self.mounts = Path(self.mktemp()), Path(self.mktemp())
        (self.proc / "self").mkdir(parents=True)

    def write(self, folder: str, **files: str) -> None:
        for name, text in files.items():
            path = self.mounts / folder / name.replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def test_cgroup_v2_is_read(self) -> None:
        (self.proc / "self/cgroup").write_text("0::/app\n")
        self.write(
            "app",
            memory_DOT_current="700\n",
            memory_DOT_max="1000\n",
            memory_DOT_stat="anon 5\ninactive_file 300\n",
            memory_DOT_events="low 0\noom 2\noom_kill 1\n",
        )
        found = Cgroup.find(self.proc, self.mounts)
        self.assertEqual((found.limit(), found.used(), found.oom_kills()), (1000, 400, 1))

    def test_version_two_in_a_container_that_shows_only_itself(self) -> None:
        (self.proc / "self/cgroup").write_text("0::/docker/abc\n")
        self.write("", memory_DOT_current="700\n", memory_DOT_max="max\n")
        found = Cgroup.find(self.proc, self.mounts)
        self.assertEqual((found.limit(), found.used(), found.oom_kills()), (None, 700, 0))

    def test_cgroup_v1_is_read(self) -> None:
        (self.proc / "self/cgroup").write_text("9:cpu,cpuacct:/\n5:memory:/docker/x\n0::/\n")
        self.write(
            "memory/docker/x",
            **{
                "memory_DOT_limit_in_bytes": "2000\n",
                "memory_DOT_usage_in_bytes": "900\n",
                "memory_DOT_stat": "inactive_file 1\ntotal_inactive_file 100\n",
                "memory_DOT_oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n",
            },
        )
        found = Cgroup.find(self.proc, self.mounts)
        self.assertEqual((found.limit(), found.used(), found.oom_kills()), (2000, 800, 7))

    def test_no_limit_of_version_one(self) -> None:
        (self.proc / "self/cgroup").write_text("5:memory:/\n")
        self.write("memory", memory_DOT_limit_in_bytes="9223372036854771712\n", memory_DOT_usage_in_bytes="900\n")
        self.assertIsNone(Cgroup.find(self.proc, self.mounts).limit())

    def test_without_a_cgroup_there_is_no_limit(self) -> None:
        found = Cgroup.find(self.proc, self.mounts)
        self.assertEqual((found.limit(), found.used(), found.oom_kills()), (None, None, 0))
