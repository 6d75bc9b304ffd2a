"""The official MCP conformance suite against the reference vault.

Two releases: the newest one, and the preview that knows revision 2026-07-28. Scenarios that need tools, prompts or
resources of the suite's own server, or an optional capability that the vault does not offer, are listed here with the
reason. A scenario that fails without being listed, or is listed and does not fail any more, fails the test.
"""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.vault_rig import RunningVault, running_vault
from tests.support.examples import bun

FOLDER = Path(__file__).parent.parent / "examples" / "conformance"

TOOL, PROMPT, RESOURCE = "needs the suite's tool", "needs the suite's prompt", "needs the suite's resource"
NO_LOGGING = "the vault does not declare logging, which is optional and deprecated"
NO_SESSION = "needs a session; the vault is stateless, so it cannot be subscribed to in the older revisions"
NO_TASKS = "needs the tasks extension, which is optional"
NO_MIRRORED = "needs a tool with x-mcp-header; the vault mirrors no argument into a header"

NOT_APPLICABLE = {
    "completion-complete": f"{PROMPT} test_prompt_with_arguments",
    "elicitation-sep1034-defaults": f"{TOOL} test_elicitation_sep1034_defaults",
    "elicitation-sep1330-enums": f"{TOOL} test_elicitation_sep1330_enums",
    "http-custom-header-server-validation": NO_MIRRORED,
    "input-required-result-basic-elicitation": f"{TOOL} test_input_required_result_elicitation",
    "input-required-result-basic-list-roots": f"{TOOL} test_input_required_result_list_roots",
    "input-required-result-basic-sampling": f"{TOOL} test_input_required_result_sampling",
    "input-required-result-capability-check": f"{TOOL} test_input_required_result_capabilities",
    "input-required-result-multi-round": f"{TOOL} test_input_required_result_multi_round",
    "input-required-result-multiple-input-requests": f"{TOOL} test_input_required_result_multiple_inputs",
    "input-required-result-non-tool-request": f"{PROMPT} test_input_required_result_prompt",
    "input-required-result-request-state": f"{TOOL} test_input_required_result_request_state",
    "input-required-result-result-type": f"{TOOL} test_input_required_result_elicitation",
    "input-required-result-tampered-state": f"{TOOL} test_input_required_result_tampered_state",
    "json-schema-2020-12": f"{TOOL} json_schema_2020_12_tool",
    "logging-set-level": NO_LOGGING,
    "prompts-get-embedded-resource": f"{PROMPT} test_prompt_with_embedded_resource",
    "prompts-get-simple": f"{PROMPT} test_simple_prompt",
    "prompts-get-with-args": f"{PROMPT} test_prompt_with_arguments",
    "prompts-get-with-image": f"{PROMPT} test_prompt_with_image",
    "resources-read-binary": f"{RESOURCE} test://static-binary",
    "resources-read-text": f"{RESOURCE} test://static-text",
    "resources-subscribe": NO_SESSION,
    "resources-templates-read": f"{RESOURCE} test://template/123/data",
    "resources-unsubscribe": NO_SESSION,
    "tasks-capability-negotiation": NO_TASKS,
    "tasks-dispatch-and-envelope": NO_TASKS,
    "tasks-lifecycle": NO_TASKS,
    "tasks-mrtr-composition": NO_TASKS,
    "tasks-mrtr-input": NO_TASKS,
    "tasks-request-headers": NO_TASKS,
    "tasks-request-state-removal": NO_TASKS,
    "tasks-required-task-error": NO_TASKS,
    "tasks-wire-fields": NO_TASKS,
    "tools-call-audio": f"{TOOL} test_audio_content",
    "tools-call-elicitation": f"{TOOL} test_elicitation",
    "tools-call-embedded-resource": f"{TOOL} test_embedded_resource",
    "tools-call-error": f"{TOOL} test_error_handling",
    "tools-call-image": f"{TOOL} test_image_content",
    "tools-call-mixed-content": f"{TOOL} test_multiple_content_types",
    "tools-call-sampling": f"{TOOL} test_sampling",
    "tools-call-simple-text": f"{TOOL} test_simple_text",
    "tools-call-with-logging": NO_LOGGING,
    "tools-call-with-progress": f"{TOOL} test_tool_with_progress",
}
"""Scenarios that fail, and why they say nothing about the vault."""

CHECKS_NOT_APPLICABLE = {
    "server-stateless": {
        "sep-2575-server-rejects-undeclared-capability": f"{TOOL} test_missing_capability",
        "sep-2575-missing-capability-http-400": f"{TOOL} test_missing_capability",
        "sep-2575-http-server-no-independent-requests-on-stream": f"{TOOL} test_streaming_elicitation",
        "sep-2575-server-no-log-without-loglevel": f"{TOOL} test_logging_tool",
    },
}
"""Single checks of scenarios that otherwise apply."""

