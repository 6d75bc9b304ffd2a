"""Requests to a running hub that no careful client would send, and what the hub must not do about them."""

import json
import socket
from collections import Counter
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psutil
from attrs import field, frozen
from hypothesis import strategies as st

from parachute_hub.site.route_table import ROWS
from tests.live.harness import PATIENCE, HubProcess

_ODD = (
    *("", " ", "0", "-1", "null", "true", "[]", "{}", "a" * 300, "é", "\u202e", "\x00", "\n", "%", "%00", "%ff"),
    *("..", "../..", "<script>", "'--", '"', "\U0010ffff", "=", "&", "1e999", "NaN", "javascript:alert(1)"),
    *("https://a.test/cb", "http://127.0.0.1/cb", "vault:default:read"),
)
TEXT = st.one_of(st.sampled_from(_ODD), st.text(max_size=30), st.text(alphabet=st.characters(max_codepoint=255)))
NAMES = st.sampled_from(
    """__action __csrf action allow allow_downgrade allow_new approve assigned_vaults autostart bootstrap_token channel
    client_id client_name client_secret code code_challenge code_challenge_method code_verifier current_password
    decision device_code env exposure expires_in expose_mode first_vault grant_type grant_types granted_scope
    host hub_origin id jti key kind max_uses memory_limit mode module modules name new_password next operation
    package password permissions pin prompt redirect_uri redirect_uris refresh_token resource response_type
    restore_data return_to role scope scope_set session source state subject time ticket token
    token_endpoint_auth_method trusted user_code username vault vault_name vault_pick vaults verb version way""".split()
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(TEXT, st.none(), st.booleans(), st.integers(), st.integers(-(2**80), 2**80), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(NAMES, TEXT), inner, max_size=4)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.one_of(NAMES, TEXT), VALUES, max_size=6)
JSON = st.one_of(OBJECTS, OBJECTS, VALUES).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
PAIRS = st.lists(st.tuples(st.one_of(NAMES, TEXT), TEXT), max_size=8)
_BROKEN = (b"[" * 5000, b'{"a":' * 2000, b"\xff\xfe", b"{", b'"\\ud800"')
BYTES = st.one_of(st.binary(max_size=40), st.sampled_from(_BROKEN))
JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"
TYPES = st.sampled_from((JSON_TYPE, FORM_TYPE, "multipart/form-data; boundary=x", "text/plain", "", "\xff"))
# Values of headers, one byte a letter: what is no letter of ASCII need not be UTF-8.
_CREDENTIALS = (
    "Bearer",
    "Bearer ",
    "Basic !",
    "Basic OjpfOg==",
    "Bearer a.b.c",
    "Bearer eyJ.eyJ.\xff",
    "\xff",
    "a=\xff",
)
HEADER = st.one_of(
    st.sampled_from(_CREDENTIALS), st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=255), max_size=40)
)
HEADERS = st.dictionaries(
    st.sampled_from(
        """Authorization Accept Cookie Origin Referer X-Parachute-CSRF X-Parachute-Proof X-Parachute-Key X-API-Key
        Last-Event-ID If-None-Match Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-Dest User-Agent X-Forwarded-Proto
        Service-Worker""".split()
    ),
    HEADER,
    max_size=4,
)
# Safe to try with every right: they neither reach out nor take the right away.
_KEEPS = ("install", "upgrade", "rotate", "hub-origin", "adopt", "/logout", "/api/account/sessions", "backups")
ROUTES = tuple(sorted({(row.method, row.rule) for row in ROWS}))
GENTLE = tuple(route for route in ROUTES if not any(word in route[1] for word in _KEEPS))


@frozen
class Request:
    """One request. `address` is where it is said to come from."""

    method: str
    path: str
    body: bytes = field(repr=lambda body: repr(body[:200]))
    headers: Mapping[str, str]
    address: int = 0


class FuzzedHub:
    """A hub behind one trusted hop, so that each request may come from another network."""

    def __init__(self, running: HubProcess) -> None:
        self.running = running
        self.asked = 0
        self.answers: Counter[int] = Counter()
        assert running.process is not None
        self._process = psutil.Process(running.process.pid)
        self._connection = HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)

    def ask(self, request: Request) -> tuple[int, bytes]:
        """Status and body. A connection that the hub closes counts as status 0."""
        self.asked += 1
        connection = self._connection
        try:
            connection.putrequest(request.method, request.path, skip_accept_encoding=True)
            connection.putheader("Content-Length", str(len(request.body)))
            connection.putheader("X-Forwarded-For", f"198.{18 + request.address % 2}.{request.address // 2 % 256}.7")
            for name, value in request.headers.items():
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(request.body)
            answer = connection.getresponse()
            self.answers[answer.status] += 1
            return answer.status, answer.read()
        except (TimeoutError, HTTPException, ConnectionError) as error:
            connection.close()
            if isinstance(error, socket.timeout):
                raise AssertionError(f"no answer to {request}") from error
            return 0, b""

    def check(self, request: Request) -> None:
        """No server error but those that say what to do, and nothing of the program in the answer."""
        status, body = self.ask(request)
        assert status < 500 or status in (502, 503, 507), (request, status, body[:300])
        assert b"Traceback" not in body and b"internal_error" not in body, (request, body[:300])

    @property
    def memory(self) -> int:
        """Resident bytes of the hub itself."""
        return int(self._process.memory_info().rss)

    @property
    def disk(self) -> int:
        """Bytes of everything in its home."""
        return sum(path.stat().st_size for path in Path(self.running.home).rglob("*") if path.is_file())

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()
