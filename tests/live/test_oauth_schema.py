"""schemathesis checks a running hub against the issuer's OpenAPI document: no 500, no undocumented response."""

import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import ROOT, hub
from tests.live.oauth_rig import python_environment

DOCUMENT = ROOT / "parachute_hub" / "oauth" / "openapi.json"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth"


class SchemaTests(SynchronousTestCase):
    def fuzz(self, *words: str) -> None:
        """Run it with a fixed seed; fail with its report."""
        program = python_environment("schemathesis", ("schemathesis==4.32.5",)).parent / "st"
        command = [str(program), "run", str(DOCUMENT), "--checks", CHECKS, "--max-examples", "25", "--seed", "7"]
        command += ["--no-shrink", "--generation-deterministic", "--continue-on-failure", *words]
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
        self.assertEqual(done.returncode, 0, done.stdout[-8000:] + done.stderr[-2000:])

    def test_what_strangers_reach(self) -> None:
        """Public documents, registration, token and revocation."""
        process = hub(self).start()
        self.fuzz("--url", process.url, "--exclude-path-regex", "^/api/|clients")

    def test_what_the_operator_reaches(self) -> None:
        """Tokens and clients, with the operator token; schemathesis also omits and corrupts it."""
        process = hub(self).start()
        token = (process.home / "operator.token").read_text().strip()
        self.fuzz(
            "--url", process.url, "--include-path-regex", "^/api/|clients", "-H", f"Authorization: Bearer {token}"
        )
