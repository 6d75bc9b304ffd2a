"""Vaults without room: what is refused, what still works, and what an assistant reads."""

import json
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.model import ModuleView
from parachute_hub.proxy.routes import ErrorResponse, Mount
from parachute_hub.proxy.vault_writes import MESSAGE_LIMIT, Ended
from tests.support.sockets import FakeSocket, Rig, get, ok

KEY = "Authorization: Bearer pvt_x"
TEXT = "The vault kim has no room for this."


@define
class Room:
    """Room for so many bytes in every vault."""

    left: int = 0
    reserved: list[tuple[str, int]] = field(factory=list)
    ended: list[bool] = field(factory=list)

    def refusal(self, vault: str, adding: int | None) -> ErrorResponse | None:
        if adding is None:
            return ErrorResponse(411, "length_required", "How large is it?", close=True)
        return ErrorResponse(507, "no_room", TEXT) if max(1, adding) > self.left else None

    def reserve(self, vault: str, adding: int) -> Ended:
        self.reserved.append((vault, adding))
        return self.ended.append


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.room = Room()
        self.rig = Rig((Mount("vault", b"/vault/kim", 2001), Mount("notes", b"/notes", 2002)), room=self.room)
        self.addCleanup(self.rig.stop)

    def passes(self, method: str, path: str, body: bytes = b"", *lines: str) -> bool:
        """Whether the module got the request."""
        before = len(self.rig.modules.sockets)
        length = [f"Content-Length: {len(body)}"] if body else []
        self.client = self.rig.ask(get(path, *length, *lines, method=method) + body)
        return len(self.rig.modules.sockets) > before


