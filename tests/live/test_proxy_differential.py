"""Our front compared with Debian's nginx: it may refuse more, but never sees other requests or routes differently."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import h11
from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.live.ports import free_port
from tests.proxy.corpus import by_hand, generated
from tests.proxy.seeing import Seen, by_us, is_part, owner
from tests.requirements import find, program, requires

reactor: Any = _reactor
# The whole comparison takes 20,000; the daily one less.
COUNT = int(os.environ.get("PARACHUTE_CORPUS", "400"))
ROUTES = ("/notes", "/vault/default", "/vault/work", "/vault/admin")

_LOCATION = """
location = {path} {{ proxy_pass http://127.0.0.1:{module}; proxy_set_header X-Route {path}; }}
location {path}/ {{ proxy_pass http://127.0.0.1:{module}; proxy_set_header X-Route {path}; }}
"""
_CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  client_header_timeout 1; client_body_timeout 1; keepalive_timeout 2; lingering_close off;
  proxy_http_version 1.1;
  server {{
    listen 127.0.0.1:{port}; server_name hub.test;
    location / {{ return 404; }}
    {locations}
  }}
}}
"""


class Module(Protocol):
    """Records what nginx forwards under the client's port."""

    def __init__(self, seen: dict[int, list[tuple[str, Seen]]]) -> None:
        self._seen = seen
        self._reader = h11.Connection(h11.SERVER)
        self._body = b""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self._reader.receive_data(data)
        try:
            while self._take(self._reader.next_event()):
                pass
        except h11.RemoteProtocolError:
            # What nginx lets through and h11 does not is no request that anyone agrees on.
            self.transport.loseConnection()

    def _take(self, event: Any) -> bool:
        """Whether more may follow."""
        if isinstance(event, h11.Request):
            self._request = event
        elif isinstance(event, h11.Data):
            self._body += bytes(event.data)
        else:
            if isinstance(event, h11.EndOfMessage):
                self._note()
            return False
        return True

    def _note(self) -> None:
        headers = dict(self._request.headers)
        seen = Seen(self._request.method, self._request.target, self._body)
        self._seen.setdefault(int(headers[b"x-client-port"]), []).append((headers[b"x-route"].decode(), seen))
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.transport.loseConnection()


class Client(Protocol):
    """Sends its bytes and waits until nginx closes."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.port = 0
        self.closed: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        here = self.transport.getHost()
        assert isinstance(here, IPv4Address), here
        self.port = here.port
        self.transport.write(self._raw)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed.callback(None)


class Ended(ProcessProtocol):
    """Fires when nginx has exited."""

    def __init__(self) -> None:
        self.gone: Deferred[None] = Deferred()

    def processEnded(self, reason: Failure) -> None:
        self.gone.callback(None)


@requires(program("nginx"))
class NginxTests(TestCase):
    timeout = 600

    async def start(self) -> int:
        """nginx in front of the recording module; its port."""
        self.seen: dict[int, list[tuple[str, Seen]]] = {}
        factory = Factory.forProtocol(lambda: Module(self.seen))
        listening = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(listening.stopListening)
        folder = Path(tempfile.mkdtemp(prefix="proxy-nginx-"))
        self.addCleanup(shutil.rmtree, folder)
        port = free_port()
        client_port = "proxy_set_header X-Client-Port $remote_port; proxy_set_header Connection close;"
        locations = "".join(_LOCATION.format(path=path, module=listening.getHost().port) for path in ROUTES)
        locations = locations.replace("proxy_set_header X-Route", f"{client_port} proxy_set_header X-Route")
        configuration = folder / "nginx.conf"
        configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, locations=locations))
        ended = Ended()
        process = reactor.spawnProcess(
            ended, find("nginx"), ["nginx", "-p", str(folder), "-c", str(configuration)], env={}
        )
        self.addCleanup(lambda: (process.signalProcess("KILL"), ended.gone)[1])
        await self.until_it_listens(port)
        return port

    async def until_it_listens(self, port: int) -> None:
        """nginx starts within milliseconds, on a loaded machine within seconds."""
        for _ in range(600):
            try:
                probe = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Client(b""))
            except ConnectError:
                await deferLater(reactor, 0.05)
                continue
            probe.transport.loseConnection()
            await probe.closed
            return
        self.fail("nginx does not listen")

    async def ask(self, port: int, raw: bytes) -> list[tuple[str, Seen]]:
        """What nginx forwards for these bytes, with each route."""
        client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Client(raw))
        await client.closed
        return self.seen.pop(client.port, [])

    async def test_same_requests_and_routes_as_nginx_or_fewer(self) -> None:
        port = await self.start()
        few = DeferredSemaphore(40)
        corpus = [*by_hand(), *generated(COUNT, seed=26)]
        answers = [few.run(self.ask, port, raw) for raw in corpus]
        passed = 0
        for raw, answer in zip(corpus, await gatherResults(answers), strict=True):
            passed += self.compare(raw, answer)
        self.assertGreater(passed, len(corpus) // 20, "most of the corpus says nothing")

    def compare(self, raw: bytes, theirs: list[tuple[str, Seen]]) -> int:
        """Compare one connection's bytes with nginx; how many requests we forward."""
        ours = by_us(raw)
        self.assertTrue(is_part(ours, [seen for _, seen in theirs]), (raw, ours, theirs))
        routes = {seen: route for route, seen in theirs}
        for seen in ours:
            self.assertEqual(owner(seen.target), routes[seen], raw)
        return len(ours)
