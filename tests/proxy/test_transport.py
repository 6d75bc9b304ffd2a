"""Writes immediately when nothing is queued, otherwise through the transport."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.transport import writer


class Kernel:
    """A socket that takes `room` bytes and then is full, or broken."""

    def __init__(self, room: int, broken: bool = False) -> None:
        self.room = room
        self.broken = broken
        self.taken = b""

    def send(self, data: bytes) -> int:
        if self.broken:
            raise ConnectionResetError
        if not self.room:
            raise BlockingIOError
        taken = data[: self.room]
        self.room -= len(taken)
        self.taken += taken
        return len(taken)


class Transport:
    """The part of Twisted's TCP transport that the writer uses."""

    connected = True
    disconnecting = False
    TLS = False
    dataBuffer = b""

    def __init__(self, kernel: Kernel) -> None:
        self.socket = kernel
        self._tempDataBuffer: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._tempDataBuffer.append(data)


class WriterTests(SynchronousTestCase):
    def written(self, room: int, *pieces: bytes, **state: Any) -> tuple[bytes, bytes]:
        """(bytes in the kernel, bytes queued in the transport)."""
        transport = Transport(Kernel(room, state.pop("broken", False)))
        for name, value in state.items():
            setattr(transport, name, value)
        put = writer(transport)  # type: ignore[arg-type]
        for piece in pieces:
            put(piece)
        return transport.socket.taken, b"".join(transport._tempDataBuffer)

    def test_order_is_kept_whatever_the_kernel_takes(self) -> None:
        for room in (0, 1, 4, 5, 9, 10):
            taken, queued = self.written(room, b"hello", b"world")
            self.assertEqual(taken + queued, b"helloworld")
            self.assertEqual(len(taken), min(room, 10) if room != 5 else 5)

    def test_nothing_overtakes_what_is_queued(self) -> None:
        self.assertEqual(self.written(9, b"b", dataBuffer=b"a"), (b"", b"b"))
        self.assertEqual(self.written(9, b"b", disconnecting=True), (b"", b"b"))

    def test_a_broken_connection_is_the_transports_business(self) -> None:
        self.assertEqual(self.written(9, b"b", broken=True), (b"", b"b"))

    def test_other_transports_are_written_to_as_usual(self) -> None:
        self.assertEqual(self.written(9, b"b", TLS=True), (b"", b"b"))
