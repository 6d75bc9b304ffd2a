"""The event stream on an in-memory site."""

import json
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.admin.stream_api import BACKLOG_BYTES, TICK_SECONDS, EventsArea, Streams
from parachute_hub.events import Bus, JobChanged, LogHead, ModuleChanged, Notice, ProblemChanged, RegistryChanged
from parachute_hub.site.auth import Authenticator
from tests.support.operators import operator
from tests.support.sockets import Rig, get


class Reader:
    """A browser that reads the stream as fast as the test allows."""

    def __init__(self, resource: Any, path: str, *headers: str) -> None:
        self.client = Rig((), resource=resource).ask(get(path, "Authorization: Bearer x", *headers))

    @property
    def text(self) -> str:
        """The body so far, chunks joined."""
        _, _, rest = self.client.written.partition(b"\r\n\r\n")
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return body.decode()

    @property
    def head(self) -> str:
        head = self.client.written.partition(b"\r\n\r\n")[0]
        return head.decode().lower()

    def events(self) -> list[tuple[str, str, Any]]:
        """Id, name and data of each event."""
        found = []
        for block in self.text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "event" in fields:
                found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
        return found

    def leave(self) -> None:
        """As a socket does: the producer is told first."""
        if self.client.producer is not None:
            self.client.producer.stopProducing()
        self.client.reset()


class Events(SynchronousTestCase):
    def setUp(self) -> None:
        self.bus = Bus()
        self.clock = MemoryReactorClock()
        self.streams = Streams(self.clock)
        area = EventsArea(who=Authenticator([operator("x")]), bus=self.bus, streams=self.streams, boot="b1")
        self.resource = area.app.resource()

    def read(self, *headers: str) -> Reader:
        return Reader(self.resource, "/api/events", *headers)

    def test_each_kind_as_it_happens(self) -> None:
        self.bus.emit(RegistryChanged())
        reader = self.read()
        self.assertIn("content-type: text/event-stream", reader.head)
        self.assertIn("cache-control: no-store", reader.head)
        self.assertEqual(reader.events(), [])
        self.bus.emit(ModuleChanged("toy", {"state": "ready"}))
        self.bus.emit(JobChanged({"id": "1", "log": ["a\nb"]}))
        self.bus.emit(Notice("disk", "Full.", None))
        self.bus.emit(ProblemChanged("cleared", {"key": "disk"}))
        self.bus.emit(RegistryChanged())
        self.bus.emit(LogHead("toy", "ready"))
        self.assertEqual(
            reader.events(),
            [
                ("b1-2", "module", {"short": "toy", "status": {"state": "ready"}}),
                ("b1-3", "job", {"job": {"id": "1", "log": ["a\nb"]}}),
                ("b1-5", "problem", {"change": "cleared", "problem": {"key": "disk"}}),
                ("b1-6", "registry", {}),
                ("b1-7", "log", {"short": "toy", "text": "ready"}),
            ],
        )
        reader.leave()

    def test_a_reconnecting_reader_gets_missed_events(self) -> None:
        for _ in range(3):
            self.bus.emit(RegistryChanged())
        for header, numbers in (
            ("b1-1", ["b1-2", "b1-3"]),
            ("b1-3", []),
            ("b0-99", ["b1-1", "b1-2", "b1-3"]),
            ("junk", 3),
        ):
            reader = self.read(f"Last-Event-ID: {header}")
            found = [number for number, _, _ in reader.events()]
            self.assertEqual(len(found) if numbers == 3 else found, numbers, header)
            reader.leave()

    def test_a_tick_shows_that_the_line_is_alive(self) -> None:
        reader = self.read()
        self.clock.advance(TICK_SECONDS)
        self.assertEqual(reader.events(), [("", "tick", {})])
        reader.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.bus.emit(RegistryChanged())

    def test_a_slow_reader_catches_up_a_stuck_one_is_dropped(self) -> None:
        reader = self.read()
        producer = reader.client.producer
        assert producer is not None
        producer.pauseProducing()
        self.bus.emit(LogHead("x", "kept"))
        self.assertNotIn("kept", reader.text)
        producer.resumeProducing()
        self.assertIn("kept", reader.text)
        producer.pauseProducing()
        for number in range(BACKLOG_BYTES // 1000):
            self.bus.emit(LogHead(f"x{number}", "y" * 1000))
        self.assertFalse(reader.client.connected)
        reader.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_when_the_hub_stops(self) -> None:
        """Readers get no more events, and their requests end."""
        reader = self.read()
        self.streams.end()
        self.bus.emit(ModuleChanged("toy", {"state": "stopped"}))
        self.assertEqual(reader.events(), [])
        self.assertTrue(reader.client.written.endswith(b"0\r\n\r\n"))
        reader.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_anonymous_callers_get_no_events(self) -> None:
        client = Rig((), resource=self.resource).ask(get("/api/events"))
        self.assertTrue(client.written.startswith(b"HTTP/1.1 401"))
        client.reset()
        self.assertEqual(self.clock.getDelayedCalls(), [])
