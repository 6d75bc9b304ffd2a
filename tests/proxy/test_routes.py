"""Which request goes where, the same for every reading of its path."""

from itertools import product
from posixpath import normpath
from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.client_address import Layer
from parachute_hub.proxy.routes import Decision, ErrorResponse, Mount, Table, ToModule, ToSite, decide
from tests.proxy.few import few

HOST = b"hub.test"
MOUNTS = (
    Mount("notes", b"/notes/", 2001, strip=True),
    Mount("scribe", b"/scribe", 2002),
    Mount("surface", b"/surface", 2003),
    Mount("board", b"/surface/board", 2004),
    Mount("vault", b"/vault/default", 2005),
    Mount("vault", b"/vault/work", 2005),
    Mount("inner", b"/inner", 2006, exposure="loopback"),
)


def table(**more: object) -> Table:
    """The table of these tests."""
    return Table.build(MOUNTS, ["hub.test"], "https://hub.test", **more)  # type: ignore[arg-type]


def route(path: str, method: str = "GET", layer: Layer = "loopback", host: bytes = HOST) -> str:
    """`site`, a short name with the path sent on, or a status."""
    return name(decide(table(), method.encode(), host, path.encode("latin-1"), layer))


def name(decision: Decision) -> str:
    """A decision in one word."""
    if isinstance(decision, ToSite):
        return "site"
    if isinstance(decision, ToModule):
        return f"{decision.mount.short} {decision.target.decode('latin-1')}"
    return str(decision.status)


