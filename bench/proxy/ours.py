"""Our front as in a complete hub: table, states, token guard, counters and access log. `python -m bench.proxy.ours
PORT MODULE_PORT [--modules N]`; `--bare-site` uses the stock twisted.web channel instead, to compare the hub's own
paths.
"""

import os
import sys
from typing import Any

from klein import Klein
from twisted.internet import reactor
from twisted.web.iweb import IRequest
from twisted.web.server import Site

from parachute_hub.proxy.access_log import AccessLog
from parachute_hub.proxy.connection_limits import descriptor_budget
from parachute_hub.proxy.front import Backend, Front
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.model import ModuleView
from parachute_hub.proxy.module_buffers import ModuleBuffers
from parachute_hub.proxy.poller import poller
from parachute_hub.proxy.routes import Mount, Table
from parachute_hub.system.logs import Masker


class AlwaysReady:
    """One running module."""

    def __init__(self, port: int) -> None:
        self._view = ModuleView("ready", port=port)

    def view(self, short: str) -> ModuleView:
        return self._view

    async def wake(self, short: str) -> bool:
        return True


def site() -> Site:
    """One page of the hub through Klein."""
    app = Klein()

    @app.route("/api/hello")
    def hello(request: IRequest) -> bytes:
        request.setHeader(b"content-type", b"application/json")
        return b'{"hello":"world"}'

    return Site(app.resource())


def front(port: int, module_port: int, modules: int) -> Front:
    """The front with all of its per-request work, and so many modules besides."""
    hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    mounts = (
        Mount(short="echo", prefix=b"/echo", port=module_port, strip=True, websocket=True),
        Mount(short="vault", prefix=b"/vault/default", port=module_port),
        Mount(short="notes", prefix=b"/notes", port=module_port),
        *(Mount(short=f"more{number}", prefix=b"/more/%d" % number, port=module_port) for number in range(modules)),
    )
    table = Table.build(mounts, hosts, f"http://127.0.0.1:{port}")
    log = AccessLog("combined", Masker(), open(os.devnull, "w").write)
    return Front(
        site=site(),
        backend=Backend(table=lambda: table, modules=AlwaysReady(module_port)),
        clock=reactor,
        connector=reactor,
        access_log=log,
        limits=Limits(descriptors=descriptor_budget()),
        attach=poller(reactor),
        buffered=ModuleBuffers().of,
    )


def main() -> None:
    """Serve until killed."""
    port, module_port = int(sys.argv[1]), int(sys.argv[2])
    bare = "--bare-site" in sys.argv
    modules = int(sys.argv[sys.argv.index("--modules") + 1]) if "--modules" in sys.argv else 0
    factory: Any = site() if bare else front(port, module_port, modules)
    listening: Any = reactor.listenTCP(port, factory, backlog=1024, interface="127.0.0.1")
    if not bare:
        factory.listening(listening)
    reactor.run()


if __name__ == "__main__":
    main()
