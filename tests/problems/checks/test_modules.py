from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.elsewhere import OtherMachines
from parachute_hub.problems.checks.modules import Crashing, FailedParts, Incomplete, Ports, SelfReports
from parachute_hub.problems.facts import ModuleFacts, Part
from parachute_hub.problems.model import Problem
from parachute_hub.supervise.model import SQUATTED, UNBOUND, Elsewhere, ModuleState, Reach, Status

READY = Status(short="vault", state=ModuleState.READY, reason="", since=0.0)
VAULT = ModuleFacts(short="vault", name="Vault", status=READY)


def in_state(state: ModuleState, reason: str = "", **error: Any) -> ModuleFacts:
    return evolve(VAULT, status=evolve(READY, state=state, reason=reason, start_error=error or None))


def everything(module: ModuleFacts) -> list[Problem]:
    """What all checks of modules find."""
    checks = (kind(modules=lambda: [module]) for kind in (Crashing, Ports, FailedParts, SelfReports, Incomplete))
    return [problem for check in checks for problem in check.look()]


class OtherMachineTests(SynchronousTestCase):
    def look(self, state: ModuleState, reach: Reach, *, steered: bool = True) -> list[Problem]:
        there = Elsewhere(address="https://10.0.0.5:1940", steered=steered, reach=reach, why="Why.")
        status = evolve(READY, state=state, reason="Why.", elsewhere=there)
        facts = evolve(VAULT, status=status)
        self.assertEqual(everything(facts), [], "another check tells it as well")
        return OtherMachines(modules=lambda: [facts]).look()

    def test_each_way_in_which_it_cannot_be_used(self) -> None:
        cases: tuple[tuple[ModuleState, Reach, str], ...] = (
            (ModuleState.BACKOFF, "not answering", "The machine that runs Vault does not answer"),
            (ModuleState.PARKED, "wrong certificate", "Another machine answers for Vault"),
            (ModuleState.PARKED, "refused", "The machine that runs Vault refuses this hub"),
            (ModuleState.PARKED, "online", "Vault does not run on its machine"),
        )
        for state, reach, title in cases:
            (found,) = self.look(state, reach)
            self.assertEqual((found.title, found.severity, found.essence), (title, "error", reach))
            self.assertNotIn("10.0.0.5", found.title + found.text)

    def test_what_is_fine(self) -> None:
        for state in (ModuleState.READY, ModuleState.STARTING, ModuleState.STOPPED):
            self.assertEqual(self.look(state, "online"), [])


class ModuleCheckTests(SynchronousTestCase):
    def test_modules_that_run_or_are_switched_off_are_fine(self) -> None:
        for state in (
            ModuleState.READY,
            ModuleState.STARTING,
            ModuleState.STOPPED,
            ModuleState.STOPPING,
            ModuleState.BACKOFF,
        ):
            self.assertEqual(everything(in_state(state)), [], state)
        self.assertEqual(everything(evolve(VAULT, status=None)), [])

    def test_a_module_that_keeps_crashing_or_is_held(self) -> None:
        """The supervisor's reason says why, and a click starts it again."""
        for state, title in (
            (ModuleState.PARKED, "Vault keeps crashing"),
            (ModuleState.HELD, "Vault is stopped"),
        ):
            (found,) = everything(in_state(state, "ffmpeg is missing."))
            self.assertEqual((found.severity, found.title, found.detail), ("error", title, "ffmpeg is missing."))
            self.assertEqual(found.fixes[0].path, "/api/modules/vault/start")
            self.assertTrue(found.fixes[0].safe)

    def test_a_module_that_does_not_answer(self) -> None:
        (found,) = everything(in_state(ModuleState.DEGRADED))
        self.assertEqual((found.severity, found.text), ("warning", "It runs, but does not answer."))

    def test_a_different_fault_ends_a_dismissal(self) -> None:
        one, two = (everything(in_state(ModuleState.PARKED, "x", error_type=kind))[0] for kind in ("a", "b"))
        self.assertFalse(one.same_as(two))

    def test_a_port_that_another_program_has(self) -> None:
        """One cause is one problem: that the module is parked because of it is not another."""
        parked = in_state(ModuleState.PARKED, error_type=SQUATTED, error_description="nginx has port 1940.")
        (found,) = everything(evolve(parked, drift="squatted"))
        self.assertEqual(
            (found.key, found.severity, found.text), ("module-port:vault", "error", "nginx has port 1940.")
        )
        self.assertEqual(found.fixes[0].to_json()["request"]["path"], "/api/modules/vault/heal-port")

    def test_a_module_that_listens_elsewhere(self) -> None:
        parked = in_state(ModuleState.PARKED, error_type=UNBOUND, listens=[3000, 3001])
        (found,) = everything(evolve(parked, drift="elsewhere"))
        self.assertEqual(found.text, "It listens on port 3000, 3001 instead of the one it was given.")

    def test_a_module_whose_settings_name_another_port(self) -> None:
        (found,) = everything(evolve(VAULT, drift="row"))
        self.assertEqual((found.severity, found.title), ("warning", "Vault has a new port"))

    def test_a_failing_part_is_named(self) -> None:
        parts = (Part("docs", "Docs", "active"), Part("notes", "Notes", "failing"), Part("x", "X", None))
        (found,) = everything(evolve(VAULT, parts=parts))
        self.assertEqual((found.key, found.title), ("module-part:vault:notes", "Notes does not work"))

    def test_a_module_that_reports_what_does_not_work(self) -> None:
        """What it says itself is a detail, since it may hold anything."""
        unwell = evolve(READY, reports=("no disk",), warnings=("bun add failed",))
        (found,) = everything(evolve(VAULT, status=unwell))
        self.assertEqual((found.key, found.severity, found.detail), ("module-reports:vault", "error", "no disk."))
        started = evolve(READY, warnings=("bun add failed", "x"))
        (found,) = everything(evolve(VAULT, status=started))
        self.assertEqual((found.severity, found.detail), ("warning", "It wrote: bun add failed (and 1 more)"))
        self.assertEqual(everything(evolve(VAULT, status=evolve(started, state=ModuleState.STOPPED))), [])

    def test_a_module_whose_program_is_gone(self) -> None:
        missing = evolve(in_state(ModuleState.PARKED, "It is not there."), missing=True)
        self.assertEqual([found.key for found in everything(missing)], ["module-missing:vault"])
        self.assertEqual(everything(evolve(missing, busy=True)), [])

    def test_a_vault_module_without_a_vault(self) -> None:
        self.assertEqual([found.key for found in everything(evolve(VAULT, vaults=0))], ["vault-none:vault"])
        self.assertEqual(everything(evolve(VAULT, vaults=1)), [])
        self.assertEqual(everything(evolve(in_state(ModuleState.STARTING), vaults=0)), [])
