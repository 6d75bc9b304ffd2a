"""A module's server-sent events through the front and a real nginx with default settings arrive immediately."""

import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.edges import wait_for
from tests.live.harness import PATIENCE, ROOT
from tests.live.ports import free_port
from tests.requirements import find, program, requires

_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{front}; {more} }} }}
}}
"""


class Module(ThreadingHTTPServer):
    """Sends one event, and the next when `go_on` is set."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.go_on = threading.Event()
        super().__init__(("127.0.0.1", port), Events)


class Events(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Module

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"d\r\ndata: first\n\n\r\n")
        self.wfile.flush()
        self.server.go_on.wait(PATIENCE)
        self.wfile.write(b"e\r\ndata: second\n\n\r\n0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None: ...


class EventTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.module = Module(free_port())
        threading.Thread(target=self.module.serve_forever, daemon=True).start()
        self.addCleanup(self.module.server_close)
        self.addCleanup(self.module.shutdown)
        self.addCleanup(self.module.go_on.set)
        self.front = free_port()
        self.start(
            [sys.executable, "-m", "bench.proxy.ours", str(self.front), str(self.module.server_port)], self.front
        )

    def start(self, words: list[str], port: int) -> None:
        log = self.folder / f"{port}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.terminate)
        wait_for(port, process, log)

    def first_of_two(self, more: str) -> None:
        """The first event arrives while the module holds back the second."""
        port, config = free_port(), self.folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=self.folder, port=port, front=self.front, more=more))
        nginx = find("nginx")
        assert nginx is not None
        self.start([nginx, "-c", str(config), "-e", str(self.folder / "error.log")], port)
        self.module.go_on.clear()
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            client.sendall(b"GET /echo/events HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n\r\n")
            taken = b""
            while b"data: first" not in taken:
                piece = client.recv(65536)
                self.assertTrue(piece, taken)
                taken += piece
            self.assertNotIn(b"data: second", taken)
            self.module.go_on.set()
            while piece := client.recv(65536):
                taken += piece
        self.assertIn(b"data: second", taken)

    @requires(program("nginx"))
    def test_behind_nginx_as_it_is(self) -> None:
        self.first_of_two("")

    @requires(program("nginx"))
    def test_behind_nginx_that_speaks_http_1_1(self) -> None:
        self.first_of_two("proxy_http_version 1.1;")
