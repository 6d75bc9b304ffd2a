"""Fake processes: a reactor that spawns and answers as told, and a system without other processes.
`tests/live/test_supervise_fakes.py` compares them with real ones.
"""

import os
import resource
import signal
from collections.abc import Awaitable, Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError, ProcessDone, ProcessTerminated, UserError
from twisted.internet.protocol import ClientFactory
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from parachute_hub.supervise.process.process_tags import TagFilter
from parachute_hub.supervise.process.processes import Holder


class FakePipe:
    """The read end of a child's output."""

    def __init__(self) -> None:
        self.reading = True
        self.ends: tuple[int, ...] = ()

    def startReading(self) -> None:
        self.reading = True

    def stopReading(self) -> None:
        self.reading = False

    def fileno(self) -> int:
        """A real pipe for callers that read directly; write to `ends[1]`."""
        if not self.ends:
            self.ends = os.pipe()
            os.set_blocking(self.ends[0], False)
        return self.ends[0]

    def close(self) -> None:
        for end in self.ends:
            os.close(end)


class FakeProcess:
    """A spawned child: `signals` it got; `say` and `exit` control it. A `deaf` one dies only by SIGKILL. Its group is
    empty once it exited, unless `stragglers` is set.
    """

    def __init__(self, pid: int, protocol: Any, argv: tuple[str, ...], env: Mapping[str, str]) -> None:
        self.pid: int | None = pid
        self.protocol = protocol
        self.argv = argv
        self.env = env
        self.signals: list[int] = []
        self.deaf = False
        self.stragglers = False
        self.exited = False
        self.pipes = {1: FakePipe()}

    def say(self, data: bytes) -> None:
        self.protocol.childDataReceived(1, data)

    def exit(self, code: int = 0, by_signal: int | None = None) -> None:
        """The process ends, and its pipe closes."""
        self.exited, self.pid = True, None
        well = code == 0 and by_signal is None
        reason = Failure(ProcessDone(None) if well else ProcessTerminated(None if by_signal else code, by_signal))
        self.protocol.processExited(reason)
        self.pipes.pop(1).close()
        self.protocol.processEnded(reason)

    def signalProcess(self, number: int) -> None:
        self.heard(number)

    def closeChildFD(self, descriptor: int) -> None: ...

    def heard(self, number: int) -> None:
        """A signal arrived; react as a process would."""
        if self.exited:
            self.stragglers = self.stragglers and number != signal.SIGKILL
            return
        self.signals.append(number)
        if number == signal.SIGKILL or (number == signal.SIGTERM and not self.deaf):
            self.exit(by_signal=number)


class FakeReactor(MemoryReactorClock):
    """Spawns FakeProcesses. `listening` maps ports on 127.0.0.1 to their answer: bytes, or None for silence. `paths`
    has other answers for some paths, `asked` the requested paths. A port closes the connection after its answer,
    unless `closes` is cleared.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[FakeProcess] = []
        self.listening: dict[int, bytes | None] = {}
        self.paths: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.closes = True
        self.cannot_spawn: OSError | None = None

    def spawnProcess(self, protocol: Any, executable: str, args: Any, **options: Any) -> FakeProcess:
        if self.cannot_spawn is not None:
            raise self.cannot_spawn
        process = FakeProcess(9000 + len(self.spawned), protocol, tuple(args), options["env"])
        self.spawned.append(process)
        protocol.makeConnection(process)
        return process

    def adopt(self, protocol: Any, pid: int, descriptor: int, stdout: int) -> None:
        """As `adopted.adopt`: the process reports to another protocol from now on."""
        process = next((one for one in self.spawned if one.pid == pid and not one.exited), None)
        if process is None:
            raise ChildProcessError(10, "No child processes")
        process.protocol = protocol
        protocol.makeConnection(process)
        process.pipes[stdout].startReading()

    def signal_group(self, group: int, number: int) -> None:
        """os.killpg for its own groups."""
        process = self.spawned[group - 9000]
        if process.exited and not process.stragglers:
            raise ProcessLookupError(3, "No such process")
        if number:
            process.heard(number)

    def connectTCP(
        self, host: str, port: int, factory: ClientFactory, timeout: float = 30, bindAddress: Any = None
    ) -> "FakeConnector":
        connector = FakeConnector(factory)
        self.callLater(0, self._connected, port, factory, connector)
        return connector

    def _connected(self, port: int, factory: ClientFactory, connector: "FakeConnector") -> None:
        if connector.over:
            return
        connector.over = True
        if port not in self.listening:
            factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))  # type: ignore[arg-type]
            return
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", port))
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        path = transport.value().split(b" ")[1].decode() if transport.value() else ""
        self.asked.append(path)
        answer = self.paths.get(path, self.listening[port])
        if answer is not None:
            protocol.dataReceived(answer)
        if answer is not None and self.closes:
            protocol.connectionLost(Failure(ConnectionDone()))

    def addSystemEventTrigger(self, *args: Any, **kwargs: Any) -> Any:
        return None


@define
class FakeConnector:
    """The result of connectTCP. Disconnecting before there is a connection fails it immediately."""

    factory: ClientFactory
    over: bool = False

    def disconnect(self) -> None:
        if not self.over:
            self.over = True
            self.factory.clientConnectionFailed(self, Failure(UserError()))  # type: ignore[arg-type]


@define
class FakeSystem:
    """Only what the test sets is running. `holders` and `owners` of ports are used in turn; without one, the requested
    session owns each of `open_ports` and nobody any other. `left` is found once; `sizes` in bytes, `seconds` of the
    processor and `limiter` in processes are of sessions, `hub` is the hub's size.
    """

    holders: list[Holder | None] = field(factory=list)
    left: list[int] = field(factory=list)
    owners: list[Holder | None] = field(factory=list)
    open_ports: Container[int] = ()
    lives: bool = False
    listening: list[int] = field(factory=list)
    sizes: dict[str, int] = field(factory=dict)
    seconds: dict[str, float] = field(factory=dict)
    limiter: dict[str, int] = field(factory=dict)
    hub: int = 0
    swept: list[TagFilter] = field(factory=list)

    def group_lives(self, group: int) -> bool:
        return self.lives

    def signal(self, tag_filter: TagFilter, number: int) -> list[int]:
        self.swept.append(tag_filter)
        left, self.left = self.left, []
        return left

    def holder(self, port: int, tag_filter: TagFilter) -> Holder | None:
        return self.holders.pop(0) if self.holders else None

    def owner(self, session: int, port: int, tag_filter: TagFilter) -> Holder | None:
        if self.owners:
            return self.owners.pop(0)
        return Holder(session, None, ours=True) if port in self.open_ports else None

    def ports(self, tag_filter: TagFilter) -> list[int]:
        return self.listening

    def members(self, sessions: Mapping[str, int]) -> dict[str, list[int]]:
        """Processes.members."""
        return {
            short: [session] * self.limiter.get(short, 1 if self.sizes.get(short) else 0)
            for short, session in sessions.items()
        }

    def footprints(self, members: Mapping[str, Sequence[int]]) -> dict[str, int]:
        return {short: self.sizes.get(short, 0) for short in members}

    def processor(self, members: Mapping[str, Sequence[int]]) -> dict[str, float]:
        """What the test sets."""
        return {short: self.seconds.get(short, 0.0) for short in members}

    def own(self) -> int:
        return self.hub


def at_once(function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
    """An `in_thread` without a thread."""
    return succeed(function(*args))


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """This process can open nothing for a while."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
