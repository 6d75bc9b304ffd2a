"""The JSON APIs and the OAuth endpoints of a running hub, fuzzed: seconds in CI, an hour by `make proof NAME=fuzz`."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.authorization.scopes import COMMAND
from parachute_hub.oauth.tokens.grant_policy import challenge_of
from tests.fuzz.budget import SECONDS, fuzz
from tests.fuzz.hub import (
    BYTES,
    FORM_TYPE,
    GENTLE,
    HEADERS,
    JSON,
    JSON_TYPE,
    PAIRS,
    ROUTES,
    TEXT,
    TYPES,
    FuzzedHub,
    Request,
)
from tests.live.harness import fetch, hub, session_of_owner

# Each round; before the first, half as many to warm up.
EXAMPLES = 200
MB = 1024 * 1024
CALLBACK = "https://app.test/callback"
READS = ("/api/users", "/api/audit", "/api/modules", "/api/apps", "/api/auth/tokens", "/api/overview", "/account", "/")


class WebFuzzing(SynchronousTestCase):
    def setUp(self) -> None:
        # No package is fetched from anywhere.
        environment = {"PARACHUTE_TRUSTED_HOPS": "1", "BUN_CONFIG_REGISTRY": "http://127.0.0.1:9"}
        running = hub(self, environment=environment).start()
        kept = session_of_owner(running)
        csrf = fetch(f"{running.url}/api/me", headers={"Cookie": kept.cookie}).json()["csrf"]
        page = {"Sec-Fetch-Site": "same-origin", "X-Parachute-CSRF": csrf, "X-Parachute-Key": kept.key}
        self.session = {"Cookie": kept.cookie, **page}
        self.operator = {"Authorization": f"Bearer {(running.home / 'operator.token').read_text().strip()}"}
        made = fetch(f"{running.url}/oauth/register", method="POST", body={"redirect_uris": [CALLBACK]}).json()
        self.client_id = made["client_id"]
        approve = f"{running.url}/api/oauth/clients/{self.client_id}/approve"
        self.assertEqual(fetch(approve, method="POST", body={}, headers=self.operator).status, 200)
        self.hub = FuzzedHub(running)
        self.addCleanup(self.hub.close)

    def run_on(self, strategy: "st.SearchStrategy[Any]") -> None:
        """Fuzz, then look at what is left of it."""
        fuzz(strategy, self.hub.check, examples=EXAMPLES // 2, seconds=0)
        memory, disk = self.hub.memory, self.hub.disk
        fuzz(strategy, self.hub.check, examples=EXAMPLES)
        # Otherwise it would prove nothing: what got through, what was wrong, what was not allowed.
        answers = self.hub.answers
        self.assertTrue(answers[200] and answers[400] and answers[401] + answers[403], answers)
        if SECONDS:
            print(
                f"{self.hub.asked} requests, {sorted(answers.items())}, {(self.hub.memory - memory) / MB:.1f} MB more"
            )
        log = self.hub.running.log()
        self.assertNotIn("Traceback", log, log[-4000:])
        self.assertEqual(fetch(f"{self.hub.running.url}/health").status, 200)
        # An hour fills what is bounded (apps, limits, the record) once.
        self.assertLess(self.hub.memory - memory, (40 if SECONDS else 12) * MB, f"after {self.hub.asked} requests")
        self.assertLess(self.hub.disk - disk, (60 if SECONDS else 8) * MB, f"after {self.hub.asked} requests")

    def requests(self, routes: tuple[tuple[str, str], ...], credentials: Any) -> "st.SearchStrategy[Any]":
        """Any request to these routes."""

        @st.composite
        def one(draw: Callable[..., Any]) -> Request:
            method, rule = draw(st.sampled_from(routes))
            path = re.sub(r"<[^>]+>", lambda found: draw(SEGMENT), rule)
            pairs = draw(st.one_of(st.just([]), PAIRS))
            kind = draw(TYPES)
            as_form = PAIRS.map(lambda given: urlencode(given, errors="surrogatepass").encode())
            body = draw(BYTES if kind not in (JSON_TYPE, FORM_TYPE) else JSON if kind == JSON_TYPE else as_form)
            headers = {**draw(credentials), **draw(HEADERS), "Content-Type": kind}
            if draw(st.booleans()):
                headers |= draw(credentials)
            query = "?" + urlencode(pairs, errors="surrogatepass") if pairs else ""
            return Request(method, path + query, body, headers, draw(st.integers(0, 511)))

        return one()

    def test_json_apis(self) -> None:
        """Strangers and the owner's session on all routes, the operator on those that keep the hub usable."""
        anybody = st.sampled_from(({}, self.session))
        reads = tuple(("GET", path) for path in READS)
        self.run_on(
            st.one_of(self.requests(ROUTES + reads, anybody), self.requests(GENTLE + reads, st.just(self.operator)))
        )

    def test_oauth_endpoints(self) -> None:
        """Requests that are right but for one or two parameters get furthest."""
        page = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        right = {
            "/oauth/authorize": {
                "client_id": self.client_id,
                "redirect_uri": CALLBACK,
                "response_type": "code",
                "scope": "account:self:read vault:read",
                "state": "s",
                "code_challenge": challenge_of("v" * 43),
                "code_challenge_method": "S256",
            },
            "/oauth/token": {
                "grant_type": "authorization_code",
                "client_id": self.client_id,
                "redirect_uri": CALLBACK,
                "code": "c",
                "code_verifier": "v" * 43,
                "refresh_token": "r",
                "device_code": "d",
            },
            "/oauth/device_authorization": {"client_id": COMMAND, "scope": "vault:read", "resource": ""},
            "/oauth/device": {"__action": "find", "user_code": "BCDF-GHJK", "approve": "yes", "ticket": "t"},
            "/oauth/revoke": {"token": "t", "client_id": self.client_id},
            "/oauth/authorize/approve": {"client_id": self.client_id, "decision": "approve"},
        }

        @st.composite
        def one(draw: Callable[..., Any]) -> Request:
            path = draw(st.sampled_from(tuple(right)))
            pairs = list(right[path].items())
            for _ in range(draw(st.integers(0, 2))):
                place = draw(st.integers(0, len(pairs) - 1))
                pairs[place] = (pairs[place][0], draw(TEXT))
            pairs += draw(st.one_of(st.just([]), PAIRS))
            form = urlencode(pairs, errors="surrogatepass")
            headers = {**draw(st.sampled_from(({}, self.session))), **page, **draw(st.one_of(st.just({}), HEADERS))}
            address = draw(st.integers(0, 511))
            if path == "/oauth/authorize" and draw(st.booleans()):
                return Request("GET", f"{path}?{form}", b"", headers, address)
            headers["Content-Type"] = FORM_TYPE
            return Request("POST", path, form.encode(), headers, address)

        register = st.builds(
            lambda body, address: Request(
                "POST", "/oauth/register", body, {"Content-Type": "application/json"}, address
            ),
            JSON,
            st.integers(0, 511),
        )
        whole = "/oauth/authorize?" + urlencode(right["/oauth/authorize"])
        status, body = self.hub.ask(Request("GET", whole, b"", {**self.session, **page, "Accept": "text/html"}))
        self.assertEqual(status, 200, body)
        self.assertIn(b"Allow", body)
        self.run_on(st.one_of(one(), one(), register))


SEGMENT = TEXT.map(lambda text: quote(text, safe="", errors="surrogatepass") or "x")
