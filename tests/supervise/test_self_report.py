"""What modules say is wrong with themselves."""

import doctest

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise import self_report
from parachute_hub.supervise.self_report import STARTING, SelfReport, complaints


class ComplaintsTests(SynchronousTestCase):
    def test_docstring_examples_hold(self) -> None:
        self.assertEqual(doctest.testmod(self_report).failed, 0)

    def test_health_responses_are_understood(self) -> None:
        """The first five are of published modules."""
        for body, told in (
            (b'{"status":"ok","vaults":["default"]}', ()),
            (b'{"ok":true}', ()),
            (b'{"status":"ok","scheduledJobs":0,"lastTickAt":null,"uptime_seconds":3}', ()),
            (b'{"status":"ok","uis":1,"skippedUis":2,"uptime_seconds":21}', ("2 skipped uis",)),
            (
                b'{"status":"ok","channels":[],"dependencies":{"ok":false,"missing":["bwrap","claude"]}}',
                ("dependencies: missing bwrap, claude",),
            ),
            (b'{"status":"disabled"}', ("disabled",)),
            (b'{"status":"ERROR","error":"disk full"}', ("ERROR: disk full",)),
            (b'{"ok":false}', ("it says that it is not well",)),
            (b'{"checks":{"db:time":[{"status":"fail","output":"locked"}]}}', ("db:time: fail: locked",)),
            (b'{"components":[{"name":"mail","status":"down"},{"status":"warn"}]}', ("mail: down", "a part: warn")),
            (b'{"failed_jobs":["a"],"failedLogins":0,"failed":true,"failure":9}', ("1 failed jobs",)),
            (b'{"status":"idle","queue":{"status":"connected"},"error":"old"}', ()),
            (b'{"status":["degraded"],"missing":3,"checks":7,"components":[null,[]]}', ()),
            (b'{"ok":false,"missing":[1,null]}', ("it says that it is not well",)),
            (b"ok", ()),
            (b"[1]", ()),
            (b'{"status":"degraded"', ()),
            (b"", ()),
        ):
            self.assertEqual(complaints(body), told, body)

    def test_what_is_told_is_short_and_printable(self) -> None:
        body = b'{"status":"error","message":"\\u001b[31mred\\u0007' + b"x" * 300 + b'"}'
        (told,) = complaints(body)
        self.assertEqual((len(told), told[:11], told[-1]), (200, "error: red ", "\u2026"))
        many = b'{"checks":{%s}}' % b",".join(b'"c%d":{"status":"down"}' % n for n in range(9))
        self.assertEqual(len(complaints(many)), 5)


class SelfReportTests(SynchronousTestCase):
    def test_changes_are_told_once(self) -> None:
        report = SelfReport()
        report.begin(0.0)
        down, same = b'{"status":"down","at":1}', b'{"status":"down","at":2}'
        for body, changed in ((b"{}", False), (down, True), (same, False), (b"{}", True)):
            self.assertEqual(report.answered(body), changed, body)

    def test_lines_of_the_start_are_kept_few_and_once(self) -> None:
        report = SelfReport()
        report.begin(10.0)
        self.assertFalse(report.wrote("listening on 1940", 11.0))
        self.assertTrue(report.wrote("cannot read a", 12.0))
        self.assertFalse(report.wrote("cannot read a", 12.0))
        for number in range(9):
            report.wrote(f"failed {number}", 13.0)
        self.assertEqual(report.warnings, ("cannot read a", "failed 0", "failed 1", "failed 2", "failed 3"))
        self.assertFalse(report.wrote("failed late", 10.0 + STARTING + 1))
        self.assertEqual(report.last, "failed late")
