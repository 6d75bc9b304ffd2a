"""The admin app's own tests and types, as part of the test suite."""

import re
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.browser.admin_app import WEB, built
from tests.browser.browser import _bun as bun


class SourcesTests(SynchronousTestCase):
    def run_bun(self, *words: str) -> str:
        """Bun's output; fails when bun fails."""
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
        """Stores, wording, the event stream and the API client, without a browser."""
        said = self.run_bun("test")
        found = re.search(r"Ran (\d+) tests", said)
        self.assertGreater(int(found[1]) if found else 0, 40, said)

    def test_its_types_hold(self) -> None:
        """With TypeScript's strictest settings."""
        self.run_bun("x", "--no-install", "tsc", "--noEmit")

    def test_the_lock_names_no_registry(self) -> None:
        """Packages come from whatever registry is configured; the lock file fixes their hashes."""
        lock = (WEB / "bun.lock").read_text()
        self.assertNotIn("://", lock)
        self.assertIn("sha512-", lock)
