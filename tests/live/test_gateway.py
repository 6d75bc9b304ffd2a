"""A module limited to named hosts, with a whole hub and bun's own fetch. The gateway connects to public addresses only,
so some are simulated.
"""

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import ROOT
from tests.requirements import program, requires, right


@requires(program("ip"), right("to make namespaces"), right("to confine programs"))
class GatewayTests(SynchronousTestCase):
    timeout = 180

    def test_named_hosts_and_no_others(self) -> None:
        """In a network namespace with public addresses on its loopback, and matching names and certificates."""
        words = ["unshare", "--net", "--mount"] + (["--map-root-user"] if os.geteuid() else [])
        words += [sys.executable, "-m", "twisted.trial", "--temp-directory", str(Path(self.mktemp()).absolute())]
        inside = subprocess.run(
            [*words, "tests.live.gateway_open_internet"], cwd=ROOT, capture_output=True, text=True, timeout=170
        )
        self.assertEqual(inside.returncode, 0, inside.stdout + inside.stderr)
        self.assertIn("Ran 2 tests", inside.stdout)
