from collections.abc import Sequence

from attrs import evolve
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.configuration import Unconfigured
from parachute_hub.problems.facts import ModuleFacts
from parachute_hub.problems.model import Problem
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
        return [one.text for one in self.looked(*modules)]

    def looked(self, *modules: ModuleFacts) -> Sequence[Problem]:
        check = Unconfigured(modules=lambda: modules, missing=missing)
        return self.successResultOf(ensureDeferred(check.look()))

    def test_its_way_out_leads_to_the_open_settings(self) -> None:
        (problem,) = self.looked(SCRIBE)
        self.assertEqual([fix.page for fix in problem.fixes], ["/admin/modules/scribe/settings"])

    def test_scribe_without_its_key(self) -> None:
        others = [evolve(SCRIBE, short="vault"), evolve(SCRIBE, short="odd")]
        self.assertEqual(self.found(*others, SCRIBE), ["It runs, but cannot do its work without this: API key."])

    def test_modules_that_do_not_run_are_not_asked(self) -> None:
        stopped = evolve(SCRIBE, status=in_state(ModuleState.STOPPED).status)
        self.assertEqual(self.found(stopped, evolve(SCRIBE, busy=True), evolve(SCRIBE, status=None)), [])
