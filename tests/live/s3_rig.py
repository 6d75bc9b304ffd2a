"""A bucket on loopback: moto in server mode, and a proxy in front of it that misbehaves on demand.

moto checks names, and once `Bucket.guard` was called also keys, signatures and policies. It looks neither at the date
of a request nor at its region or the hash of its body, so the proxy does (Amazon S3 API Reference, "Error responses").
"""

import calendar
import hashlib
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode, urlsplit

from attrs import define, field, frozen
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.archive.leftovers import sign
from tests.live.harness import Reply, fetch
from tests.live.oauth_rig import python_environment
from tests.live.ports import free_port

PACKAGES = ("moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5")
BUCKET = "notes"
REGION = "us-east-1"
ALL = ("s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:GetObject", "s3:PutObject", "s3:DeleteObject",
       "s3:AbortMultipartUpload", "s3:ListBuckets")  # fmt: skip
"""What the policy in docs/backups.md allows."""
_USER = "hub"
_PLAIN = {"Content-Type": "application/octet-stream"}
# How far a request's date may be from the service's clock, in seconds.
_SKEW = 900
_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"})


@frozen
class Asked:
    """One request, as far as a fault looks at it."""

    method: str
    path: str

    @property
    def stores(self) -> bool:
        """Whether the answer tells the client that an object is there."""
        return (self.method == "PUT" and "uploadId=" not in self.path) or self.completes

    @property
    def completes(self) -> bool:
        return self.method == "POST" and "uploadId=" in self.path

    @property
    def reads(self) -> bool:
        return self.method == "GET" and "list-type" not in self.path


@frozen
class Fault:
    """What the proxy does with the requests that `when` chooses.

    `code` answers with an S3 error of `status`; `lie` claims success without asking the bucket; `cut` sends half the
    body; `reset` drops the connection; `spoil` changes a byte of what is sent; `delay` is in seconds; `pause` is called
    with the request and returns when it may go on. `times` bounds how often.
    """

    when: Callable[[Asked], bool] = lambda asked: True
    status: int = 0
    code: str = ""
    lie: bool = False
    cut: bool = False
    reset: bool = False
    spoil: bool = False
    delay: float = 0.0
    pause: Callable[[Asked], object] = lambda asked: None
    times: int | None = None


@define
class Bucket:
    """The bucket, `direct` for the test itself and `endpoint` for the hub: through the proxy.

    `ahead` is how far the service's clock is before this machine's, in seconds; `region` is where the bucket is.
    `key` is the access key with its secret.
    """

    direct: str
    endpoint: str = ""
    ahead: float = 0.0
    region: str = REGION
    key: tuple[str, str] = ("AKIDEXAMPLE", "s3-secret-of-the-owner")
    fault: Fault | None = None
    met: int = 0
    seen: list[Asked] = field(factory=list)
    _lock: Any = field(factory=threading.Lock)

    def told(self, **changes: Any) -> dict[str, Any]:
        """The destination in the words of the API."""
        told = {"kind": "s3", "endpoint": self.endpoint, "region": REGION, "bucket": BUCKET}
        return {**told, "prefix": "home", "key_id": self.key[0], "secret": self.key[1], **changes}

    def guard(self) -> None:
        """From now on the server takes only requests that are signed with `key`, a new one that may do everything."""
        self._iam("CreateUser", UserName=_USER)
        made = self._iam("CreateAccessKey", UserName=_USER)
        self.key = (_texts(made, "AccessKeyId")[0], _texts(made, "SecretAccessKey")[0])
        self.allow(*ALL)
        self.check_keys()

    def allow(self, *actions: str) -> None:
        """What the key may do from now on."""
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
        self._iam("PutUserPolicy", UserName=_USER, PolicyName="hub", PolicyDocument=json.dumps(policy))

    def withdraw(self) -> None:
        """Delete the key at the service."""
        self._iam("DeleteAccessKey", UserName=_USER, AccessKeyId=self.key[0])

    def check_keys(self, *, checked: bool = True) -> None:
        """Whether the server looks at keys at all."""
        count = b"0" if checked else b"inf"
        self._done(fetch(f"{self.direct}/moto-api/reset-auth", method="POST", body=count, headers=_PLAIN))

    def _iam(self, action: str, **words: str) -> str:
        """The administration of the service. It would want to be signed, too, so the check is off meanwhile."""
        self.check_keys(checked=False)
        body = urlencode({"Action": action, "Version": "2010-05-08", **words}).encode()
        scope = "Credential=admin/20261129/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=none"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}", "Content-Type": "application/x-www-form-urlencoded"}
        answer = self._done(fetch(f"{self.direct}/", method="POST", body=body, headers=headers))
        self.check_keys()
        return answer.body.decode()

    def _done(self, answer: Reply) -> Reply:
        if answer.status != 200:
            raise AssertionError(f"moto answered {answer.status}: {answer.body!r}")
        return answer

    def ask(
        self, method: str = "GET", key: str = "", *, direct: bool = True, late: float = 0.0, **changes: Any
    ) -> Reply:
        """A signed request without a body, past the proxy or through it; `late` is how old its date is, in seconds."""
        told = self.told(**changes)
        base = self.direct if direct else self.endpoint
        path = f"/{told['bucket']}" + (f"/{key}" if key else "")
        headers = sign(told, method, urlsplit(base).netloc, path, "", time.gmtime(time.time() - late))
        return fetch(base + path, method=method, headers=headers)

    def inject(self, fault: Fault | None) -> None:
        """From now on, this fault or none."""
        with self._lock:
            self.fault, self.met = fault, 0

    def next_fault(self, asked: Asked) -> Fault | None:
        with self._lock:
            self.seen.append(asked)
            fault = self.fault
            if fault is None or not fault.when(asked) or (fault.times is not None and self.met >= fault.times):
                return None
            self.met += 1
            return fault

    def get(self, query: str) -> str:
        """One question of the test, past the proxy."""
        words = query if "=" in query else f"{query}="
        headers = sign(self.told(), "GET", urlsplit(self.direct).netloc, f"/{BUCKET}", words, time.gmtime())
        return fetch(f"{self.direct}/{BUCKET}?{words}", headers=headers).body.decode()

    def read(self, key: str) -> bytes:
        """An object."""
        return self._done(fetch(f"{self.direct}/{BUCKET}/{key}")).body

    def replace(self, key: str, content: bytes) -> None:
        """Put other bytes in the place of an object; the server does not mind."""
        self._done(fetch(f"{self.direct}/{BUCKET}/{key}", method="PUT", body=content, headers=_PLAIN))

    def keys(self) -> list[str]:
        """Names of all objects."""
        return _texts(self.get("list-type=2"), "Key")

    def unfinished(self) -> list[str]:
        """Uploads that were begun and neither completed nor aborted: the owner pays for them."""
        return _texts(self.get("uploads"), "UploadId")


