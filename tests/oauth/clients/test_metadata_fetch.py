"""The guarded fetch, with an in-memory reactor and with TLS on loopback."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.clients.metadata_fetch import DocumentFetcher, DocumentUnreadable

URL = "https://app.test/client.json"


class Names:
    """A name server with these answers, in order."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str) -> Sequence[str]:
        return self.answers.pop(0)


class GuardTests(SynchronousTestCase):
    def connects(self, *addresses: str) -> list[str]:
        """Where the fetcher connects when the name has these addresses."""
        reactor = MemoryReactorClock()
        fetcher = DocumentFetcher(reactor=reactor, clock=reactor, resolve=Names(addresses))
        result = Deferred.fromCoroutine(fetcher.fetch(URL, "app.test"))
        result.addErrback(lambda _: None)
        clients = [client[0] for client in reactor.tcpClients]
        reactor.advance(10)
        self.successResultOf(result)
        return clients

    def test_one_private_address_is_enough_to_refuse(self) -> None:
        """One private address among public ones is enough to refuse: the next answer could be that one."""
        self.assertEqual(self.connects("93.184.216.34"), ["93.184.216.34"])
        self.assertEqual(self.connects("2606:4700::1"), ["2606:4700::1"])
        for addresses in (
            ["127.0.0.1"],
            ["169.254.169.254"],
            ["93.184.216.34", "10.0.0.1"],
            ["::ffff:93.184.216.34"],
            ["64:ff9b::5db8:d822"],
            ["localhost"],
            [],
        ):
            self.assertEqual(self.connects(*addresses), [], addresses)

    def test_the_name_is_asked_once(self) -> None:
        """DNS rebinding: the address that was checked is the one connected to."""
        names = Names(["93.184.216.34"], ["127.0.0.1"])
        reactor = MemoryReactorClock()
        fetcher = DocumentFetcher(reactor=reactor, clock=reactor, resolve=names)
        result = Deferred.fromCoroutine(fetcher.fetch(URL, "app.test"))
        self.assertEqual([client[0] for client in reactor.tcpClients], ["93.184.216.34"])
        self.assertEqual(len(names.answers), 1)
        reactor.advance(10)
        self.failureResultOf(result, DocumentUnreadable)

    def test_a_silent_host_is_given_up_after_five_seconds(self) -> None:
        """A silent name server or host is given up with the same error as other failures."""
        clock = Clock()

        async def never(host: str) -> Sequence[str]:
            await Deferred()
            return []

        fetcher = DocumentFetcher(reactor=MemoryReactorClock(), clock=clock, resolve=never)
        result = Deferred.fromCoroutine(fetcher.fetch(URL, "app.test"))
        clock.advance(4.9)
        self.assertNoResult(result)
        clock.advance(0.1)
        failure = self.failureResultOf(result, DocumentUnreadable)
        self.assertEqual(str(failure.value), str(DocumentUnreadable()))
