"""The end of a chunked body is found in chunks of any size."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.chunked import LAST_CHUNK, MAX_LINE, MAX_TRAILERS, Chunked, chunk
from parachute_hub.proxy.head import BadMessage
from tests.proxy.few import few


def read(pieces: list[bytes]) -> tuple[bytes, bytes]:
    """(payload, bytes after the body); fails when the body does not end."""
    payload: list[bytes] = []
    chunks = Chunked(payload)
    for index, piece in enumerate(pieces):
        end = chunks.feed(piece)
        if end >= 0:
            return b"".join(payload), piece[end:] + b"".join(pieces[index + 1 :])
    raise AssertionError("no end")


class ChunkedTests(SynchronousTestCase):
    @few(150)
    @given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data())
    def test_any_cut_gives_the_same_body(self, parts: list[bytes], data: st.DataObject) -> None:
        wire = b"".join(map(chunk, parts)) + LAST_CHUNK + b"GET /next"
        cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
        edges = [0, *cuts, len(wire)]
        pieces = [wire[start:end] for start, end in zip(edges, edges[1:], strict=False)]
        self.assertEqual(read(pieces), (b"".join(parts), b"GET /next"))

    def test_byte_by_byte_with_extension_and_trailer(self) -> None:
        wire = b'5;a="b"\r\nhello\r\n00\r\nX-Sum: 1\r\n\r\n'
        self.assertEqual(read([wire[index : index + 1] for index in range(len(wire))]), (b"hello", b""))

    def test_refuses_sloppy_framing(self) -> None:
        for wire in (
            b"zz\r\n",
            b"-3\r\n",
            b"+3\r\n",
            b"0x3\r\nabc\r\n",
            b"1_0\r\n",
            b" 3\r\n",
            b"\r\n",
            b"3\nabc\r\n",
            b"3\r\nabcX\r\n",
            b"3\r\nabc\n",
            b"3;a\nb\r\n",
            b"3;a\rb\r\nabc\r\n",
            b"f" * 40 + b"\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\nX-A: a\x00b\r\n\r\n",
            b"0\r\n folded: a\r\n\r\n",
            b"3;" + b"x" * MAX_LINE,
            b"0\r\n" + b"X-A: b\r\n" * (MAX_TRAILERS + 1) + b"\r\n",
        ):
            self.assertRaises(BadMessage, Chunked().feed, wire)

    def test_nothing_is_read_past_the_end(self) -> None:
        wire = b"1\r\na\r\n0\r\n\r\n"
        self.assertEqual(Chunked().feed(wire + b"zz"), len(wire))

    @few(150)
    @given(st.binary(max_size=60))
    def test_anything_is_read_or_refused(self, raw: bytes) -> None:
        try:
            end = Chunked().feed(raw)
        except BadMessage:
            return
        self.assertLessEqual(end, len(raw))
