"""What a hub leaves for the one that takes its place by exec: a document in memory, and open descriptors."""

import fcntl
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Final, NoReturn

from parachute_hub.confinement.gateway import KeptGateway
from parachute_hub.proxy.holding import KeptClient
from parachute_hub.supervise.inheritance import InheritedModule
from parachute_hub.system import strict_json, strict_records
from parachute_hub.system.logs import finish_output
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson
from parachute_hub.system.strict_records import BadRecord

FORMAT: Final = 1
"""Raised when a hub could not read what an earlier one leaves."""

VARIABLE: Final = "PARACHUTE_HANDOVER"
"""The descriptor of the document; or `check`, for a hub that is only to say whether it would start."""

CHECK: Final = "check"
_LIMIT = 64 << 20
_MOST_DESCRIPTORS = 65_536


class BadHandover(Exception):
    """What an earlier hub left cannot be used. The text completes a sentence."""


@frozen(kw_only=True)
class Left:
    """What the modules of a hub leave. `life` is in the tags of their processes."""

    life: str
    gateway: KeptGateway | None
    modules: tuple[InheritedModule, ...]


@frozen(kw_only=True)
class Handover:
    """All that is left. `version` is the hub's that left it; `lock` is the descriptor of the home's lock, `listener`
    that of the listening socket of address family `family`.
    """

    format: int
    version: str
    lock: int
    listener: int
    family: int
    left: Left
    clients: tuple[KeptClient, ...]

    def descriptors(self) -> Iterator[int]:
        """All that must stay open."""
        yield self.lock
        yield self.listener
        if self.left.gateway is not None:
            yield self.left.gateway.descriptor
        yield from (one.process.descriptor for one in self.left.modules if one.process is not None)
        yield from (client.descriptor for client in self.clients)


def written(handover: Handover) -> bytes:
    """The document."""
    return json.dumps(strict_records.plain(handover)).encode()


def read(content: bytes) -> Handover:
    """The opposite of `written`. Raises BadHandover."""
    try:
        value = strict_json.read_strictly(content, limit=_LIMIT)
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise BadHandover(f"it is not in format {FORMAT}")
        found = strict_records.record(Handover, value)
    except (BadJson, BadRecord) as error:
        raise BadHandover(str(error)) from None
    numbers = list(found.descriptors())
    if len(set(numbers)) != len(numbers) or min(numbers) < 3:
        raise BadHandover("its descriptors are not distinct")
    return found


def own_command() -> list[str]:
    """What runs this program again, by the path of its Python: a bare name may be another environment's.

    >>> own_command()[0] == sys.executable
    True
    """
    return [sys.executable, *sys.orig_argv[1:]]


def replace_process(handover: Handover) -> NoReturn:
    """Run the hub's command again in this process, with all that is left. Raises OSError."""
    memory = _in_memory()
    os.write(memory, written(handover))
    os.lseek(memory, 0, os.SEEK_SET)
    for descriptor in (memory, *handover.descriptors()):
        os.set_inheritable(descriptor, True)
    finish_output()
    os.execve(sys.executable, own_command(), {**os.environ, VARIABLE: str(memory)})  # noqa: S606


def receive() -> Handover | None:
    """What an earlier hub left in this process; None at an ordinary start. Its descriptors belong to the caller.

    Raises BadHandover, after everything that was left is closed.
    """
    # Not for the children of this hub, nor for its own next exec.
    given = os.environ.pop(VARIABLE, "")
    if not given.isdigit():
        return None
    try:
        with open(int(given), "rb") as memory:
            found = read(memory.read(_LIMIT))
        for descriptor in found.descriptors():
            os.set_inheritable(descriptor, False)
        return found
    except (BadHandover, OSError) as error:
        _close_inherited()
        raise BadHandover(str(error)) from None


def _in_memory() -> int:
    """A file that nobody else can open; it may hold keys. Only Linux has files without a disk."""
    if sys.platform == "linux":
        return os.memfd_create("parachute-handover", 0)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _close_inherited() -> None:
    """Descriptors of Python are closed on exec, so that those which are not came from the earlier hub."""
    for descriptor in range(3, _MOST_DESCRIPTORS):
        try:
            if not fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC:
                os.close(descriptor)
        except OSError:
            continue
