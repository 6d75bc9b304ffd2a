"""Twisted's own reverse proxy resource: `python -m bench.proxy.stock PORT MODULE`."""

import sys
from typing import Any

from twisted.internet import reactor
from twisted.web.proxy import ReverseProxyResource  # noqa: TID251
from twisted.web.resource import Resource
from twisted.web.server import Site


def main() -> None:
    """Serve until killed."""
    root = Resource()
    root.putChild(b"echo", ReverseProxyResource("127.0.0.1", int(sys.argv[2]), b"/echo"))
    site: Any = Site(root)
    reactor.listenTCP(int(sys.argv[1]), site, backlog=1024, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
