"""Requests a resource without a socket: through the real front, over an in-memory transport."""

import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource

from tests.support.sockets import HOST, Rig

ADDRESS = "192.0.2.1"
HOP = "10.0.0.1"


@frozen
class Answer:
    """Status, headers with duplicates, and the body as sent."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The only or the last value of a header."""
        values = self.headers.getRawHeaders(name)
        return values[-1] if values else None

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def ask(
    resource: IResource,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    address: str = ADDRESS,
    https: bool = False,
) -> Answer:
    """One request to `resource` as the root of the hub's site, which must answer without waiting. The client is at
    `address`, with `https` behind one trusted proxy that terminates TLS.
    """
    rig = Rig((), resource=resource, hops=1 if https else 0)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if https:
        lines += [f"X-Forwarded-For: {address}", "X-Forwarded-Proto: https"]
    client = rig.ask("\r\n".join([*lines, "", ""]).encode() + body, HOP if https else address)
    raw = client.take()
    if not raw:
        raise AssertionError(f"{method} {path} was not answered at once")
    client.hang_up()
    rig.stop()
    head, _, content = raw.partition(b"\r\n\r\n")
    first, *rest = head.split(b"\r\n")
    answered = Headers()
    for line in rest:
        name, _, value = line.partition(b":")
        answered.addRawHeader(name, value.strip())
    if answered.getRawHeaders("transfer-encoding") == ["chunked"]:
        content = _dechunk(content)
    return Answer(int(first.split()[1]), answered, content)


def _dechunk(content: bytes) -> bytes:
    whole = b""
    while content:
        size, _, content = content.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            break
        whole, content = whole + content[:length], content[length + 2 :]
    return whole
