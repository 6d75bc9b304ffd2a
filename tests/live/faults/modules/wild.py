"""A module that misbehaves as its arguments say. It answers HTTP on PORT until told otherwise.

deaf            ignores TERM
exit=S:CODE     ends after S seconds
late=S          listens after S seconds
status=N        answers with this status
kin=N           N processes in its own group
orphans=N       N processes in sessions of their own, twice forked
hang=KIND       at SIGUSR1: silent, head (begins an answer), busy (a loop)
flood=KIND      writes without end: lines, line (one without end), binary
rate=MB         so many MB a second of it; all it can by default
grow=MB         takes so many MB more each tenth of a second
bomb            forks without end; each of its processes ends by itself 20 s after the first began
"""

import os
import signal
import socket
import sys
import threading
import time

BOMB_SECONDS = 20
told = dict(word.partition("=")[::2] for word in sys.argv[1:])
hanging = ""


def hang(*_: object) -> None:
    global hanging
    hanging = told.get("hang", "silent")
    while hanging == "busy":
        pass


def rest() -> None:
    """A child process; it holds none of our pipes."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    time.sleep(600)
    os._exit(0)


def fork_kin() -> None:
    for _ in range(int(told.get("kin", 0))):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            rest()
    for _ in range(int(told.get("orphans", 0))):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                rest()
            os._exit(0)
    # Reaps the middle ones.
    for _ in range(int(told.get("orphans", 0))):
        os.wait()


def flood() -> None:
    piece = {"lines": (b"x" * 199 + b"\n") * 320, "line": b"x" * 64000, "binary": bytes(range(256)) * 250}[
        told["flood"]
    ]
    rate = float(told.get("rate", 0)) * 1e6
    began, written = time.monotonic(), 0
    while True:
        written += os.write(1, piece)
        if rate:
            time.sleep(max(0.0, written / rate - (time.monotonic() - began)))


def grow() -> None:
    kept = []
    while True:
        kept.append(os.urandom(1 << 20) * int(told["grow"]))
        time.sleep(0.1)


def bomb() -> None:
    # Nobody may be there to end it all: a run of tests can be killed.
    ends = time.monotonic() + BOMB_SECONDS
    while time.monotonic() < ends:
        try:
            os.fork()
        except OSError:
            time.sleep(0.02)
    os._exit(0)


def background(name: str) -> None:
    if name in told:
        threading.Thread(target=globals()[name], daemon=True).start()


def answer(connection: socket.socket) -> None:
    connection.settimeout(1)
    try:
        connection.recv(4096)
        if hanging != "head":
            body = b"ok"
            head = f"HTTP/1.1 {told.get('status', 200)} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode() + body)
            connection.close()
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
            stalled.append(connection)
    except OSError:
        connection.close()


stalled: list[socket.socket] = []


def main() -> None:
    if "deaf" in told:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGUSR1, hang)
    if "exit" in told:
        after, _, code = told["exit"].partition(":")
        threading.Timer(float(after), lambda: os._exit(int(code))).start()
    fork_kin()
    for name in ("flood", "grow", "bomb"):
        background(name)
    time.sleep(float(told.get("late", 0)))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(os.environ["PORT"])))
        listener.listen(64)
        while True:
            connection, _ = listener.accept()
            if hanging == "silent":
                stalled.append(connection)
            else:
                answer(connection)


main()
