"""What a hub leaves in its process for the next one."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app import handover
from parachute_hub.app.handover import BadHandover, Handover, Left
from parachute_hub.confinement.gateway import KeptGateway, KeptPass, TrustedHost
from parachute_hub.proxy.holding import KeptClient
from parachute_hub.supervise.inheritance import InheritedModule, InheritedProcess
from parachute_hub.supervise.model import Isolation, LastExit
from parachute_hub.supervise.restart_policy import CrashHistory
from tests.proxy.few import few

TEXT = st.text(max_size=20)
TIME = st.floats(min_value=0, max_value=1e12)
NUMBER = st.integers(min_value=0, max_value=1 << 40)
PROCESS = st.builds(
    InheritedProcess,
    pid=NUMBER,
    descriptor=st.just(0),
    partial=st.binary(max_size=50),
    port=NUMBER,
    health=TEXT,
    isolation=st.none()
    | st.builds(
        Isolation,
        state=st.sampled_from(("on", "partly", "off")),
        missing=st.lists(TEXT, max_size=3).map(tuple),
        why=TEXT,
    ),
    state=st.sampled_from(("starting", "ready", "degraded")),
    reason=TEXT,
    ready_at=st.none() | TIME,
    since=TIME,
    started_at=st.none() | TIME,
)
MODULE = st.builds(
    InheritedModule,
    short=TEXT,
    process=st.none() | PROCESS,
    history=st.builds(
        CrashHistory,
        crashes=st.lists(TIME, max_size=5).map(tuple),
        streak=NUMBER,
        total=NUMBER,
        on_trial=st.booleans(),
    ),
    last_exit=st.none() | st.builds(LastExit, st.none() | NUMBER, st.none() | TEXT, st.booleans(), TIME),
)
PASS = st.builds(
    KeptPass,
    short=TEXT,
    key=TEXT,
    hosts=st.lists(TEXT, max_size=3).map(tuple),
    trusted=st.lists(st.builds(TrustedHost, host=TEXT, port=NUMBER), max_size=2).map(tuple),
)
GATEWAY = st.builds(KeptGateway, descriptor=st.just(0), passes=st.lists(PASS, max_size=3).map(tuple))
CLIENT = st.builds(KeptClient, st.just(0), st.sampled_from((2, 10)), st.binary(max_size=50))


def numbered(found: Handover) -> Handover:
    """With descriptors that differ."""
    numbers = iter(range(5, 1000))
    left = found.left
    gateway = evolve(left.gateway, descriptor=next(numbers)) if left.gateway else None
    modules = tuple(
        evolve(one, process=evolve(one.process, descriptor=next(numbers))) if one.process else one
        for one in left.modules
    )
    clients = tuple(evolve(one, descriptor=next(numbers)) for one in found.clients)
    return evolve(found, left=evolve(left, gateway=gateway, modules=modules), clients=clients)


HANDOVER = st.builds(
    Handover,
    format=st.just(handover.FORMAT),
    version=TEXT,
    lock=st.just(3),
    listener=st.just(4),
    family=st.sampled_from((2, 10)),
    left=st.builds(Left, life=TEXT, gateway=st.none() | GATEWAY, modules=st.lists(MODULE, max_size=3).map(tuple)),
    clients=st.lists(CLIENT, max_size=3).map(tuple),
).map(numbered)
EMPTY = Handover(
    format=1,
    version="1",
    lock=3,
    listener=4,
    family=socket.AF_INET,
    left=Left(life="a", gateway=None, modules=()),
    clients=(),
)


class DocumentTests(SynchronousTestCase):
    @few(150)
    @given(HANDOVER)
    def test_what_is_left_is_read(self, left: Handover) -> None:
        self.assertEqual(handover.read(handover.written(left)), left)

    def test_everything_else_is_refused(self) -> None:
        whole = json.loads(handover.written(EMPTY))
        for content, why in (
            (b"", "JSON"),
            (b"[]", "format"),
            (json.dumps({**whole, "format": 2, "what": "a later hub adds"}).encode(), "format"),
            (json.dumps({**whole, "format": True}).encode(), "Handover.format"),
            (json.dumps({**whole, "more": 1}).encode(), "more"),
            (json.dumps({**whole, "lock": "3"}).encode(), "Handover.lock"),
            (json.dumps({**whole, "lock": 4}).encode(), "distinct"),
            (json.dumps({**whole, "lock": 1}).encode(), "distinct"),
        ):
            with self.assertRaises(BadHandover, msg=content) as caught:
                handover.read(content)
            self.assertIn(why, str(caught.exception))


class ReceiveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(os.environ.pop, handover.VARIABLE, None)
        self.pipe = os.pipe()
        for end in self.pipe:
            self.addCleanup(self.close, end)

    @staticmethod
    def close(descriptor: int) -> None:
        try:
            os.close(descriptor)
        except OSError:
            return

    def left(self, content: bytes) -> int:
        """In memory, and the number in the environment."""
        memory = os.memfd_create("test")
        os.write(memory, content)
        os.lseek(memory, 0, os.SEEK_SET)
        os.environ[handover.VARIABLE] = str(memory)
        return memory

    def test_it_is_taken_once(self) -> None:
        """The variable goes to no child, and the descriptors to none either."""
        mine = evolve(EMPTY, lock=self.pipe[0], listener=self.pipe[1])
        memory = self.left(handover.written(mine))
        for end in self.pipe:
            os.set_inheritable(end, True)
        self.assertEqual(handover.receive(), mine)
        self.assertIsNone(handover.receive())
        self.assertNotIn(handover.VARIABLE, os.environ)
        self.assertEqual([fcntl.fcntl(end, fcntl.F_GETFD) for end in self.pipe], [fcntl.FD_CLOEXEC] * 2)
        with self.assertRaises(OSError):
            os.fstat(memory)

    def test_without_it_nothing_is_done(self) -> None:
        for given_ in ("", handover.CHECK, "-1"):
            os.environ[handover.VARIABLE] = given_
            self.assertIsNone(handover.receive())

    def test_what_cannot_be_read_is_closed(self) -> None:
        """So that the port is free for an ordinary start. In a process of its own, whose other descriptors stay."""
        for content in (b"{", handover.written(evolve(EMPTY, lock=900, listener=901))):
            memory = self.left(content)
            with tempfile.TemporaryFile() as own:
                done = subprocess.run(
                    [sys.executable, "-c", _RECEIVING, str(self.pipe[0])],
                    pass_fds=(memory, self.pipe[0]),
                    env={**os.environ, handover.VARIABLE: str(memory)},
                    stdout=own,
                    cwd=ROOT,
                    check=False,
                )
                own.seek(0)
                self.assertEqual((done.returncode, own.read()), (0, b"refused, closed, own open\n"), content)
            os.close(memory)


class ReplaceTests(SynchronousTestCase):
    def test_a_full_disk_behind_the_output_stops_nothing(self) -> None:
        """What the hub printed is lost, as it would be anyway; its modules are not."""
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [sys.executable, "-c", _REPLACED],
                stdout=full,
                stderr=subprocess.PIPE,
                env={**os.environ, handover.VARIABLE: "", "PYTHONUNBUFFERED": ""},
                cwd=ROOT,
                check=False,
            )
        self.assertEqual((done.returncode, done.stderr), (7, b""))


ROOT = Path(__file__).parents[2]
_REPLACED = """
import os
from parachute_hub.app import handover
from parachute_hub.app.handover import Handover, Left
if os.environ[handover.VARIABLE]:
    os._exit(7)
print("waits")
lock, listener = os.pipe()
left = Left(life="a", gateway=None, modules=())
handover.replace_process(
    Handover(format=1, version="1", lock=lock, listener=listener, family=2, left=left, clients=())
)
"""
_RECEIVING = """
import os, sys
from parachute_hub.app import handover
own = open(os.devnull)
try:
    handover.receive()
except handover.BadHandover:
    print("refused", end=", ")
try:
    os.fstat(int(sys.argv[1]))
except OSError:
    print("closed", end=", ")
os.fstat(own.fileno())
print("own open")
"""
