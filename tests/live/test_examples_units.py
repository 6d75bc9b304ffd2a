"""The own tests of the reference modules, run by bun."""

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from tests.support.examples import EXAMPLES, bun


class UnitTests(TestCase):
    timeout = 120

    async def run_tests(self, module: str) -> None:
        env = {"PATH": "/usr/bin:/bin", "HOME": self.mktemp(), "BUN_RUNTIME_TRANSPILER_CACHE_PATH": "0"}
        out, err, code = await getProcessOutputAndValue(
            bun(), ["test", f"--timeout={self.timeout * 1000}"], env=env, path=str(EXAMPLES / module)
        )
        self.assertEqual(code, 0, (out + err).decode())
        self.assertIn(b" 0 fail", err)

    async def test_the_parts_of_the_vault(self) -> None:
        await self.run_tests("vault")

    async def test_the_core_of_notes(self) -> None:
        await self.run_tests("notes")
