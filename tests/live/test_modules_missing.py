"""A hub without bun runs, and every place that needs bun says what to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import CommandError
from tests.live.harness import ROOT, fetch, hub, packed_examples

NOWHERE = {"PARACHUTE_BUN": "/nonexistent/bun"}
WORDS = "PARACHUTE_BUN names /nonexistent/bun, which is not a program. Correct it or unset it."


class WithoutBun(SynchronousTestCase):
    def test_the_job_and_the_doctor_say_so(self) -> None:
        """Nothing of the install is left."""
        one = hub(self, catalog=packed_examples(), environment=NOWHERE).start()
        with self.assertRaises(CommandError) as caught:
            one.install("hello")
        self.assertIn(WORDS, str(caught.exception))
        job = one.client.call("GET", "/api/modules/operations")["operations"][0]
        self.assertEqual(job["error_detail"]["error_type"], "missing_dependency")
        self.assertFalse(one.module("hello")["installed"])
        self.assertFalse((one.home / "services.json").exists())
        self.assertEqual(list((one.home / "modules" / "store").glob("*/*")), [])
        command = [str(Path(sys.executable).parent / "parachute"), "doctor", "--json", "--home", str(one.home)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False, env={**os.environ, **NOWHERE}
        )
        self.assertEqual(done.returncode, 1, done.stdout)
        problems = {problem["key"]: problem for problem in json.loads(done.stdout)["problems"]}
        self.assertEqual(problems["bun"]["severity"], "error")
        self.assertIn(WORDS, json.dumps(problems["bun"]))

    def test_an_installed_module_waits_for_it(self) -> None:
        """Its row says why it did not start; with bun back it runs, and the row is cleared."""
        one = hub(self, catalog=packed_examples()).start()
        one.install("hello")
        one.stop()
        usual = one.environment
        one.environment = {**usual, **NOWHERE}
        one.start()
        services = one.home / "services.json"
        one.wait_for(lambda: "lastStartError" in services.read_text(), "the reason in services.json")
        error = json.loads(services.read_text())["services"][0]["lastStartError"]
        self.assertEqual((error["error_type"], error["binary"]), ("missing_dependency", "bun"))
        self.assertEqual(error["error_description"], WORDS)
        self.assertEqual(fetch(f"{one.url}/health").status, 200)
        one.stop()
        one.environment = usual
        one.start()
        one.wait_for(lambda: fetch(f"{one.url}/hello").status == 200, "hello to answer")
        one.wait_for(lambda: "lastStartError" not in services.read_text(), "the reason to go")
