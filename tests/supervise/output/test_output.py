"""Bytes to lines, budget, ring, files."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.limits import LogLimits
from parachute_hub.supervise.output.line_buffer import CUT, Budget, Splitter
from parachute_hub.supervise.output.log_files import LogFiles, last_mark, read_log
from parachute_hub.supervise.output.log_ring import LogRing
from parachute_hub.supervise.output.output import Output
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.log_lines import Line, LogQuery


class SplitterTests(SynchronousTestCase):
    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
    def test_pieces_do_not_matter(self, data: bytes, cuts: list[int]) -> None:
        """Lines and characters may be split anywhere."""
        whole, pieces = Splitter(1000), Splitter(1000)
        places = sorted(min(cut, len(data)) for cut in cuts)
        parts = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
        expected = [*whole.feed(data), *whole.flush()]
        self.assertEqual([*(line for part in parts for line in pieces.feed(part)), *pieces.flush()], expected)

    def test_bytes_are_split_into_lines(self) -> None:
        for data, expected in (
            (b"one\ntwo\n", ["one", "two"]),
            (b"\n\n", ["", ""]),
            (b"windows\r\n", ["windows"]),
            (b"10%\r20%\r100%\n", ["100%"]),
            ("Grüße\n".encode(), ["Grüße"]),
            (b"\xff\xfe\n", ["��"]),
        ):
            self.assertEqual(Splitter(100).feed(data), expected, data)

    def test_a_line_without_end_is_cut_once(self) -> None:
        splitter = Splitter(10)
        found = [line for _ in range(50) for line in splitter.feed(b"x" * 7)]
        self.assertEqual(found, ["x" * 10 + CUT])
        self.assertEqual(splitter.feed(b"rest\nnext\n"), ["next"])

    def test_a_long_whole_line_is_cut(self) -> None:
        self.assertEqual(Splitter(4).feed(b"abcdefgh\nok\n"), ["abcd" + CUT, "ok"])

    def test_after_a_gap_it_begins_at_a_line(self) -> None:
        splitter = Splitter(100)
        splitter.feed(b"half")
        splitter.skip()
        self.assertEqual(splitter.feed(b"way\nwhole\n"), ["whole"])


class BudgetTests(SynchronousTestCase):
    def test_the_budget_refills_at_its_rate(self) -> None:
        budget = Budget(LogLimits(rate=100, burst=200, line_charge=10))
        budget.charge(0.0, 150, 1)
        self.assertFalse(budget.spent)
        budget.charge(0.0, 1, 6)
        self.assertTrue(budget.spent)
        budget.refill(0.5)
        self.assertFalse(budget.filled)
        budget.refill(1.2)
        self.assertTrue(budget.filled)
        budget.refill(1000)
        self.assertEqual(budget.left, 200)


class RingTests(SynchronousTestCase):
    def test_numbers_go_on_when_lines_are_evicted(self) -> None:
        """A follower's cursor stays valid."""
        ring = LogRing(30)
        for number in range(100):
            ring.append(0.0, f"line {number}")
        self.assertEqual(ring.latest, 100)
        self.assertEqual([line.text for line in ring.since(98)], ["line 98", "line 99"])
        self.assertEqual([line.number for line in ring.since(0)], [98, 99, 100])
        self.assertEqual(ring.since(100), [])
        self.assertEqual(ring.since(1000), [])

    def test_one_oversize_line_stays(self) -> None:
        ring = LogRing(10)
        ring.append(0.0, "x" * 100)
        self.assertEqual(len(ring.since(0)), 1)

    def test_followers_get_every_new_line(self) -> None:
        ring, heard = LogRing(100), []
        end = ring.subscribe(lambda line: heard.append(line.text))
        ring.subscribe(lambda line: heard.append(str(1 // 0)))
        ring.append(0.0, "one")
        end()
        ring.append(0.0, "two")
        self.assertEqual(heard, ["one"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class FilesTests(SynchronousTestCase):
    def test_two_files_hold_the_latest(self) -> None:
        folder = Path(self.mktemp())
        files = LogFiles(folder, "vault", lambda: 2000, FileWriter())
        self.addCleanup(files.close)
        for number in range(200):
            files.write([Line(0, 0.0, f"line {number}")])
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["vault.log", "vault.log.1"])
        text = (folder / "vault.log.1").read_text() + (folder / "vault.log").read_text()
        lines = text.splitlines()
        self.assertEqual(lines[-1], "1970-01-01T00:00:00.000Z I line 199")
        self.assertTrue(all(path.stat().st_size <= 1000 for path in folder.iterdir()))
        self.assertEqual(len(lines), int(lines[-1].split()[-1]) - int(lines[0].split()[-1]) + 1)

    def test_another_size_holds_from_the_next_lines_on(self) -> None:
        folder, rooms, sizes = Path(self.mktemp()), [2000, 20_000], []
        files = LogFiles(folder, "vault", lambda: rooms[-1], FileWriter())
        self.addCleanup(files.close)
        while rooms:
            for number in range(1000):
                files.write([Line(0, 0.0, f"line {number}")])
            sizes.append(sum(path.stat().st_size for path in folder.iterdir()))
            rooms.pop()
        self.assertTrue(10_000 < sizes[0] <= 20_000 and sizes[1] <= 2000, sizes)

    def test_it_continues_when_the_disk_recovers(self) -> None:
        folder = Path(self.mktemp())
        folder.write_text("in the way")
        files = LogFiles(folder, "vault", lambda: 2000, FileWriter())
        self.addCleanup(files.close)
        files.write([Line(0, 0.0, "lost")])
        folder.unlink()
        files.write([Line(0, 0.0, "kept")])
        self.assertIn("kept", (folder / "vault.log").read_text())


class ReadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.files = LogFiles(self.folder, "vault", lambda: 800, FileWriter())
        self.addCleanup(self.files.close)

    def test_both_files_are_read_in_order(self) -> None:
        """Levels, marks and times come back; what asks for less gets less."""
        self.files.write([Line(0, 0.0, f"line {number}") for number in range(8)])
        self.files.write([Line(0, 1.0, "it broke", "error"), Line(0, 2.0, "Killed.", "error", "oom")])
        self.files.write([Line(0, 3.0, "slow", "warning"), Line(0, 4.0, "Started.", "info", "start")])
        for query, texts in (
            (LogQuery(), [*(f"line {number}" for number in range(8)), "it broke", "Killed.", "slow", "Started."]),
            (LogQuery(level="warning"), ["it broke", "Killed.", "slow", "Started."]),
            (LogQuery(level="error", until=3.5), ["it broke", "Killed."]),
            (LogQuery(since=2.0, until=3.0), ["Killed.", "slow"]),
            (LogQuery(text="LINE", count=2), ["line 6", "line 7"]),
            (LogQuery(count=0), []),
        ):
            found = read_log(self.folder, "vault", query)
            assert found is not None
            self.assertEqual([line.text for line in found], texts, query)
        self.assertTrue((self.folder / "vault.log.1").exists())
        self.assertEqual(last_mark(self.folder, "vault"), "start")

    def test_lines_of_an_earlier_version_are_read(self) -> None:
        self.folder.mkdir()
        (self.folder / "vault.log").write_text("1970-01-01T00:00:00.000Z error: no\nnonsense\n")
        self.assertEqual(read_log(self.folder, "vault", LogQuery()), [Line(0, 0.0, "error: no", "error")])
        self.assertIsNone(last_mark(self.folder, "vault"))

    def test_without_a_file_there_is_nothing(self) -> None:
        self.assertIsNone(read_log(self.folder, "vault", LogQuery()))


class OutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.folder = Path(self.mktemp())
        self.output = Output(
            ring=LogRing(10_000),
            files=LogFiles(self.folder, "vault", lambda: 2000, FileWriter()),
            log_line=self.lines.append,
            mask=lambda text: text.replace("secret", "***"),
            limits=LogLimits(rate=1000, burst=2000, line_charge=100),
            now=lambda: self.now,
            wall=lambda: 0.0,
        )
        self.addCleanup(self.output.close)

    def test_a_flood_is_dropped_and_counted(self) -> None:
        self.output.received(b"x\n" * 20)
        self.assertTrue(self.output.flooded)
        self.output.dropped(500)
        self.now = 0.5
        self.assertFalse(self.output.recovered())
        self.now = 1.1
        self.assertTrue(self.output.recovered())
        self.output.received(b"cut off\nagain\n")
        self.assertEqual(self.lines[20:], ["(hub) suppressed 500 lines over the log rate limit", "again"])

    def test_levels_and_marks_are_kept_in_memory_and_on_disk(self) -> None:
        """A mark is not repeated on the hub's output, which tells of it anyway."""
        self.output.received(b"WARN slow\nfine\n")
        self.output.mark("oom", "The system stopped it, secret.")
        expected: list[tuple[str, str, str | None]] = [("WARN slow", "warning", None), ("fine", "info", None)]
        expected += [("The system stopped it, secret.", "error", "oom")]
        self.assertEqual([(line.text, line.level, line.mark) for line in self.output.ring.since(0)], expected)
        found = read_log(self.folder, "vault", LogQuery())
        assert found is not None
        self.assertEqual([(line.text, line.level, line.mark) for line in found], expected)
        self.assertEqual(self.lines, ["WARN slow", "fine"])

    def test_dropped_lines_are_reported_at_the_end_too(self) -> None:
        self.output.received(b"x\n" * 20)
        self.output.dropped(3)
        self.output.ended()
        self.assertEqual(self.lines[-1], "(hub) suppressed 3 lines over the log rate limit")

    def test_a_failing_log_loses_lines_and_nothing_else(self) -> None:
        output = Output(
            ring=LogRing(1000),
            files=LogFiles(Path(self.mktemp()), "vault", lambda: 2000, FileWriter()),
            log_line=lambda line: 1 // 0,  # type: ignore[arg-type]
            mask=str,
            limits=LogLimits(),
            now=lambda: 0.0,
            wall=lambda: 0.0,
        )
        self.addCleanup(output.close)
        output.received(b"one\n")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
