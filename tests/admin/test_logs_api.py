"""Logs of modules and of the hub, kept and live."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.admin import logs_api
from parachute_hub.admin.logs_api import HubLogArea, Logs
from parachute_hub.admin.stream_api import TICK_SECONDS, Streams
from parachute_hub.modules.state.records import RecordsFile
from parachute_hub.site.auth import Authenticator
from parachute_hub.supervise.output.log_files import LogFiles, read_log
from parachute_hub.supervise.output.log_ring import LogRing
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.log_lines import Level, Line
from tests.admin.test_stream_api import Reader
from tests.support.acts import HeardActs
from tests.support.asking import Answer, ask
from tests.support.operators import operator

HEADERS = {"Authorization": "Bearer x"}


class LogsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.clock = MemoryReactorClock()
        self.ring = LogRing(4096)
        self.files = LogFiles(self.folder, "hub", lambda: 200_000, FileWriter())
        self.addCleanup(self.files.close)
        self.in_thread: Any = lambda function, *args: execute(function, *args)
        logs = Logs(
            read=partial(read_log, self.folder),
            in_thread=lambda *args: self.in_thread(*args),
            streams=Streams(self.clock),
        )
        self.records, self.heard = RecordsFile(self.folder / "modules.json"), HeardActs()
        area = HubLogArea(
            who=Authenticator([operator("x")]), logs=logs, ring=self.ring, sizes=self.records, done=self.heard.done
        )
        self.resource = area.app.resource()

    def say(self, at: float, text: str, level: Level = "info", mark: str | None = None) -> None:
        """As the hub logs: to the file, then to memory."""
        self.files.write([Line(0, at, text, level, mark)])
        self.ring.append(at, text, level, mark)

    def ask(self, query: str = "") -> Answer:
        return ask(self.resource, f"/api/hub/logs{query}", headers=HEADERS)

    def texts(self, query: str = "") -> list[str]:
        return [entry["text"] for entry in self.ask(query).json()["entries"]]


class KeptTests(LogsCase):
    def test_filters(self) -> None:
        self.say(0.0, "starts", mark="start")
        self.say(60.0, "all is well")
        self.say(120.0, "Not so well", "warning")
        self.say(180.0, "broken", "error")
        for query, texts in (
            ("", ["starts", "all is well", "Not so well", "broken"]),
            ("?n=1", ["broken"]),
            ("?level=warning", ["starts", "Not so well", "broken"]),
            ("?q=WELL", ["all is well", "Not so well"]),
            ("?since=1970-01-01T00:02:00Z", ["Not so well", "broken"]),
            ("?since=60&until=120", ["all is well", "Not so well"]),
        ):
            self.assertEqual(self.texts(query), texts, query)

    def test_without_a_number_the_newest_lines_come(self) -> None:
        self.files.write([Line(0, 0.0, str(number)) for number in range(3)])
        self.patch(logs_api, "MOST_LINES", 2)
        self.assertEqual((self.texts(), self.texts("?n=3")), (["1", "2"], ["0", "1", "2"]))

    def test_how_much_is_kept(self) -> None:
        """A choice of few, which survives a restart."""
        self.assertEqual(self.sized(), (200, {"megabytes": 2, "sizes": [1, 2, 5, 10]}))
        self.assertEqual(self.sized({"megabytes": 10}), (200, {"megabytes": 10, "sizes": [1, 2, 5, 10]}))
        for wrong in ({"megabytes": 3}, {"megabytes": "10"}, {}):
            self.assertEqual(self.sized(wrong)[0], 400, wrong)
        self.assertEqual(RecordsFile(self.folder / "modules.json").log_bytes(), 10 << 20)
        self.assertEqual(self.heard.acts, [("log-size-changed", "10 MB")])

    def sized(self, body: Any = None) -> tuple[int, Any]:
        method, sent = ("GET", b"") if body is None else ("PUT", json.dumps(body).encode())
        answer = ask(self.resource, "/api/hub/logs/size", method=method, body=sent, headers=HEADERS)
        return answer.status, answer.json()

    def test_bad_parameters_say_what_is_right(self) -> None:
        for query in ("?level=loud", "?since=yesterday", "?n=-1", "?n=many"):
            answer = self.ask(query)
            self.assertEqual(answer.status, 400, query)
            self.assertTrue(answer.json()["error_description"], query)

    def test_a_text_to_save(self) -> None:
        self.say(0.0, "hello")
        self.say(1.0, "Killed.", "error", "oom")
        answer = self.ask("?format=text&download=1")
        lines = ["1970-01-01T00:00:00.000Z info hello", "1970-01-01T00:00:01.000Z [oom] Killed."]
        self.assertEqual(answer.body.decode().splitlines(), lines)
        self.assertEqual(answer.header("Content-Disposition"), 'attachment; filename="hub.log"')

    def test_files_that_cannot_be_read_leave_what_is_in_memory(self) -> None:
        self.ring.append(0.0, "in memory")
        self.assertEqual(self.texts(), ["in memory"])
        self.folder.mkdir()
        (self.folder / "hub.log").mkdir()
        self.assertEqual(self.texts(), ["in memory"])

    def test_only_administrators_read_it(self) -> None:
        self.assertEqual(ask(self.resource, "/api/hub/logs").status, 401)


class FollowTests(LogsCase):
    def follow(self, query: str = "") -> Reader:
        return Reader(self.resource, f"/api/hub/logs?follow=1{query}")

    def test_kept_lines_then_new_ones(self) -> None:
        self.say(0.0, "old")
        reader = self.follow()
        self.say(1.0, "new ü")
        self.assertEqual(reader.text, "old\nnew ü\n")
        self.assertIn("content-type: text/plain", reader.head)
        self.clock.advance(TICK_SECONDS)
        self.assertEqual(reader.text, "old\nnew ü\n")
        reader.leave()
        self.say(2.0, "unheard")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lines_that_come_while_the_files_are_read_are_sent_once(self) -> None:
        for in_file in (0, 1, 2):
            reading: Deferred[Any] = Deferred()
            self.in_thread = lambda *args, waiting=reading: waiting
            self.say(0.0, "old")
            reader = self.follow()
            self.say(1.0, "same")
            self.say(1.0, "same")
            reading.callback([Line(0, 0.0, "old"), *([Line(0, 1.0, "same")] * in_file)])
            self.assertEqual(reader.text, "old\nsame\nsame\n", in_file)
            reader.leave()

    def test_filters_hold_for_new_lines_too(self) -> None:
        reader = self.follow("&level=error&format=json")
        self.say(0.0, "fine")
        self.say(1.0, "broken", "error")
        (told,) = [json.loads(line) for line in reader.text.splitlines()]
        self.assertEqual(told, {"at": "1970-01-01T00:00:01.000Z", "level": "error", "mark": None, "text": "broken"})
        reader.leave()

    def test_a_reader_who_leaves_while_the_files_are_read(self) -> None:
        reading: Deferred[Any] = Deferred()
        self.in_thread = lambda *args: reading
        reader = self.follow()
        reader.leave()
        if not reading.called:
            reading.callback([])
        self.assertEqual(self.clock.getDelayedCalls(), [])
