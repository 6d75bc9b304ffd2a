"""Fake processes and ports behave like real ones."""

import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.protocol import ProcessProtocol as Base
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from parachute_hub.supervise.context import System
from parachute_hub.supervise.process.adopted import adopt
from parachute_hub.supervise.process.probe import NoAnswer, ask
from parachute_hub.supervise.process.process_tags import VARIABLE, TagFilter
from parachute_hub.supervise.process.processes import Holder, Processes
from tests.live.ports import free_port
from tests.support.processes import FakeProcess, FakeReactor, FakeSystem

REAL: Any = reactor
EVENT = tuple[str, object]
# Seconds until silence counts as no answer; whoever answers may take longer.
SHORT, PATIENT = 0.4, 20.0


class Recorder(Base):
    """Records what a reactor reports about a process."""

    transport: Any

    def __init__(self) -> None:
        self.events: list[EVENT] = []
        self.begun: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.events.append(("made", type(self.transport.pid)))

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.events.append(("said", (childFD, data)))
        self.begun.callback(None)

    def processExited(self, reason: Failure) -> None:
        self.events.append(("exited", how(reason)))

    def processEnded(self, reason: Failure) -> None:
        self.events.append(("ended", (*how(reason), self.transport.pid, 1 in self.transport.pipes)))
        self.ended.callback(None)


def how(reason: Failure) -> tuple[object, ...]:
    """The relevant part of a process's end."""
    error = cast(Any, reason.value)
    return type(error).__name__, error.exitCode, error.signal


async def real(script: str, act: Callable[[int], None]) -> list[EVENT]:
    """Events of a shell in its own group that says `on`, after which `act` is called."""
    recorder = Recorder()
    argv = ("setsid", "/bin/sh", "-c", script)
    process = REAL.spawnProcess(recorder, argv[0], argv, env=os.environ, childFDs={1: "r"})
    group = process.pid
    await recorder.begun
    act(group)
    await recorder.ended
    with_nobody(os.killpg, group)
    return recorder.events


async def real_adopted(script: str, act: Callable[[int], None]) -> list[EVENT]:
    """The same for one that something else started."""
    recorder = Recorder()
    started = subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert started.stdout is not None
    adopt(REAL, recorder, started.pid, os.dup(started.stdout.fileno()), 1)
    await recorder.begun
    act(started.pid)
    await recorder.ended
    started.stdout.close()
    started.returncode = 0  # The reactor has reaped it.
    with_nobody(os.killpg, started.pid)
    return recorder.events


def fake_adopted(act: Callable[[FakeProcess], None]) -> list[EVENT]:
    pretended, first, recorder = FakeReactor(), Recorder(), Recorder()
    process = pretended.spawnProcess(first, "sh", ("sh",), env={})
    assert process.pid is not None
    pretended.adopt(recorder, process.pid, 0, 1)
    process.say(b"on\n")
    act(process)
    return recorder.events


def fake(act: Callable[[FakeProcess], None]) -> list[EVENT]:
    """The same for a fake one."""
    pretended, recorder = FakeReactor(), Recorder()
    process = pretended.spawnProcess(recorder, "sh", ("sh",), env={})
    group = process.pid
    assert group is not None
    process.say(b"on\n")
    act(process)
    with_nobody(pretended.signal_group, group)
    return recorder.events


def with_nobody(kill: Callable[[int, int], None], group: int) -> None:
    """A group without members."""
    try:
        kill(group, 0)
    except ProcessLookupError:
        return
    raise AssertionError("the group still lives")


def signal_group(number: int, group: int) -> None:
    """A signal to a whole group."""
    os.killpg(group, number)


class ProcessTests(TestCase):
    timeout = 30

    async def test_ends_by_itself(self) -> None:
        for code in (0, 3):
            # It waits to be heard: one that ends at once may be reaped before its output is read.
            script = f"ulimit -t 5; trap 'exit {code}' TERM; echo on; while :; do :; done"
            told = await real(script, partial(signal_group, signal.SIGTERM))
            self.assertEqual(told, fake(methodcaller("exit", code)))

    async def test_one_that_was_adopted_ends(self) -> None:
        script = "ulimit -t 5; trap 'exit 3' TERM; echo on; while :; do :; done"
        told = await real_adopted(script, partial(signal_group, signal.SIGTERM))
        self.assertEqual(told, fake_adopted(methodcaller("exit", 3)))
        killed = await real_adopted(script, partial(signal_group, signal.SIGKILL))
        self.assertEqual(killed, fake_adopted(methodcaller("exit", 0, signal.SIGKILL)))

    def test_one_that_is_no_child_is_not_adopted(self) -> None:
        for take in (FakeReactor().adopt, partial(adopt, REAL)):
            with self.assertRaises(ChildProcessError):
                take(Recorder(), os.getpid(), -1, 1)

    async def test_ends_by_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            told = await real("echo on; exec sleep 20", partial(signal_group, number))
            self.assertEqual(told, fake(methodcaller("heard", number)))

    async def test_a_deaf_one(self) -> None:
        def both(group: int) -> None:
            os.killpg(group, signal.SIGTERM)
            os.killpg(group, signal.SIGKILL)

        def deaf(process: FakeProcess) -> None:
            process.deaf = True
            process.heard(signal.SIGTERM)
            process.heard(signal.SIGKILL)

        told = await real("trap '' TERM; echo on; exec sleep 20", both)
        self.assertEqual(told[-1][1], ("ProcessTerminated", None, signal.SIGKILL, None, False))
        self.assertEqual(told, fake(deaf))


