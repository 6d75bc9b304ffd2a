"""A plan is reused only for the same bytes, and never replaces checks of what may have changed."""

from functools import partial

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.head import BadMessage
from parachute_hub.proxy.model import ModuleView
from parachute_hub.proxy.plan import ModuleRequest, Planner
from parachute_hub.proxy.routes import ErrorResponse, Mount, Table
from tests.support.sockets import HOST, Rig, get, ok

NOTES = Mount("notes", b"/notes", 2001)
TABLE = Table.build((NOTES,), (HOST,), f"https://{HOST}")
RAW = f"GET /notes/a HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: one".encode()
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"


class PlannerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.planner = Planner(hops=0, target_bytes=100)

    def planned(self, raw: bytes = RAW, peer: str = "192.0.2.1", table: Table = TABLE) -> ModuleRequest:
        """The request to a module for this head."""
        decision = self.planner.plan(table, peer, raw).decision
        assert isinstance(decision, ModuleRequest)
        return decision

    def test_the_same_words_are_planned_once(self) -> None:
        self.assertIs(self.planned(), self.planned(bytes(bytearray(RAW))))

    def test_other_words_are_other_requests(self) -> None:
        first = self.planned()
        self.assertEqual(self.planned(RAW + b"s").request.noted[b"user-agent"], b" ones")
        self.assertIs(self.planned(), first)

    def test_the_same_lines_are_read_once_whatever_is_asked(self) -> None:
        first, second = self.planned(), self.planned(RAW.replace(b"/a", b"/b"))
        self.assertIs(first.request.fields, second.request.fields)
        self.assertIn(b"GET /notes/b HTTP/1.1\r\nUser-Agent: one\r\nHost: 127.0.0.1:2001\r\n", second.head)
        older = self.planned(RAW.replace(b"HTTP/1.1", b"HTTP/1.0")).request
        self.assertEqual((first.request.close, older.close), (False, True))

    def test_another_address_is_another_caller(self) -> None:
        self.planned()
        self.assertIn(b"X-Forwarded-For: 192.0.2.2\r\n", self.planned(peer="192.0.2.2").head)

    def test_another_table_may_lead_elsewhere(self) -> None:
        self.planned()
        moved = Table.build((Mount("notes", b"/notes", 2009),), (HOST,), f"https://{HOST}")
        self.assertEqual(self.planned(table=moved).mount.port, 2009)
        self.assertEqual(self.planned().mount.port, 2001)

    def test_what_hops_say_counts_each_time(self) -> None:
        self.planner = Planner(hops=1, target_bytes=100)
        for address in (b"198.51.100.1", b"198.51.100.2"):
            passage = self.planned(RAW + b"\r\nX-Forwarded-For: " + address)
            self.assertEqual(passage.caller.address, address.decode())
        self.assertEqual(self.planned().caller.address, "192.0.2.1")

    def test_little_is_remembered_and_not_for_long(self) -> None:
        first = self.planned()
        for number in range(300):
            self.planned(RAW + b"%d" % number)
        self.assertIsNot(self.planned(), first)
        large = RAW + b"x" * 5000
        self.assertIsNot(self.planned(large), self.planned(large))
        first = self.planned()
        self.planner.forget()
        again = self.planned()
        self.assertIsNot(again, first)
        for before, now in zip(first.request.fields, again.request.fields, strict=True):
            self.assertEqual(before, now)
            self.assertIsNot(before, now)

    def test_what_is_refused_is_refused_again(self) -> None:
        for _ in range(2):
            self.assertRaises(BadMessage, self.planner.plan, TABLE, "192.0.2.1", b"GET /notes/a HTTP/1.1")
            long = RAW.replace(b"/a", b"/" + b"a" * 100)
            self.assertEqual(self.assertRaises(BadMessage, self.planner.plan, TABLE, "", long).status, 414)


class Guard:
    """Refuses every token once told to."""

    refuses = False

    def refusal(self, mount: Mount, path: bytes, token: str) -> ErrorResponse | None:
        return ErrorResponse(401, "invalid_token", "It was revoked.") if self.refuses else None


class ChangeTests(SynchronousTestCase):
    """What a head does not determine is checked each time: on one connection, with the same bytes."""

    def again(self, rig: Rig, request: bytes) -> bytes:
        """Send, get a response, call `change`, send the same again; the second response."""
        client = rig.ask(request)
        rig.modules.newest.deliver(ok())
        self.assertIn(b" 200 ", client.take())
        self.change()
        client.deliver(request)
        return client.take()

    def change(self) -> None:
        """What changes in between."""

    def test_a_token_that_is_taken_back(self) -> None:
        guard = Guard()
        self.change = lambda: setattr(guard, "refuses", True)  # type: ignore[method-assign]
        self.assertIn(b" 401 ", self.again(Rig(tokens=guard), get("/notes/", f"Authorization: Bearer {TOKEN}")))

    def test_a_session_that_ends(self) -> None:
        alive = {b" s=1"}
        self.change = alive.clear  # type: ignore[method-assign]
        closed = Mount("notes", b"/notes", 2001, exposure="auth-required")
        rig = Rig((closed,), has_session=lambda cookie, secure: cookie in alive)
        self.assertIn(b" 401 ", self.again(rig, get("/notes/", "Cookie: s=1")))

    def test_a_module_that_starts_anew(self) -> None:
        rig = Rig()
        self.change = lambda: rig.modules.views.update(notes=ModuleView("starting"))  # type: ignore[method-assign]
        self.assertIn(b" 503 ", self.again(rig, get("/notes/")))

    def test_a_module_that_is_removed(self) -> None:
        rig = Rig()
        self.change = lambda: setattr(rig, "table", Table.build((), (HOST,), ""))  # type: ignore[method-assign]
        self.assertIn(b" 404 ", self.again(rig, get("/notes/")))


