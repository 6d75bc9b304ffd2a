import json
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.state.link import HOST_PORT, Address, Link, nearness, pin_of
from parachute_hub.modules.state.records import Record, RecordsFile

HOST = Link(id="0123456789abcdef", kind="host", host="10.0.0.5", port=1940, near="private", pin="a" * 64, made_at=5.0)
UPSTREAM = Link(id="0123456789abcdef", kind="upstream", host="notes.test", port=443, active=True)


class AddressTests(SynchronousTestCase):
    def test_what_a_person_types(self) -> None:
        for text, port, origin in (
            ("https://Notes.Example.com/", None, "https://notes.example.com"),
            ("https://notes.example.com:8443", None, "https://notes.example.com:8443"),
            ("http://127.0.0.1:9000", None, "http://127.0.0.1:9000"),
            ("https://[fd00::1]:8443", None, "https://[fd00::1]:8443"),
            ("10.0.0.5", HOST_PORT, "https://10.0.0.5:1940"),
            ("notes.example.com:443", HOST_PORT, "https://notes.example.com"),
            ("https://notes.example.com", HOST_PORT, "https://notes.example.com:1940"),
        ):
            self.assertEqual(Address.parse(text, port=port).origin, origin)

    def test_what_is_no_address(self) -> None:
        for text, port in (
            ("notes.example.com", None),
            ("ftp://notes.example.com", None),
            ("https://a:b@notes.example.com", None),
            ("https://notes.example.com/path", None),
            ("https://notes.example.com?x", None),
            ("https://notes example", None),
            ("https://", None),
            ("https://notes.test:99999", None),
            ("https://a\r\nb", None),
            ("http://10.0.0.5", HOST_PORT),
        ):
            with self.assertRaises(Invalid):
                Address.parse(text, port=port)

    def test_addresses_are_of_one_kind(self) -> None:
        for addresses, kind in (
            (["93.184.216.34", "2606:2800:220:1::1"], "public"),
            (["192.168.1.5"], "private"),
            (["127.0.0.1", "::1"], "loopback"),
            (["93.184.216.34", "10.0.0.1"], None),
            (["169.254.169.254"], None),
            (["0.0.0.0"], None),
            (["::ffff:127.0.0.1"], None),
            (["nonsense"], None),
            ([], None),
        ):
            self.assertEqual(nearness(addresses), kind)

    def test_pins(self) -> None:
        self.assertEqual(pin_of("SHA256:" + ":".join(["AB"] * 32)), "ab" * 32)
        for wrong in ("", "ab", "g" * 64):
            with self.assertRaises(Invalid):
                pin_of(wrong)


class LinkTests(SynchronousTestCase):
    def test_it_is_kept_in_the_hubs_record(self) -> None:
        path = Path(self.mktemp())
        records = RecordsFile(path)
        for link in (HOST, UPSTREAM, evolve(HOST, active=True, filled=True)):
            self.successResultOf(records.change("vault", link=link, memory_limit=5))
            self.assertEqual(RecordsFile(path).get("vault"), Record(link=link, memory_limit=5))
        self.successResultOf(records.change("vault", link=None))
        self.assertNotIn("link", json.loads(path.read_bytes())["modules"]["vault"])

    def test_what_would_not_be_safe_is_not_read(self) -> None:
        for base, changes in (
            (HOST, {"pin": None}),
            (HOST, {"tls": False}),
            (HOST, {"id": "../../etc"}),
            (HOST, {"pin": "abc"}),
            (UPSTREAM, {"tls": False}),
            (UPSTREAM, {"kind": "other"}),
            (UPSTREAM, {"near": "anywhere"}),
            (UPSTREAM, {"port": 0}),
            (UPSTREAM, {"ca": 5}),
            (UPSTREAM, {"made_at": True}),
        ):
            raw: dict[str, Any] = base.to_json() | changes
            with self.assertRaises(Invalid):
                Link.parse(raw)
