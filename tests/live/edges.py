"""TLS proxies in front of a hub (nginx and Caddy from Debian), and a browser with https rules."""

import json
import re
import socket
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from OpenSSL.crypto import FILETYPE_PEM
from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import PATIENCE
from tests.live.ports import free_port
from tests.live.test_oauth_fetch import certificate
from tests.requirements import find

NAME = "hub.example.com"
ORIGIN = f"https://{NAME}"

_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{plain};
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/key.pem;
    location / {{
      proxy_pass http://127.0.0.1:{hub}; proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""
_CADDY = """
{{
  admin off
  auto_https off
  storage file_system {folder}/storage
}}
https://{name}:{tls} {{
  bind 127.0.0.1
  tls {folder}/chain.pem {folder}/key.pem
  reverse_proxy 127.0.0.1:{hub}
}}
http://{name}:{plain} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{hub}
}}
"""


@frozen
class Edge:
    """A proxy that terminates TLS on the port `tls` and accepts http on the port `plain`."""

    name: str
    tls: int
    plain: int
    trust: ssl.SSLContext


def nginx(test: SynchronousTestCase, hub: int) -> Edge:
    """nginx in front of the hub, with the three header lines from its documentation."""
    return _edge(test, "nginx", hub, _NGINX, lambda path: ["-c", str(path), "-e", str(path.with_name("error.log"))])


def caddy(test: SynchronousTestCase, hub: int) -> Edge:
    """Caddy in front of the hub, with its defaults."""
    return _edge(test, "caddy", hub, _CADDY, lambda path: ["run", "--adapter", "caddyfile", "--config", str(path)])


def _edge(test: SynchronousTestCase, program: str, hub: int, config: str, words: Callable[[Path], list[str]]) -> Edge:
    found = find(program)
    assert found is not None, program
    folder = Path(test.mktemp()).absolute()
    folder.mkdir(parents=True)
    trust = _certificate(folder)
    edge = Edge(program, free_port(), free_port(), trust)
    path = folder / "config"
    path.write_text(config.format(folder=folder, name=NAME, hub=hub, tls=edge.tls, plain=edge.plain))
    environment = {"PATH": "/usr/bin", **dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))}
    log = folder / "said.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [found, *words(path)], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
        )

    def end() -> None:
        process.terminate()
        process.wait(10)

    test.addCleanup(end)
    for port in (edge.tls, edge.plain):
        wait_for(port, process, log)
    return edge


def wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until a new program listens; errors include its log."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}:\n{log.read_text()}")


def _certificate(folder: Path) -> ssl.SSLContext:
    """A self-signed certificate for the hub's name, as files, and a context that trusts it."""
    made = certificate(NAME)
    (folder / "chain.pem").write_bytes(made.dumpPEM())
    (folder / "key.pem").write_bytes(made.privateKey.dump(FILETYPE_PEM))
    return ssl.create_default_context(cafile=str(folder / "chain.pem"))


@frozen
class Page:
    """A response with every header line."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    def header(self, name: str) -> str | None:
        """The only value of a header."""
        values = self.all(name)
        assert len(values) < 2, (name, values)
        return values[0] if values else None

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def token(self) -> str:
        """The CSRF token of the form on the page."""
        found = re.search(r'name="__csrf"[^>]*value="([^"]+)"', self.body)
        assert found is not None, self.body
        return found[1]


@define
class Browser:
    """Keeps cookies as a browser on https does and notes every page. It speaks TLS to `port` when `trust` is given.

    `headers` are sent with each request: what a platform's edge would add, or what a stranger claims.
    """

    port: int
    trust: ssl.SSLContext | None = None
    headers: Mapping[str, str] = field(factory=dict)
    origin: str = ORIGIN
    key: str = ""
    cookies: dict[str, str] = field(factory=dict)
    pages: list[tuple[str, Page]] = field(factory=list)

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Page:
        """One request on a connection of its own."""
        sent = {"Host": NAME, "Accept": "text/html", **self.headers, **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.connect()
            if self.trust is not None:
                connection.sock = self.trust.wrap_socket(connection.sock, server_hostname=NAME)
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            page = Page(answer.status, tuple(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()
        self.pages.append((f"{method} {path}", page))
        for line in page.all("set-cookie"):
            name, _, rest = line.partition("=")
            if value := rest.partition(";")[0]:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return page

    def get(self, path: str) -> Page:
        """Open a page."""
        return self.ask("GET", path, headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"})

    def get_json(self, path: str) -> Any:
        """Read JSON."""
        return self.ask("GET", path, headers={"Accept": "application/json"}).json()

    def post(self, path: str, form: Any) -> Page:
        """Submit a form of a hub page."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Mode": "navigate"}
        own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document", "Origin": self.origin}
        pairs = [*form.items()] if isinstance(form, Mapping) else [*form]
        kept = [("__key", self.key)] if self.key else []
        page = self.ask("POST", path, urllib.parse.urlencode([*pairs, *kept], doseq=True).encode(), {**sent, **own})
        place = urllib.parse.urlsplit(page.header("location") or "")
        # What the script of the page after signing in does.
        self.key = place.fragment if place.path == "/login/key" else self.key
        return page

    def call(self, method: str, path: str, body: Any, **headers: str) -> Page:
        """Call an API as a hub page does."""
        own = {"Content-Type": "application/json", "Accept": "application/json", "Sec-Fetch-Site": "same-origin"}
        own |= {"X-Parachute-Key": self.key} if self.key else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(method, path, json.dumps(body).encode(), {**own, "Origin": self.origin, **named})
