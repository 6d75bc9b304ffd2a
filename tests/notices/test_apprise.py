"""The optional sender: what it says when it is missing, and the addresses that its process may reach."""

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.notices import apprise_sender
from parachute_hub.notices.apprise_sender import Apprise
from parachute_hub.notices.apprise_worker import guarded
from parachute_hub.notices.model import Message
from parachute_hub.notices.outbound import NotSent


class AppriseTests(SynchronousTestCase):
    def test_without_the_extra_it_says_what_to_install(self) -> None:
        """The extra is not part of the development set, so this is what the tests' own environment has."""
        with self.assertRaises(NotSent) as refused:
            Apprise(MemoryReactorClock(), {}).label({"url": "tgram://token/chat"}, private=False)
        self.assertEqual(refused.exception.kind, "not_installed")
        self.assertIn("apprise extra", str(refused.exception))

    def test_a_process_that_hangs(self) -> None:
        self.patch(apprise_sender, "getProcessOutputAndValue", lambda *args, **options: Deferred())
        clock = MemoryReactorClock()
        message = Message(key="k", headline="h", severity="info", link="l")
        sending = Deferred.fromCoroutine(Apprise(clock, {}).send({"url": "tgram://t/c"}, message, private=False))
        clock.advance(apprise_sender.WORK_SECONDS)
        self.assertIn("in time", str(self.failureResultOf(sending, NotSent).value))

    def test_its_process_resolves_public_addresses_only(self) -> None:
        def resolve(host: str, port: int) -> list[Any]:
            found = {"out.test": ["93.184.216.34"], "both.test": ["93.184.216.34", "10.0.0.1"], "lan.test": ["::1"]}
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in found[host]]

        refused: list[str] = []
        lookup = guarded(resolve, refused)
        self.assertEqual(lookup("out.test", 443)[0][4], ("93.184.216.34", 443))
        for host in ("both.test", "lan.test"):
            with self.assertRaises(socket.gaierror):
                lookup(host, 443)
        self.assertEqual(refused, ["both.test", "lan.test"])
