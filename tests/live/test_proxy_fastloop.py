"""The faster loop serves, survives a failing reader, and leaves other reactors alone."""

import subprocess
import sys

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy import fastloop

PROGRAM = """
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react
from twisted.internet.defer import Deferred
from parachute_hub.proxy import fastloop

class Echo(Protocol):
    def dataReceived(self, data):
        if data == b"fail":
            raise ValueError("on purpose")
        self.transport.write(data)

class Client(Protocol):
    def __init__(self, data): self.data, self.got, self.done = data, b"", Deferred()
    def connectionMade(self): self.transport.write(self.data)
    def dataReceived(self, data):
        self.got += data
        if len(self.got) == len(self.data): self.transport.loseConnection()
    def connectionLost(self, reason): self.done.callback(self.got)

async def main(reactor):
    print(fastloop.install(reactor))
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Echo))
    where = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    for data in (b"x" * 3_000_000, b"fail", b"again"):
        client = await connectProtocol(where, Client(data))
        print(len(await client.done))

react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""


class FastLoopTests(SynchronousTestCase):
    def test_serves_and_survives(self) -> None:
        run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(run.stdout.split(), ["True", "3000000", "0", "5"])

    def test_other_reactors_are_left_alone(self) -> None:
        self.assertFalse(fastloop.install(MemoryReactorClock()))
