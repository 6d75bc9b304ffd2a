from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.log_lines import LEVELS, Line, level_of, read_line, written


class LevelTests(SynchronousTestCase):
    def test_levels_as_programs_write_them(self) -> None:
        for text, level in (
            ("listening on 1940", "info"),
            ("ERROR: no such table", "error"),
            ("error no such table", "error"),
            ("[error] x", "error"),
            ("2026-01-01T10:00:00.123Z ERROR x", "error"),
            ("2026-01-01 10:00:00,123 [WARNING] x", "warning"),
            ("[12:30:01] warn - slow", "warning"),
            ("TypeError: undefined is not a function", "error"),
            ("Uncaught Error: x", "error"),
            ("Traceback (most recent call last):", "error"),
            ("sqlite3.OperationalError: locked", "error"),
            ("debug: tick", "debug"),
            ('{"level":"warn","msg":"x"}', "warning"),
            ('{"time":1,"level":50,"msg":"x"}', "error"),
            ('{"level":30,"msg":"x"}', "info"),
            ("ts=1 level=error msg=x", "error"),
            ("0 errors, 3 warnings", "info"),
            ("no error", "info"),
            ("errors.ts compiled", "info"),
            ("GET /error 200", "info"),
            ("warnings: none", "info"),
            ("", "info"),
        ):
            self.assertEqual(level_of(text), level, text)


class FormTests(SynchronousTestCase):
    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(
        st.integers(0, 4_000_000_000_000),
        st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=80),
        st.sampled_from(LEVELS),
        st.sampled_from([None, "start", "stop", "upgrade"]),
    )
    def test_what_is_written_is_read(self, millis: int, text: str, level: str, mark: str | None) -> None:
        """Whatever a module writes: it cannot make a mark, nor another level."""
        line = Line(0, millis / 1000, text, "info" if mark else level, mark)  # type: ignore[arg-type]
        self.assertEqual(read_line(written(line)), line)

    def test_a_text_without_a_time_is_no_line(self) -> None:
        for text in ("", "E x", "yesterday E x", "\x00"):
            self.assertIsNone(read_line(text), text)
