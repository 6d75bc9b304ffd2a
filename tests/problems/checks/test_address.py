from collections.abc import Sequence

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.address import AddressFinding, PlainHttp, PublicAddress, StartWarnings
from parachute_hub.problems.model import Problem
from tests.support.always import always

HTTPS = "https://hub.example"
FINE = AddressFinding(ours=True, days_left=60)


class PublicAddressTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.found = FINE
        self.origin: str | None = HTTPS
        self.asked: list[str] = []
        self.check = PublicAddress(origin=lambda: self.origin, ask=self.ask)

    async def ask(self, origin: str) -> AddressFinding:
        self.asked.append(origin)
        return self.found

    def look(self, found: AddressFinding) -> Sequence[Problem]:
        self.found = found
        return self.successResultOf(ensureDeferred(self.check.look()))

    def test_an_address_that_leads_here(self) -> None:
        self.assertEqual(self.look(FINE), [])
        self.assertEqual(self.asked, [HTTPS])

    def test_a_hub_without_a_public_address_asks_nobody(self) -> None:
        self.origin = None
        self.assertEqual((self.look(AddressFinding(fault="refused")), self.asked), ([], []))

    def test_an_address_that_does_not_lead_here(self) -> None:
        """Only the second time: a proxy restarts, too."""
        for finding, words in (
            (AddressFinding(fault="name"), "does not exist in the DNS"),
            (AddressFinding(fault="refused"), "Nothing listens there."),
            (AddressFinding(fault="silent"), "Nothing answered"),
            (AddressFinding(fault="other", detail="ConnectionResetError"), "The connection failed."),
            (AddressFinding(ours=False), "Another server answers there"),
        ):
            self.assertEqual(self.look(finding), [], words)
            (found,) = self.look(finding)
            self.assertEqual((found.key, found.severity), ("address-unreachable", "warning"))
            self.assertIn(words, found.text)
            self.look(FINE)

    def test_a_certificate_that_browsers_refuse(self) -> None:
        (found,) = self.look(AddressFinding(fault="certificate", detail="certificate has expired"))
        self.assertEqual((found.key, found.severity), ("certificate", "error"))
        self.assertIn("certificate has expired", found.text)

    def test_a_certificate_that_is_not_renewed(self) -> None:
        (found,) = self.look(AddressFinding(ours=True, days_left=5.5))
        self.assertEqual((found.key, found.severity), ("certificate", "warning"))
        self.assertIn("expires in 5 days", found.text)


class PlainHttpTests(SynchronousTestCase):
    def test_which_addresses_are_readable_on_the_way(self) -> None:
        for origin, plain in (
            ("http://hub.example", True),
            ("http://192.168.1.5:1939", True),
            ("http://localhost.example", True),
            (HTTPS, False),
            ("http://localhost:1939", False),
            ("http://127.0.0.1:1939", False),
            ("http://[::1]:1939", False),
            ("http://hub.localhost", False),
            (None, False),
        ):
            found = PlainHttp(origin=always(origin)).look()
            self.assertEqual(bool(found), plain, origin)


class StartWarningTests(SynchronousTestCase):
    def test_each_warning_of_the_start_is_a_problem(self) -> None:
        found = StartWarnings(warnings=("One is odd.", "Two is odd.")).look()
        self.assertEqual(
            [(one.key, one.text) for one in found], [("setting:0", "One is odd."), ("setting:1", "Two is odd.")]
        )
