"""What a client may use of what all use together."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.shares import Share, Shares
from tests.support.sockets import FakeSocket, Rig, get, ok


class SharesTests(SynchronousTestCase):
    def taken(self, shares: Shares, address: str) -> Share:
        share = shares.take(address)
        assert share is not None, address
        return share

    def test_a_share_is_given_back_once(self) -> None:
        shares = Shares(each=2, total=2)
        one, _ = self.taken(shares, "10.0.0.1"), self.taken(shares, "10.0.0.1")
        self.assertIsNone(shares.take("10.0.0.1"))
        one.release()
        one.release()
        self.assertEqual(shares.taken, 1)

    def test_whom_a_limit_is_for(self) -> None:
        for addresses, allowed in (
            (("10.0.0.1", "10.0.0.1"), False),
            (("10.0.0.1", "10.0.0.2"), True),
            (("10.0.0.1", "::ffff:10.0.0.1"), False),
            (("2001:db8::1", "2001:db8::2"), False),
            (("2001:db8::1", "2001:db8:0:1::1"), True),
            (("127.0.0.1", "127.0.0.1"), True),
            (("127.0.0.2", "127.0.0.2"), False),
        ):
            shares = Shares(each=1, total=9)
            self.taken(shares, addresses[0])
            self.assertEqual(shares.take(addresses[1]) is not None, allowed, addresses)

    def test_who_makes_room_when_all_is_taken(self) -> None:
        for held, newcomer, ended in (
            ("aab", "c", "a"),
            ("abb", "c", "b"),
            ("abc", "d", None),
            ("aab", "b", None),
            ("aaab", "b", "a"),
        ):
            shares = Shares(each=9, total=len(held))
            uses = [(name, self.taken(shares, name_of(name))) for name in held]
            for _, share in uses:
                share.end = share.release
            self.assertEqual(shares.take(name_of(newcomer)) is not None, ended is not None, held)
            # Whoever was ended has no way to be ended again.
            self.assertEqual([name for name, share in uses if share.end is None], [ended] if ended else [], held)
            self.assertEqual(shares.taken, len(held), held)

    def test_what_cannot_be_ended_stays(self) -> None:
        shares = Shares(each=9, total=3)
        for _ in range(3):
            self.taken(shares, "10.0.0.1")
        self.assertIsNone(shares.take("10.0.0.2"))
        self.assertIsNotNone(shares.take("10.0.0.2", always=True))


def name_of(letter: str) -> str:
    return f"10.0.0.{ord(letter)}"


class Waiting(Resource):
    """Answers when the test says so."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Any] = []

    def render(self, request: Any) -> int:
        self.waiting.append(request)
        request.notifyFinish().addErrback(lambda _: self.waiting.remove(request))
        return NOT_DONE_YET

    def answer(self) -> None:
        for request in tuple(self.waiting):
            request.finish()


class FrontTests(SynchronousTestCase):
    """Requests under way at a module, and at the hub itself."""

    def setUp(self) -> None:
        self.pages = Waiting()
        limits = Limits(requests_per_address=2, upstream_connections=3)
        self.rig = Rig(limits=limits, resource=self.pages)
        self.addCleanup(self.rig.stop)

    def refused(self, client: FakeSocket) -> bool:
        taken = client.take()
        self.assertTrue(not taken or (b" 503 " in taken and b"Retry-After: 1\r\n" in taken), taken)
        return bool(taken)

    def test_one_network_does_not_use_up_a_module(self) -> None:
        ask = [self.rig.ask(get("/notes/slow"), peer) for peer in ("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2")]
        self.assertEqual([self.refused(client) for client in ask], [False, False, True, False])
        self.assertTrue(self.refused(self.rig.ask(get("/notes/slow"), "10.0.0.3")), "all are in use")
        self.rig.modules.sockets[0].deliver(ok())
        self.assertIn(b"200 OK", ask[0].take())
        self.assertFalse(self.refused(self.rig.ask(get("/notes/slow"), "10.0.0.1")))

    def test_however_a_request_ends_its_share_is_given_back(self) -> None:
        for number in range(40):
            client = self.rig.ask(get("/notes/"), "10.0.0.1")
            module = self.rig.modules.newest
            if number % 4 == 0:
                module.deliver(ok())
            elif number % 4 == 1:
                client.hang_up()
            elif number % 4 == 2:
                module.reset()
            else:
                module.deliver(b"nonsense\r\n\r\n")
            client.hang_up()
        self.rig.modules.refuse = True
        self.rig.ask(get("/notes/", "Connection: close"), "10.0.0.1")
        self.rig.modules.refuse = False
        self.assertEqual([self.refused(self.rig.ask(get("/notes/"), "10.0.0.1")) for _ in range(2)], [False, False])

    def test_one_network_does_not_use_up_the_hub(self) -> None:
        ask = [self.rig.ask(get("/login"), peer) for peer in ("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2")]
        self.assertEqual([self.refused(client) for client in ask], [False, False, True, False])
        self.assertFalse(self.refused(self.rig.ask(get("/health"), "10.0.0.1")), "platforms restart a silent hub")
        ask[0].hang_up()
        ask.append(self.rig.ask(get("/health"), "10.0.0.1"))
        self.assertEqual(len([client for client in ask if client.connected]), 3)
        self.pages.answer()
        self.assertIn(b" 200 ", ask[1].take())
        self.assertEqual([self.refused(self.rig.ask(get("/login"), "10.0.0.1")) for _ in range(2)], [False, False])
