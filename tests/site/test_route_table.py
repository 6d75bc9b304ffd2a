"""The route table against the routers: every changing route has a row, every row a route."""

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator

from klein import Klein
from twisted.trial.unittest import SynchronousTestCase

import parachute_hub
from parachute_hub.site.route_table import ROWS, may_by_link
from parachute_hub.system import loading

SAFE = {"GET", "HEAD", "OPTIONS"}


def routes() -> Iterator[tuple[str, str]]:
    """Every (method, rule) of every area in the package."""
    for found in pkgutil.walk_packages(parachute_hub.__path__, "parachute_hub."):
        module = importlib.import_module(found.name)
        loading.load(module)
        for value in vars(module).values():
            app = vars(value).get("app") if isinstance(value, type) else None
            if isinstance(app, Klein):
                for rule in app.url_map.iter_rules():
                    yield from ((method, rule.rule) for method in rule.methods or ())


class RouteTableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.routes = set(routes())
        self.rows = [(row.method, row.rule) for row in ROWS]

    def test_every_route_that_changes_something_has_a_row(self) -> None:
        unsafe = {route for route in self.routes if route[0] not in SAFE}
        self.assertGreater(len(unsafe), 60)
        self.assertEqual(unsafe - set(self.rows), set())

    def test_every_row_is_a_route(self) -> None:
        self.assertEqual(set(self.rows) - self.routes, set())

    def test_no_route_has_two_rows(self) -> None:
        self.assertEqual([row for row, times in Counter(self.rows).items() if times > 1], [])

    def test_what_an_owner_alone_may_do_is_recorded(self) -> None:
        """Except wizard steps without effect."""
        silent = {row.rule for row in ROWS if row.who == "owner" and not row.records}
        wizard = {f"/admin/setup/{step}" for step in ("modules", "vault", "scribe", "continue")}
        self.assertEqual(silent, wizard)

    def test_what_a_browser_may_do_that_a_link_signed_in(self) -> None:
        """All of it: connect a known app, take the notes along, sign itself out. `/logout` asks for no session."""
        may = {(row.method, row.rule) for row in ROWS if row.by_link}
        expected = {
            ("POST", "/oauth/authorize"),
            ("POST", "/account/download"),
            ("DELETE", "/api/account/sessions/<session_id>"),
        }
        self.assertEqual(may, expected)
        for method, rule in self.rows:
            path = re.sub(r"<[^>]+>", "x", rule).encode()
            self.assertEqual(may_by_link(method.encode(), path), (method, rule) in expected, rule)
        for path in (b"/account/download/", b"/account/download/x", b"/account/downloads", b"//account/download"):
            self.assertFalse(may_by_link(b"POST", path), path)

    def test_a_bearer_is_no_way_around_a_step_up_for_people(self) -> None:
        """Accounts, invitations and the hub's address need a person."""
        for row in ROWS:
            if row.rule.startswith(("/api/users", "/api/settings")) or (row.method, row.rule) == (
                "POST",
                "/api/invites",
            ):
                self.assertEqual((row.proof, row.bearers), ("step-up", ()), row.rule)