class DecideTests(SynchronousTestCase):
    def test_mounts_end_at_segment_borders(self) -> None:
        for path, wanted in (
            ("/notes", "notes /"),
            ("/notes/", "notes /"),
            ("/notes?x=/a", "notes /?x=/a"),
            ("/notes/assets/x?y#z".partition("#")[0], "notes /assets/x?y"),
            ("/notesx", "404"),
            ("/scribefoo", "404"),
            ("/scribe", "scribe /scribe"),
            ("/scribe/v1", "scribe /scribe/v1"),
            ("/surface/board/a", "board /surface/board/a"),
            ("/surface/boards", "surface /surface/boards"),
            ("/vault/default", "vault /vault/default"),
            ("/vault/default/mcp/", "vault /vault/default/mcp"),
            ("/vault/default/mcp/?x=/mcp/", "vault /vault/default/mcp?x=/mcp/"),
            ("/vault/default/mcp//", "vault /vault/default/mcp//"),
            ("/vault/default/api/notes/a%2Fb", "vault /vault/default/api/notes/a%2Fb"),
            ("/vault/default/.well-known/x", "vault /vault/default/.well-known/x"),
            ("/vault/none", "404"),
            ("/unknown", "404"),
        ):
            self.assertEqual(route(path), wanted, path)

    def test_the_hubs_own_paths(self) -> None:
        for path in """
            / /?x /api /api/modules /admin/x /oauth/token /.well-known/jwks.json /vaults /login /logout
            /account/2fa /health /git/x /hub /hub.html /vault /vault/ /vault/new
            /api/modules/@scope%2Fname/install
        """.split():
            self.assertEqual(route(path), "site", path)

    def test_the_vaults_special_paths(self) -> None:
        self.assertEqual(route("/vault/admin"), "vault /vault/admin")
        self.assertEqual(route("/vault/admin/x?y"), "vault /vault/admin/x?y")
        self.assertEqual(route("/vault/admin", "POST"), "vault /vault/admin")
        self.assertEqual(route("/mcp"), "vault /mcp")
        self.assertEqual(route("/mcp/x", "POST"), "vault /mcp/x")
        empty = Table.build((), ["hub.test"], "https://hub.test")
        missing = decide(empty, b"POST", HOST, b"/mcp", "loopback")
        assert isinstance(missing, ErrorResponse)
        self.assertEqual((missing.status, missing.error), (404, "vault_module_not_running"))
        self.assertEqual(name(decide(empty, b"GET", HOST, b"/vault/admin/", "loopback")), "404")

    def test_the_hub_answers_for_each_vaults_oauth_documents(self) -> None:
        """The issuer answers, so that apps do not learn of scopes it does not know."""
        for document in ("oauth-protected-resource", "oauth-authorization-server", "openid-configuration"):
            self.assertEqual(route(f"/vault/default/.well-known/{document}"), "site")
            self.assertEqual(route(f"/vault/default/mcp/.well-known/{document}"), "site")
        self.assertEqual(route("/vault/default/.well-known/other"), "vault /vault/default/.well-known/other")

    def test_a_vaults_address_given_to_an_mcp_client(self) -> None:
        answer = decide(table(), b"POST", HOST, b"/vault/work?x", "public")
        assert isinstance(answer, ToModule)
        self.assertEqual((answer.target, answer.path), (b"/vault/work/mcp?x", b"/vault/work"))
        mine = Table.build((Mount("vault", b"/vault/mcp", 2002),), (), "https://hub.test")
        for spelling in (b"/vault/mcp", b"/vault/mcp/mcp/"):
            answer = decide(mine, b"POST", HOST, spelling, "public")
            assert isinstance(answer, ToModule)
            self.assertEqual(answer.target, b"/vault/mcp/mcp", spelling)
        for path, method in (("/vault/work/", "POST"), ("/vault/work", "PUT"), ("/vault/work", "GET")):
            self.assertNotIn("mcp", route(path, method), path)

    def test_what_is_for_this_machine_only_is_not_there_for_others(self) -> None:
        self.assertEqual(route("/inner/x"), "inner /inner/x")
        for layer in ("public", "tailnet"):
            hidden = decide(table(), b"GET", HOST, b"/inner", layer)
            absent = decide(table(), b"GET", HOST, b"/other", layer)
            assert isinstance(hidden, ErrorResponse) and isinstance(absent, ErrorResponse)
            self.assertEqual((hidden.status, hidden.error, hidden.text), (absent.status, absent.error, absent.text))

    def test_before_setup_the_site_answers_for_modules(self) -> None:
        fresh = table(gated=True)
        self.assertEqual(name(decide(fresh, b"GET", HOST, b"/notes/", "public")), "site")
        self.assertEqual(name(decide(fresh, b"GET", HOST, b"/nothing", "public")), "404")

    def test_before_the_modules_are_known_no_path_is_missing(self) -> None:
        """A client must not take a note for deleted because the hub is starting."""
        starting = Table.unknown("https://hub.test")
        for path in (b"/vault/default/api/notes/1", b"/nothing", b"/mcp", b"/health"):
            self.assertEqual(name(decide(starting, b"GET", HOST, path, "public")), "site", path)

    def test_foreign_hosts_are_refused(self) -> None:
        for host in (b"other.test", b"", b"hub.test:81", b"hub.test.evil"):
            self.assertEqual(route("/notes/", host=host), "421", host)
            self.assertEqual(route("/health", host=host), "site", host)
        anyone = Table.build(MOUNTS, [], "http://127.0.0.1:1939")
        self.assertEqual(name(decide(anyone, b"GET", b"whatever", b"/notes/", "public")), "notes /")

    def test_targets_are_routed_by_their_path(self) -> None:
        self.assertEqual(route("http://hub.test/notes/a?b"), "notes /a?b")
        self.assertEqual(route("HTTP://HUB.test"), "site")
        for target in ("http://evil/notes", "http://hub.test@evil/", "*", "notes", "ftp://hub.test/", "/notes#x", ""):
            self.assertEqual(route(target), "400", target)
        self.assertEqual(route("/", "TRACE"), "405")
        self.assertEqual(route("hub.test:443", "CONNECT"), "405")


