"""Where a dialer connects. What it sends to whom is in tests/live/test_links.py, on real sockets."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.elsewhere.dial import Dialer
from parachute_hub.modules.state.link import Address, Near
from parachute_hub.supervise.far import Unreached


class Caller:
    """A client factory that notes why nothing was connected."""

    def __init__(self) -> None:
        self.failures: list[Unreached] = []

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        assert isinstance(reason.value, Unreached)
        self.failures.append(reason.value)


class DialTests(SynchronousTestCase):
    def dial(self, near: Near, *answers: Sequence[str], host: str = "notes.test") -> tuple[list[str], list[str]]:
        """(the addresses connected to, why others were not), for one connection per answer of the resolver."""
        reactor, caller, left = MemoryReactorClock(), Caller(), list(answers)

        async def resolve(name: str) -> Sequence[str]:
            self.assertEqual(name, "notes.test")
            return left.pop(0)

        dialer = Dialer(reactor=reactor, resolve=resolve, address=Address(host=host, port=443), near=near)
        for _ in answers:
            dialer.connect(caller)
        return [client[0] for client in reactor.tcpClients], [failure.reach for failure in caller.failures]

    def test_a_name_that_is_bound_anew_is_not_followed(self) -> None:
        public, private, loopback, cloud = ["93.184.216.34"], ["10.0.0.5"], ["127.0.0.1"], ["169.254.169.254"]
        for near, answers, connected, refused in (
            ("public", (public, loopback), public, 1),
            ("public", (public, private, cloud), public, 2),
            ("public", ([*public, *private],), [], 1),
            ("public", (["::ffff:10.0.0.1"],), [], 1),
            ("private", (private, public), private, 1),
            ("private", (private, loopback, cloud), private, 2),
            ("loopback", (loopback, private), loopback, 1),
        ):
            got, why = self.dial(near, *answers)  # type: ignore[arg-type]
            self.assertEqual((got, why), (connected, ["refused"] * refused))

    def test_a_name_that_nobody_knows(self) -> None:
        self.assertEqual(self.dial("public", []), ([], ["not answering"]))

    def test_a_numeric_address_needs_no_resolver(self) -> None:
        self.assertEqual(self.dial("private", [], host="10.0.0.5"), (["10.0.0.5"], []))
        self.assertEqual(self.dial("public", [], host="10.0.0.5"), ([], ["refused"]))
