"""Stand-ins for the services that take notices, on loopback: HTTP for ntfy, webhooks, pings and browsers, and SMTP."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase


@define
class Services:
    """What arrived: path, headers and body of each request, and whole letters. Paths in `failing` answer 500."""

    requests: list[tuple[str, dict[str, str], bytes]] = field(factory=list)
    letters: list[str] = field(factory=list)
    logins: list[str] = field(factory=list)
    failing: set[str] = field(factory=set)
    web: int = 0
    mail: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.web}{path}"

    def bodies(self, path: str) -> list[Any]:
        """The JSON that arrived at a path."""
        return [json.loads(body) for at, _, body in self.requests if at == path]

    def titles(self, path: str) -> list[str]:
        return [body["title"] for body in self.bodies(path)]


def services(test: SynchronousTestCase) -> Services:
    """Running until the test ends."""
    made = Services()

    class Web(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(500 if self.path in made.failing else 201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            return

    class Mail(socketserver.StreamRequestHandler):
        """As much of RFC 5321 as a client needs."""

        def handle(self) -> None:
            self.wfile.write(b"220 mail.test\r\n")
            while line := self.rfile.readline():
                word = line.split()[0].upper() if line.split() else b""
                if word == b"EHLO":
                    self.wfile.write(b"250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n")
                elif word == b"AUTH":
                    made.logins.append(line.decode().strip())
                    self.wfile.write(b"235 ok\r\n")
                elif word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    letter = []
                    while (said := self.rfile.readline()) not in (b".\r\n", b""):
                        letter.append(said.decode())
                    made.letters.append("".join(letter))
                    self.wfile.write(b"250 ok\r\n")
                elif word == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 ok\r\n")

    web = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    mail = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    made.web, made.mail = web.server_address[1], mail.server_address[1]
    for server in (web, mail):
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        test.addCleanup(thread.join, 5)
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
    return made
