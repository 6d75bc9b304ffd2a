from collections.abc import Sequence

from attrs import evolve
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.configuration import Unconfigured
from parachute_hub.problems.facts import ModuleFacts
from parachute_hub.site.errors import Refused
from parachute_hub.supervise.model import ModuleState
from tests.problems.checks.test_modules import READY, in_state

SCRIBE = ModuleFacts(short="scribe", name="Scribe", status=READY)


async def missing(short: str) -> Sequence[str]:
    if short == "odd":
        raise Refused(502, "module_unreachable", "odd did not answer.")
    return ["API key"] if short == "scribe" else []


class UnconfiguredTests(SynchronousTestCase):
    def found(self, *modules: ModuleFacts) -> list[str]:
        check = Unconfigured(modules=lambda: modules, missing=missing)
        return [one.text for one in self.successResultOf(ensureDeferred(check.look()))]

    def test_scribe_without_its_key(self) -> None:
        others = [evolve(SCRIBE, short="vault"), evolve(SCRIBE, short="odd")]
        self.assertEqual(self.found(*others, SCRIBE), ["It runs, but cannot do its work without this: API key."])

    def test_modules_that_do_not_run_are_not_asked(self) -> None:
        stopped = evolve(SCRIBE, status=in_state(ModuleState.STOPPED).status)
        self.assertEqual(self.found(stopped, evolve(SCRIBE, busy=True), evolve(SCRIBE, status=None)), [])
