"""A vault's 403 tells a client which scope to ask for."""

import json

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.routes import Mount
from tests.support.sockets import HOST, Rig, get

MOUNTS = (Mount("notes", b"/notes", 2001), Mount("vault", b"/vault/default", 2002))
TOKEN = "Authorization: Bearer eyJhbGciOi.eyJzdWIi.c2ln"
SHARED = "Access-Control-Allow-Origin: *"
EXPOSED = "Access-Control-Expose-Headers: WWW-Authenticate"


def refusal(scope: str, kind: str = "insufficient_scope") -> bytes:
    """The body of a vault's 403."""
    return json.dumps({"error": "Forbidden", "error_type": kind, "required_scope": scope}).encode()


def challenge(verb: str) -> str:
    return (
        f'WWW-Authenticate: Bearer error="insufficient_scope", scope="vault:default:{verb}", '
        f'resource_metadata="https://{HOST}/.well-known/oauth-protected-resource/vault/default/mcp"'
    )


class DenialTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(MOUNTS)

    def lines(
        self,
        body: bytes,
        *more: str,
        path: str = "/vault/default/api/notes",
        method: str = "GET",
        asked: tuple[str, ...] = (TOKEN,),
        held: int = 0,
        status: str = "403 Forbidden",
    ) -> list[str]:
        """Header lines about challenges. The last `held` bytes of the body arrive too late."""
        client = self.rig.ask(get(path, *asked, method=method))
        head = [f"HTTP/1.1 {status}", "Content-Type: application/json", *more, f"Content-Length: {len(body)}", "", ""]
        self.rig.modules.newest.deliver(("\r\n".join(head)).encode() + body[: len(body) - held])
        sent = client.take().decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")[1:]
        client.hang_up()
        return [line for line in sent if line.startswith(("WWW-Authenticate", "Access-Control-Expose"))]

    def test_the_vault_says_what_it_needed(self) -> None:
        for scope, verb in (("vault:write", "write"), ("vault:read", "read"), ("vault:default:admin", "admin")):
            self.assertEqual(self.lines(refusal(scope)), [challenge(verb)], scope)

    def test_a_refusal_for_another_reason_is_left_alone(self) -> None:
        for body in (refusal("vault:write", "tag_scope"), refusal("vault:own"), b"[]", b"{", b""):
            self.assertEqual(self.lines(body), [], body)
        self.assertEqual(self.lines(refusal("vault:write"), status="401 Unauthorized"), [])

    def test_what_has_not_come_yet_is_guessed(self) -> None:
        for method, path, verb in (
            ("GET", "/api/notes?a=/tokens", "read"),
            ("POST", "/api/notes", "write"),
            ("DELETE", "/api/notes/1", "write"),
            ("GET", "/.parachute/config", "admin"),
            ("GET", "/.parachute/config/schema", "admin"),
            ("POST", "/tokens", "admin"),
            ("GET", "/tokens2", "read"),
        ):
            said = self.lines(refusal("vault:read"), path=f"/vault/default{path}", method=method, held=5)
            self.assertEqual(said, [challenge(verb)], path)

    def test_only_vaults_and_only_our_tokens(self) -> None:
        body = refusal("vault:write")
        self.assertEqual(self.lines(body, path="/notes/x"), [])
        for path in ("/vault/admin/x", "/mcp"):
            self.assertEqual(self.lines(body, path=path), [], path)
        self.assertEqual(self.lines(body, asked=()), [])
        self.assertEqual(self.lines(body, asked=("Authorization: Bearer pvt_abc",)), [])

    def test_a_challenge_of_the_vaults_own_stays(self) -> None:
        own = 'WWW-Authenticate: Bearer error="insufficient_scope", scope="vault:default:admin"'
        self.assertEqual(self.lines(refusal("vault:write"), own), [own])

    def test_a_client_in_a_browser_can_read_it(self) -> None:
        body = refusal("vault:write")
        self.assertEqual(self.lines(body, SHARED), [challenge("write"), EXPOSED])
        self.assertEqual(self.lines(body, SHARED, EXPOSED), [EXPOSED, challenge("write")])
        said = self.lines(body, SHARED, path="/vault/default/mcp")
        self.assertEqual(said, ["Access-Control-Expose-Headers: Mcp-Session-Id, WWW-Authenticate", challenge("write")])
