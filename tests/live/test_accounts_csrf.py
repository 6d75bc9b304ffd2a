"""A session's cookie alone does nothing, on any route of any area of the whole hub.

The routes are read from the routers of every area in the package: one that is added tomorrow is tried tomorrow.
"""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from klein import Klein
from twisted.trial.unittest import SynchronousTestCase

import parachute_hub
from tests.live.harness import Reply, fetch, hub, session_of_owner
from tests.support.whole import whole

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
AREAS = ("accounts", "admin", "oauth", "site")
# Called by programs with credentials of their own in the body; they look at no cookie.
WITHOUT_COOKIES = {"/oauth/token", "/oauth/revoke", "/oauth/register", "/oauth/device_authorization"}
# An app may post its request for consent: it goes on as a GET, which changes nothing.
GOES_ON_AS_GET = {"/oauth/authorize"}
# These ask for a secret of their own, or end only what the browser itself keeps.
BEFORE_SIGN_IN = {"/login", "/login/2fa", "/login/key", "/logout", "/admin/setup/account", "/account/setup/x"}
# Some look for the thing before they look at who asks. What is not there cannot be changed.
REFUSED = (401, 403, 404)


def routes() -> Iterator[tuple[str, str]]:
    """Every unsafe (method, path) of every Klein area."""
    seen: set[int] = set()
    for area in AREAS:
        package = import_module(f"{parachute_hub.__name__}.{area}")
        for found in pkgutil.iter_modules(package.__path__):
            module = whole(f"{package.__name__}.{found.name}")
            classes = [value for value in vars(module).values() if isinstance(value, type)]
            for app in (value for each in classes for value in vars(each).values() if isinstance(value, Klein)):
                if id(app) in seen:
                    continue
                seen.add(id(app))
                for rule in app.url_map.iter_rules():
                    for method in sorted((rule.methods or set()) & set(UNSAFE)):
                        yield method, re.sub(r"<(\w+:)?\w+>", "x", rule.rule)


class EveryAreaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub = hub(self).start()
        kept = session_of_owner(self.hub)
        self.cookie, self.key = kept.cookie, kept.key
        self.csrf = self.get("/api/me")["csrf"]

    def send(self, method: str, path: str, headers: dict[str, str]) -> Reply:
        """With the owner's cookie; as JSON, or as a form where only forms are taken."""
        sent = {"Cookie": self.cookie, **headers}
        reply = fetch(self.hub.url + path, method=method, body={}, headers=sent)
        if reply.status == 415:
            form = {**sent, "Content-Type": "application/x-www-form-urlencoded"}
            reply = fetch(self.hub.url + path, method=method, body=b"a=b", headers=form)
        return reply

    def get(self, path: str) -> Any:
        return fetch(self.hub.url + path, headers={"Cookie": self.cookie}).json()

    def test_nothing_happens_without_the_token_or_from_elsewhere(self) -> None:
        """No token; a cookie caught on another port; all that is needed, but from elsewhere or a silent browser."""
        tried = [(method, path) for method, path in routes() if path not in WITHOUT_COOKIES | GOES_ON_AS_GET]
        self.assertGreater(len(tried), 60)
        token = {"X-Parachute-CSRF": self.csrf, "X-Parachute-Key": self.key}
        foreign: tuple[dict[str, str], ...] = (
            {"Sec-Fetch-Site": "same-origin"},
            {**token, "Sec-Fetch-Site": "cross-site"},
            {**token, "Sec-Fetch-Site": "same-site"},
            {**token, "Origin": "https://evil.example"},
            {**token, "Origin": "null"},
        )
        caught = {"Sec-Fetch-Site": "same-origin", "X-Parachute-CSRF": self.csrf}
        wrong = []
        for method, path in tried:
            for headers in foreign if path in BEFORE_SIGN_IN else (*foreign, caught):
                reply = self.send(method, path, headers)
                if reply.status not in REFUSED:
                    wrong.append((method, path, headers, reply.status, reply.body[:100]))
        self.assertEqual(wrong, [])
        self.assertTrue(self.get("/api/me")["hasSession"])