def code_of(answer: Reply) -> str:
    """S3's word for why it refused; empty if it did not."""
    return next(iter(_texts(answer.body.decode("utf-8", "replace"), "Code")), "")


def _texts(xml: str, tag: str) -> list[str]:
    return [part.partition(f"</{tag}>")[0] for part in xml.split(f"<{tag}>")[1:]]


def bucket(test: SynchronousTestCase) -> Bucket:
    """An empty bucket; the server and the proxy end with the test."""
    port = free_port()
    python = python_environment("moto", PACKAGES)
    process = subprocess.Popen(
        [str(python), "-m", "moto.server", "-p", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def end() -> None:
        process.kill()
        process.wait(10)

    test.addCleanup(end)
    made = Bucket(f"http://127.0.0.1:{port}")
    _make(made.direct, process)
    proxy = _Server(("127.0.0.1", 0), type("Bound", (_Proxy,), {"bucket": made}))
    proxy.daemon_threads = True
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()

    def close() -> None:
        proxy.shutdown()
        thread.join(10)
        proxy.server_close()

    test.addCleanup(close)
    made.endpoint = f"http://127.0.0.1:{proxy.server_address[1]}"
    return made


def _make(address: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    request = urllib.request.Request(f"{address}/{BUCKET}", b"", method="PUT")
    while True:
        try:
            urllib.request.urlopen(request, timeout=10).close()
            return
        except urllib.error.URLError:
            if time.monotonic() > end or process.poll() is not None:
                raise
            time.sleep(0.1)


class _Server(ThreadingHTTPServer):
    """Keeps quiet about clients that left, as killed workers do."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Proxy(BaseHTTPRequestHandler):
    """Passes requests on to the bucket, except those that meet a fault."""

    bucket: Bucket
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the output of tests clean."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.bucket.next_fault(Asked(self.command, self.path))
        if fault is not None and fault.spoil and body:
            body = body[:-1] + bytes((body[-1] ^ 1,))
        refused = self._refused(body)
        if refused is not None:
            self._refuse(*refused)
            return
        if fault is not None:
            time.sleep(fault.delay)
            fault.pause(Asked(self.command, self.path))
            if fault.reset:
                self._reset()
                return
            if fault.code:
                self._refuse(fault.status, fault.code)
                return
            if fault.lie:
                text = '<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>'
                self._answer(200, [("ETag", '"1"')], text.encode() if self.command == "POST" else b"")
                return
        status, headers, content = self._asked(body)
        self._answer(status, headers, content, cut=fault is not None and fault.cut)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def _refused(self, body: bytes) -> tuple[int, str] | None:
        """What S3 checks and moto does not: status and code of the refusal."""
        made = calendar.timegm(time.strptime(self.headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        if abs(time.time() + self.bucket.ahead - made) > _SKEW:
            return 403, "RequestTimeTooSkewed"
        scope = re.search("Credential=[^/]+/[0-9]+/([^/]+)/s3/", self.headers["Authorization"])
        if scope is None or scope[1] != self.bucket.region:
            return 400, "AuthorizationHeaderMalformed"
        signed = self.headers.get("x-amz-content-sha256", "")
        if re.fullmatch("[0-9a-f]{64}", signed) and hashlib.sha256(body).hexdigest() != signed:
            return 400, "XAmzContentSHA256Mismatch"
        return None

    def _refuse(self, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.</Message></Error>"
        self._answer(status, [("Content-Type", "application/xml")], text.encode())

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        place = urlsplit(self.bucket.direct)
        connection = HTTPConnection(str(place.hostname), place.port, timeout=60)
        try:
            kept = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            connection.request(self.command, self.path, body, kept)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RD)
        self.connection.close()
