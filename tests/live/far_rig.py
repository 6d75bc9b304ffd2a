"""An HTTPS server on this machine that stands for a module on another one, and behaves as a test wants."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from tests.live.ports import free_port

Behave = Callable[[socket.socket, bytes], None]
_BEGIN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def certificate(folder: Path, name: str, *hosts: str) -> Path:
    """A self-signed certificate for these hosts, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_BEGIN + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


def public_part(path: Path) -> str:
    """The certificate alone, as PEM."""
    mark = "-----BEGIN CERTIFICATE-----"
    return mark + path.read_text().partition(mark)[2]


def answer(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    """A whole answer."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines, "", ""])
    return head.encode() + body


@define
class FarServer:
    """Answers each request by `behave`, which gets the connection and the head. `heads` are the requests so far."""

    pem: Path
    behave: Behave = field(default=lambda client, head: client.sendall(answer(b"far away")))
    port: int = field(factory=free_port)
    heads: list[bytes] = field(factory=list)
    _listener: socket.socket | None = None
    _clients: list[socket.socket] = field(factory=list)

    def start(self, case: SynchronousTestCase) -> "FarServer":
        """Listen until the test ends."""
        self._listener = listener = socket.create_server(("127.0.0.1", self.port))
        case.addCleanup(self.stop)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Cut every connection, and listen no more."""
        listener, self._listener = self._listener, None
        for open_one in (listener, *self._clients) if listener is not None else self._clients:
            with contextlib.suppress(OSError):
                open_one.shutdown(socket.SHUT_RDWR)
            open_one.close()
        self._clients.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem)
        self._clients.append(raw)
        try:
            client = context.wrap_socket(raw, server_side=True)
            self._clients.append(client)
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = client.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                self.heads.append(head)
                if head.split(b" ", 2)[1] in (b"/hello/health", b"/health"):
                    client.sendall(answer(b"ok"))
                else:
                    self.behave(client, head)
        except OSError:
            raw.close()
