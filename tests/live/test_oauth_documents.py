"""Client ID Metadata Documents with a whole hub. It fetches only from public addresses, so one is simulated."""

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import ROOT, packed_examples
from tests.live.oauth_rig import python_clients
from tests.requirements import program, requires, right


@requires(program("ip"), right("to make namespaces"))
class DocumentTests(SynchronousTestCase):
    def test_an_app_by_its_address(self) -> None:
        """In a network namespace with a public address on its loopback, and matching names and certificates."""
        # What needs a registry is fetched out here.
        packed_examples()
        python_clients()
        words = ["unshare", "--net", "--mount"] + (["--map-root-user"] if os.geteuid() else [])
        words += [sys.executable, "-m", "twisted.trial", "--temp-directory", str(Path(self.mktemp()).absolute())]
        inside = subprocess.run(
            [*words, "tests.live.oauth_open_internet"], cwd=ROOT, capture_output=True, text=True, timeout=180
        )
        self.assertEqual(inside.returncode, 0, inside.stdout + inside.stderr)
        self.assertIn("Ran 1 tests", inside.stdout)
