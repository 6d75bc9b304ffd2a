"""Long bodies on real sockets, most of which the hub passes on through a pipe without reading them."""

import contextlib
import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.splice import MOST_PIPES
from tests.live.harness import ROOT
from tests.live.ports import free_port

MB = 1024 * 1024
PATIENCE = 30.0
SIZE = 12 * MB
# Not a power of two, so that a piece too many or too few moves everything behind it.
PIECE = Random(24).randbytes(MB + 13)
BODY = (PIECE * (SIZE // len(PIECE) + 1))[:SIZE]
HASH = hashlib.sha256(BODY).hexdigest()
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


class Module(threading.Thread):
    """Answers by path: the body with its length, in chunks of many sizes, or cut in the middle; the hash of an upload;
    or it reads no more after a part of one.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.sockets: list[socket.socket] = []
        self.go_on = threading.Event()
        self.broken = 0

    def run(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            self.sockets.append(client)
            threading.Thread(target=self._served, args=(client,), daemon=True).start()

    def end(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for client in self.sockets:
            client.close()

    def _served(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rb") as reader:
                while line := reader.readline():
                    head = line
                    while (field := reader.readline()) not in (b"\r\n", b""):
                        head += field
                    length = re.search(rb"(?i)content-length: (\d+)", head)
                    self._answer(client, reader, line.split()[1], int(length[1]) if length else 0)
        except OSError:
            self.broken += 1

    def _answer(self, client: socket.socket, reader: object, path: bytes, length: int) -> None:
        read: Callable[[int], bytes] = reader.read  # type: ignore[attr-defined]
        if path == b"/chunks":
            client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            at, sizes = 0, Random(1)
            while part := BODY[at : at + sizes.choice((1, 900, 70_000, 70_001, 600_000))]:
                client.sendall(b"%x\r\n%b\r\n" % (len(part), part))
                at += len(part)
            client.sendall(b"0\r\n\r\n")
        elif path == b"/cut":
            client.sendall(LENGTH % SIZE + BODY[: SIZE // 2])
            client.shutdown(socket.SHUT_RDWR)
        elif path == b"/up":
            seen = hashlib.sha256()
            while length and (part := read(min(length, 64 * 1024))):
                seen.update(part)
                length -= len(part)
            client.sendall(LENGTH % 64 + seen.hexdigest().encode())
        elif path == b"/up-late":
            read(4 * MB)
            self.go_on.wait(PATIENCE)
            read(length - 4 * MB)
            client.sendall(LENGTH % 2 + b"ok")
        elif path == b"/up-cut":
            read(4 * MB)
            client.shutdown(socket.SHUT_RDWR)
        else:
            client.sendall(LENGTH % SIZE + BODY)


def received(client: socket.socket) -> Iterator[bytes]:
    while data := client.recv(256 * 1024):
        yield data


def unchunked(data: bytes) -> Iterator[bytes]:
    at = 0
    while size := int(data[at : (end := data.index(b"\r\n", at))], 16):
        yield data[end + 2 : end + 2 + size]
        at = end + 4 + size


@skipUnless(hasattr(os, "splice"), "the system has no splice")
class SpliceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.module = Module()
        self.module.start()
        self.addCleanup(self.module.end)
        self.port = free_port()
        command = [sys.executable, "-m", "bench.proxy.ours", str(self.port), str(self.module.port)]
        self.front = subprocess.Popen(command, cwd=ROOT)
        self.addCleanup(self.front.wait)
        self.addCleanup(self.front.kill)
        self.until(self.listens)
        self.ask("/warm")
        self.at_rest = self.memory()

    def listens(self) -> bool:
        with socket.socket() as probe:
            return not probe.connect_ex(("127.0.0.1", self.port))

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            self.assertLess(time.monotonic(), deadline, "it does not come to hold")
            time.sleep(0.02)

    def connect(self, path: str, *lines: str, method: str = "GET") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self.addCleanup(client.close)
        head = [f"{method} /echo{path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Connection: close", *lines, "", ""]
        client.sendall("\r\n".join(head).encode())
        return client

    def ask(self, path: str) -> tuple[bytes, bytes]:
        head, _, body = b"".join(received(self.connect(path))).partition(b"\r\n\r\n")
        return head, body

    def memory(self) -> int:
        """Peak memory of the front in bytes."""
        status = Path(f"/proc/{self.front.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def links(self) -> list[str]:
        """What the front has open, of sockets and pipes."""
        found = []
        for one in Path(f"/proc/{self.front.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(one).partition(":")[0])
        return found

    def everything_given_back(self, before: list[str]) -> None:
        self.until(lambda: self.links().count("socket") <= before.count("socket"))
        self.assertLessEqual(self.links().count("pipe"), before.count("pipe") + 8)
        self.assertLess(self.memory() - self.at_rest, 4 * MB)

    def test_every_byte_arrives_at_a_reader_who_pauses(self) -> None:
        before = self.links()
        for path in ("/length", "/chunks"):
            client = self.connect(path)
            first = client.recv(3 * MB, socket.MSG_WAITALL)
            self.until(lambda: self.links().count("pipe") > 0)
            time.sleep(1)
            _, _, body = (first + b"".join(received(client))).partition(b"\r\n\r\n")
            if path == "/chunks":
                body = b"".join(unchunked(body))
            self.assertEqual((len(body), hashlib.sha256(body).hexdigest()), (SIZE, HASH), path)
        self.everything_given_back(before)

    def test_many_at_once_get_it_with_pipes_and_without(self) -> None:
        before, answers, most = self.links(), [], 0

        def take() -> None:
            answers.append(hashlib.sha256(self.ask("/length")[1]).hexdigest())

        takers = [threading.Thread(target=take) for _ in range(20)]
        for taker in takers:
            taker.start()
        while any(taker.is_alive() for taker in takers):
            most = max(most, self.links().count("pipe"))
            time.sleep(0.02)
        self.assertEqual(answers, [HASH] * 20)
        self.assertLessEqual(most, before.count("pipe") + 2 * MOST_PIPES)
        self.everything_given_back(before)

    def test_nobody_is_cut_off_who_downloads_at_some_speed(self) -> None:
        """Together, what the kernel holds for them is more than stalled clients may hold."""
        answers: list[str] = []

        def take() -> None:
            data = b""
            with self.connect("/length") as client:
                while part := client.recv(256 * 1024):
                    data += part
                    time.sleep(0.05)
            answers.append(hashlib.sha256(data.partition(b"\r\n\r\n")[2]).hexdigest())

        takers = [threading.Thread(target=take) for _ in range(16)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
        self.assertEqual(answers, [HASH] * 16)

    def test_a_body_that_the_module_cuts_is_not_passed_as_whole(self) -> None:
        before, client = self.links(), self.connect("/cut")
        seen = b""
        with self.assertRaises(ConnectionResetError):
            for part in received(client):
                seen += part
        body = seen.partition(b"\r\n\r\n")[2]
        self.assertEqual(body, BODY[: len(body)])
        self.everything_given_back(before)

    def test_a_client_that_leaves_ends_the_modules_answer(self) -> None:
        before, client = self.links(), self.connect("/length")
        client.recv(3 * MB, socket.MSG_WAITALL)
        client.close()
        self.until(lambda: self.module.broken == 1)
        self.everything_given_back(before)

    def test_every_byte_of_an_upload_arrives(self) -> None:
        before = self.links()
        client = self.connect("/up", f"Content-Length: {SIZE}", method="POST")
        client.sendall(BODY[: SIZE // 2])
        time.sleep(0.3)
        client.sendall(BODY[SIZE // 2 :])
        self.assertEqual(b"".join(received(client))[-64:], HASH.encode())
        self.everything_given_back(before)

    def test_an_upload_waits_for_a_module_that_does_not_read(self) -> None:
        before = self.links()
        client = self.connect("/up-late", f"Content-Length: {SIZE * 8}", method="POST")
        client.settimeout(0.7)
        sent = 0
        with self.assertRaises(TimeoutError):
            while sent < SIZE * 8:
                sent += client.send(BODY[sent % SIZE : sent % SIZE + MB])
        self.until(lambda: "pipe" in self.links())
        client.settimeout(PATIENCE)
        self.module.go_on.set()
        while sent < SIZE * 8:
            sent += client.send(BODY[sent % SIZE : min(sent % SIZE + MB, SIZE)])
        self.assertTrue(b"".join(received(client)).endswith(b"ok"))
        self.everything_given_back(before)

    def test_an_upload_that_the_module_cuts_is_answered(self) -> None:
        before = self.links()
        client = self.connect("/up-cut", f"Content-Length: {SIZE}", method="POST")
        sender = threading.Thread(target=self.send_what_is_taken, args=(client,))
        sender.start()
        answer = client.recv(4096)
        self.assertIn(b" 502 ", answer)
        sender.join(PATIENCE)
        client.close()
        self.everything_given_back(before)

    def send_what_is_taken(self, client: socket.socket) -> None:
        try:
            client.sendall(BODY)
        except OSError:
            return

    def test_an_upload_that_ends_early_reaches_the_module_as_such(self) -> None:
        before = self.links()
        client = self.connect("/up", f"Content-Length: {SIZE}", method="POST")
        client.sendall(BODY[: SIZE // 2])
        self.until(lambda: "pipe" in self.links())
        client.close()
        self.everything_given_back(before)
