"""A child process that the hub has from an older hub, which this one replaced by exec in the same process."""

import os
from typing import Any

from twisted.internet import process
from twisted.internet.protocol import ProcessProtocol


class AdoptedProcess(process.Process):
    """Like a process that was spawned here. Its output is already connected to `descriptor`, for its stdout."""

    def __init__(self, reactor: Any, protocol: ProcessProtocol, pid: int, descriptor: int, stdout: int) -> None:
        process._BaseProcess.__init__(self, protocol)
        self._reactor = reactor
        self.pid, self.status = pid, -1
        self.pipes = {stdout: process.ProcessReader(reactor, self, stdout, descriptor)}
        protocol.makeConnection(self)
        process.registerReapProcessHandler(pid, self)


def adopt(reactor: Any, protocol: ProcessProtocol, pid: int, descriptor: int, stdout: int) -> None:
    """Connect `protocol` to the process. Raises OSError if it is not a child of ours."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    AdoptedProcess(reactor, protocol, pid, descriptor, stdout)
