"""The proxy's own answers, as a page, as JSON and as text."""

import json
import re
from base64 import b64encode
from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.model import ModuleView, Refusal
from parachute_hub.proxy.pages import accepts_html, down, refused, render, starting, unavailable
from parachute_hub.proxy.routes import Answer

HOSTILE = '"><script>alert(1)</script>'


def page(answer: Answer, accept: bytes = b"text/html") -> tuple[str, str]:
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
        self.assertIn("cause-17. Look", told["error_description"])
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

    def test_not_found(self) -> None:
        lost = Answer(404, "not_found", "not found", detail={"path": "/a/<b>"})
        head, body = page(lost)
        self.assertIn("/a/&lt;b&gt;", body)
        self.assertIn('href="/"', body)
        for accept in (b"*/*", b"application/json"):
            self.assertEqual(page(lost, accept)[1], "not found")

    def test_text_of_modules_is_escaped(self) -> None:
        for answer in (starting(HOSTILE), down(HOSTILE, HOSTILE), refused(Refusal(403, "x", HOSTILE))):
            self.assertNotIn("<script>alert", page(answer)[1])

    def test_lengths_and_closing(self) -> None:
        whole = render(starting("n\u00e4"), None, close=True)
        head, _, body = whole.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d" % len(body), head)
        self.assertIn(b"Connection: close", head)
        self.assertEqual(render(starting("n\u00e4"), None, close=True, body=False), head + b"\r\n\r\n")

    def test_what_states_mean(self) -> None:
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

    def test_who_gets_a_page(self) -> None:
        for accept, html in (
            (None, True),
            (b"", True),
            (b"text/html,application/json", True),
            (b"*/*", True),
            (b"application/json, */*", False),
            (b"image/png", False),
        ):
            self.assertEqual(accepts_html(accept), html, accept)