class TableTests(SynchronousTestCase):
    def test_no_mount_takes_what_is_not_its_own(self) -> None:
        for prefix in [
            "",
            *"""
            / /api /api/x /admin /oauth/x /.well-known /vaults /login /health /mcp /mcp/x /hub /vault /vault/x
            /static/x /a/../b /a//b /a%2fb /a?b a /git
        """.split(),
        ]:
            built = Table.build((Mount("evil", prefix.encode(), 1),), [], "http://x")
            self.assertEqual((len(built.shadowed), dict(built.by_segment)), (1, {}), prefix)

    def test_the_vault_mounts_below_its_own_prefix_only(self) -> None:
        for prefix, good in (
            ("/vault/a", 1),
            ("/vault/admin", 0),
            ("/vault/new", 0),
            ("/vault/admins", 1),
            ("/notes", 0),
        ):
            built = Table.build((Mount("vault", prefix.encode(), 1),), [], "http://x")
            self.assertEqual(len(built.shadowed), 1 - good, prefix)

    def test_the_first_of_two_equal_mounts_counts(self) -> None:
        built = Table.build((Mount("a", b"/x", 1), Mount("b", b"/x/", 2)), [], "http://x")
        self.assertEqual([mount.short for mount in built.by_segment[b"x"]], ["a"])
        self.assertEqual([mount.short for mount in built.shadowed], ["b"])


def readings(path: str) -> set[str]:
    """Readings by other parsers: decoded once or more, normalised, backslashes converted."""
    found = {path}
    for _ in range(3):
        found |= {unquote_to_bytes(reading.encode("latin-1")).decode("latin-1") for reading in found}
        found |= {reading.replace("\\", "/") for reading in found}
        found |= {normpath("/" + reading.lstrip("/")) for reading in found}
    return found


class SafetyTests(SynchronousTestCase):
    """Decoding or normalising must not change the route: otherwise 400, and nothing is forwarded."""

    def check(self, path: str) -> str:
        """The route of a path; fails when it is served although another reading would go elsewhere."""
        chosen = route(path)
        if chosen not in ("400", "404"):
            owner = chosen.split()[0]
            for reading in readings(path):
                other = table().place(reading.encode("latin-1"))
                short = other.short if isinstance(other, Mount) else "site" if other is not None else "404"
                self.assertEqual(short, owner, (path, reading))
        return chosen

    def test_known_traversals_reach_no_other_owner(self) -> None:
        starts = ("/notes", "/vault/default", "/surface/board", "/scribe/a", "/login", "/nothing")
        climbs = r"""
            .. . %2e%2e %2E. .%2e %252e%252e ..; %2e%2e%2f.. ..\.. %5c.. ..%5c x/../.. %00 // /./ %2f %2F%2F
            a%2Fb .... .well-known %c0%ae%c0%ae ..%00 %25%32%65%25%32%65
        """.split()
        ends = ("/admin", "/api/modules", "/vault/default/x", "")
        paths = [f"{start}/{climb}{end}" for start, climb, end in product(starts, climbs, ends)]
        self.assertGreaterEqual(len(paths), 500)
        refused = [path for path in paths if self.check(path) == "400"]
        self.assertGreater(len(refused), 100)
        self.assertLess(len(refused), len(paths))

    def test_known_tricks_are_refused(self) -> None:
        for path in r"""
            /notes/../admin /notes/%2e%2e/admin /notes/%252e%252e/admin /notes/..%2fadmin /notes/..\admin
            /notes%2f..%2fadmin //notes/ /./notes /%6eotes/x /%61dmin /vault/default%2fx /notes/%00
            /vault/default/../work/x /surface/board/../x /surface/x/../board/y /login/../notes/ /\notes
            /notes/% /notes/%zz /notes/%2
        """.split():
            self.assertEqual(self.check(path), "400", path)

    def test_ordinary_odd_paths_pass(self) -> None:
        for path in """
            /vault/default/api/notes/a%2Fb%2Fc /vault/default/a//b /vault/default/a/../b /vault/default/100%25
            /vault/default/%C3%A4 /notes/.hidden /notes/a;b=c /notes/?x=../../admin
        """.split():
            self.assertNotIn(self.check(path), ("400", "404"), path)

    @few(400)
    @given(
        st.lists(
            st.sampled_from(
                [
                    "/",
                    "notes",
                    "vault",
                    "default",
                    "admin",
                    "surface",
                    "board",
                    "..",
                    ".",
                    "%2e",
                    "%2f",
                    "%5c",
                    "\\",
                    "%25",
                    "2e",
                    "%00",
                    "x",
                    ";",
                ]
            ),
            max_size=9,
        )
    )
    def test_generated_paths_reach_no_other_owner(self, parts: list[str]) -> None:
        self.check("/" + "".join(parts))