EMPTY = {
    "input-required-result-ignore-extra-params": f"{TOOL} test_input_required_result_elicitation",
    "input-required-result-missing-input-response": f"{TOOL} test_input_required_result_elicitation",
    "sep-2640-skills-directory": "needs the skills extension, which is optional",
    "sep-2640-skills-enumeration": "needs the skills extension, which is optional",
    "sep-2640-skills-manifest": "needs the skills extension, which is optional",
    "server-session-lifecycle": "needs a session",
    "server-sse-multiple-streams": "needs a session before 2026-07-28",
    "server-sse-polling": "needs a session",
    "tasks-status-notifications": NO_TASKS,
}
"""Scenarios that end without a failure because they have nothing to check here."""

PASSED = {
    "released": """
        dns-rebinding-protection ping prompts-list resources-list server-initialize tools-list
    """.split(),
    "preview": """
        caching dns-rebinding-protection http-header-validation
        input-required-result-unsupported-methods input-required-result-validate-input ping
        prompts-list resources-list sep-2164-resource-not-found server-initialize server-stateless
        tools-list
    """.split(),
    "preview for 2026-07-28": """
        caching dns-rebinding-protection http-header-validation
        input-required-result-unsupported-methods input-required-result-validate-input prompts-list
        resources-list sep-2164-resource-not-found server-sse-multiple-streams server-stateless
        tools-list
    """.split(),
    "preview for 2025-11-25": """
        dns-rebinding-protection ping prompts-list resources-list server-initialize tools-list
    """.split(),
    "preview for 2025-06-18": """
        ping prompts-list resources-list server-initialize tools-list
    """.split(),
}
"""Scenarios with at least one check and no failure, for each run."""


class ConformanceTests(SynchronousTestCase):
    timeout = 240

    def setUp(self) -> None:
        """Installs both releases, as their lock file names them, and starts a vault."""
        self.work = Path(tempfile.mkdtemp(prefix="parachute-conformance-"))
        self.addCleanup(shutil.rmtree, self.work)
        for name in ("package.json", "bun.lock", "with_key.mjs"):
            shutil.copy(FOLDER / name, self.work)
        self.run_bun("install", "--frozen-lockfile", "--silent")
        context = running_vault()
        vault: RunningVault = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        vault.ask("POST", "api/notes", {"content": "# A note #tag", "path": "a/b"})
        self.proxy = subprocess.Popen(
            [bun(), "with_key.mjs", str(vault.port), vault.key], cwd=self.work, stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(self.proxy.wait)
        self.addCleanup(self.proxy.kill)
        assert self.proxy.stdout is not None
        self.addCleanup(self.proxy.stdout.close)
        self.url = f"http://127.0.0.1:{self.proxy.stdout.readline().strip()}/vault/default/mcp"

    def run_bun(self, *words: str) -> str:
        done = subprocess.run([bun(), *words], cwd=self.work, capture_output=True, text=True, check=False)
        if words[0] == "install":
            self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def suite(self, run: str) -> dict[str, list[dict[str, Any]]]:
        """The checks of every scenario of one run."""
        release, _, revision = run.partition(" for ")
        out = self.work / run.replace(" ", "-")
        words = [f"node_modules/{release}/dist/index.js", "server", "--url", self.url, "--suite", "all", "-o", str(out)]
        self.run_bun(*words, *(["--spec-version", revision] if revision else []))
        found = {}
        for folder in out.iterdir():
            scenario = re.sub(r"^server-(.+?)-\d{4}-\d\d-\d\dT.*$", r"\1", folder.name)
            found[scenario] = json.loads((folder / "checks.json").read_text())
        return found

    def test_what_applies_passes_and_the_rest_is_listed(self) -> None:
        failed_anywhere, empty_anywhere, seen_checks = set(), set(), set()
        for run, expected in PASSED.items():
            passed = set()
            for scenario, checks in self.suite(run).items():
                excused = CHECKS_NOT_APPLICABLE.get(scenario, {})
                failures = {check["id"]: check.get("errorMessage") for check in checks if check["status"] == "FAILURE"}
                seen_checks |= {(scenario, check) for check in failures if check in excused}
                real = {check: message for check, message in failures.items() if check not in excused}
                if real:
                    self.assertIn(scenario, NOT_APPLICABLE, f"{run}: {scenario} fails: {real}")
                    failed_anywhere.add(scenario)
                elif any(check["status"] == "SUCCESS" for check in checks if check["id"] != "wire-schema-valid"):
                    passed.add(scenario)
                else:
                    empty_anywhere.add(scenario)
            self.assertEqual((run, sorted(passed)), (run, sorted(expected)))
        self.assertEqual(sorted(failed_anywhere), sorted(NOT_APPLICABLE), "the list of what does not apply is stale")
        self.assertEqual(sorted(empty_anywhere), sorted(EMPTY), "the list of what checks nothing is stale")
        listed = {(scenario, check) for scenario, checks in CHECKS_NOT_APPLICABLE.items() for check in checks}
        self.assertEqual(seen_checks, listed, "the list of checks that do not apply is stale")
