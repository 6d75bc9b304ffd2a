"""Anything on a connection: an answer below 500 or none, no traceback, and nothing that is kept."""

import re

import psutil
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.routes import Mount
from tests.fuzz.budget import fuzz
from tests.fuzz.inputs import CUTS, GROWTH_BYTES, REQUEST, RESPONSE
from tests.support.sockets import FakeSocket, Rig, get, ok

MOUNTS = (
    Mount("notes", b"/notes", 2001),
    Mount("vault", b"/vault/default", 2002, exposure="auth-required"),
    Mount("odd", b"/odd", 2003, sandboxed=True, websocket=True, strip=True),
)
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def in_pieces(socket: FakeSocket, data: bytes, cuts: list[int]) -> None:
    """As a network delivers it."""
    begin = 0
    for cut in [*sorted(cuts), len(data)]:
        if begin < cut and socket.connected:
            socket.deliver(data[begin:cut])
            begin = cut


class Heads(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(MOUNTS, issuer="https://hub.test")
        self.memory = psutil.Process().memory_info().rss

    def tearDown(self) -> None:
        self.assertLess(psutil.Process().memory_info().rss - self.memory, GROWTH_BYTES)

    def test_whatever_a_client_sends(self) -> None:
        sent = st.tuples(st.lists(REQUEST, min_size=1, max_size=3), CUTS)
        self.assertGreater(fuzz(sent, lambda pair: self.asked(*pair), examples=150), 0)

    def test_whatever_a_module_answers(self) -> None:
        """It is passed on well formed, or it is 502, or the connection ends."""
        self.assertGreater(fuzz(st.tuples(RESPONSE, CUTS), lambda pair: self.answered(*pair), examples=150), 0)

    def asked(self, requests: list[bytes], cuts: list[int]) -> None:
        sent = b"".join(requests)
        client = self.rig.client()
        in_pieces(client, sent, cuts)
        for module in self.rig.modules.sockets:
            if module.connected:
                module.deliver(ok())
        answered = client.take()
        for status in _STATUS.findall(answered):
            # 505 answers a version of HTTP that the hub does not speak.
            self.assertTrue(int(status) < 500 or status == b"505", (sent, answered))
        if answered:
            self.assertTrue(answered.startswith(b"HTTP/1.1 "), answered)
        client.hang_up()
        self.forgotten(sent)

    def answered(self, response: bytes, cuts: list[int]) -> None:
        client = self.rig.ask(get("/odd/x"))
        module = self.rig.modules.newest
        in_pieces(module, response, cuts)
        module.hang_up()
        answered = client.take()
        head = answered.partition(b"\r\n\r\n")[0]
        self.assertNotIn(b"\0", head, response)
        self.assertNotRegex(head, rb"(?<!\r)\n", response)
        for line in head.split(b"\r\n")[1:]:
            self.assertRegex(line, rb"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+:", response)
            name, _, value = line.partition(b":")
            if name.lower() == b"set-cookie":
                self.assertIn(b"Path=/odd", value)
                self.assertNotIn(b"parachute_hub", value.partition(b"=")[0])
            self.assertNotIn(b"127.0.0.1:2002", value if name.lower() == b"location" else b"")
        client.hang_up()
        self.forgotten(response)

    def forgotten(self, what: bytes) -> None:
        for module in self.rig.modules.sockets:
            if module.connected:
                module.hang_up()
        self.rig.modules.sockets.clear()
        self.rig.pass_time(40.0)
        self.assertEqual(self.flushLoggedErrors(), [], what)
        self.assertEqual(self.rig.front.connections, 0, what)
