"""What passes without being read is counted as if it had been."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy import exchange, transport, upstream
from parachute_hub.proxy.chunked import Chunked, RequestBody
from parachute_hub.proxy.transport import FRAME_READ, STREAM_READ
from tests.support.sockets import Rig, get, ok

LONG = 300_000
PART = b"x" * 60_000


class SplicingTests(SynchronousTestCase):
    """Sockets in memory do not splice; here they are taken at their word."""

    def setUp(self) -> None:
        self.asked: list[tuple[Any, Any, int]] = []
        self.tell: Any = None
        self.splices = True

        def splice(source: Any, target: Any, count: int, passed: Any) -> bool:
            if self.splices and count >= 64 * 1024:
                self.asked.append((source, target, count))
                self.tell = passed
                return True
            return False

        self.patch(transport, "splice", splice)
        self.patch(upstream, "splice", splice)
        self.records: list[Any] = []
        self.rig = Rig()
        self.patch(self.rig.front, "closed", self.records.append)

    def test_a_long_answer_passes_but_for_its_last_byte(self) -> None:
        client = self.rig.ask(get("/notes/"))
        module = self.rig.modules.newest
        module.deliver(ok(b"x" * LONG)[:-LONG] + PART)
        self.assertEqual(self.asked, [], "the client has not taken much yet")
        module.deliver(PART)
        self.assertEqual(self.asked, [(module, client, LONG - 2 * len(PART) - 1)])
        self.tell(100_000)
        self.tell(79_999)
        module.deliver(b"x")
        self.assertEqual([(one.status, one.sent) for one in self.records], [(200, LONG)])
        client.deliver(get("/notes/"))
        self.assertIn(b"GET /notes/", self.rig.modules.newest.take())

    def test_a_long_chunk_passes_and_its_frame_is_read_in_small_pieces(self) -> None:
        client = self.rig.ask(get("/notes/"))
        module = self.rig.modules.newest
        module.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % LONG)
        module.deliver(PART)
        self.assertEqual(self.asked, [(module, client, LONG - len(PART) - 1)])
        self.assertEqual(module.bufferSize, FRAME_READ)
        self.tell(LONG - len(PART) - 1)
        module.deliver(b"x\r\n5\r\nhe")
        self.assertEqual(module.bufferSize, STREAM_READ, "a short chunk is read")
        module.deliver(b"llo\r\n0\r\n\r\n")
        self.assertEqual(len(self.records), 1)
        self.assertTrue(client.take().endswith(b"x\r\n5\r\nhello\r\n0\r\n\r\n"))

    def test_the_next_answer_is_not_read_in_small_pieces(self) -> None:
        self.rig.ask(get("/notes/"))
        module = self.rig.modules.newest
        module.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % LONG + PART)
        module.deliver(b"x")
        self.tell(LONG - len(PART) - 2)
        module.deliver(b"x\r\n0\r\n\r\n")
        self.assertEqual(len(self.records), 1)
        self.assertEqual(module.bufferSize, STREAM_READ)

    def test_what_is_cut_within_a_run_is_not_whole(self) -> None:
        client = self.rig.ask(get("/notes/"))
        module = self.rig.modules.newest
        module.deliver(ok(b"x" * LONG)[:-LONG] + PART)
        module.deliver(PART)
        self.tell(100_000)
        module.hang_up()
        self.assertTrue(client.aborted)
        self.assertEqual(self.records[0].sent, 2 * len(PART) + 100_000)

    def test_a_long_upload_passes_but_for_its_last_byte(self) -> None:
        client = self.rig.ask(get("/notes/", f"Content-Length: {LONG}", method="POST"))
        module = self.rig.modules.newest
        client.deliver(PART)
        self.assertEqual(self.asked, [(client, module, LONG - len(PART) - 1)])
        self.tell(LONG - len(PART) - 1)
        client.deliver(b"x" + get("/notes/next"))
        module.deliver(ok())
        self.assertEqual([(one.status, one.received) for one in self.records], [(200, LONG)])
        self.assertIn(b"200 OK", client.take())

    def test_a_run_is_not_a_slow_upload(self) -> None:
        client = self.rig.ask(get("/notes/", f"Content-Length: {LONG * 100}", method="POST"))
        client.deliver(PART)
        for _ in range(5):
            self.tell(LONG)
            self.rig.pass_time(20)
        self.assertTrue(client.connected)
        self.rig.pass_time(40)
        self.assertIn(b" 408 ", client.take())

    def test_only_a_fast_reader_gets_more_sent_ahead(self) -> None:
        for seconds, trusted in ((0, 1), (2, 0)):
            fast: list[Any] = []
            self.patch(exchange, "trust_fast_reader", fast.append)
            self.rig.ask(get("/notes/"))
            module = self.rig.modules.newest
            module.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LONG * 100) + PART)
            module.deliver(PART)
            self.tell(LONG * 10)
            self.assertEqual(fast, [], "it has not taken much yet")
            self.rig.pass_time(seconds)
            self.tell(LONG * 10)
            self.tell(LONG * 10)
            self.assertEqual(fast, [module] * trusted)

    def test_chunks_of_an_upload_are_read(self) -> None:
        client = self.rig.ask(get("/notes/", "Transfer-Encoding: chunked", method="POST"))
        client.deliver(b"%x\r\n" % LONG + PART)
        client.deliver(PART)
        self.assertEqual(self.asked, [])

    def test_an_answer_that_ends_with_its_connection_is_read(self) -> None:
        self.rig.ask(get("/notes/"))
        module = self.rig.modules.newest
        module.deliver(b"HTTP/1.1 200 OK\r\n\r\n" + PART)
        module.deliver(PART)
        self.assertEqual(self.asked, [])

    def test_framing_is_found_behind_what_was_skipped(self) -> None:
        chunks = Chunked()
        self.assertEqual((chunks.left, chunks.feed(b"10\r\nabc"), chunks.left), (0, -1, 13))
        chunks.skip(12)
        self.assertEqual(chunks.feed(b"p\r\n0\r\n\r\nrest"), 8)
        body = RequestBody(10)
        body.skip(9)
        self.assertEqual((body.left, body.take(b"jrest")), (1, (b"j", b"rest", True)))
        self.assertEqual(RequestBody(None).left, 0)
