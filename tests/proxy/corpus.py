"""Requests for comparing parsers: about three hundred written by hand, and any number generated. Each is the bytes of
one connection. `CANARY` is a request that follows them: a parser that reads a body too short or too long sees it
elsewhere.
"""

import random
from collections.abc import Iterator
from pathlib import Path

HOST = "hub.test"
CANARY = f"GET /notes/canary HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()


def _raw(text: str) -> bytes:
    return text.encode("latin-1")


def _request(first: str = "POST /notes/a HTTP/1.1", *lines: str, body: str = "", host: bool = True) -> bytes:
    return _raw("\r\n".join([first, *([f"Host: {HOST}"] if host else []), *lines, "", ""]) + body)


def _pieces() -> dict[str, list[str]]:
    """The sections of corpus.txt."""
    sections: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("corpus.txt").read_text("ascii").split("\n"):
        if line.startswith("["):
            pieces = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            pieces.append(line.encode("ascii").decode("unicode_escape"))
    return sections


def by_hand() -> list[bytes]:
    """The requests written by hand, each followed by the canary."""
    pieces = _pieces()
    headers, chunks = pieces["header"], pieces["body"]
    requests = [_request(first) for first in pieces["first"]]
    requests += [_request(f"GET {path} HTTP/1.1") for path in pieces["path"]]
    requests += [_request("POST /notes/a HTTP/1.1", line, body="hello") for line in headers]
    requests += [_request("GET /notes/a HTTP/1.0", line, body="hello") for line in headers if "ength" in line]
    requests += [_request("POST /notes/a HTTP/1.1", line, body=chunks[0]) for line in headers if "ncoding" in line]
    requests += [_request("POST /notes/a HTTP/1.1", "Transfer-Encoding: chunked", body=body) for body in chunks]
    requests += [
        _request(host=False),
        _request("GET /notes/a HTTP/1.0", host=False),
        b"\r\n\r\n" + _request("GET /notes/a HTTP/1.1"),
        b"\n" + _request("GET /notes/a HTTP/1.1"),
        _request("GET /notes/a HTTP/1.1").replace(b"\r\n", b"\n"),
        _request("GET /notes/a HTTP/1.1").replace(b"\r\n", b"\r"),
        _request("GET /notes/a HTTP/1.1") * 3,
        b"",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    return [request + CANARY for request in requests]


def generated(count: int, seed: int) -> Iterator[bytes]:
    """Random mixtures of the same pieces, some with a changed byte; the same for the same seed."""
    chance = random.Random(seed)
    pieces = _pieces()
    bodies = ["", "hello", *pieces["body"]]
    for _ in range(count):
        first = (
            chance.choice(pieces["first"])
            if chance.random() < 0.2
            else f"POST {chance.choice(pieces['path'])} HTTP/1.1"
        )
        lines = chance.sample(pieces["header"], chance.choice((0, 1, 1, 2, 3)))
        raw = _request(first, *lines, body=chance.choice(bodies), host=chance.random() < 0.95)
        if chance.random() < 0.3:
            at = chance.randrange(len(raw))
            changed = chance.choice((b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b"0", b"", b"\x80"))
            raw = raw[:at] + changed + raw[at + chance.choice((0, 1)) :]
        yield raw + CANARY