class BareVaultTests(SynchronousTestCase):
    """An MCP client that was given the address of a vault, without `/mcp`."""

    table = Table.build((Mount("vault", b"/vault/work", 2002),), (HOST,), f"https://{HOST}")

    def planned(self, target: str, *lines: str, method: str = "POST") -> ModuleRequest:
        raw = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {HOST}", "Content-Length: 2", *lines])
        decision = Planner(hops=0, target_bytes=100).plan(self.table, "192.0.2.1", raw.encode()).decision
        assert isinstance(decision, ModuleRequest)
        return decision

    def test_is_challenged_by_the_address_it_knows(self) -> None:
        """The vault's own challenge names another one, which clients refuse (RFC 9728, section 3.3)."""
        for target in ("/vault/work", "/vault/work?from=a-wiki"):
            refused = self.planned(target).refusal
            assert refused is not None
            self.assertEqual(refused.status, 401, target)
            named = f'resource_metadata="https://{HOST}/.well-known/oauth-protected-resource/vault/work",'
            self.assertIn(named, dict(refused.headers)["WWW-Authenticate"])

    def test_reaches_the_endpoint_with_a_key(self) -> None:
        for line in ("Authorization: Bearer pvt_1", "X-API-Key: pvt_1"):
            passage = self.planned("/vault/work?x=1", line)
            self.assertIsNone(passage.refusal, line)
            self.assertIn(b"POST /vault/work/mcp?x=1 HTTP/1.1\r\n", passage.head)
            self.assertTrue(passage.place.mcp)
        self.assertIsNone(self.planned("/vault/work?key=pvt_1").refusal)

    def test_only_posts_are_meant_for_it(self) -> None:
        self.assertIn(b"PUT /vault/work HTTP/1.1\r\n", self.planned("/vault/work", method="PUT").head)

    def test_no_other_place_is_taken_for_a_vault(self) -> None:
        other = (Mount("tools", b"/tools/mcp", 2003), Mount("vault", b"/vault/work", 2002))
        table = Table.build(other, (HOST,), f"https://{HOST}")
        for target in ("/mcp", "/tools/mcp", "/vault/work/mcp"):
            raw = f"POST {target} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2".encode()
            decision = Planner(hops=0, target_bytes=100).plan(table, "192.0.2.1", raw).decision
            assert isinstance(decision, ModuleRequest), target
            self.assertIsNone(decision.refusal, target)


class TrustTests(SynchronousTestCase):
    def test_a_program_on_this_machine_speaks_for_its_clients_while_it_is_trusted(self) -> None:
        raw = b"GET /notes HTTP/1.1\r\nHost: hub.test\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https"
        planner = Planner(hops=0, target_bytes=100)
        for trusted, peer, tls, address, scheme in (
            (False, "127.0.0.1", False, "127.0.0.1", "http"),
            (True, "127.0.0.1", False, "203.0.113.9", "https"),
            (True, "192.168.1.5", False, "192.168.1.5", "http"),
            (True, "127.0.0.1", True, "127.0.0.1", "https"),
            (True, "192.168.1.5", True, "192.168.1.5", "https"),
            (False, "127.0.0.1", False, "127.0.0.1", "http"),
        ):
            planner.trusts_local = trusted
            planner.forget()
            caller = planner.plan(TABLE, peer, raw, tls).caller
            self.assertEqual((caller.address, caller.scheme), (address, scheme), (trusted, peer, tls))


class UseTests(SynchronousTestCase):
    """What counts as use, and ends the rest of a hub that nobody uses."""

    def test_what_programs_ask_by_themselves_is_no_use(self) -> None:
        for target, used in (
            ("/health", 0),
            ("/.well-known/jwks.json", 0),
            (f"https://{HOST}/health", 0),
            ("/health?x", 1),
            ("/healthy", 1),
            ("/admin/", 1),
            ("/notes/health", 1),
        ):
            began: list[str] = []
            rig = Rig()
            rig.front.backend = evolve(rig.front.backend, began=partial(began.append, target))
            rig.ask(get(target))
            self.assertEqual(began, [target] * used, target)
