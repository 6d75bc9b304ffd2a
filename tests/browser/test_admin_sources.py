"""The admin app's own tests and types, so that they count among the project's."""

import re
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.browser.admin_app import WEB, built
from tests.browser.browser import _bun as bun


class SourcesTests(SynchronousTestCase):
    def run_bun(self, *words: str) -> str:
        """What bun says; fails with it when bun fails."""
        built()
        if not (WEB / "node_modules").exists():
            subprocess.run(
                [bun(), "install", "--frozen-lockfile"], cwd=WEB, check=True, capture_output=True, timeout=120
            )
        ended = subprocess.run([bun(), *words], cwd=WEB, capture_output=True, text=True, timeout=120)
        said = ended.stdout + ended.stderr
        self.assertEqual(ended.returncode, 0, said)
        return said

    def test_its_tests_pass(self) -> None:
        """Stores, wording, the event stream and the calls, without a browser."""
        said = self.run_bun("test")
        found = re.search(r"Ran (\d+) tests", said)
        self.assertGreater(int(found[1]) if found else 0, 40, said)

    def test_its_types_hold(self) -> None:
        """By the strictest settings of TypeScript that we know of."""
        self.run_bun("x", "--no-install", "tsc", "--noEmit")

    def test_the_lock_names_no_registry(self) -> None:
        """Packages come from wherever this machine is told to get them; their hashes are what is fixed."""
        lock = (WEB / "bun.lock").read_text()
        self.assertNotIn("://", lock)
        self.assertIn("sha512-", lock)
