"""One request through the front to a module and back."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.model import ModuleView
from parachute_hub.proxy.routes import Mount
from parachute_hub.proxy.transport import PLAIN_READ, STREAM_READ
from tests.support.sockets import HOST, FakeModules, FakeSocket, Rig, get, ok

POST = get("/notes/", "Content-Length: 5", method="POST")
CHUNKED = get("/notes/", "Transfer-Encoding: chunked", method="POST")


def head_of(data: bytes) -> list[bytes]:
    """The lines of a message head."""
    return data.partition(b"\r\n\r\n")[0].split(b"\r\n")


class FakeRemote:
    """Another machine, which is connected to like a module here."""

    key = "there"

    def __init__(self, modules: FakeModules) -> None:
        self._modules = modules

    def connect(self, factory: Any, seconds: float) -> None:
        self._modules.connectTCP("192.0.2.1", 443, factory)

    def stamp(self, head: bytes) -> bytes:
        return head

    def failed(self) -> None: ...


class ExchangeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig()
        self.modules = self.rig.modules

    def asked(self, request: bytes = get("/notes/")) -> tuple[FakeSocket, FakeSocket]:
        """(client, module) after this request."""
        client = self.rig.ask(request)
        return client, self.modules.newest

    def test_a_request_and_its_answer(self) -> None:
        client, module = self.asked(get("/notes/..a%2Fb?%zz", "X-Odd:  kept  "))
        lines = head_of(module.take())
        self.assertEqual(lines[0], b"GET /notes/..a%2Fb?%zz HTTP/1.1")
        self.assertIn(b"X-Odd:  kept  ", lines)
        self.assertIn(b"Host: 127.0.0.1:2001", lines)
        module.deliver(ok(b"hi", "X-Own: 1"))
        self.assertEqual(client.take(), b"HTTP/1.1 200 OK\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nhi")
        self.assertTrue(client.connected)

    def test_connections_are_used_again(self) -> None:
        client, module = self.asked()
        module.deliver(ok())
        client.deliver(get("/notes/"))
        self.assertEqual(len(self.modules.sockets), 1)
        module.deliver(ok())
        self.assertEqual(client.take().count(b"200 OK"), 2)

    def test_what_is_under_way_is_counted(self) -> None:
        """An idle connection does not count."""
        _, module = self.asked()
        self.assertEqual((self.rig.front.under_way(2001), self.rig.front.under_way(2002)), (1, 0))
        module.deliver(ok())
        self.assertEqual(self.rig.front.under_way(2001), 0)

    def test_a_client_that_closes_does_not_stop_pooling_17(self) -> None:
        client, module = self.asked(get("/notes/", "Connection: close"))
        self.assertNotIn(b"Connection", module.take())
        module.deliver(ok())
        self.assertIn(b"Connection: close", client.take())
        self.assertFalse(client.connected)
        self.rig.ask(get("/notes/"))
        self.assertEqual(len(self.modules.sockets), 1)

    def test_a_paused_connection_is_not_pooled_paused_1(self) -> None:
        client, module = self.asked()
        module.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        client.producer.pauseProducing()
        self.assertTrue(module.paused)
        module.paused = False  # what was read before the pause is still delivered
        module.protocol.dataReceived(b"def")
        self.assertFalse(module.paused)
        self.assertIsNone(client.producer)

    def test_an_idle_connection_that_died_is_replaced_2(self) -> None:
        _, first = self.asked()
        first.deliver(ok())
        client = self.rig.ask(get("/notes/again"))
        first.hang_up()
        second = self.modules.newest
        self.assertIsNot(first, second)
        self.assertIn(b"GET /notes/again", second.take())
        second.deliver(ok())
        self.assertIn(b"200 OK", client.take())

    def test_a_request_is_sent_again_once_only_2(self) -> None:
        _, first = self.asked()
        first.deliver(ok())
        client = self.rig.ask(get("/notes/again"))
        first.hang_up()
        self.modules.newest.hang_up()
        self.assertIn(b" 502 ", client.take())
        self.assertEqual(len(self.modules.sockets), 2)

    def test_a_post_is_never_sent_twice_2(self) -> None:
        _, first = self.asked()
        first.deliver(ok())
        client = self.rig.ask(get("/notes/", "Content-Length: 0", method="POST"))
        first.hang_up()
        self.assertIn(b" 502 ", client.take())
        self.assertEqual(len(self.modules.sockets), 1)

    def test_a_started_answer_is_not_asked_for_again_2(self) -> None:
        _, first = self.asked()
        first.deliver(ok())
        client = self.rig.ask(get("/notes/"))
        first.deliver(b"HTTP/1.1 2")
        first.hang_up()
        self.assertIn(b" 502 ", client.take())
        self.assertEqual(len(self.modules.sockets), 1)

    def test_idle_connections_are_let_go_2(self) -> None:
        _, module = self.asked()
        module.deliver(ok())
        self.rig.pass_time(7)
        self.assertFalse(module.connected)

    def test_bytes_nobody_asked_for_poison_nothing_3(self) -> None:
        _, module = self.asked()
        module.deliver(ok() + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        self.assertFalse(module.connected)
        _, module = self.asked()
        module.deliver(ok())
        module.deliver(b"x")
        self.assertTrue(module.aborted)
        client = self.rig.ask(get("/notes/"))
        self.assertEqual(client.take(), b"")
        self.assertIsNot(self.modules.newest, module)

    def test_a_cut_answer_is_not_passed_as_whole_4(self) -> None:
        for start in (b"Content-Length: 9\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"):
            client, module = self.asked()
            module.deliver(b"HTTP/1.1 200 OK\r\n" + start)
            module.hang_up()
            self.assertTrue(client.aborted)
            self.assertNotIn(b"0\r\n\r\n", client.take())

    def test_a_bad_chunk_breaks_the_answer_off_4(self) -> None:
        client, module = self.asked()
        module.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        module.deliver(b"zz\r\n")
        self.assertTrue(client.aborted and module.aborted)

    def test_doubtful_answers_are_refused_5(self) -> None:
        for lines in (
            b"Content-Length: 1\r\nContent-Length: 2",
            b"Content-Length: 1\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: gzip",
            b"X: a\x00",
        ):
            client, module = self.asked(get("/notes/", "Accept: application/json"))
            module.deliver(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\nx")
            self.assertIn(b" 502 ", client.take())
            self.assertTrue(module.aborted)

    def test_an_endless_head_is_refused_5(self) -> None:
        client, module = self.asked()
        for _ in range(70):
            module.deliver(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1024)
        self.assertIn(b" 502 ", client.take())
        self.assertTrue(module.aborted)

    def test_answers_without_a_body_6(self) -> None:
        for request, answer, wanted in (
            (get("/notes/", method="HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", b"Content-Length: 7"),
            (get("/notes/"), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", b"Content-Length: 7"),
            (get("/notes/"), b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b""),
            (get("/notes/", method="HEAD"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
        ):
            client, module = self.asked(request)
            module.deliver(answer)
            framing = [line for line in head_of(client.take()) if line.lower().startswith((b"content-l", b"transfer"))]
            self.assertEqual(framing, [wanted] if wanted else [])
            self.assertTrue(client.connected)
            client.deliver(get("/notes/"))
            self.assertIs(self.modules.newest, module)

    def test_interim_responses_are_forwarded(self) -> None:
        client, module = self.asked()
        module.deliver(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok())
        taken = client.take()
        self.assertNotIn(b" 100 ", taken)
        self.assertIn(b"103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200", taken)

    def test_interim_answers_without_end_6(self) -> None:
        client, module = self.asked()
        module.deliver(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40)
        self.assertIn(b" 502 ", client.take())

    def test_a_protocol_change_nobody_asked_for_6(self) -> None:
        client, module = self.asked()
        module.deliver(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
        self.assertIn(b" 502 ", client.take())
        self.assertTrue(module.aborted)

    def test_chunks_for_an_old_client_7(self) -> None:
        client, module = self.asked(f"GET /notes/ HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\n\r\n".encode())
        module.deliver(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        module.deliver(b"2\r\nde\r\n0\r\n\r\n")
        self.assertTrue(client.take().endswith(b"\r\n\r\nabcde"))
        self.assertFalse(client.connected)

    def test_keep_alive_for_an_old_client_7(self) -> None:
        client, module = self.asked(f"GET /notes/ HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\n\r\n".encode())
        module.deliver(ok())
        self.assertIn(b"Connection: keep-alive", client.take())
        self.assertTrue(client.connected)

    def test_a_body_until_close_is_framed_again_7(self) -> None:
        client, module = self.asked()
        module.deliver(b"HTTP/1.0 200 OK\r\n\r\nabc")
        module.deliver(b"de")
        module.hang_up()
        self.assertTrue(client.take().endswith(b"chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
        self.assertTrue(client.connected)

    def test_a_body_until_reset_is_not_complete_7(self) -> None:
        client, module = self.asked()
        module.deliver(b"HTTP/1.0 200 OK\r\n\r\nabc")
        module.reset()
        self.assertTrue(client.aborted)

    def test_an_early_answer_reaches_the_client_11(self) -> None:
        client, module = self.asked(POST + b"he")
        module.deliver(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        taken = client.take()
        self.assertIn(b"413", taken)
        self.assertIn(b"Connection: close", taken)
        self.assertTrue(client.half_closed and client.connected, "it must be able to read the answer")
        client.deliver(b"llo")
        self.assertFalse(module.connected, "half a request is left on it")
        self.rig.pass_time(4)
        self.assertFalse(client.connected)

    def test_no_refusal_follows_an_answer_that_has_begun_11(self) -> None:
        """It would be taken for the rest of that."""
        for request, wrong in ((POST + b"he", None), (CHUNKED + b"3\r\nabc\r\n", b"zz\r\n")):
            client, module = self.asked(request)
            module.deliver(ok(b"x" * 300)[:-200])
            client.take()
            if wrong is None:
                self.rig.pass_time(45)
            else:
                client.deliver(wrong)
            self.assertEqual((client.take(), client.aborted, module.aborted), (b"", True, True))

    def test_the_client_is_told_to_go_on_12(self) -> None:
        client, module = self.asked(get("/notes/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        self.assertEqual(client.take(), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.deliver(b"hello")
        sent = module.take()
        self.assertTrue(sent.endswith(b"\r\n\r\nhello"))
        self.assertNotIn(b"xpect", sent)
        module.deliver(b"HTTP/1.1 100 Continue\r\n\r\n" + ok())
        self.assertEqual(client.take().count(b"HTTP/1.1"), 1)

    def test_a_refused_upload_is_not_asked_for_12(self) -> None:
        client = self.rig.ask(get("/nowhere", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        taken = client.take()
        self.assertIn(b" 404 ", taken)
        self.assertNotIn(b"100 Continue", taken)

    def test_a_body_is_sent_on_as_it_comes_13(self) -> None:
        client, module = self.asked(POST)
        client.deliver(b"he")
        self.assertTrue(module.take().endswith(b"\r\n\r\nhe"))
        module.producer.pauseProducing()
        self.assertTrue(client.paused)
        client.deliver(b"llo")
        self.assertEqual(module.take(), b"")
        module.producer.resumeProducing()
        self.assertEqual(module.take(), b"llo")
        self.assertIsNone(module.producer)

    def test_chunks_are_framed_anew_13(self) -> None:
        client, module = self.asked(CHUNKED + b"3;evil=1\r\nabc\r\n")
        client.deliver(b"02\r\nde\r\n0\r\nX-Parachute-Layer: loopback\r\n\r\n")
        sent = module.take()
        self.assertTrue(sent.endswith(b"\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), sent)
        module.deliver(ok())
        self.assertTrue(client.connected)

    def test_a_head_that_came_before_is_read_the_same(self) -> None:
        client, module = self.asked()
        for body in (b"one", b"two"):
            module.deliver(ok(body, "X-Same: 1"))
            self.assertTrue(client.take().endswith(b"X-Same: 1\r\nContent-Length: 3\r\n\r\n" + body))
            client.deliver(get("/notes/"))
        module.deliver(b"HTTP/1.1 200 OK\r\nX-Same: 1\r\nX-Other\r\n\r\n")
        self.assertIn(b" 502 ", client.take())

    def test_a_module_head_that_came_before_is_shown_by_the_rules_of_each_request(self) -> None:
        """A busy module repeats its head, and so does the hub: but not across requests with other rules."""
        mounts = (
            Mount("vault", b"/vault/default", 2002),
            Mount("vault", b"/vault/work", 2002, strip=True),
            Mount("boxed", b"/boxed", 2002, sandboxed=True),
        )
        heads = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:2002/there\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: http://second.test:2002/there\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=1\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        )
        requests = (
            get("/vault/default/x"),
            get("/vault/work/x"),
            get("/boxed/x"),
            get("/vault/default/x", "Authorization: Bearer eyJh.b.c"),
            get("/vault/default/mcp", "Authorization: Bearer eyJh.b.c"),
            get("/vault/default/x", "Connection: close"),
            get("/vault/default/x", method="HEAD"),
            get("/vault/default/x").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
            get("/vault/default/x").replace(HOST.encode(), b"second.test", 1),
        )

        def answers(head: bytes, *asked: bytes) -> list[bytes]:
            rig = Rig(mounts, hosts=(HOST, "second.test"))
            found = []
            for request in asked:
                client = rig.ask(request)
                body = b"2\r\nhi\r\n0\r\n\r\n" if b"chunked" in head else b"hi"
                [module] = [one for one in rig.modules.sockets if one.connected and one.take()]
                module.deliver(head)
                module.deliver(b"" if request.startswith(b"HEAD") else body)
                found.append(client.take())
            return found

        for head in heads:
            for first in requests:
                for second in requests:
                    self.assertEqual(answers(head, first, first, second)[2], answers(head, second)[0], (head, second))

    def test_more_is_read_at_once_while_a_body_comes_13(self) -> None:
        """And the usual amount before and after: the kernel buffers the rest."""
        client: Any
        module: Any
        client, module = self.asked(POST)
        self.assertEqual((client.bufferSize, module.bufferSize), (STREAM_READ, STREAM_READ))
        client.deliver(b"hello")
        self.assertEqual(client.bufferSize, PLAIN_READ)

    def test_a_body_waits_for_a_slow_connect_within_bounds_13(self) -> None:
        self.modules.slow = True
        client = self.rig.ask(get("/notes/", "Content-Length: 300000", method="POST"))
        client.deliver(b"x" * 100_000)
        self.assertTrue(client.paused)
        client.deliver(b"y" * 200_000)
        self.modules.accept()
        self.assertFalse(client.paused)
        self.assertEqual(len(self.modules.newest.take().partition(b"\r\n\r\n")[2]), 300_000)

    def test_a_bad_chunk_from_the_client_ends_both_sides(self) -> None:
        client, module = self.asked(CHUNKED + b"3\r\nabc\r\n")
        client.deliver(b"zz\r\n")
        self.assertTrue(module.aborted)
        self.assertIn(b" 400 ", client.take())

    def test_a_client_that_goes_ends_the_request_14(self) -> None:
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"):
            client, module = self.asked()
            module.deliver(answer)
            client.hang_up()
            self.assertTrue(module.aborted)
        client, module = self.asked(POST + b"he")
        client.reset()
        self.assertTrue(module.aborted)

    def test_a_client_that_goes_while_we_connect_14(self) -> None:
        self.modules.slow = True
        client = self.rig.ask(get("/notes/"))
        client.hang_up()
        self.modules.accept()
        self.assertEqual(self.modules.newest.take(), b"")
        self.rig.ask(get("/notes/"))
        self.assertIn(b"GET /notes/", self.modules.newest.take())

    def test_events_pass_at_once_and_for_ever_15(self) -> None:
        client, module = self.asked()
        module.deliver(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        module.deliver(b"6\r\ndata:1\r\n")
        self.assertTrue(client.take().endswith(b"6\r\ndata:1\r\n"))
        self.rig.pass_time(3600)
        self.assertTrue(client.connected and module.connected)

    def test_a_client_that_reads_nothing_is_let_go(self) -> None:
        client, module = self.asked()
        module.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        client.producer.pauseProducing()
        self.rig.pass_time(290)
        self.assertTrue(client.connected)
        client.producer.resumeProducing()
        self.rig.pass_time(600)
        self.assertTrue(client.connected)
        client.producer.pauseProducing()
        self.rig.pass_time(302)
        self.assertTrue(client.aborted and module.aborted)

    def test_a_refused_connection_is_503(self) -> None:
        self.modules.refuse = True
        client = self.rig.ask(get("/notes/", "Accept: application/json"))
        taken = client.take()
        self.assertIn(b" 503 ", taken)
        self.assertIn(b"upstream_starting", taken)
        self.assertTrue(client.connected)

    def test_too_much_for_one_module(self) -> None:
        rig = Rig(limits=Limits(upstream_connections=1))
        rig.ask(get("/notes/"))
        taken = rig.ask(get("/notes/", "Accept: application/json")).take()
        self.assertIn(b" 503 ", taken)
        self.assertIn(b"upstream_busy", taken)

    def asleep(
        self, request: bytes = get("/notes/", "Accept: application/json"), peer: str = "127.0.0.1"
    ) -> FakeSocket:
        self.modules.views["notes"] = ModuleView("asleep", "Nobody used it.", wakes=True)
        return self.rig.ask(request, peer)

    def test_a_request_waits_for_a_module_that_sleeps(self) -> None:
        client = self.asleep(POST)
        client.deliver(b"hel")
        self.assertEqual((self.modules.sockets, client.take()), ([], b""))
        self.modules.views["notes"] = ModuleView("ready", port=2001)
        self.modules.waking[0].callback(True)
        client.deliver(b"lo")
        self.assertEqual(self.modules.newest.take().partition(b"\r\n\r\n")[2], b"hello")
        self.modules.newest.deliver(ok(b"hi"))
        self.assertIn(b"200 OK", client.take())

    def test_a_request_waits_for_a_link_that_is_being_set_up(self) -> None:
        there = FakeRemote(self.modules)
        for view, word in (
            (ModuleView("ready", remote=there), b"200 OK"),
            (ModuleView("backoff", "Nothing listens there.", remote=there), b"Nothing listens there."),
        ):
            self.modules.views["notes"] = ModuleView("starting", wakes=True, remote=there)
            client = self.rig.ask(get("/notes/", "Accept: application/json"))
            self.assertEqual(client.take(), b"")
            self.modules.views["notes"] = view
            self.modules.waking.pop().callback(True)
            if view.state == "ready":
                self.modules.newest.deliver(ok(b"hi"))
            self.assertIn(word, client.take())
        self.assertEqual(len(self.modules.sockets), 1)

    def test_what_a_module_that_cannot_be_woken_is_answered_with(self) -> None:
        for outcome, view, status, word in (
            (True, ModuleView("backoff", retry_at=9.0), b" 503 ", b"upstream_starting"),
            (True, ModuleView("parked", "it crashed 5 times"), b" 502 ", b"it crashed 5 times"),
            (True, ModuleView("starting", wakes=True), b" 503 ", b"upstream_starting"),
            (False, ModuleView("asleep", wakes=True), b" 503 ", b"no memory left"),
            (ValueError("of the supervisor"), ModuleView("asleep", wakes=True), b" 502 ", b"could not be woken"),
        ):
            client = self.asleep()
            self.modules.views["notes"] = view
            waiting = self.modules.waking.pop()
            waiting.errback(outcome) if isinstance(outcome, Exception) else waiting.callback(outcome)
            taken = client.take()
            self.assertIn(status, taken)
            self.assertIn(word, taken)
        self.assertEqual(self.modules.sockets, [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_who_leaves_meanwhile_disturbs_nobody(self) -> None:
        client = self.asleep()
        client.hang_up()
        self.modules.views["notes"] = ModuleView("ready", port=2001)
        self.modules.waking[0].callback(True)
        self.assertEqual(self.rig.front.under_way(2001), 0)

    def test_how_many_may_wait(self) -> None:
        """More are told to come back, and a place is free again once somebody was served or left."""
        self.rig = Rig(limits=Limits(waking_per_address=2))
        self.modules = self.rig.modules
        self.assertEqual([self.asleep(peer="10.0.0.1").take() for _ in range(2)], [b"", b""])
        self.assertIn(b"upstream_starting", self.asleep(peer="10.0.0.1").take())
        self.assertEqual(self.asleep(peer="10.0.0.2").take(), b"")
        self.modules.waking[0].callback(False)
        self.assertEqual(self.asleep(peer="10.0.0.1").take(), b"")

    def test_how_much_those_may_hold_that_wait(self) -> None:
        """Long heads count with their length. A body waits in the kernel, and arrives whole."""
        self.rig = Rig(limits=Limits(waiting_bytes=400_000, waiting_bytes_per_address=200_000))
        self.modules = self.rig.modules
        long = get("/notes/", f"X-Long: {'x' * 30_000}", "Accept: application/json")
        taken = [self.asleep(long, f"192.0.2.{number // 6}").take() for number in range(18)]
        self.assertEqual([number for number, answer in enumerate(taken) if not answer], [0, 1, 2, 3, 4, 6, 7, 8, 9, 10])
        for answer in taken:
            self.assertTrue(not answer or (b" 503 " in answer and b"Retry-After: 1\r\n" in answer))
        while self.modules.waking:
            self.modules.waking.pop().callback(False)
        self.assertEqual(self.rig.front.waiting.taken, 0)
        client = self.asleep(get("/notes/", "Content-Length: 200000", method="POST"))
        for _ in range(10):
            client.deliver(b"x" * 20_000)
        self.assertLess(client.protocol.held(exactly=False), 64_000)  # type: ignore[attr-defined]
        self.modules.views["notes"] = ModuleView("ready", port=2001)
        self.modules.waking[0].callback(True)
        self.assertEqual(self.modules.newest.take().count(b"x"), 200_000)

    def test_states_are_answered_without_asking_the_module(self) -> None:
        for view, status, word in (
            (ModuleView("starting"), b" 503 ", b"upstream_starting"),
            (ModuleView("backoff", retry_at=9.0), b" 503 ", b'"retry_after_ms": 9000'),
            (ModuleView("parked", "it crashed 5 times"), b" 502 ", b"it crashed 5 times"),
            (ModuleView("stopped"), b" 502 ", b"upstream_unreachable"),
            (ModuleView("held", "port 2001 belongs to pid 7"), b" 502 ", b"pid 7"),
            (ModuleView("ready"), b" 502 ", b"not held by the module itself"),
            (ModuleView("ready", port=2002), b" 502 ", b"not held by the module itself"),
        ):
            self.modules.views["notes"] = view
            taken = self.rig.ask(get("/notes/", "Accept: application/json")).take()
            self.assertIn(status, taken)
            self.assertIn(word, taken)
        self.assertEqual(self.modules.sockets, [])
        self.modules.views["notes"] = ModuleView("degraded", port=2001)
        self.rig.ask(get("/notes/"))
        self.assertEqual(len(self.modules.sockets), 1)
