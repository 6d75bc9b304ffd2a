"""The vault's own tests, run by bun."""

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from tests.support.examples import EXAMPLES, bun


class UnitTests(TestCase):
    timeout = 120

    async def test_the_parts_of_the_vault(self) -> None:
        env = {"PATH": "/usr/bin:/bin", "HOME": self.mktemp(), "BUN_RUNTIME_TRANSPILER_CACHE_PATH": "0"}
        out, err, code = await getProcessOutputAndValue(
            bun(), ["test", f"--timeout={self.timeout * 1000}"], env=env, path=str(EXAMPLES / "vault")
        )
        self.assertEqual(code, 0, (out + err).decode())
        self.assertIn(b" 0 fail", err)
