"""Bytes of a body on their way from one socket to another through a pipe: splice(2) moves their pages, and copies
nothing. Linux only.
"""

import errno
import fcntl
import os
from collections.abc import Callable
from typing import Protocol, TypeAlias

# Bytes of a pipe. It has a place for each page, and a page of a network segment takes one.
CAPACITY = 256 * 1024
# Each is two descriptors of those that connection_limits reserves.
MOST_PIPES = 16
# Pipes kept for the next body.
_SPARE = 4
_SET_SIZE, _FLAGS = 1031, 2  # F_SETPIPE_SZ, SPLICE_F_NONBLOCK
# What a kernel, or a sandbox, answers that does not splice these sockets.
_REFUSED = frozenset((errno.EINVAL, errno.ENOSYS, errno.EPERM))

Pipe: TypeAlias = tuple[int, int]


class Pipes:
    """The pipes of a hub. `usable` becomes false where the system cannot splice sockets."""

    def __init__(self, most: int = MOST_PIPES) -> None:
        self.usable = hasattr(os, "splice")
        self.open = 0
        self._most = most
        self._spare: list[Pipe] = []

    def take(self) -> Pipe | None:
        """An empty pipe; None if there is none, and the body has to be read."""
        if self._spare:
            return self._spare.pop()
        if not self.usable or self.open >= self._most:
            return None
        try:
            pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        self.open += 1
        try:
            fcntl.fcntl(pipe[1], _SET_SIZE, CAPACITY)
        except OSError:
            # The user has many pipes already. A small one saves nothing.
            self.close(pipe)
            return None
        return pipe

    def give_back(self, pipe: Pipe) -> None:
        """Keep an empty pipe for the next body, or close it."""
        if len(self._spare) < _SPARE and self.usable:
            self._spare.append(pipe)
        else:
            self.close(pipe)

    def close(self, pipe: Pipe) -> None:
        """Close a pipe and forget what is in it."""
        for end in pipe:
            os.close(end)
        self.open -= 1


class Target(Protocol):
    """The socket that is fed through a pipe."""

    @property
    def takes_pipe(self) -> bool:
        """Whether what comes through the pipe now would be sent in its order, and the source be paused in time."""

    def feed(self, run: "Run", full: bool = False) -> None:
        """Something came into the pipe, it is full, or the run is over."""


class Run:
    """A run of bytes that go through a pipe to `target` without being read: `left` are to come, `size` are in the pipe.

    `passed` is told how many the source has handed over.
    """

    __slots__ = ("left", "size", "_passed", "_pipe", "_pipes", "_target")

    def __init__(self, target: Target, pipes: Pipes, pipe: Pipe, count: int, passed: Callable[[int], None]) -> None:
        self.left = count
        self.size = 0
        self._passed = passed
        self._pipe = pipe
        self._pipes = pipes
        self._target = target

    def pull(self, source: int) -> bool:
        """Take what has arrived at this descriptor; true if it was something. `left` is 0 once the rest has to be read:
        after the run, when the source has closed or failed, and where the system does not splice.
        """
        if not self.left:
            return False
        if not self._target.takes_pipe:
            self.stop()
            return False
        try:
            count = os.splice(source, self._pipe[1], min(self.left, CAPACITY - self.size), flags=_FLAGS)
        except BlockingIOError:
            if self.size:
                self._target.feed(self, full=True)
            return False
        except OSError as error:
            self._failed(error)
            count = 0
        if not count:
            self.stop()
            return False
        self.left -= count
        self.size += count
        self._passed(count)
        self._target.feed(self)
        return True

    def stop(self) -> None:
        """The rest of the run is read."""
        if self.left:
            self.left = 0
            self._target.feed(self)

    def push(self, target: int) -> None:
        """Hand to this descriptor what it has room for. Raises OSError."""
        try:
            self.size -= os.splice(self._pipe[0], target, self.size, flags=_FLAGS) if self.size else 0
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(error)
            raise

    def rest(self) -> bytes:
        """Take what is in the pipe out of it."""
        taken = os.read(self._pipe[0], self.size) if self.size else b""
        self.size -= len(taken)
        return taken

    def end(self) -> None:
        """Give the pipe back. One that is not empty is closed: the next body must not get what is in it."""
        self.left = 0
        if self.size:
            self._pipes.close(self._pipe)
        else:
            self._pipes.give_back(self._pipe)

    def _failed(self, error: OSError) -> None:
        if error.errno in _REFUSED:
            self._pipes.usable = False
