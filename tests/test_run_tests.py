"""The summary at the end of `make test`."""

from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.requirements import Need
from tools.run_tests import is_debian, report
from tools.test_workers import Tally

_NGINX = Need("nginx", lambda: False, "install nginx-light", "nginx-light")
_STRACE = Need("strace", lambda: False, "install strace", "strace")
_MOUNT = Need("the right to mount", lambda: False, "run it as root")
_LEFT_OUT = Counter({"needs nginx": 2, "needs strace, the right to mount": 3, "not on Tuesdays": 1})


class VerdictTests(SynchronousTestCase):
    def test_only_ci_fails_what_was_left_out(self) -> None:
        table = {
            # (passed, failed, left out, CI): verdict
            (5, 0, 0, False): (5, 0),
            (5, 0, 0, True): (5, 0),
            (5, 2, 0, False): (5, 2),
            (5, 0, 6, False): (5, 0),
            (5, 0, 6, True): (5, 6),
            (5, 1, 6, True): (5, 7),
            (0, 0, 6, False): (0, 0),
            (0, 0, 0, False): (0, 1),
        }
        for (passed, failed, left_out, strict), expected in table.items():
            found = Tally(passed, failed, Counter({"needs nginx": left_out})).verdict(strict)
            self.assertEqual(found, expected, (passed, failed, left_out, strict))


class ReportTests(SynchronousTestCase):
    def test_nothing_left_out_is_not_mentioned(self) -> None:
        self.assertEqual(report(Counter(), [_NGINX], root=True), [])

    def test_each_need_with_its_tests_and_one_command_for_all_programs(self) -> None:
        self.assertEqual(
            report(_LEFT_OUT, [_NGINX, _STRACE, _MOUNT], root=False),
            [
                "Left out: 6 tests.",
                "  2 need nginx",
                "  3 need strace",
                "  3 need the right to mount: run it as root",
                "  1: not on Tuesdays",
                "For the programs: sudo apt-get install nginx-light strace",
            ],
        )

    def test_root_needs_no_sudo(self) -> None:
        self.assertIn("For the programs: apt-get install nginx-light", report(_LEFT_OUT, [_NGINX], root=True))


class DebianTests(SynchronousTestCase):
    def test_only_debian_has_these_packages(self) -> None:
        path = Path(self.mktemp())
        self.assertFalse(is_debian(path))
        for text, expected in {'NAME="Debian"\nID=debian\n': True, "ID=ubuntu\nID_LIKE=debian\n": False}.items():
            path.write_text(text)
            self.assertEqual(is_debian(path), expected, text)