class Answerer(Protocol):
    """Answers the first bytes with a fixed response and closes, or stays silent."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer

    def dataReceived(self, data: bytes) -> None:
        if self._answer is not None and self.transport is not None:
            self.transport.write(self._answer)
            self.transport.loseConnection()


class PortTests(TestCase):
    timeout = 30

    async def real(self, answer: bytes | None) -> object:
        factory = Factory.forProtocol(lambda: Answerer(answer))
        port = REAL.listenTCP(0, factory, interface="127.0.0.1")
        try:
            return await outcome(REAL, port.getHost().port, SHORT if answer is None else PATIENT)
        finally:
            await port.stopListening()
            # The other side of a connection that was given up closes a turn later.
            await deferLater(REAL, 0.05)

    def fake(self, listening: dict[int, bytes | None]) -> object:
        pretended = FakeReactor()
        pretended.listening = listening
        asked = Deferred.fromCoroutine(outcome(pretended, 80))
        pretended.pump([0.0, 0.5])
        return self.successResultOf(asked)

    async def test_nobody_listens(self) -> None:
        self.assertEqual(await outcome(REAL, free_port(), PATIENT), self.fake({}))

    async def test_answers(self) -> None:
        for answer in (b"HTTP/1.1 200 OK\r\n\r\nsome", b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", b"hello", None):
            self.assertEqual(await self.real(answer), self.fake({80: answer}), answer)


async def outcome(where: Any, port: int, patience: float = SHORT) -> object:
    """The status, or why there is none."""
    try:
        return (await ask(where, port, "/health", patience)).status
    except NoAnswer as why:
        return str(why), why.refused


class SystemTests(TestCase):
    def test_the_same_questions_can_be_asked(self) -> None:
        """The same names and arguments."""
        for name in [
            name for name in vars(FakeSystem) if not name.startswith("_") and callable(vars(FakeSystem)[name])
        ]:
            self.assertEqual(
                inspect.signature(getattr(FakeSystem, name)), inspect.signature(getattr(Processes, name)), name
            )

    def test_a_process_of_ours_that_listens_and_then_nobody(self) -> None:
        tag_filter, port = TagFilter("a-home", "vault"), free_port()
        script = (
            f"import socket; it = socket.create_server(('127.0.0.1', {port})); print('on', flush=True); it.accept()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, VARIABLE: "vault:a-home:1"},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
        pid = process.pid
        try:
            self.assertEqual(process.stdout.readline(), b"on\n")
            fake = FakeSystem(
                lives=True,
                left=[pid],
                open_ports={port},
                listening=[port],
                sizes={"vault": 1},
                hub=1,
                holders=[Holder(pid, "python", ours=True)],
            )
            self.assertEqual(answers(fake, pid, port, tag_filter), answers(Processes(), pid, port, tag_filter))
        finally:
            process.kill()
            process.wait(10)
            process.stdout.close()
        self.assertEqual(answers(FakeSystem(hub=1), pid, port, tag_filter), answers(Processes(), pid, port, tag_filter))


def answers(system: System, pid: int, port: int, tag_filter: TagFilter) -> list[object]:
    """Results for one process and its port, without what differs between runs."""
    held = system.holder(port, tag_filter)
    told: list[object] = [system.group_lives(pid), system.signal(tag_filter, 0), system.owner(pid, port, tag_filter)]
    told += [system.ports(tag_filter), (held.pid, held.ours) if held is not None else None]
    members = system.members({"vault": pid})
    told += [{short: len(pids) > 0 for short, pids in members.items()}]
    told += [list(system.processor(members))]
    return [*told, {short: size > 0 for short, size in system.footprints(members).items()}, system.own() > 0]
