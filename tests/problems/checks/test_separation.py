from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.separation import Separation
from parachute_hub.problems.facts import ModuleFacts
from parachute_hub.problems.model import Problem
from parachute_hub.supervise.model import Isolation, ModuleState, Status

ON = Isolation(state="on")
PARTLY = Isolation(state="partly", missing=("the network", "signals to other programs"))
OFF = Isolation(state="off", missing=("files",), why="The kernel is old.")
VAULT = ModuleFacts(
    short="vault",
    name="Vault",
    status=Status(short="vault", state=ModuleState.READY, reason="", since=0.0, isolation=ON),
)


def running(isolation: Isolation | None) -> ModuleFacts:
    assert VAULT.status is not None
    return evolve(VAULT, status=evolve(VAULT.status, isolation=isolation))


def found(machine: Isolation, *modules: ModuleFacts) -> list[Problem]:
    return Separation(machine=lambda: machine, modules=lambda: modules).look()


class SeparationTests(SynchronousTestCase):
    def test_separated_modules_and_empty_hubs_are_fine(self) -> None:
        for machine, modules in ((ON, [running(ON)]), (PARTLY, []), (ON, [running(None)])):
            self.assertEqual(found(machine, *modules), [], machine)

    def test_a_machine_that_cannot_is_one_problem(self) -> None:
        [problem] = found(OFF, running(OFF), evolve(running(OFF), short="notes", name="Notes"))
        self.assertEqual((problem.key, problem.severity), ("separation", "warning"))
        self.assertEqual(problem.text, "The kernel is old. Vault, Notes can read and change everything on this hub.")

    def test_a_machine_that_cannot_says_so_before_anything_runs(self) -> None:
        [problem] = found(OFF)
        self.assertEqual(problem.text, "The kernel is old. Modules would run without.")

    def test_what_an_older_kernel_leaves_open(self) -> None:
        [problem] = found(PARTLY, running(PARTLY))
        self.assertEqual((problem.key, problem.severity), ("separation", "info"))
        self.assertIn("cannot restrict the network and signals to other programs", problem.text)

    def test_one_module_without_separation(self) -> None:
        """For example by the owner's choice; its page has the switch."""
        [problem] = found(ON, running(evolve(OFF, why="You have switched it off.")))
        self.assertEqual((problem.key, problem.short), ("separation:vault", "vault"))
        self.assertEqual(problem.text, "You have switched it off. It can read and change everything on this hub.")
        self.assertEqual(problem.fixes[0].page, "/admin/modules/vault")
