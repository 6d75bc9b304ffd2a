"""Counters, latencies and the access log."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.access_log import AccessLog, Format
from parachute_hub.proxy.metrics import Counters, bucket, upper_bound
from parachute_hub.system.logs import Masker
from tests.proxy.few import few
from tests.support.sockets import Rig, get, ok


class MetricsTests(SynchronousTestCase):
    def test_every_request_is_counted_once(self) -> None:
        rig = Rig()
        client = rig.ask(get("/notes/", "Content-Length: 3", method="POST") + b"abc")
        rig.clock.advance(0.5)
        rig.modules.newest.deliver(ok(b"hello"))
        client.deliver(get("/notes/"))
        client.hang_up()
        rig.modules.refuse = True
        rig.ask(get("/notes/"))
        rig.ask(get("/api/x"))
        counted = rig.front.metrics.of("notes")
        self.assertEqual((counted.requests, counted.sent, counted.received), (3, 5, 3))
        self.assertEqual({status: count for status, count in enumerate(counted.by_class) if count}, {2: 1, 4: 1, 5: 1})
        self.assertEqual(rig.front.metrics.of("hub").requests, 1)
        told = rig.front.metrics.as_json()
        self.assertEqual(told["notes"]["requests"], 3)
        self.assertEqual(told["notes"]["errors"], 1)

    def test_the_counts_below_each_limit(self) -> None:
        """A limit belongs to a bucket, so that no request is counted on the wrong side."""
        counters = Counters()
        for seconds in (0.0001, 0.001, 0.002, 0.3, 60.0):
            counters.add(200, seconds, 0, 0)
        below = dict(counters.cumulative())
        self.assertEqual([round(limit, 6) for limit in below][:3], [0.001024, 0.004096, 0.016384])
        self.assertEqual([below[limit] for limit in sorted(below)], [2, 3, 3, 3, 3, 4, 4, 4])

    @few(200)
    @given(st.floats(0, 500))
    def test_buckets_hold_what_they_say(self, seconds: float) -> None:
        index = bucket(seconds)
        micros = int(seconds * 1e6)
        self.assertLess(micros, round(upper_bound(index) * 1e6))
        if index:
            self.assertGreaterEqual(micros, round(upper_bound(index - 1) * 1e6))
            self.assertLessEqual(upper_bound(index), max(seconds, 1e-6) * 1.34)

    def test_quantiles_are_bounded_by_their_bucket(self) -> None:
        counters = Counters()
        self.assertEqual(counters.quantile(0.5), 0.0)
        for _ in range(99):
            counters.add(200, 0.001, 0, 0)
        counters.add(200, 1.0, 0, 0)
        self.assertTrue(0.001 <= counters.quantile(0.5) <= 0.00125)
        self.assertTrue(1.0 <= counters.quantile(1.0) <= 1.25)


class AccessLogTests(SynchronousTestCase):
    def logged(self, form: Format, *requests: bytes) -> list[str]:
        """The lines for these requests."""
        written: list[str] = []
        rig = Rig(access_log=AccessLog(form, Masker(), written.append))
        for request in requests:
            rig.ask(request, "192.0.2.1")
            rig.modules.newest.deliver(ok(b"hello"))
        self.assertEqual(written, [], "nothing is formatted on the way")
        rig.pass_time(1)
        return "".join(written).splitlines()

    def test_combined_lines_follow_the_apache_format(self) -> None:
        request = get("/notes/a?x=1", "Referer: http://hub.test/", 'User-Agent: an "agent"')
        (line,) = self.logged("combined", request)
        self.assertEqual(
            line,
            '192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] "GET /notes/a?x=1 HTTP/1.1" 200 5 '
            r'"http://hub.test/" "an \"agent\""',
        )

    def test_json_lines_hold_every_field(self) -> None:
        (line,) = self.logged("json", get("/notes/a"))
        told = json.loads(line)
        self.assertEqual((told["module"], told["status"], told["bytes"], told["target"]), ("notes", 200, 5, "/notes/a"))

    def test_what_the_front_answers_itself_is_logged_too(self) -> None:
        written: list[str] = []
        rig = Rig(access_log=AccessLog("combined", Masker(), written.append))
        rig.ask(get("/nothing"))
        rig.ask(b"nonsense\r\n\r\n")
        rig.ask(get("/api/x", "Content-Length: 9999999", method="POST"))
        rig.pass_time(1)
        statuses = [line.split('"')[2].split()[0] for line in "".join(written).splitlines()]
        self.assertEqual(statuses, ["404", "400", "413"])

    def test_secrets_in_addresses_are_masked(self) -> None:
        forms: tuple[Format, ...] = ("combined", "json")
        for form in forms:
            secret = get("/notes/?key=sesame-open&a=1", "Referer: http://h/?token=sesame-open")
            (line,) = self.logged(form, secret)
            self.assertNotIn("sesame", line)
            self.assertIn("a=1", line)

    def test_no_request_writes_two_lines_or_steers_a_terminal(self) -> None:
        lines = self.logged("combined", get("/notes/", "User-Agent: \x85\x9b31m\xe2\x80\xa8 x"))
        self.assertEqual(len(lines), 1)
        self.assertTrue(lines[0].isprintable(), ascii(lines[0]))

    def test_long_batches_are_written_before_the_second_is_over(self) -> None:
        written: list[str] = []
        rig = Rig(access_log=AccessLog("combined", Masker(), written.append))
        client = rig.ask(get("/notes/"))
        for _ in range(120):
            rig.modules.newest.deliver(ok())
            client.deliver(get("/notes/"))
        self.assertEqual(len("".join(written).splitlines()), 100)
