"""The proxy's own responses."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.host.relay import not_running
from parachute_hub.proxy.access_rules import CLOSING, TOO_MANY_REQUESTS
from parachute_hub.proxy.model import ModuleView
from parachute_hub.proxy.pages import accepts_html, busy, down, elsewhere, no_memory, render, starting, unavailable
from parachute_hub.proxy.routes import ErrorResponse, Mount
from tests.proxy.test_access_rules import TOKEN, Guard
from tests.support.sockets import Rig, get

HOSTILE = '"><script>alert(1)</script>'


def page(answer: ErrorResponse, accept: bytes = b"text/html") -> tuple[str, str]:
    """(head, body) of the answer."""
    head, _, body = render(answer, accept, close=False).decode().partition("\r\n\r\n")
    return head, body


class PagesTests(SynchronousTestCase):
    def test_starting_as_json(self) -> None:
        head, body = page(starting("notes"), b"application/json")
        self.assertIn("HTTP/1.1 503 ", head)
        self.assertIn("Retry-After: 2", head)
        self.assertIn("Cache-Control: no-store", head)
        told = json.loads(body)
        self.assertEqual(told["error"], "upstream_starting")
        self.assertEqual(told["error_type"], "upstream_starting")
        self.assertEqual((told["service"], told["retry_after_ms"], told["max_attempts"]), ("notes", 2000, 5))

    def test_down_as_json_says_why_and_the_page_does_not(self) -> None:
        _, body = page(down("notes", "It is cause-17."), b"application/json")
        told = json.loads(body)
        self.assertIn("cause-17. Check", told["error_description"])
        self.assertEqual((told["error"], told["admin_url"]), ("upstream_unreachable", "/admin/modules"))
        head, body = page(down("notes", "cause-17"))
        self.assertIn("HTTP/1.1 502 ", head)
        self.assertNotIn("cause-17", body)
        self.assertIn('href="/admin/modules"', body)
        self.assertNotIn("refresh", body)

    def test_the_waiting_page_works_with_and_without_javascript(self) -> None:
        head, body = page(starting("notes"))
        self.assertIn('<noscript><meta http-equiv="refresh" content="2"></noscript>', body)
        self.assertIn('data-module="notes"', body)
        self.assertIn("/api/ready", body)
        for kind in ("script", "style"):
            text = re.search(f"<{kind}>(.*?)</{kind}>", body, re.DOTALL)
            assert text is not None
            digest = b64encode(sha256(text[1].encode()).digest()).decode()
            self.assertIn(f"{kind}-src 'sha256-{digest}'", head, "the policy allows exactly this text")

    def test_unknown_paths_are_404(self) -> None:
        lost = ErrorResponse(404, "not_found", "not found", detail={"path": "/a/<b>"})
        head, body = page(lost)
        self.assertIn("/a/&lt;b&gt;", body)
        self.assertIn('href="/"', body)
        for accept in (b"*/*", b"application/json"):
            self.assertEqual(json.loads(page(lost, accept)[1])["error"], "not_found")

    def test_text_of_modules_is_escaped(self) -> None:
        for answer in (starting(HOSTILE), down(HOSTILE, HOSTILE), ErrorResponse(403, "x", HOSTILE)):
            self.assertNotIn("<script>alert", page(answer)[1])

    def test_lengths_and_closing(self) -> None:
        whole = render(starting("n\u00e4"), None, close=True)
        head, _, body = whole.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d" % len(body), head)
        self.assertIn(b"Connection: close", head)
        self.assertEqual(render(starting("n\u00e4"), None, close=True, body=False), head + b"\r\n\r\n")

    def test_each_state_has_its_response(self) -> None:
        for view, status in (
            (None, 502),
            (ModuleView("starting"), 503),
            (ModuleView("backoff", retry_at=30.0), 503),
            (ModuleView("stopping"), 502),
            (ModuleView("parked"), 502),
        ):
            self.assertEqual(unavailable("notes", view, 20.0).status, status)
        self.assertEqual(
            dict(unavailable("notes", ModuleView("backoff", retry_at=30.0), 20.0).headers)["Retry-After"], "10"
        )

    def test_every_503_says_when_to_come_back_in_words_for_people(self) -> None:
        there: Any = object()
        for answer, words in (
            (starting("notes"), "notes is starting"),
            (elsewhere("notes", "cause-17"), "notes runs on another machine, which does not answer right now."),
            (unavailable("notes", ModuleView("starting", remote=there), 0.0), "notes is starting"),
            (unavailable("notes", ModuleView("backoff", "cause-17", remote=there), 0.0), "runs on another machine"),
            (busy("notes"), "Try again in a second."),
            (no_memory("notes"), "Try again in a minute."),
            (TOO_MANY_REQUESTS, "Try again in a second."),
            (CLOSING, "Try again in a moment."),
            (not_running("notes", "crashed", "It stopped"), "notes is not running on its machine"),
            (ErrorResponse(503, "new", "Something new."), "Something new."),
        ):
            head, body = page(answer)
            self.assertIn("HTTP/1.1 503 ", head)
            self.assertRegex(head, "Retry-After: [1-9][0-9]*(\r\n|$)", answer.error)
            self.assertIn(words, body)
            self.assertRegex(body, "<h1>(One moment.*|Not available)</h1>", answer.error)
            self.assertRegex(body, 'href="">Try (again|now)</a>', answer.error)
            self.assertNotIn("cause-17", body)

    def test_who_gets_a_page(self) -> None:
        for accept, html in (
            (None, False),
            (b"", False),
            (b"text/html,application/json", True),
            (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
            (b"*/*", False),
            (b"application/json, */*", False),
            (b"image/png", False),
        ):
            self.assertEqual(accepts_html(accept), html, accept)


class CrossOriginTests(SynchronousTestCase):
    """A browser client must be able to read why a request failed, because the hub answers in the module's place."""

    ORIGIN = "Origin: https://app.example"

    def setUp(self) -> None:
        mounts = (Mount("notes", b"/notes", 2000), Mount("scribe", b"/scribe", 2001, exposure="auth-required"))
        self.rig = Rig(mounts, tokens=Guard())

    def head(self, request: bytes) -> bytes:
        return self.rig.ask(request).take().partition(b"\r\n\r\n")[0]

    def test_every_answer_in_a_modules_place_can_be_read_by_another_origin(self) -> None:
        down = ModuleView("parked", "It keeps crashing.")
        for name, status, request, view in (
            ("no credential", b"401", get("/scribe/x", self.ORIGIN), None),
            ("revoked token", b"401", get("/notes/x", self.ORIGIN, f"Authorization: Bearer {TOKEN}"), None),
            ("not found", b"404", get("/nowhere/x", self.ORIGIN), None),
            ("ambiguous path", b"400", get("/notes/%2e%2e/x", self.ORIGIN), None),
            ("starting", b"503", get("/notes/x", self.ORIGIN), ModuleView("starting")),
            ("down", b"502", get("/notes/x", self.ORIGIN), down),
        ):
            with self.subTest(name):
                if view is not None:
                    self.rig.modules.views["notes"] = view
                head = self.head(request)
                self.assertEqual(head.split()[1], status, head)
                self.assertIn(b"\r\nAccess-Control-Allow-Origin: *\r\n", head)
                self.assertIn(b"\r\nAccess-Control-Expose-Headers: WWW-Authenticate, Retry-After", head)
                self.assertNotIn(b"Access-Control-Allow-Credentials", head)

    def test_requests_of_the_same_site_get_no_such_headers(self) -> None:
        self.assertNotIn(b"Access-Control", self.head(get("/scribe/x")))

    def test_a_preflight_to_a_module_that_is_down_is_allowed(self) -> None:
        self.rig.modules.views["notes"] = ModuleView("parked", "It keeps crashing.")
        asked = ("Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: authorization,content-type")
        head = self.head(get("/notes/x", self.ORIGIN, *asked, method="OPTIONS"))
        self.assertTrue(head.startswith(b"HTTP/1.1 204 "), head)
        self.assertIn(b"\r\nAccess-Control-Allow-Methods: PATCH\r\n", head)
        self.assertIn(b"\r\nAccess-Control-Allow-Headers: authorization,content-type", head)

    def test_a_preflight_cannot_add_a_header_of_its_own(self) -> None:
        self.rig.modules.views["notes"] = ModuleView("parked", "")
        asked = ("Access-Control-Request-Method: GET", 'Access-Control-Request-Headers: x"; y')
        self.assertNotIn(b'x"', self.head(get("/notes/x", self.ORIGIN, *asked, method="OPTIONS")))