class RestTests(Case):
    def test_reading_and_deleting_work_where_nothing_fits(self) -> None:
        for method, path, works in (
            ("GET", "/vault/kim/api/notes", True),
            ("HEAD", "/vault/kim/api/notes", True),
            ("OPTIONS", "/vault/kim/api/notes", True),
            ("DELETE", "/vault/kim/api/notes/1", True),
            ("DELETE", "/vault/kim/api/trash", True),
            ("POST", "/vault/kim/api/trash/1/restore", True),
            ("POST", "/vault/kim/api/transcribe", True),
            ("POST", "/vault/kim/api/notes", False),
            ("POST", "/vault/kim/%61pi/notes", False),
            ("POST", "/vault/kim/api/trashed", False),
            ("POST", "/vault/kim/api/trash/../notes", False),
            ("POST", "/vault/kim/api/trash/%2e%2e/notes", False),
            ("POST", "/vault/kim/api/trash/x/../../attachments", False),
            ("POST", "/vault/kim/api/trash//..\\notes", False),
            ("PATCH", "/vault/kim/api/transcribe/../notes/1", False),
            ("PATCH", "/vault/kim/api/notes/1", False),
            ("PUT", "/vault/kim/api/notes/1", False),
            ("POST", "/notes/", True),
        ):
            self.assertEqual(
                self.passes(method, path, b"x" if method in ("POST", "PATCH", "PUT") else b"", KEY),
                works,
                (method, path),
            )
            self.assertEqual(b" 507 " in self.client.take(), not works, (method, path))

    def test_the_refusal_says_why_in_json(self) -> None:
        self.passes("POST", "/vault/kim/api/notes", b"x", KEY)
        answer = json.loads(self.client.take().partition(b"\r\n\r\n")[2])
        self.assertEqual((answer["error"], answer["error_description"]), ("no_room", TEXT))

    def test_a_stranger_hears_nothing_of_the_room(self) -> None:
        """The vault refuses whoever has no credential."""
        self.assertTrue(self.passes("POST", "/vault/kim/api/notes", b"x"))

    def test_a_key_in_the_query_is_a_credential(self) -> None:
        for query in ("key=pvt_x", "k%65y=pvt_x"):
            self.assertFalse(self.passes("POST", f"/vault/kim/api/notes?{query}", b"x"), query)

    def test_a_stranger_takes_no_room(self) -> None:
        """A head alone would make the vault look full."""
        self.room.left = 1 << 60
        for method in ("POST", "DELETE"):
            self.rig.ask(get("/vault/kim/api/notes", "Content-Length: 1099511627776", method=method))
        self.assertEqual((len(self.rig.modules.sockets), self.room.reserved), (2, []))

    def test_room_is_held_until_the_exchange_ends(self) -> None:
        """And given back unless the vault stored it, whoever ends it."""
        self.room.left = 100
        answers: list[tuple[bytes | None, bool]] = [
            (ok(b"{}"), True),
            (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", False),
            (None, False),
        ]
        for answer, stored in answers:
            self.room.ended.clear()
            self.passes("POST", "/vault/kim/api/notes", b"12345", KEY)
            self.assertEqual((self.room.reserved[-1], self.room.ended), (("kim", 5), []))
            if answer is None:
                self.client.hang_up()
            else:
                self.rig.modules.newest.deliver(answer)
            self.assertEqual(self.room.ended, [stored], answer)

    def test_nothing_is_held_for_what_is_not_passed_on(self) -> None:
        self.room.left = 100
        self.rig.modules.views["vault"] = ModuleView("stopped")
        self.assertFalse(self.passes("POST", "/vault/kim/api/notes", b"12345", KEY))
        self.assertEqual(self.room.reserved, [])

    def test_what_does_not_say_its_size_is_refused(self) -> None:
        self.room.left = 1 << 60
        self.assertFalse(self.passes("POST", "/vault/kim/api/notes", b"", KEY, "Transfer-Encoding: chunked"))
        self.assertIn(b" 411 ", self.client.take())
        self.assertTrue(self.passes("DELETE", "/vault/kim/api/notes/1", b"", KEY, "Transfer-Encoding: chunked"))
        self.assertTrue(self.passes("POST", "/vault/kim/mcp", b"", KEY, "Transfer-Encoding: chunked"))
        self.assertEqual(self.room.reserved, [("kim", 0), ("kim", MESSAGE_LIMIT)])

    def test_what_is_announced_must_fit(self) -> None:
        self.room.left = 5
        self.assertTrue(self.passes("POST", "/vault/kim/api/notes", b"12345", KEY))
        self.assertFalse(self.passes("POST", "/vault/kim/api/notes", b"123456", KEY))
        self.passes("DELETE", "/vault/kim/api/notes/1", b"", KEY)
        self.passes("GET", "/vault/kim/api/notes", b"", KEY)
        self.assertEqual(self.room.reserved, [("kim", 5), ("kim", 0)])


def call(name: object, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": name, "arguments": {}}, **more}


class AssistantTests(Case):
    def post(self, message: object, path: str = "/vault/kim/mcp") -> bool:
        return self.passes("POST", path, message if isinstance(message, bytes) else json.dumps(message).encode(), KEY)

    def test_only_what_adds_is_refused(self) -> None:
        for message, works in (
            ({"jsonrpc": "2.0", "id": 1, "method": "initialize"}, True),
            ({"jsonrpc": "2.0", "method": "notifications/initialized"}, True),
            ({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, True),
            (call("query-notes"), True),
            (call("list-tags"), True),
            (call("find-path"), True),
            (call("synthesize-notes"), True),
            (call("vault-info"), True),
            (call("delete-note"), True),
            (call("note-history"), True),
            (call("create-note"), False),
            (call("update-note"), False),
            (call("update-tag"), False),
            (call("something-new"), False),
            (call(None), False),
            ([call("query-notes"), call("create-note")], False),
            ([call("query-notes")], True),
            (b"not json", False),
            (b'{"method":"ping","method":"tools/call"}', False),
            (b"", False),
        ):
            self.assertEqual(self.post(message), works, message)

    def test_the_message_arrives_as_it_was_sent(self) -> None:
        """Whole with its head, or in pieces."""
        body = json.dumps(call("query-notes")).encode()
        request = get("/vault/kim/mcp", f"Content-Length: {len(body)}", KEY, method="POST") + body
        for pieces in ([request], [request[:-9], request[-9:-3], request[-3:]]):
            client = self.rig.client()
            for piece in pieces:
                client.deliver(piece)
            module = self.rig.modules.newest
            head, _, got = module.take().partition(b"\r\n\r\n")
            self.assertEqual((head.split(b"\r\n")[0], got), (b"POST /vault/kim/mcp HTTP/1.1", body))
            module.deliver(ok(b"{}"))
            self.assertIn(b"200 OK", client.take())
            self.assertTrue(client.connected)

    def test_a_message_waits_for_a_module_that_fell_asleep_meanwhile(self) -> None:
        """Between its head and its last byte, in which nobody seemed to use the module. Or that sleeps all along."""
        body, views = json.dumps(call("query-notes")).encode(), self.rig.modules.views
        request = get("/vault/kim/mcp", f"Content-Length: {len(body)}", KEY, method="POST") + body
        awake, asleep = ModuleView("ready", port=2001), ModuleView("asleep", "Nobody used it.", wakes=True)
        for before in (awake, asleep):
            views["vault"] = before
            client = self.rig.client()
            client.deliver(request[:-9])
            views["vault"] = asleep
            sockets = len(self.rig.modules.sockets)
            client.deliver(request[-9:])
            self.assertEqual((len(self.rig.modules.sockets), client.take()), (sockets, b""))
            views["vault"] = awake
            self.rig.modules.waking.pop().callback(True)
            module = self.rig.modules.newest
            self.assertEqual(module.take().partition(b"\r\n\r\n")[2], body)
            module.deliver(ok(b"{}"))
            self.assertIn(b"200 OK", client.take())

    def test_a_message_for_a_module_that_stopped_meanwhile_is_told_so(self) -> None:
        client = self.sends(b"[]", 3)
        self.rig.modules.views["vault"] = ModuleView("stopped", "You stopped it.")
        client.deliver(b" ")
        self.assertIn(b"You stopped it.", client.take())
        self.assertEqual((self.rig.modules.sockets, self.rig.modules.waking), ([], []))

    def test_a_chunked_message_is_read_too(self) -> None:
        for name, works in (("query-notes", True), ("create-note", False)):
            body = json.dumps(call(name)).encode()
            before = len(self.rig.modules.sockets)
            self.rig.ask(
                get("/vault/kim/mcp", "Transfer-Encoding: chunked", KEY, method="POST")
                + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            )
            self.assertEqual(len(self.rig.modules.sockets) > before, works, name)

    def test_the_assistant_reads_the_reason_as_the_tools_result(self) -> None:
        for path in ("/vault/kim/mcp", "/vault/kim"):
            self.post(call("create-note"), path)
            head, _, body = self.client.take().partition(b"\r\n\r\n")
            self.assertIn(b" 200 ", head.split(b"\r\n")[0])
            answer = json.loads(body)
            self.assertEqual((answer["id"], answer["result"]["isError"]), (7, True))
            self.assertEqual(answer["result"]["content"], [{"type": "text", "text": TEXT}])
            self.assertEqual(sorted(answer), ["id", "jsonrpc", "result"])
            self.assertTrue(self.client.connected)

    def test_a_long_message_is_not_held(self) -> None:
        client = self.sends(b"x" * (MESSAGE_LIMIT + 1), MESSAGE_LIMIT + 100)
        self.assertIn(b" 507 ", client.take())
        self.assertEqual(self.rig.modules.sockets, [])

    def test_a_client_that_leaves_is_forgotten(self) -> None:
        client = self.sends(b"{", 100)
        client.hang_up()
        self.assertEqual((self.rig.front.connections, self.rig.modules.sockets), (0, []))

    def sends(self, body: bytes, length: int) -> FakeSocket:
        return self.rig.ask(get("/vault/kim/mcp", f"Content-Length: {length}", KEY, method="POST") + body)

    def test_where_there_is_room_nothing_is_held(self) -> None:
        self.room.left = 1000
        self.sends(b"{", 100)
        self.assertIn(b"POST /vault/kim/mcp", self.rig.modules.newest.take())
