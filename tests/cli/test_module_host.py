"""The command of a module host. tests/live/test_module_host.py runs the host itself."""

import contextlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.main import main
from parachute_hub.host.records import HostRecords, Hub
from parachute_hub.link import code


class ModuleHostWordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()
        (self.home / "hub").mkdir(parents=True)
        self.records = HostRecords(self.home / "hub", "vault")
        self.records.current()

    def run_word(self, *words: str, home: Path | None = None) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                ended: Any = main(["--home", str(home or self.home), *words])
            except SystemExit as ends:
                ended = ends.code
        return int(ended or 0), out.getvalue()

    def test_a_code_is_shown_with_the_port_of_the_host_that_runs(self) -> None:
        (self.home / "hub" / "lock").write_text("pid 5 on port 19550, since 2026-01-01T00:00:00Z")
        ended, said = self.run_word("--json", "module", "host", "--pair")
        told = json.loads(said)
        self.assertEqual((ended, told["module"]), (0, "vault"))
        self.assertTrue(told["address"].endswith(":19550"), told)
        self.assertEqual(len(code.normal(told["code"])), 24)
        text = self.run_word("module", "host", "--pair")[1]
        self.assertNotEqual(re.findall(r"Code: +(\S+)", text), [told["code"]])

    def test_a_host_that_has_a_hub_is_unpaired_first(self) -> None:
        self.records.write(evolve(self.records.current(), hub=Hub(origin="https://hub.test", key="a")))
        ended, said = self.run_word("module", "host", "--pair")
        self.assertEqual((ended, "https://hub.test" in said), (1, True))
        self.assertEqual(self.run_word("module", "host", "--unpair")[0], 0)
        self.assertIsNone(self.records.current().hub)
        self.assertEqual(self.run_word("module", "host", "--pair")[0], 0)

    def test_what_is_not_there_is_told(self) -> None:
        for words in (("--pair",), ("--unpair",)):
            ended, said = self.run_word("module", "host", *words, home=self.home / "none")
            self.assertEqual((ended, "no module host" in said), (1, True))
        self.assertEqual(self.run_word("module", "host")[0], 2)
        self.records.path.write_bytes(b"{")
        self.assertEqual(self.run_word("module", "host", "--pair")[0], 1)

    def test_a_wrong_name_is_refused_before_anything_starts(self) -> None:
        self.patch(os, "environ", {})
        for name in ("Vault!", "../vault", "a b", "x" * 64, "hub"):
            ended, said = self.run_word("module", "host", name)
            self.assertEqual((ended, "short name" in said), (2, True), said)
