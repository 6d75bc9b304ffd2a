"""WebSockets through the front: who may open one, what passes, how it ends."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.routes import Mount
from parachute_hub.proxy.tunnel import TRY_AGAIN_LATER, Frames, close_frame
from tests.proxy.few import few
from tests.support.sockets import HOST, FakeSocket, Rig, get, ok

MOUNTS = (Mount("live", b"/live", 2001, websocket=True), Mount("notes", b"/notes", 2002))
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n"
)


def handshake(path: str = "/live/ws", *lines: str, method: str = "GET") -> bytes:
    """A client's opening handshake."""
    keys = ("Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    return get(path, *keys, "Sec-WebSocket-Version: 13", "Accept: application/json", *lines, method=method)


class TunnelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(MOUNTS, limits=Limits(websockets=3, websockets_per_address=2))

    def opened(self, peer: str = "127.0.0.1") -> tuple[FakeSocket, FakeSocket]:
        """(client, module) with the tunnel between them open and nothing in it."""
        client = self.rig.ask(handshake(), peer)
        module = self.rig.modules.newest
        module.deliver(ACCEPTED + b"\r\n")
        client.take()
        module.take()
        return client, module

    def test_the_modules_answer_to_the_handshake_comes_back(self) -> None:
        client = self.rig.ask(handshake("/live/ws", "Sec-WebSocket-Protocol: a, b", "Cookie: own=1") + b"early")
        module = self.rig.modules.newest
        sent = module.take()
        for line in (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Protocol: a, b", b"Cookie: own=1"):
            self.assertIn(line, sent)
        self.assertNotIn(b"keep-alive", sent)
        module.deliver(ACCEPTED + b"Sec-WebSocket-Protocol: b\r\nSet-Cookie: own=2\r\n\r\nfirst")
        taken = client.take()
        self.assertIn(b"Sec-WebSocket-Protocol: b\r\nSet-Cookie: own=2", taken)
        self.assertTrue(taken.endswith(b"\r\n\r\nfirst"))
        self.assertEqual(module.take(), b"early")

    def test_a_module_that_takes_nothing_keeps_no_tunnel_that_ended(self) -> None:
        client, module = self.opened()
        # As with a real transport that has something queued.
        module.loseConnection = lambda: None  # type: ignore[method-assign]
        client.hang_up()
        self.rig.pass_time(28)
        self.assertTrue(module.connected)
        self.rig.pass_time(4)
        self.assertFalse(module.connected)
        self.assertEqual(self.rig.front.under_way(module.getHost().port), 0)

    def test_much_that_came_early_is_not_lost(self) -> None:
        client = self.rig.ask(handshake())
        for _ in range(70):
            client.deliver(b"x" * 1024)
        self.assertTrue(client.paused)
        self.rig.modules.newest.take()
        self.rig.modules.newest.deliver(ACCEPTED + b"\r\n")
        self.assertFalse(client.paused)
        self.assertEqual(len(self.rig.modules.newest.take()), 70 * 1024)

    def test_bytes_pass_both_ways_under_pressure_16(self) -> None:
        client, module = self.opened()
        client.deliver(b"up")
        module.deliver(b"\x82\x04down")
        self.assertEqual((module.take(), client.take()), (b"up", b"\x82\x04down"))
        client.producer.pauseProducing()
        module.producer.pauseProducing()
        self.assertTrue(module.paused and client.paused)
        client.producer.resumeProducing()
        module.producer.resumeProducing()
        self.assertFalse(module.paused or client.paused)

    def test_a_refused_handshake_is_an_ordinary_answer_16(self) -> None:
        client = self.rig.ask(handshake())
        self.rig.modules.newest.deliver(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
        self.assertIn(b"401 Unauthorized", client.take())
        self.assertEqual(self.rig.front.websockets, 0)
        client.deliver(get("/notes/"))
        self.rig.modules.newest.deliver(ok())
        self.assertIn(b"200 OK", client.take())

    def test_both_legs_close_together_16(self) -> None:
        client, module = self.opened()
        client.hang_up()
        self.assertFalse(module.connected)
        client, module = self.opened()
        module.hang_up()
        self.assertFalse(client.connected)
        self.assertEqual(self.rig.front.websockets, 0)

    def test_a_modules_restart_is_told_between_frames(self) -> None:
        client, module = self.opened()
        module.deliver(b"\x81\x02hi")
        module.reset()
        self.assertEqual(client.take(), b"\x81\x02hi" + close_frame(1012))

    def test_nothing_is_put_inside_a_frame_or_behind_a_goodbye(self) -> None:
        for said in (b"\x81\x05hi", b"\x81", close_frame(1000)):
            client, module = self.opened()
            module.deliver(said)
            module.hang_up()
            self.assertEqual(client.take(), said)

    def test_the_hubs_end_is_told_too(self) -> None:
        client, module = self.opened()
        drained = self.rig.front.drain(5)
        self.assertEqual(client.take(), close_frame(1001))
        self.assertFalse(module.connected)
        self.successResultOf(drained)

    def test_a_tunnel_may_be_silent_for_long(self) -> None:
        client, _ = self.opened()
        self.rig.pass_time(4000)
        self.assertTrue(client.connected)

    def test_who_may_not_open_one(self) -> None:
        foreign = ("Origin: https://evil.example", "Cookie: own=1")
        for request, status, word in (
            (handshake("/notes/ws"), b" 426 ", b"websocket_not_supported"),
            (handshake("/live/ws", method="POST"), b" 400 ", b"upgrade_failed"),
            (handshake().replace(b"Sec-WebSocket-Key", b"X-Key"), b" 400 ", b"upgrade_failed"),
            (handshake("/live/ws", *foreign), b" 403 ", b"foreign_origin"),
            (handshake("/live/ws", "Origin: null", "Cookie: own=1"), b" 403 ", b"foreign_origin"),
        ):
            taken = self.rig.ask(request).take()
            self.assertIn(status, taken)
            self.assertIn(word, taken)
        self.assertEqual(self.rig.modules.sockets, [])
        self.assertIn(b"Upgrade: websocket", self.rig.ask(handshake("/notes/ws")).take())

    def test_whose_page_may_open_one(self) -> None:
        for lines in (
            ("Origin: https://evil.example",),  # without cookies there is nothing to steal
            (f"Origin: https://{HOST}", "Cookie: own=1"),
            ("Cookie: own=1",),
        ):
            client = self.rig.ask(handshake("/live/ws", *lines))
            self.assertIn(b"GET /live/ws", self.rig.modules.newest.take())
            client.hang_up()

    def test_caps_and_their_exact_release(self) -> None:
        first, _ = self.opened("10.0.0.1")
        self.opened("10.0.0.1")
        self.assertIn(b"too_many_connections", self.rig.ask(handshake(), "10.0.0.1").take())
        self.opened("10.0.0.2")
        first.hang_up()
        self.assertEqual(self.rig.front.websockets, 2)
        self.opened("10.0.0.3")
        self.assertIn(b" 429 ", self.rig.ask(handshake(), "10.0.0.3").take())

    def test_a_newcomer_gets_the_place_of_whoever_has_most(self) -> None:
        first, module = self.opened("10.0.0.1")
        second, _ = self.opened("10.0.0.1")
        self.opened("10.0.0.2")
        self.opened("10.0.0.3")
        self.assertEqual(first.take(), close_frame(TRY_AGAIN_LATER))
        self.assertEqual((module.connected, second.connected, self.rig.front.websockets), (False, True, 3))
        self.assertIn(b" 429 ", self.rig.ask(handshake(), "10.0.0.4").take())
        self.assertTrue(second.connected)

    def test_every_way_out_gives_the_slot_back(self) -> None:
        for round_trip in range(300):
            client, module = self.opened()
            (client if round_trip % 2 else module).reset()
            (module if round_trip % 3 else client).hang_up()
        refused = self.rig.ask(handshake())
        self.rig.modules.newest.hang_up()
        self.assertIn(b" 502 ", refused.take())
        gone = self.rig.ask(handshake())
        gone.hang_up()
        self.rig.modules.refuse = True
        self.rig.ask(handshake())
        self.assertEqual(self.rig.front.websockets, 0)


class FramesTests(SynchronousTestCase):
    @few(80)
    @given(st.lists(st.integers(0, 70_000), max_size=4), st.data())
    def test_frames_are_followed_through_any_cut(self, lengths: list[int], data: st.DataObject) -> None:
        wire = b"".join(_frame(length) for length in lengths)
        cut = data.draw(st.integers(0, len(wire)))
        frames = Frames()
        frames.feed(wire[:cut])
        frames.feed(wire[cut:])
        self.assertTrue(frames.between)
        self.assertFalse(frames.closed)
        if lengths:
            frames.feed(wire[:1])
            self.assertFalse(frames.between)


def _frame(length: int) -> bytes:
    if length < 126:
        return bytes((0x82, length)) + b"x" * length
    if length < 65536:
        return bytes((0x82, 126)) + length.to_bytes(2, "big") + b"x" * length
    return bytes((0x82, 127)) + length.to_bytes(8, "big") + b"x" * length
