"""What people are told whose vault cannot be asked."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.vault_exports import VaultExports
from parachute_hub.site.errors import Refused


class UnansweredTests(SynchronousTestCase):
    def test_nobody_is_told_to_wait_for_a_vault_on_another_machine(self) -> None:
        nothing: Any = None

        async def no_port(short: str, seconds: float) -> None:
            return None

        nowhere: set[str] = set()
        for elsewhere, status, again in (({"vault"}, 409, False), (nowhere, 503, True)):
            exports = VaultExports(nothing, nothing, nothing, no_port, elsewhere.__contains__)
            for asked in (exports.begin, exports.empty_trash):
                refused = self.failureResultOf(Deferred.fromCoroutine(asked(nothing, "default")), Refused).value
                self.assertEqual((refused.status, "Try again" in str(refused)), (status, again))
