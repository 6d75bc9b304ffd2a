"""A package registry as a process of its own: `python -m tests.live.registry FOLDER` serves the packs in a folder.

Prints its address, then runs until its standard input is closed, so that it never outlives the test that started it.
"""

import sys
import tarfile
from pathlib import Path

from twisted.internet import reactor, stdio
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from tests.support.npm import NpmRegistry


def contents(pack: Path) -> dict[str, bytes]:
    files = {}
    with tarfile.open(pack) as archive:
        for member in archive.getmembers():
            data = archive.extractfile(member)
            if data is not None:
                files[member.name.removeprefix("package/")] = data.read()
    return files


class UntilClosed(Protocol):
    def connectionLost(self, reason: Failure | None = None) -> None:
        reactor.stop()


def main(folder: Path) -> None:
    registry = NpmRegistry(reactor)
    for pack in sorted(folder.glob("*.tgz")):
        registry.publish(contents(pack))
    print(registry.listen(), flush=True)
    stdio.StandardIO(UntilClosed())
    reactor.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
