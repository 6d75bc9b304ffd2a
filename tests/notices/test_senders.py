"""What each kind of destination is sent, and which addresses are refused."""

import hmac
import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.notices import webpush
from parachute_hub.notices.email_sender import Email
from parachute_hub.notices.model import Message
from parachute_hub.notices.outbound import NotSent, Outbound, check_url
from parachute_hub.notices.senders import Ntfy, Ping, Push, Webhook
from tests.support.at_once import at_once
from tests.support.push_service import Browser, verified

MESSAGE = Message(key="disk", headline="The disk is full", severity="error", link="https://hub.test/admin/")


@define
class FakeOutbound:
    """Notes the requests; answers with `status`."""

    status: int = 200
    requests: list[tuple[str, str, Mapping[str, str], bytes]] = field(factory=list)

    async def request(
        self, method: str, url: str, *, private: bool, headers: Mapping[str, str], body: bytes = b""
    ) -> int:
        self.requests.append((method, url, headers, body))
        return self.status


class SenderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.outbound: Any = FakeOutbound()

    def sent(self) -> tuple[str, str, Mapping[str, str], bytes]:
        (request,) = self.outbound.requests
        found: tuple[str, str, Mapping[str, str], bytes] = request
        return found

    def test_ntfy(self) -> None:
        told = {"url": "https://ntfy.test/base/topic", "token": "tk"}
        at_once(Ntfy(self.outbound).send(told, MESSAGE, private=False))
        method, url, headers, body = self.sent()
        self.assertEqual((method, url, headers["Authorization"]), ("POST", "https://ntfy.test/base/", "Bearer tk"))
        told = json.loads(body)
        self.assertEqual((told["topic"], told["title"], told["priority"]), ("topic", "The disk is full", 4))
        self.assertEqual(told["click"], "https://hub.test/admin/")

    def test_a_webhook_is_signed(self) -> None:
        sender = Webhook(self.outbound, lambda: 0.0)
        at_once(sender.send({"url": "https://hook.test/x", "secret": "s"}, MESSAGE, private=False))
        _, url, headers, body = self.sent()
        self.assertEqual(url, "https://hook.test/x")
        self.assertEqual(json.loads(body)["event"], "problem")
        signed = hmac.new(b"s", body, "sha256").hexdigest()
        self.assertEqual(headers["X-Parachute-Signature"], f"sha256={signed}")

    def test_a_ping_has_no_body(self) -> None:
        at_once(Ping(self.outbound).send({"url": "https://hc.test/uuid"}, MESSAGE, private=False))
        self.assertEqual(self.sent(), ("GET", "https://hc.test/uuid", {}, b""))

    def push(self, browser: Browser) -> None:
        key = webpush.restored("5")

        async def ours() -> Any:
            return key

        sender = Push(self.outbound, ours, lambda: "https://hub.test", lambda: 0.0, lambda count: b"s" * count)
        at_once(sender.send({"subscription": browser.subscription("https://push.test/x")}, MESSAGE, private=False))

    def test_a_browser_reads_what_only_it_can_read(self) -> None:
        browser = Browser()
        self.push(browser)
        _, _, headers, body = self.sent()
        verified(headers["Authorization"], webpush.public_bytes(webpush.restored("5")))
        self.assertNotIn(b"disk", body)
        self.assertEqual(json.loads(browser.decrypted(body))["title"], "The disk is full")

    def test_a_browser_that_is_gone_is_named_so(self) -> None:
        for status, kind in ((404, "gone"), (410, "gone"), (403, "refused")):
            self.outbound.status = status
            with self.assertRaises(NotSent) as failed:
                self.push(Browser())
            self.assertEqual(failed.exception.kind, kind)

    def test_labels_show_no_secret(self) -> None:
        url = "https://example.test/secret?key=secret"
        for sender, told in (
            (Ntfy(self.outbound), {"url": url, "token": "secret"}),
            (Webhook(self.outbound, lambda: 0.0), {"url": url, "secret": "secret"}),
            (Ping(self.outbound), {"url": url}),
            (
                Email(self.outbound, lambda *_: None),  # type: ignore[arg-type]
                {"host": "example.test", "sender": "secret@x", "to": "secret@y", "password": "secret"},
            ),
        ):
            label = sender.label(told, private=False)
            self.assertIn("example.test", label)
            self.assertNotIn("secret", label)


class AddressTests(SynchronousTestCase):
    def test_addresses_that_are_refused_at_once(self) -> None:
        for url, private, good in (
            ("https://ntfy.sh/x", False, True),
            ("http://ntfy.sh/x", False, False),
            ("http://192.168.1.5:8080/x", True, True),
            ("https://user:pw@ntfy.sh/x", False, False),
            ("ftp://ntfy.sh/x", True, False),
            ("https://[::1", True, False),
            ("https://ntfy.sh:99999/", True, False),
            ("ntfy.sh", True, False),
            ("https://ntfy.sh/ü", True, False),
            ("", True, False),
        ):
            try:
                check_url(url, private=private)
            except NotSent:
                self.assertFalse(good, url)
            else:
                self.assertTrue(good, url)

    def test_a_private_address_needs_the_owner(self) -> None:
        """Whatever name it hides behind; one private address of several is enough."""

        async def resolve(host: str) -> list[str]:
            public = "93.184.216.34"
            found = {"lan.test": ["192.168.1.5"], "both.test": [public, "127.0.0.1"], "out.test": [public]}
            if host not in found:
                raise OSError("no such name")
            return found[host]

        outbound = Outbound(reactor=None, resolve=resolve)
        for host, private, outcome in (
            ("lan.test", False, "private_address"),
            ("both.test", False, "private_address"),
            ("lan.test", True, "192.168.1.5"),
            ("out.test", False, "93.184.216.34"),
            ("none.test", True, "unreachable"),
        ):
            try:
                told = at_once(outbound.address(host, private=private))
            except NotSent as error:
                told = error.kind
            self.assertEqual(told, outcome, (host, private))

    def test_mail_without_encryption_stays_in_the_private_network(self) -> None:
        sender = Email(None, None)  # type: ignore[arg-type]
        told = {"host": "mail.test", "sender": "a@x", "to": "b@y", "security": "none"}
        with self.assertRaises(NotSent):
            sender.label(told, private=False)
        self.assertEqual(sender.label(told, private=True), "E-mail by mail.test")
        for wrong in ({"to": ""}, {"to": "a@x\nBcc: c@z"}, {"port": 0}, {"port": "25"}, {"security": "maybe"}):
            with self.assertRaises(NotSent):
                sender.label({**told, **wrong}, private=True)
