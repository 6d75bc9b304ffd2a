"""The network of a container: a namespace with a loopback interface alone, so that its ports are nobody else's."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000


class Network:
    """A new network until `close`; containers and helpers of a test join it one after the other."""

    def __init__(self) -> None:
        hold = "ip link set lo up && echo ready && exec sleep infinity"
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "/bin/sh", "-c", hold]
        self._holder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            raise OSError("a network namespace cannot be made here")

    @property
    def entering(self) -> list[str]:
        """The start of a command line that runs in this network."""
        return ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net"]

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """While it holds, sockets made by this thread belong to this network; they stay there."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as ours, open(f"/proc/{self._holder.pid}/ns/net") as theirs:
            if libc.setns(theirs.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            try:
                yield
            finally:
                libc.setns(ours.fileno(), _CLONE_NEWNET)

    def close(self) -> None:
        """Let it go; it ends with the last process in it."""
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()
